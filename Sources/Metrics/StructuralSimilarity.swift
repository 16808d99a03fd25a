import Foundation
import TensorKit

/// The structural similarity of each frame (Wang, Bovik, Sheikh & Simoncelli 2004): 1 for equal frames, about 0 for unrelated ones.
///
/// With the paper's parameters: an 11x11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03; each channel on its own and then their
/// mean, over the windows that lie inside the frame. The numbers are those of scikit-image's
/// `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=range, channel_axis=...)` of
/// the pixels minus `black` in float64, up to rounding.
///
/// Cost: about 0.2 s of one CPU core for a frame of 1280x768; the memory of eight frames in float64.
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
    let similarity = try StructuralSimilarity(black: black, range: range, device: a.device)
    return VideoScore(
        perFrame: try (0..<a.size(0)).map { index in
            try similarity(ofFrame: index, frame(a, index, on: a.device), frame(b, index, on: a.device))
        })
}

/// The index of one frame after the other; makes its window once.
struct StructuralSimilarity {
    private let window: GaussianWindow
    private let black: Double
    private let c1: Double
    private let c2: Double

    init(black: Double = -1, range: Double = 2, device: Device) throws {
        window = try GaussianWindow(radius: 5, sigma: 1.5, device: device.withFloat64)
        self.black = black
        c1 = (0.01 * range) * (0.01 * range)
        c2 = (0.03 * range) * (0.03 * range)
    }

    /// The index of frame `index` of both videos, (1, C, H, W) in float64.
    func callAsFunction(ofFrame index: Int, _ x: Tensor, _ y: Tensor) throws -> Double {
        let (channels, height, width) = (x.size(1), x.size(2), x.size(3))
        guard min(height, width) >= window.size else {
            throw MetricError.framesTooSmall(height: height, width: width, least: window.size)
        }
        let (x, y) = (try x - black, try y - black)
        // In strips, so that what is made on the way stays in the processor's cache.
        let rows = height - window.size + 1
        let sums = try stride(from: 0, to: rows, by: GaussianWindow.tile).map { start in
            let pixels = min(GaussianWindow.tile, rows - start) + window.size - 1
            return try values(x.narrow(2, from: start, count: pixels), y.narrow(2, from: start, count: pixels)).sum()
        }
        let mean = try Tensor.stack(sums).sum() / (channels * rows * (width - window.size + 1))
        return try finiteMean(mean, frame: index)
    }

    /// Equation 13 of the paper at every window of two (1, C, H, W).
    private func values(_ x: Tensor, _ y: Tensor) throws -> Tensor {
        let moments = try window.averages(of: Tensor.concatenate([x, y, x * x, y * y, x * y], along: 0))
        let (meanX, meanY) = (try moments.rows(0..<1), try moments.rows(1..<2))
        let (meanXX, meanYY, meanXY) = (try meanX * meanX, try meanY * meanY, try meanX * meanY)
        let varianceX = try moments.rows(2..<3) - meanXX
        let varianceY = try moments.rows(3..<4) - meanYY
        let covariance = try moments.rows(4..<5) - meanXY
        let numerator = try (meanXY * 2 + c1) * (covariance * 2 + c2)
        let denominator = try (meanXX + meanYY + c1) * (varianceX + varianceY + c2)
        return try numerator / denominator
    }
}

/// A Gaussian window that is separable and sums to 1.
///
/// Pixels are averaged by matrices: 64 windows side by side are a band matrix of 64 x 74 times the 74 pixels under them.
/// That wastes six in seven products and is still about three times as fast as eleven shifted sums, which wait for memory.
private struct GaussianWindow {
    /// Pixels along a side.
    let size: Int
    /// (64, 64 + size - 1): row i has the window's weights from column i on. Its upper left corner averages fewer windows.
    private let band: Tensor

    static let tile = 64

    init(radius: Int, sigma: Double, device: Device) throws {
        let values = (-radius...radius).map { exp(-Double($0 * $0) / (2 * sigma * sigma)) }
        let sum = values.reduce(0, +)
        size = values.count
        let columns = Self.tile + size - 1
        var weights = [Double](repeating: 0, count: Self.tile * columns)
        for row in 0..<Self.tile {
            for (offset, value) in values.enumerated() { weights[row * columns + row + offset] = value / sum }
        }
        band = try Tensor(weights, shape: [Self.tile, columns], device: device)
    }

    /// Weighted averages over every window inside (N, C, H, W): (N, C, H - size + 1, W - size + 1).
    func averages(of images: Tensor) throws -> Tensor {
        let columns = try tiles(of: images, along: 2) { pixels, band in try band.multiplied(by: pixels) }
        return try tiles(of: columns, along: 3) { pixels, band in try pixels.multiplied(by: band.transposed(0, 1)) }
    }

    private func tiles(
        of images: Tensor, along dimension: Int, _ average: (Tensor, Tensor) throws -> Tensor
    ) throws -> Tensor {
        let windows = images.size(dimension) - size + 1
        let parts = try stride(from: 0, to: windows, by: Self.tile).map { start in
            let count = min(Self.tile, windows - start)
            let pixels = count + size - 1
            return try average(
                images.narrow(dimension, from: start, count: pixels),
                band.narrow(0, from: 0, count: count).narrow(1, from: 0, count: pixels))
        }
        return try Tensor.concatenate(parts, along: dimension)
    }
}
