import VideoIO

/// Frames of a video in windows: each is read when it is needed, so that memory does not grow with the length.
public struct FrameWindows {
    public let plan: WindowPlan
    private var iterator: FrameSequence.Iterator

    /// - Parameter size: frames of a window.
    /// - Throws: `WorkflowError`, `VideoError` for a range that lies outside the video.
    public init(_ reader: VideoReader, frames: FrameRange?, size: Int) throws {
        var range: Range<Int>?
        if let frames {
            guard let upper = frames.upper ?? reader.info.frameCount else {
                throw WorkflowError.message(
                    "\(reader.path) does not say how many frames it has; give both ends of --frames.")
            }
            guard frames.lower < upper else {
                throw WorkflowError.message(
                    "--frames \(frames.lower): begins behind the video's end (it has \(upper) frames).")
            }
            let asked = frames.lower..<upper
            if let count = reader.info.frameCount, upper > count {
                throw VideoError.frameRangeOutside(reader.path, range: asked, count: count)
            }
            range = asked
        }
        plan = WindowPlan(frameCount: range?.count ?? reader.info.frameCount, size: size)
        iterator = reader.frames(range).makeAsyncIterator()
    }

    /// The next window's frames, nil at the end.
    public mutating func next() async throws -> [VideoFrame]? { try await next(plan.size) }

    /// So many of the next frames, fewer where it ends; nil at the end.
    mutating func next(_ count: Int) async throws -> [VideoFrame]? {
        var frames: [VideoFrame] = []
        while frames.count < count, let frame = try await iterator.next() {
            try Task.checkCancellation()
            frames.append(frame)
        }
        return frames.isEmpty ? nil : frames
    }
}
