import Foundation
import Networks
import TensorKit
import Weights

/// SPAN, which enlarges colour pictures by 4 (Wan et al., "Swift Parameter-free Attention Network for Efficient Super-Resolution", 2023):
/// six blocks of three convolutions, each weighed by an attention that has no parameters of its own.
///
/// It was trained on pictures that an antialiased bicubic filter had shrunk; those of other filters it sharpens too much or too little. Weights:
/// one safetensors file with the authors' names after their three convolutions of training were merged into one, `conv_1.weight` (C, 3, 3, 3),
/// `block_1.c1_r.weight` ... `block_6.c3_r.bias`, `conv_2`, `conv_cat` (C, 4 C, 1, 1), `upsampler.0` (48, C, 3, 3), and `mean` (3) of the
/// training's pictures; C is 52 in those of set-up. Cost: 1.0 MFLOP for each pixel of the small picture at C = 52.
public struct SPAN: Sendable {
    public let device: Device
    public let dtype: DType
    public var factor: Int { 4 }
    private let mean: Tensor
    let first: Convolution
    let blocks: [Block]
    let last: Convolution
    let fusion: Convolution
    let upsampler: Convolution
    private let format: MemoryFormat

    /// Three convolutions whose result weighs itself: (x + o) (sigmoid(o) - 1/2).
    struct Block: Sendable {
        let convolutions: [Convolution]

        init(_ w: WeightScope, _ channels: Int) throws {
            convolutions = try (1...3).map { try Convolution(w["c\($0)_r"], channels, channels) }
        }

        /// - Returns: the block's result, and what its first convolution says after its activation.
        func callAsFunction(_ x: Tensor) throws -> (result: Tensor, inner: Tensor) {
            var h = try convolutions[0](x)
            try h.formSilu()
            let inner = h
            h = try convolutions[1](h)
            try h.formSilu()
            h = try convolutions[2](h)
            var weighed = try h.sigmoid() - 0.5
            try h.add(x)
            try weighed.multiply(by: h)
            return (weighed, inner)
        }
    }

    /// - Parameters:
    ///   - weights: the safetensors file; the one of set-up when nil.
    ///   - dtype: the type that it runs in.
    ///   - format: of the images between the layers; the fastest when nil.
    public init(
        weights url: URL? = nil, dtype: DType = .float32, device: Device = .cpu, format: MemoryFormat? = nil
    ) throws {
        try Engine.require(device)
        let store = try WeightStore(at: url ?? NetworkLibrary.url(of: .spanX4))
        let channels = store.shape(of: "conv_1.bias")?.first ?? 52
        let format = format ?? .fastest(for: dtype, on: device, channels: channels)
        self = try store.build(dtype: dtype, device: device, format: format) { w in
            try SPAN(w, channels: channels, dtype: dtype, device: device, format: format)
        }
    }

    init(
        _ w: WeightScope, channels: Int, dtype: DType = .float32, device: Device = .cpu,
        format: MemoryFormat = .channelsLast
    ) throws {
        (self.dtype, self.device, self.format) = (dtype, device, format)
        mean = try w.tensor("mean", [3]).to(.float32).reshaped([1, 3, 1, 1])
        first = try Convolution(w["conv_1"], 3, channels)
        blocks = try (1...6).map { try Block(w["block_\($0)"], channels) }
        last = try Convolution(w["conv_2"], channels, channels)
        fusion = try Convolution(w["conv_cat"], 4 * channels, channels, size: 1)
        upsampler = try Convolution(w["upsampler"][0], channels, 3 * 4 * 4)
    }

    /// Convolutions of 3 x 3 that lie behind each other: a result depends on so many pixels to each side.
    static let reach = 21

    /// Bytes of a tile's pass in float32 with the weights of set-up: about eight images of 52 channels.
    static func tileBytes(height: Int, width: Int, tile: Int = usualTile) -> Int {
        8 * 52 * 4 * min(height, tile + 2 * reach) * min(width, tile + 2 * reach)
    }

    /// The side of a tile in small pixels.
    public static let usualTile = 256

    /// Pictures (n, 3, H, W) in [-1, 1] as (n, 3, 4 H, 4 W), about [-1, 1], float32.
    ///
    /// One at a time, and in tiles where they are large, which have what they depend on around them: the same numbers but for rounding. Memory of
    /// a tile: about eight images of C channels, 0.15 GB at C = 52 in float32.
    /// - Parameter tile: the side of a tile in small pixels, 1 or more.
    public func callAsFunction(_ pictures: Tensor, tile: Int = usualTile) throws -> Tensor {
        guard pictures.rank == 4, pictures.size(1) == 3, pictures.count > 0, tile >= 1 else {
            throw ModelError.mismatch("SPAN takes pictures (n, 3, height, width), not \(pictures.shape).")
        }
        let (count, height, width) = (pictures.size(0), pictures.size(2), pictures.size(3))
        var result = try Tensor.empty([count, 3, factor * height, factor * width], device: pictures.device)
        // Tiles of nearly the same size, and what they reach.
        func parts(_ length: Int) -> [(own: Range<Int>, all: Range<Int>)] {
            let count = (length + tile - 1) / tile
            return (0..<count).map { index in
                let own = index * length / count..<(index + 1) * length / count
                return (own, max(own.lowerBound - Self.reach, 0)..<min(own.upperBound + Self.reach, length))
            }
        }
        for n in 0..<count {
            for rows in parts(height) {
                for columns in parts(width) {
                    let piece = try pictures.rows(n..<n + 1).narrow(2, from: rows.all.lowerBound, count: rows.all.count)
                        .narrow(3, from: columns.all.lowerBound, count: columns.all.count)
                    let (top, left) = (
                        rows.own.lowerBound - rows.all.lowerBound, columns.own.lowerBound - columns.all.lowerBound
                    )
                    let large = try enlarge(piece)
                        .narrow(2, from: factor * top, count: factor * rows.own.count)
                        .narrow(3, from: factor * left, count: factor * columns.own.count)
                    try result.replace(
                        at: [n, 0, factor * rows.own.lowerBound, factor * columns.own.lowerBound], with: large)
                }
            }
        }
        return result
    }

    private func enlarge(_ pictures: Tensor) throws -> Tensor {
        // Red, green and blue in levels of 0 to 255 around the mean go in; [0, 1] comes out.
        let levels = try (pictures.to(.float32) + 1) / 2 - mean
        let start = try first((levels * 255).to(dtype).contiguous(format))
        var x = start
        var kept: [Tensor] = []
        for (index, block) in blocks.enumerated() {
            let (result, inner) = try block(x)
            if index == 0 { kept.append(result) }
            if index == blocks.count - 1 { kept.append(inner) }
            x = result
        }
        x = try fusion(Tensor.concatenate([start, last(x)] + kept, along: 1))
        return try upsampler(x).pixelShuffled(factor).to(.float32).contiguous() * 2 - 1
    }
}
