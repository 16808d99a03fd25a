import Foundation
import Networks
import TensorKit
import Weights

/// Stable Diffusion's variational autoencoder, diffusers' `AutoencoderKL`.
///
/// In a type narrower than float32 the decoder's convolutions at the latents' resolution (3 % of its work for SDXL), the encoder's last ones
/// and all norms still compute in float32: they are where rounding hurts. On the golden model this lowers bfloat16's error of a decode from
/// 4.2e-2 (diffusers) to 2.6e-2.
public struct AutoencoderKL: Sendable {
    public let configuration: Configuration
    let format: MemoryFormat
    let encoder: Encoder
    let decoder: Decoder
    let quantize: Convolution?
    let postQuantize: Convolution?

    /// The part of `vae/config.json` that inference depends on.
    public struct Configuration: Sendable, Equatable {
        public var inChannels: Int
        public var outChannels: Int
        public var blockChannels: [Int]
        public var layersPerBlock: Int
        public var latentChannels: Int
        public var normGroups: Int
        public var scalingFactor: Double
        public var shiftFactor: Double
        public var hasQuantize: Bool
        public var hasPostQuantize: Bool
        public var hasMidAttention: Bool

        /// Pixels of a latent's edge.
        public var downscale: Int { 1 << (blockChannels.count - 1) }
    }

    /// - Parameter exact: the same weights in float32.
    init(_ w: WeightScope, exact: WeightScope, _ c: Configuration) throws {
        configuration = c
        format = w.format
        encoder = try Encoder(w["encoder"], exact["encoder"], c)
        decoder = try Decoder(w["decoder"], exact["decoder"], c)
        quantize =
            c.hasQuantize
            ? try Convolution(exact["quant_conv"], 2 * c.latentChannels, 2 * c.latentChannels, size: 1) : nil
        postQuantize =
            c.hasPostQuantize
            ? try Convolution(exact["post_quant_conv"], c.latentChannels, c.latentChannels, size: 1) : nil
    }

    /// Mean and logarithm of the variance of the latents' distribution, unscaled, (N, latentChannels, H/f, W/f) each, float32.
    /// - Parameter frames: (N, 3, H, W) in [-1, 1], H and W multiples of `downscale`.
    public func moments(_ frames: Tensor) throws -> (mean: Tensor, logVariance: Tensor) {
        try split(encoder(frames.contiguous(format)))
    }

    /// What the encoder's output means.
    func split(_ output: Tensor) throws -> (mean: Tensor, logVariance: Tensor) {
        let h = try quantize?(output) ?? output
        let channels = configuration.latentChannels
        // The bounds keep exp() finite, as in diffusers' DiagonalGaussianDistribution.
        return (
            try h.narrow(1, from: 0, count: channels),
            try h.narrow(1, from: channels, count: channels).clamped(to: -30...20)
        )
    }

    /// Frames (N, 3, H, W), about [-1, 1], of unscaled latents.
    public func decodeUnscaled(_ latents: Tensor) throws -> Tensor {
        var h = try latents.to(.float32).contiguous(format)
        if let postQuantize { h = try postQuantize(h) }
        return try decoder(h)
    }

    struct Encoder: Sendable {
        let convIn: Convolution
        let down: [(resnets: [ResidualBlock], downsampler: Convolution?)]
        let mid: Middle
        let normOut: GroupNorm
        let convOut: Convolution

        init(_ w: WeightScope, _ exact: WeightScope, _ c: Configuration) throws {
            let channels = c.blockChannels
            let widest = channels[channels.count - 1]
            convIn = try Convolution(w["conv_in"], c.inChannels, channels[0])
            down = try channels.indices.map { level in
                let block = w["down_blocks"][level]
                let norms = exact["down_blocks"][level]
                let resnets = try (0..<c.layersPerBlock).map {
                    try ResidualBlock(
                        block["resnets"][$0], norms: norms["resnets"][$0],
                        $0 == 0 ? channels[max(level - 1, 0)] : channels[level], channels[level],
                        timeChannels: nil, groups: c.normGroups, epsilon: 1e-6)
                }
                let last = level == channels.count - 1
                // Padded on the right and at the bottom only, by hand.
                let downsampler =
                    last
                    ? nil
                    : try Convolution(
                        block["downsamplers.0.conv"], channels[level], channels[level], stride: 2, padding: 0)
                return (resnets, downsampler)
            }
            mid = try Middle(w["mid_block"], exact["mid_block"], convolutions: w["mid_block"], widest, c)
            normOut = try GroupNorm(exact["conv_norm_out"], widest, groups: c.normGroups, epsilon: 1e-6)
            convOut = try Convolution(exact["conv_out"], widest, 2 * c.latentChannels)
        }

        func callAsFunction(_ x: Tensor) throws -> Tensor {
            var h = try convIn(x)
            for block in down {
                for resnet in block.resnets { h = try resnet(h) }
                if let downsampler = block.downsampler { h = try downsampler(h.padded([0, 1, 0, 1])) }
            }
            return try convOut(normOut.silu(mid(h.to(.float32))))
        }
    }

    struct Decoder: Sendable {
        let convIn: Convolution
        let mid: Middle
        let up: [(resnets: [ResidualBlock], upsampler: Upsampler?)]
        let normOut: GroupNorm
        let convOut: Convolution

        init(_ w: WeightScope, _ exact: WeightScope, _ c: Configuration) throws {
            let channels = Array(c.blockChannels.reversed())
            convIn = try Convolution(exact["conv_in"], c.latentChannels, channels[0])
            mid = try Middle(w["mid_block"], exact["mid_block"], convolutions: exact["mid_block"], channels[0], c)
            up = try channels.indices.map { index in
                let block = w["up_blocks"][index]
                let norms = exact["up_blocks"][index]
                let resnets = try (0...c.layersPerBlock).map {
                    try ResidualBlock(
                        block["resnets"][$0], norms: norms["resnets"][$0],
                        $0 == 0 ? channels[max(index - 1, 0)] : channels[index], channels[index],
                        timeChannels: nil, groups: c.normGroups, epsilon: 1e-6)
                }
                let last = index == channels.count - 1
                return (resnets, last ? nil : try Upsampler(block["upsamplers.0"], channels[index]))
            }
            let narrowest = channels[channels.count - 1]
            normOut = try GroupNorm(exact["conv_norm_out"], narrowest, groups: c.normGroups, epsilon: 1e-6)
            convOut = try Convolution(w["conv_out"], narrowest, c.outChannels)
        }

        func callAsFunction(_ x: Tensor) throws -> Tensor {
            var h = try mid(convIn(x)).to(convOut.weight.dtype)
            for block in up {
                for resnet in block.resnets { h = try resnet(h) }
                if let upsampler = block.upsampler { h = try upsampler(h) }
            }
            return try convOut(normOut.silu(h))
        }
    }

    /// Residual block, attention of one head over all pixels, residual block.
    struct Middle: Sendable {
        let first, second: ResidualBlock
        let norm: GroupNorm?
        let attention: Attention?

        /// - Parameter convolutions: the scope that those of the residual blocks come from, `w` or `exact`.
        init(
            _ w: WeightScope, _ exact: WeightScope, convolutions: WeightScope, _ channels: Int, _ c: Configuration
        ) throws {
            first = try ResidualBlock(
                convolutions["resnets.0"], norms: exact["resnets.0"], channels, channels, timeChannels: nil,
                groups: c.normGroups,
                epsilon: 1e-6)
            second = try ResidualBlock(
                convolutions["resnets.1"], norms: exact["resnets.1"], channels, channels, timeChannels: nil,
                groups: c.normGroups,
                epsilon: 1e-6)
            norm =
                c.hasMidAttention
                ? try GroupNorm(exact["attentions.0.group_norm"], channels, groups: c.normGroups, epsilon: 1e-6) : nil
            // Its rounding hardly shows, and over the pixels of a large frame it is most of this block's work.
            attention = c.hasMidAttention ? try Attention(w["attentions.0"], channels, heads: 1, bias: true) : nil
        }

        func callAsFunction(_ x: Tensor) throws -> Tensor {
            var h = try first(x)
            if let norm, let attention {
                h = try attention(norm(h).to(attention.query.weight.dtype).asTokens()).to(h.dtype).asImage(like: h) + h
            }
            return try second(h)
        }
    }
}

extension AutoencoderKL.Configuration {
    /// Reads `config.json`. Values that are not implemented are refused by name.
    init(_ json: ConfigurationReader) throws {
        blockChannels = try json.ints("block_out_channels")
        guard !blockChannels.isEmpty else {
            throw ModelError.invalid(path: json.path, key: "block_out_channels", expected: "a list of numbers")
        }
        inChannels = try json.positive("in_channels", default: 3)
        outChannels = try json.positive("out_channels", default: 3)
        layersPerBlock = try json.positive("layers_per_block", default: 1)
        latentChannels = try json.positive("latent_channels", default: 4)
        normGroups = try json.positive("norm_num_groups", default: 32)
        scalingFactor = try json.double("scaling_factor", default: 0.18215)
        shiftFactor = try json.double("shift_factor", default: 0)
        hasQuantize = try json.bool("use_quant_conv", default: true)
        hasPostQuantize = try json.bool("use_post_quant_conv", default: true)
        hasMidAttention = try json.bool("mid_block_add_attention", default: true)
        for (key, kind) in [("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")] {
            let found = try json.strings(key)
            guard found.count == blockChannels.count else {
                throw ModelError.invalid(path: json.path, key: key, expected: "a list of \(blockChannels.count) blocks")
            }
            for other in found where other != kind {
                throw ModelError.unsupported(path: json.path, key: key, value: other, supported: kind)
            }
        }
        try json.require("act_fn", "\"silu\"", "\"swish\"", default: "\"silu\"")
        // force_upcast asks for float32 where float16 would overflow; the type is chosen by the caller.
        json.ignore("sample_size", "force_upcast")
        try json.finish()
    }
}
