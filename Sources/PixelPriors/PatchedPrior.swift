import Diffusion
import Foundation
import Networks
import TensorKit

/// A prior whose noise prediction runs on overlapping tiles, so that a network trained at one size serves frames of any size.
///
/// The predictions are blended with a smooth window that falls to the tiles' edges (sin^2 ramps over the overlap, which add up to one
/// between two tiles): no seam. Encoding and decoding are the base's. Cost: (tile / (tile - overlap))^2 times the base's, about; frames no
/// larger than a tile go to the base whole.
public struct PatchedPrior<Base: DiffusionPrior>: DiffusionPrior {
    public let base: Base
    /// The side of a tile, in latent pixels.
    public let tile: Int
    /// How many latent pixels neighbouring tiles share at least.
    public let overlap: Int

    /// - Parameters:
    ///   - tile: a multiple of what the base's noise prediction asks for (32 for `ADMPrior`'s network of 256 x 256).
    ///   - overlap: from 0 to half a tile.
    /// - Throws: `ModelError.mismatch` for other numbers.
    public init(_ base: Base, tile: Int = 256, overlap: Int = 64) throws {
        guard tile >= 1, overlap >= 0, 2 * overlap <= tile else {
            throw ModelError.mismatch(
                "Tiles of \(tile) pixels cannot overlap by \(overlap); half of a tile is the most.")
        }
        self.base = base
        self.tile = tile
        self.overlap = overlap
    }

    public var schedule: DDIMSchedule { base.schedule }
    public var device: Device { base.device }
    public var frameMultiple: Int { base.frameMultiple }
    public var relativeCost: PriorCost { base.relativeCost }
    public var decoderGain: Double? { base.decoderGain }

    public func latentShape(frames: Int, height: Int, width: Int) -> [Int] {
        base.latentShape(frames: frames, height: height, width: width)
    }
    public func encode(_ frames: Tensor, samplingWith noise: Tensor?) throws -> Tensor {
        try base.encode(frames, samplingWith: noise)
    }
    public func decode(_ latents: Tensor) throws -> Tensor { try base.decode(latents) }
    public var tileSizes: [Int] { base.tileSizes }
    public func encode(_ frames: Tensor, samplingWith noise: Tensor?, _ pass: CodecPass) throws -> Tensor {
        try base.encode(frames, samplingWith: noise, pass)
    }
    public func decode(_ latents: Tensor, _ pass: CodecPass) throws -> Tensor { try base.decode(latents, pass) }

    public func predictNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        let rows = places(latents.size(2))
        let columns = places(latents.size(3))
        if rows.count == 1 && columns.count == 1 { return try base.predictNoise(latents, timestep: timestep) }
        var sum = try Tensor.zeros(latents.shape, device: latents.device)
        for row in rows {
            for column in columns {
                let piece = try latents.narrow(2, from: row.start, count: row.weights.count)
                    .narrow(3, from: column.start, count: column.weights.count).contiguous()
                let down = try Tensor(row.weights, shape: [row.weights.count, 1], device: latents.device)
                let across = try Tensor(column.weights, shape: [1, column.weights.count], device: latents.device)
                try sum.add(
                    base.predictNoise(piece, timestep: timestep) * (down * across), at: [0, 0, row.start, column.start])
            }
        }
        return sum
    }

    /// Where tiles lie along an axis, evenly, and the weights of their pixels, which add up to one at every place.
    func places(_ length: Int) -> [(start: Int, weights: [Float])] {
        guard length > tile else { return [(0, [Float](repeating: 1, count: length))] }
        let count = max(2, Int((Double(length - overlap) / Double(tile - overlap)).rounded(.up)))
        let starts = (0..<count).map { Int((Double($0 * (length - tile)) / Double(count - 1)).rounded()) }
        // A ramp over what two neighbours share; the outer edges have none.
        var windows = starts.indices.map { index in
            (0..<tile).map { pixel -> Double in
                let before = index > 0 ? starts[index - 1] + tile - starts[index] : 0
                let after = index < count - 1 ? starts[index] + tile - starts[index + 1] : 0
                func ramp(_ place: Int, _ width: Int) -> Double {
                    width > 0 && place < width ? pow(sin(Double.pi / 2 * (Double(place) + 0.5) / Double(width)), 2) : 1
                }
                return ramp(pixel, before) * ramp(tile - 1 - pixel, after)
            }
        }
        // Where more than two meet, the product does not add up to one by itself.
        var total = [Double](repeating: 0, count: length)
        for (start, window) in zip(starts, windows) {
            for (pixel, weight) in window.enumerated() { total[start + pixel] += weight }
        }
        for (index, start) in starts.enumerated() {
            for pixel in 0..<tile { windows[index][pixel] /= total[start + pixel] }
        }
        return zip(starts, windows).map { ($0, $1.map(Float.init)) }
    }
}
