/// Which frames are missing among those that come, by their times.
struct FrameGaps {
    /// Times of all frames, rising.
    private let expected: [Int]
    private var next = 0
    /// Whether a frame came that is not expected, so that nothing can be said any more.
    private var isLost: Bool

    /// - Parameter expected: nil where times are not known.
    init(_ expected: [Int]?) { (self.expected, isLost) = (expected ?? [], expected == nil) }

    /// How many frames are missing before one of that time.
    mutating func missing(before tick: Int?) -> Int {
        guard !isLost, let tick else {
            isLost = true
            return 0
        }
        var place = next
        while place < expected.count, expected[place] < tick { place += 1 }
        guard place < expected.count, expected[place] == tick else {
            isLost = true
            return 0
        }
        defer { next = place + 1 }
        return place - next
    }

    /// How many are missing behind the last one that came.
    var missingAtEnd: Int { isLost ? 0 : expected.count - next }
}
