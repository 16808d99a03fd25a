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

    /// Copies share what is being decoded: each frame goes to whoever asks first.
    public struct Iterator: AsyncIteratorProtocol, Sendable {
        private let sequence: FrameSequence
        private var decoder: Decoder?

        /// What was wrong with what was decoded all the same; nothing before the last frame was taken.
        public var damage: Damage { decoder?.damage.value ?? Damage() }

        init(sequence: FrameSequence) { self.sequence = sequence }

        /// The next frame, or nil after the last one.
        public mutating func next() async throws -> VideoFrame? {
            if decoder == nil { decoder = Decoder(sequence) }
            let frame = try await decoder?.frames.next()
            if frame != nil { FrameCounts.countDecoded() }
            guard let crop = sequence.reader.crop else { return frame }
            return try frame?.cropped(to: crop)
        }
    }
}

/// What the task that decodes leaves behind.
final class FoundDamage: Sendable {
    private let found = Mutex(Damage())
    var value: Damage { found.withLock { $0 } }
    func set(_ damage: Damage) { found.withLock { $0 = damage } }
}

/// Owns the task that decodes; letting go of it stops the task, and the task's end stops ffmpeg.
private final class Decoder: Sendable {
    let frames = Handoff<VideoFrame>()
    let damage = FoundDamage()
    private let task: Task<Void, Never>

    init(_ sequence: FrameSequence) {
        // The task must not hold the decoder itself, or it would never be let go.
        task = Task { [frames, damage] in
            do {
                let found = try await sequence.reader.decode(sequence.range, into: frames)
                damage.set(found)
                frames.finish()
            } catch {
                frames.finish(.failure(error))
            }
        }
    }

    deinit { task.cancel() }
}

extension VideoReader {
    /// Decodes some frames, or all, before they are cropped.
    /// - Parameter isSmall: those of a file at 256 pixels or fewer and in 8 bits, for a first look.
    /// - Throws: `VideoError`, also for a range that does not lie in the video.
    func decode(
        _ range: Range<Int>?, isSmall: Bool = false, into frames: Handoff<VideoFrame>
    ) async throws -> Damage {
        let count = info.frameCount
        if let range, range.lowerBound < 0 || range.upperBound > count ?? .max {
            throw VideoError.frameRangeOutside(path, range: range, count: count)
        }
        if let range, range.isEmpty { return Damage() }
        switch source {
        case .file(let stream):
            let decoder = VideoDecoder(
                path: path, stream: stream, info: isSmall ? decodedInfo.small : decodedInfo, range: range,
                ticks: ticks, acceptsIncomplete: acceptsIncomplete, isSmall: isSmall, showsOpacity: showsOpacity)
            return try await decoder.decode(into: frames)
        case .array(let array):
            for index in range ?? 0..<array.count { try await frames.send(array.frame(index)) }
            return Damage()
        case .pictures(let all):
            try await Pictures.decode(Array(range.map { all[$0] } ?? all[...]), of: self, into: frames)
            return Damage()
        }
    }
}

extension VideoInfo {
    /// At most 256 pixels along the longer side, in red, green and blue of 8 bits.
    var small: VideoInfo {
        var copy = self
        let longest = max(width, height, 256)
        (copy.width, copy.height) = (max(1, width * 256 / longest), max(1, height * 256 / longest))
        (copy.isRGB, copy.bitDepth) = (true, 8)
        return copy
    }
}
