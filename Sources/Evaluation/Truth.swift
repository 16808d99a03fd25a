import TensorKit
import VideoIO

/// A clip's frames as an evaluation uses them.
struct Truth: Sendable {
    /// (N, 3, H, W) in [-1, 1], float32: 8-bit values.
    var frames: Tensor
    /// Factor by which the clip was enlarged or shrunk: above 1 its finest detail is made up by interpolation.
    var scale: Double

    /// The clip's first frames: resized (bicubic with anti-aliasing) so that they cover the size, their middle cut out, rounded to 8 bits.
    init(_ clip: Clip, frameCount: Int, size: ClipSize) async throws {
        let reader = try await VideoReader(clip.path, countFrames: true)
        let info = reader.info
        let count = min(frameCount, info.frameCount ?? frameCount)
        let (width, height) = size.size(forWidth: info.width, height: info.height)
        let scale = max(Double(width) / Double(info.width), Double(height) / Double(info.height))
        let inner = (
            width: max(width, Int((Double(info.width) * scale).rounded())),
            height: max(height, Int((Double(info.height) * scale).rounded()))
        )
        var frames: [Tensor] = []
        for try await frame in reader.frames(0..<count) {
            var picture = try frame.tensor.unsqueezed(0)
            if inner != (info.width, info.height) {
                picture = try picture.resizedBicubic(height: inner.height, width: inner.width, antialiased: true)
            }
            picture = try picture.narrow(2, from: (inner.height - height) / 2, count: height)
                .narrow(3, from: (inner.width - width) / 2, count: width)
            frames.append(try picture.rounded(toBits: 8))
        }
        self.frames = try Tensor.concatenate(frames, along: 0)
        self.scale = scale
    }
}

/// What was kept of a clip's truth.
struct TruthRecord: Codable, Equatable {
    var clip: String
    var clipBytes: Int
    var frames: Int
    var height: Int
    var width: Int
    /// See `Truth.scale`.
    var scale: Double
    /// What the pictures show: left, top, side.
    var crop: [Int]
    var features: [Double]?
}
