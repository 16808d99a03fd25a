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
        let each = segments.map { sources(of: $0).reduce(0) { $0 + stored(windows[$1]) } }
        // While one is encoded the next is made.
        return each.indices.map { each[$0] + (each.indices.contains($0 + 1) ? each[$0 + 1] : 0) }.max() ?? 0
    }
}
