/// Encodes one segment at a time beside the restoration, which waits where the encoder is the slower of the two.
struct EncodingPipeline {
    private let encoder: SegmentEncoder
    private var next: Int
    private var current: Task<Void, any Error>?

    init(_ encoder: SegmentEncoder) {
        self.encoder = encoder
        next = encoder.firstMissing
    }

    /// Begins with the next segment if its windows are there.
    mutating func advance() async throws {
        while next < encoder.folder.segments.count {
            let segment = next
            if encoder.isDone(segment) {
                next += 1
                continue
            }
            guard encoder.isReady(segment) else { return }
            try await wait()
            current = Task { [encoder] in try await encoder.encode(segment) }
            next += 1
        }
    }

    /// Waits until everything is encoded.
    mutating func finish() async throws {
        try await advance()
        try await wait()
    }

    func cancel() async {
        current?.cancel()
        _ = await current?.result
    }

    private mutating func wait() async throws {
        guard let task = current else { return }
        current = nil
        try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }
}
