import Foundation
import TensorKit

/// The structural similarity of each frame (Wang, Bovik, Sheikh & Simoncelli 2004): 1 for equal frames, about 0 for unrelated ones.
///
/// With the paper's parameters: an 11x11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03; each channel on its own and then their
/// mean, over the windows that lie inside the frame. The numbers are those of scikit-image's
/// `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=range, channel_axis=...)` of
/// the pixels minus `black` in float64, up to rounding.
///
/// Cost: ten one-dimensional convolutions of 11 taps for each channel of each frame; the memory of about 30 channels in float64.
/// - Parameters:
///   - a: (N, C, H, W) of any real type, H and W at least 11.
///   - b: The same shape; it may be on another device.
///   - black: The smallest value that a pixel can have: -1 for pixels in [-1, 1]. It counts, because the index compares local
///     means by their ratio: the same pictures in [-1, 1] without this, with grey at 0, get a far lower number.
///   - range: The largest value that a pixel can have minus `black`.
/// - Throws: `MetricError` for shapes that differ, small frames and values that are not finite, `TensorError` from the engine.
public func ssim(_ a: Tensor, _ b: Tensor, black: Double = -1, range: Double = 2) throws -> VideoScore {
    try requireAlike(a, b)
    try requirePositive(range: range)
    let (count, channels, height, width) = (a.size(0), a.size(1), a.size(2), a.size(3))
    let window = GaussianWindow(radius: 5, sigma: 1.5)
    guard min(height, width) >= window.size else {
        throw MetricError.framesTooSmall(height: height, width: width, least: window.size)
    }
    let c1 = (0.01 * range) * (0.01 * range)
    let c2 = (0.03 * range) * (0.03 * range)
    return VideoScore(
        perFrame: try (0..<count).map { index in
            let x = try frame(a, index, on: a.device) - black
            let y = try frame(b, index, on: a.device) - black
            let means = try (0..<channels).map { channel in
                let map = try similarity(
                    x.narrow(1, from: channel, count: 1), y.narrow(1, from: channel, count: 1), window, c1, c2)
                return try finiteMean(map, frame: index)
            }
            return means.reduce(0, +) / Double(channels)
        })
}

/// Equation 13 of the paper at every window of two (1, 1, H, W).
private func similarity(_ x: Tensor, _ y: Tensor, _ window: GaussianWindow, _ c1: Double, _ c2: Double) throws -> Tensor {
    let moments = try window.averages(of: Tensor.concatenate([x, y, x * x, y * y, x * y], along: 0))
    let meanX = try moments.rows(0..<1)
    let meanY = try moments.rows(1..<2)
    let meanXX = try meanX * meanX
    let meanYY = try meanY * meanY
    let meanXY = try meanX * meanY
    let varianceX = try moments.rows(2..<3) - meanXX
    let varianceY = try moments.rows(3..<4) - meanYY
    let covariance = try moments.rows(4..<5) - meanXY
    let numerator = try (meanXY * 2 + c1) * (covariance * 2 + c2)
    let denominator = try (meanXX + meanYY + c1) * (varianceX + varianceY + c2)
    return try numerator / denominator
}

/// A Gaussian window that is separable and sums to 1.
private struct GaussianWindow {
    let taps: [Double]

    init(radius: Int, sigma: Double) {
        let values = (-radius...radius).map { exp(-Double($0 * $0) / (2 * sigma * sigma)) }
        let sum = values.reduce(0, +)
        taps = values.map { $0 / sum }
    }

    var size: Int { taps.count }

    /// Weighted averages over every window inside (N, 1, H, W): (N, 1, H - size + 1, W - size + 1).
    func averages(of images: Tensor) throws -> Tensor { try average(average(images, along: 3), along: 2) }

    private func average(_ images: Tensor, along dimension: Int) throws -> Tensor {
        let count = images.size(dimension) - size + 1
        var sum = try images.narrow(dimension, from: 0, count: count) * taps[0]
        for (offset, tap) in taps.enumerated().dropFirst() {
            sum = try sum.adding(images.narrow(dimension, from: offset, count: count), times: tap)
        }
        return sum
    }
}
