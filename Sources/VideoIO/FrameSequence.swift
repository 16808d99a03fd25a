import Synchronization

/// The frames of a video, decoded while they are asked for.
///
/// Memory: about four frames, however long the video. The decoder waits for a slow taker and is stopped when the
/// iterator goes away or the taking task is cancelled. Each iterator decodes anew.
public struct FrameSequence: AsyncSequence, Sendable {
    public typealias Element = VideoFrame
    let reader: VideoReader
    let range: Range<Int>?

    public func makeAsyncIterator() -> Iterator { Iterator(sequence: self) }

    public struct Iterator: AsyncIteratorProtocol {
        private let sequence: FrameSequence
        private var decoder: Decoder?

        /// How often ffmpeg complained of damage in what it decoded all the same; 0 before the last frame was taken.
        public var complaints: Int { decoder?.complaints.count ?? 0 }

        init(sequence: FrameSequence) { self.sequence = sequence }

        /// The next frame, or nil after the last one.
        public mutating func next() async throws -> VideoFrame? {
            if decoder == nil { decoder = Decoder(sequence) }
            let frame = try await decoder?.frames.next()
            if frame != nil { FrameCounts.countDecoded() }
            return frame
        }
    }
}

@available(*, unavailable)
extension FrameSequence.Iterator: Sendable {}

/// A number that the task that decodes leaves behind.
final class Complaints: Sendable {
    private let found = Mutex(0)
    var count: Int { found.withLock { $0 } }
    func set(_ count: Int) { found.withLock { $0 = count } }
}

/// Owns the task that decodes; letting go of it stops the task, and the task's end stops ffmpeg.
private final class Decoder: Sendable {
    let frames = Handoff<VideoFrame>()
    let complaints = Complaints()
    private let task: Task<Void, Never>

    init(_ sequence: FrameSequence) {
        // The task must not hold the decoder itself, or it would never be let go.
        task = Task { [frames, complaints] in
            do {
                let found = try await sequence.decode(into: frames)
                complaints.set(found)
                frames.finish()
            } catch {
                frames.finish(.failure(error))
            }
        }
    }

    deinit { task.cancel() }
}

extension FrameSequence {
    fileprivate func decode(into frames: Handoff<VideoFrame>) async throws -> Int {
        let count = reader.info.frameCount
        if let range, range.lowerBound < 0 || range.upperBound > count ?? .max {
            throw VideoError.frameRangeOutside(reader.path, range: range, count: count)
        }
        if let range, range.isEmpty { return 0 }
        switch reader.source {
        case .file(let stream):
            return try await VideoDecoder(path: reader.path, stream: stream, info: reader.info, range: range)
                .decode(into: frames)
        case .pictures(let all):
            try await Pictures.decode(Array(range.map { all[$0] } ?? all[...]), of: reader, into: frames)
            return 0
        }
    }
}
