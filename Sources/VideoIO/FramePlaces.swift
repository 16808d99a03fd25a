/// Where frames that are decoded belong in a video of which some are lost.
struct FramePlaces {
    /// A frame that was decoded.
    struct Arrival: Sendable, Equatable {
        /// Among those that were decoded, from 0.
        let frame: Int
        /// Frames that are lost right before it.
        let lost: Int
        /// Among those that there should be, from 0.
        let place: Int
    }

    /// The place that is looked for.
    private let wanted: Int
    private var gaps: FrameGaps
    private var next = (frame: 0, place: 0)
    /// The last decoded frame that stands at the wanted place or before it.
    private(set) var entry = 0

    /// - Parameter times: of all frames, rising; nil where they are not known, so that nothing can be missed.
    init(_ times: [Int]?, looking wanted: Int = 0) { (gaps, self.wanted) = (FrameGaps(times), wanted) }

    /// The place of the next frame.
    /// - Parameters:
    ///   - frame: its number among those that were decoded.
    ///   - tick: its time, nil where it has none.
    ///   - isDamaged: whether there was a complaint. Without one, what is missing are packets that show nothing.
    mutating func add(_ frame: Int, tick: Int?, isDamaged: Bool) -> Arrival {
        // Where a frame was left out nothing can be said any more.
        let missing = gaps.missing(before: frame == next.frame ? tick : nil)
        let lost = isDamaged ? missing : 0
        let arrival = Arrival(frame: frame, lost: lost, place: next.place + frame - next.frame + lost)
        if arrival.place <= wanted { entry = frame }
        next = (frame + 1, arrival.place + 1)
        return arrival
    }

    /// How many are missing behind the last one.
    var missingAtEnd: Int { gaps.missingAtEnd }
}
