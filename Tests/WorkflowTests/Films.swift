import Foundation
import TensorKit
import TestSupport
import VideoIO

// Lossless films of numbers, for tests that restore files.

extension TemporaryFolder {
    /// Writes frames in 16 bits, FFV1, and says where they are.
    @discardableResult
    func write(_ frames: [VideoFrame], to name: String) async throws -> String {
        let writer = try await VideoWriter(
            to: file(name), width: frames[0].width, height: frames[0].height, bitDepth: 16, frameRate: .fps25,
            encoding: VideoEncoding(.ffv1, bits: 16))
        for frame in frames { try await writer.append(frame) }
        try await writer.finish()
        return file(name)
    }

    /// The same of (N, 3, H, W).
    @discardableResult
    func write(_ frames: Tensor, to name: String) async throws -> String {
        try await write(VideoFrame.frames(of: frames, bitDepth: 16), to: name)
    }

    /// (N, 3, H, W).
    func frames(_ name: String) async throws -> Tensor {
        var frames: [VideoFrame] = []
        for try await frame in try await VideoReader(file(name)).frames() { frames.append(frame) }
        return try Tensor(frames: frames)
    }
}

/// In dB, of values in [-1, 1].
func psnr(_ a: Tensor, _ b: Tensor) throws -> Double {
    10 * log10(4 / (try (a - b).squared().mean().item()))
}
