import Foundation
import Networks
import TensorKit
import Weights

/// The small autoencoder TAESD (diffusers' `AutoencoderTiny`): an approximation of AutoencoderKL at a small part of its cost.
public struct AutoencoderTiny: Sendable {
    public let configuration: Configuration
    private let format: MemoryFormat
    let encoder: [Layer]
    let decoder: [Layer]

    /// The part of `config.json` that inference depends on.
    public struct Configuration: Sendable, Equatable {
        public var inChannels: Int
        public var outChannels: Int
        public var encoderChannels: [Int]
        public var decoderChannels: [Int]
        public var encoderBlocks: [Int]
        public var decoderBlocks: [Int]
        public var latentChannels: Int
        public var scalingFactor: Double
        public var shiftFactor: Double
        public var upsampling: Int
        /// Whether blocks at the latents' resolution have a branch of 1x1 convolutions around a group norm, as TAESD's own code has them for
        /// FLUX.2's latents (`use_midblock_gn`). Such an autoencoder has no tiles, since its norms see the whole frame.
        public var hasNormedBlocks: Bool

        /// Pixels of a latent's edge.
        public var downscale: Int { 1 << (encoderBlocks.count - 1) }

        /// Sides of tiles that are worth their margins, in pixels.
        var tileSizes: [Int] { hasNormedBlocks ? [] : Autoencoder.usualTiles }
    }

    enum Layer: Sendable {
        case convolution(Convolution)
        case relu
        case block(Block)
        case upsample(Int)

        func callAsFunction(_ x: Tensor) throws -> Tensor {
            switch self {
            case .convolution(let convolution): return try convolution(x)
            case .relu: return try x.relu()
            case .block(let block): return try block(x)
            case .upsample(let factor):
                return try x.upsampledNearest(height: factor * x.size(2), width: factor * x.size(3))
            }
        }

        /// The same for a part of a map.
        func callAsFunction(_ piece: Piece) throws -> Piece {
            switch self {
            case .convolution(let convolution):
                return try convolution.stride == 2 ? piece.strided(convolution) : piece.convolved(convolution)
            case .relu: return piece.with(try piece.values.relu())
            case .block(let block): return try block(piece)
            case .upsample(let factor): return try piece.enlarged(factor)
            }
        }

        var scale: TiledStage.Scale {
            switch self {
            case .convolution(let convolution): convolution.stride == 2 ? .halving : .keeping
            case .relu, .block: .keeping
            case .upsample(let factor): .enlarging(factor)
            }
        }

        var changesSize: Bool { if case .keeping = scale { false } else { true } }

        /// Pixels around a piece of its input that this layer needs.
        var margin: Int {
            switch self {
            case .convolution(let convolution): convolution.stride == 2 ? 2 : 1
            case .block(let block): block.convolutions.count
            case .relu, .upsample: 0
            }
        }
    }

    /// relu(three convolutions + x), perhaps of x + its normed branch.
    struct Block: Sendable {
        let convolutions: [Convolution]
        let branch: Branch?

        struct Branch: Sendable {
            let widen: Convolution
            let norm: GroupNorm
            let narrow: Convolution

            init(_ w: WeightScope, _ channels: Int) throws {
                let inside = 4 * channels
                widen = try Convolution(w[0], channels, inside, size: 1, bias: false)
                norm = try GroupNorm(w[1], inside, groups: 4, epsilon: 1e-5)
                narrow = try Convolution(w[3], inside, channels, size: 1, bias: false)
            }

            func callAsFunction(_ x: Tensor) throws -> Tensor { try narrow(norm(widen(x)).relu()) }
        }

        init(_ w: WeightScope, _ channels: Int, isNormed: Bool) throws {
            convolutions = try [0, 2, 4].map { try Convolution(w["conv"][$0], channels, channels) }
            branch = isNormed ? try Branch(w["pool"], channels) : nil
        }

        func callAsFunction(_ x: Tensor) throws -> Tensor {
            let x = try branch.map { try x + $0(x) } ?? x
            var h = x
            for (index, convolution) in convolutions.enumerated() {
                h = try convolution(h)
                if index < 2 { try h.formRelu() }
            }
            var sum = try h + x
            try sum.formRelu()
            return sum
        }

        func callAsFunction(_ x: Piece) throws -> Piece {
            var h = x
            for (index, convolution) in convolutions.enumerated() {
                h = try h.convolved(convolution)
                if index < 2 { h = h.with(try h.values.relu()) }
            }
            let sum = try h.adding(x)
            return sum.with(try sum.values.relu())
        }
    }

    init(_ w: WeightScope, _ c: Configuration) throws {
        configuration = c
        format = w.format
        // Both are nn.Sequential: a layer's key is its place.
        var place = 0
        func next(_ name: String) -> WeightScope {
            defer { place += 1 }
            return w[name]["layers"][place]
        }
        var layers: [Layer] = []
        for (level, count) in c.encoderBlocks.enumerated() {
            let channels = c.encoderChannels[level]
            layers.append(
                .convolution(
                    level == 0
                        ? try Convolution(next("encoder"), c.inChannels, channels)
                        : try Convolution(next("encoder"), channels, channels, stride: 2, bias: false)))
            let isNormed = c.hasNormedBlocks && level == c.encoderBlocks.count - 1
            for _ in 0..<count { layers.append(.block(try Block(next("encoder"), channels, isNormed: isNormed))) }
        }
        layers.append(
            .convolution(
                try Convolution(next("encoder"), c.encoderChannels[c.encoderChannels.count - 1], c.latentChannels)))
        encoder = layers

        place = 0
        layers = [.convolution(try Convolution(next("decoder"), c.latentChannels, c.decoderChannels[0])), .relu]
        place += 1
        for (level, count) in c.decoderBlocks.enumerated() {
            let channels = c.decoderChannels[level]
            let last = level == c.decoderBlocks.count - 1
            let isNormed = c.hasNormedBlocks && level == 0
            for _ in 0..<count { layers.append(.block(try Block(next("decoder"), channels, isNormed: isNormed))) }
            if !last {
                layers.append(.upsample(c.upsampling))
                place += 1
            }
            layers.append(
                .convolution(try Convolution(next("decoder"), channels, last ? c.outChannels : channels, bias: last)))
        }
        decoder = layers
    }

    /// Unscaled latents (N, latentChannels, H/f, W/f) of frames (N, 3, H, W) in [-1, 1].
    public func encodeUnscaled(_ frames: Tensor) throws -> Tensor {
        var h = try ((frames + 1) / 2).contiguous(format)
        for layer in encoder { h = try layer(h) }
        return h
    }

    /// Frames (N, 3, H, W), about [-1, 1], of unscaled latents.
    public func decodeUnscaled(_ latents: Tensor) throws -> Tensor {
        var h = try ((latents / 3).tanh() * 3).contiguous(format)
        for layer in decoder { h = try layer(h) }
        return try h * 2 - 1
    }

    /// `decodeUnscaled` in tiles of `tile` pixels of the frames: the same frames, in the memory of one map and a tile's layers. The margins
    /// of small tiles cost time.
    public func decodeUnscaled(_ latents: Tensor, tile: Int) throws -> Tensor {
        try tiled(decoder, (latents / 3).tanh() * 3, tile: tile / configuration.downscale) * 2 - 1
    }

    /// `encodeUnscaled` in tiles, under the same conditions.
    public func encodeUnscaled(_ frames: Tensor, tile: Int) throws -> Tensor {
        try tiled(encoder, (frames + 1) / 2, tile: tile)
    }

    /// Layers over a whole map, a stage for each of its sizes.
    /// - Parameter tile: of the first stage's input.
    private func tiled(_ layers: [Layer], _ x: Tensor, tile: Int) throws -> Tensor {
        let stage = TiledStage(format: format)
        var h = try x.contiguous(format)
        var side = tile
        var rest = layers[...]
        while !rest.isEmpty {
            // Up to and with the layer that changes the size.
            let end = rest.firstIndex(where: \.changesSize) ?? rest.endIndex - 1
            let part = rest[...end]
            rest = rest[(end + 1)...]
            let scale = part.last?.scale ?? .keeping
            switch scale {
            case .enlarging(let factor): side *= factor
            case .halving: side /= 2
            case .keeping: break
            }
            h = try stage(h, tile: side, margin: part.reduce(0) { $0 + $1.margin }, scale) { piece, _ in
                try part.reduce(piece) { try $1($0) }
            }
        }
        return h
    }
}

extension AutoencoderTiny.Configuration {
    /// Reads `config.json`. Values that are not implemented are refused by name.
    init(_ json: ConfigurationReader) throws {
        inChannels = try json.positive("in_channels", default: 3)
        outChannels = try json.positive("out_channels", default: 3)
        encoderBlocks = try json.ints("num_encoder_blocks")
        decoderBlocks = try json.ints("num_decoder_blocks")
        encoderChannels = try json.ints("encoder_block_out_channels", count: encoderBlocks.count)
        decoderChannels = try json.ints("decoder_block_out_channels", count: decoderBlocks.count)
        guard !encoderBlocks.isEmpty, decoderBlocks.count == encoderBlocks.count, Set(encoderChannels).count == 1,
            Set(decoderChannels).count == 1
        else {
            throw ModelError.unsupported(
                path: json.path, key: "encoder_block_out_channels", value: "\(encoderChannels), \(decoderChannels)",
                supported: "the same width everywhere")
        }
        latentChannels = try json.positive("latent_channels", default: 4)
        scalingFactor = try json.double("scaling_factor", default: 1)
        shiftFactor = try json.double("shift_factor", default: 0)
        upsampling = try json.positive("upsampling_scaling_factor", default: 2)
        hasNormedBlocks = try json.bool("use_midblock_gn", default: false)
        try json.require("act_fn", "\"relu\"", default: "\"relu\"")
        try json.require("upsample_fn", "\"nearest\"", default: "\"nearest\"")
        try json.require("upsampling_scaling_factor", "2", default: "2")
        // latent_magnitude and latent_shift scale latents to pictures of 8 bits, nothing else; block_out_channels repeats.
        json.ignore("block_out_channels", "latent_magnitude", "latent_shift", "force_upcast")
        try json.finish()
    }
}
