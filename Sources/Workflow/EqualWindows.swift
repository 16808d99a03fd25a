/// Windows one after the other, the last as long as what is left: what a degradation sees together.
public struct EqualWindows: Sendable, Equatable {
    /// The video's frames; nil where nobody knows how many there are.
    public let frameCount: Int?
    /// Frames of a window, 1 or more.
    public let size: Int

    public init(frameCount: Int?, size: Int) {
        (self.frameCount, self.size) = (frameCount, Swift.max(size, 1))
    }

    /// How many windows there are, one at least; nil where nobody knows.
    public var count: Int? { frameCount.map { Swift.max(1, $0 / size + ($0 % size == 0 ? 0 : 1)) } }

    /// Frames of the longest window.
    public var longest: Int { frameCount.map { Swift.max(1, Swift.min($0, size)) } ?? size }

    /// The frames of a window, counted from 0.
    public subscript(index: Int) -> Range<Int> {
        let end = frameCount ?? .max
        // A window may be larger than any video.
        let (first, isBeyond) = index.multipliedReportingOverflow(by: size)
        guard !isBeyond, first < end else { return end..<end }
        return first..<first + Swift.min(size, end - first)
    }
}
