import Foundation
import TensorKit

/// The peak signal-to-noise ratio of each frame in decibels, 10 log10(range^2 / mean squared difference): infinite for equal frames.
///
/// Values are taken as they are, neither clamped nor rounded to 8 bits. The mean is that of the frames' decibels.
/// Cost: three passes over each frame in float64, the memory of three frames in float64.
/// - Parameters:
///   - a: (N, C, H, W) of any real type.
///   - b: The same shape; it may be on another device.
///   - range: The largest value minus the smallest that a pixel can have: 2 for pixels in [-1, 1].
/// - Throws: `MetricError` for shapes that differ and values that are not finite, `TensorError` from the engine.
public func psnr(_ a: Tensor, _ b: Tensor, range: Double = 2) throws -> VideoScore {
    try requireAlike(a, b)
    try requirePositive(range: range)
    return VideoScore(
        perFrame: try (0..<a.size(0)).map { index in
            try psnr(ofFrame: index, frame(a, index, on: a.device), frame(b, index, on: a.device), range: range)
        })
}

/// The same of one frame of both, (1, C, H, W) in float64.
func psnr(ofFrame index: Int, _ x: Tensor, _ y: Tensor, range: Double = 2) throws -> Double {
    let error = try finiteMean((x - y).squared(), frame: index)
    return error == 0 ? .infinity : 10 * log10(range * range / error)
}
