/// Frames of a video in batches that may overlap, the next one decoded while one is worked on.
///
///     let batches = FrameBatches(reader, [0..<29, 21..<54])
///     while let batch = try await batches.next() { ... }
///
/// Each frame is decoded once. Memory: two batches, however long the video. Letting go of it stops the decoder.
public final class FrameBatches: Sendable {
    public struct Batch: Sendable {
        /// Its frames, counted from the video's first.
        public let range: Range<Int>
        public let frames: [VideoFrame]
    }

    private let wanted = Handoff<Void>()
    private let batches = Handoff<Batch>()
    private let found = FoundDamage()
    private let task: Task<Void, Never>

    /// - Parameters:
    ///   - ranges: none of them empty, each beginning and ending no earlier than the one before.
    ///   - whole: all frames that are of interest in the end, whatever is wanted now; nil for all of the video. Decoding always begins there, so
    ///     that a damaged file gives the same frames each time.
    public init(_ reader: VideoReader, _ ranges: [Range<Int>], of whole: Range<Int>? = nil) {
        task = Task { [wanted, batches, found] in
            do {
                try await Self.decode(reader, ranges, whole, wanted, batches, found)
                batches.finish()
            } catch {
                batches.finish(.failure(error))
            }
            wanted.finish()
        }
    }

    deinit {
        task.cancel()
        wanted.finish()
    }

    /// What was wrong with what was decoded all the same; nothing before the last batch was taken.
    public var damage: Damage { found.value }

    /// The next batch, nil after the last one.
    /// - Throws: what iterating over the frames throws; `VideoError.truncated` where the video ends within a batch.
    public func next() async throws -> Batch? {
        // The first is waited for here, each of the others was asked for when the one before was taken.
        let batch = try await batches.next()
        if batch != nil { try? await wanted.send(()) }
        return batch
    }

    private static func decode(
        _ reader: VideoReader, _ ranges: [Range<Int>], _ whole: Range<Int>?, _ wanted: Handoff<Void>,
        _ batches: Handoff<Batch>, _ found: FoundDamage
    ) async throws {
        guard let end = ranges.last?.upperBound else { return }
        var iterator = reader.frames(whole).makeAsyncIterator()
        var (held, decoded) = ([VideoFrame](), whole?.lowerBound ?? 0)
        for (number, range) in ranges.enumerated() {
            // What nobody needs any more.
            held.removeFirst(min(held.count, max(0, range.lowerBound - (decoded - held.count))))
            while decoded < range.upperBound {
                guard let frame = try await iterator.next() else {
                    throw VideoError.truncated(reader.path, decoded: decoded, expected: end, details: "")
                }
                decoded += 1
                if decoded > range.lowerBound { held.append(frame) }
            }
            let start = decoded - held.count
            let frames = Array(held[(range.lowerBound - start)..<(range.upperBound - start)])
            if number == ranges.count - 1 {
                // To the end, where the decoder says what it complained of.
                if try await iterator.next() == nil { found.set(iterator.damage) }
            }
            try await batches.send(Batch(range: range, frames: frames))
            if number < ranges.count - 1 { guard try await wanted.next() != nil else { return } }
        }
    }
}
