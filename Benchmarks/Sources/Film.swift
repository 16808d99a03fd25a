import InverseProblems
import TensorKit
import VideoIO

/// Real frames to measure with.
enum Film {
    /// The middle of the film's frames, shrunk by a whole factor by averaging, which takes most of its own compression away, and
    /// rounded to 8 bits as a film is: (N, 3, height, width) in [-1, 1].
    static func frames(of path: String, first: Int, count: Int, height: Int, width: Int) async throws -> Tensor {
        let reader = try await VideoReader(path)
        let factor = min(reader.info.height / height, reader.info.width / width)
        guard factor > 0 else {
            throw BenchmarkError.message(
                "\(path) has frames of \(reader.info.width)x\(reader.info.height), which cannot be shrunk to \(width)x\(height)."
            )
        }
        var frames: [Tensor] = []
        for try await frame in reader.frames(first..<first + count) {
            let pixels = try frame.tensor.unsqueezed(0)
            let (rows, columns) = (height * factor, width * factor)
            frames.append(
                try pixels.narrow(2, from: (pixels.size(2) - rows) / 2, count: rows)
                    .narrow(3, from: (pixels.size(3) - columns) / 2, count: columns)
                    .contiguous().averagePooled(factor))
        }
        return try Tensor.concatenate(frames, along: 0).rounded(toBits: 8)
    }

    /// Writes frames, (N, 3, height, width) in [-1, 1], to a file without loss.
    static func write(_ frames: Tensor, to path: String, bitDepth: Int) async throws {
        let writer = try await VideoWriter(
            to: path, width: frames.size(3), height: frames.size(2), bitDepth: bitDepth, frameRate: .fps25)
        for frame in try VideoFrame.frames(of: frames, bitDepth: bitDepth) { try await writer.append(frame) }
        try await writer.finish()
    }
}
