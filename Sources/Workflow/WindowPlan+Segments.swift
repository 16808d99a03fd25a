extension WindowPlan {
    /// Windows whose frames are encoded together: as many as three of the largest keep, and less where frames are large.
    /// - Parameter frameBytes: of a stored frame.
    func segments(frameBytes: Int) -> [Range<Int>] {
        let longest = windows.map(stored).max() ?? 1
        // Beside a segment lie the windows before and behind it, which are faded with it, and those that are made while it is encoded.
        let room = (Self.mostBytes / max(frameBytes, 1) - 2 * longest) / 2
        let most = max(longest, min(3 * longest, room))
        var (segments, first, frames) = ([Range<Int>](), 0, 0)
        for index in windows.indices {
            let more = stored(windows[index])
            if index > first, frames + more > most {
                segments.append(first..<index)
                (first, frames) = (index, 0)
            }
            frames += more
        }
        if !windows.isEmpty { segments.append(first..<windows.count) }
        return segments
    }

    /// Of all windows that lie in the folder at the same time.
    static let mostBytes = 2_000_000_000

    /// Frames of a window that are stored: what is kept, and what is faded with other windows.
    func stored(_ window: Window) -> Int {
        window.fadeBefore + window.kept.count + rules.surplus + window.fadeAfter
    }

    /// Windows that a segment's frames are made of: its own, and those that are faded with them.
    func sources(of segment: Range<Int>) -> Range<Int> {
        guard let first = segment.first, let last = segment.last else { return segment }
        return first - (windows[first].fadeBefore > 0 ? 1 : 0)..<last + 1 + (windows[last].fadeAfter > 0 ? 1 : 0)
    }

    /// Stored frames that lie in the folder at the same time, at most.
    func mostStored(_ segments: [Range<Int>]) -> Int {
        // While one is encoded the next is made; both need the windows between them.
        zip(segments, segments.dropFirst() + segments.suffix(1)).map { segment, next in
            (sources(of: segment).lowerBound..<sources(of: next).upperBound).reduce(0) { $0 + stored(windows[$1]) }
        }.max() ?? 0
    }
}
