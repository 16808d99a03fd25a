import VideoIO

/// Frames of a video in windows: each is read when it is needed, so that memory does not grow with the length.
public struct FrameWindows {
    public let plan: EqualWindows
    /// The part of the video that is read; nil for all of it.
    let range: Range<Int>?
    private var iterator: FrameSequence.Iterator

    /// - Parameter size: frames of a window.
    /// - Throws: `WorkflowError`, `VideoError` for a range that lies outside the video.
    public init(_ reader: VideoReader, frames: FrameRange?, size: Int) throws {
        let range = try frames?.within(reader)
        self.range = range
        plan = EqualWindows(frameCount: range?.count ?? reader.info.frameCount, size: size)
        iterator = reader.frames(range).makeAsyncIterator()
    }

    /// The next window's frames, nil at the end.
    public mutating func next() async throws -> [VideoFrame]? {
        var frames: [VideoFrame] = []
        while frames.count < plan.size, let frame = try await iterator.next() {
            try Task.checkCancellation()
            frames.append(frame)
        }
        return frames.isEmpty ? nil : frames
    }
}

extension FrameRange {
    /// The frames of a video that are meant.
    /// - Throws: `WorkflowError`, `VideoError` for a range that lies outside the video.
    func within(_ reader: VideoReader) throws -> Range<Int> {
        guard let end = upper ?? reader.info.frameCount else {
            throw WorkflowError.message(
                "\(reader.path) does not say how many frames it has; give both ends of --frames.")
        }
        guard lower < end else {
            throw WorkflowError.message("--frames \(lower): begins behind the video's end (it has \(end) frames).")
        }
        if let count = reader.info.frameCount, end > count {
            throw VideoError.frameRangeOutside(reader.path, range: lower..<end, count: count)
        }
        return lower..<end
    }
}
