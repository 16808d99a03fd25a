import Foundation
import Networks
import TensorKit
import Weights

/// The text a noise prediction is conditioned on, and SDXL's size conditioning.
public struct Conditioning: Sendable {
    /// (1 or N, tokens, D): hidden states of the text encoders.
    public var context: Tensor
    /// (1 or N, P): the pooled text embedding; nil for a network without `text_time` embedding.
    public var pooled: Tensor?
    /// Original height and width, crop top and left, target height and width, in pixels (SDXL paper, section 2.2).
    public var timeIDs: [Double]
    /// The scale of classifier-free guidance that a network imitates which has that for an input (LCM); others do not look at it.
    public var guidance: Double

    public init(context: Tensor, pooled: Tensor? = nil, timeIDs: [Double] = [], guidance: Double = 1) {
        self.context = context
        self.pooled = pooled
        self.timeIDs = timeIDs
        self.guidance = guidance
    }

    /// Several texts of one latent each, every one repeated for `count` latents. The sizes are those of the first.
    /// - Throws: `ModelError.mismatch` for texts that only a part of have a pooled embedding or that have unequal numbers of tokens.
    init(repeating texts: [Conditioning], count: Int) throws {
        let pooled = texts.compactMap(\.pooled)
        guard let first = texts.first, pooled.isEmpty || pooled.count == texts.count,
            texts.allSatisfy({ $0.context.shape == first.context.shape })
        else {
            throw ModelError.mismatch(
                "Texts for one pass of the network must have the same shapes, not \(texts.map(\.context.shape)).")
        }
        self.init(
            context: try .concatenate(texts.map { try $0.context.expanded([count, -1, -1]) }, along: 0),
            pooled: pooled.isEmpty ? nil : try .concatenate(pooled.map { try $0.expanded([count, -1]) }, along: 0),
            timeIDs: first.timeIDs, guidance: first.guidance)
    }
}

/// The noise-predicting U-Net of Stable Diffusion, in diffusers' architecture `UNet2DConditionModel`, with every block list made
/// of (CrossAttn)DownBlock2D and (CrossAttn)UpBlock2D.
public struct UNet2DCondition: Sendable {
    public let configuration: Configuration

    private let format: MemoryFormat
    private let dtype: DType
    let timeEmbedding: EmbeddingMLP
    let addEmbedding: EmbeddingMLP?
    let convIn: Convolution
    let down: [DownBlock]
    let mid: MidBlock?
    let up: [UpBlock]
    let normOut: GroupNorm
    let convOut: Convolution

    /// The part of `unet/config.json` that inference depends on.
    public struct Configuration: Sendable, Equatable {
        public var inChannels: Int
        public var outChannels: Int
        public var blockChannels: [Int]
        public var downBlocks: [String]
        public var upBlocks: [String]
        public var midBlock: String?
        public var layersPerBlock: [Int]
        public var transformerLayers: [Int]
        public var heads: [Int]
        public var contextChannels: Int
        public var normGroups: Int
        public var normEpsilon: Double
        public var cosineFirst: Bool
        public var frequencyShift: Double
        public var downsamplePadding: Int
        /// Width of the sinusoids of each time id, and of the whole vector with the pooled text; nil without `text_time`.
        public var addition: Addition?
        /// Width of the sinusoids of the scale of guidance; nil where the network does not take it (`time_cond_proj_dim`).
        public var guidanceChannels: Int?

        public struct Addition: Sendable, Equatable {
            public var timeChannels: Int
            public var inputChannels: Int
        }

        /// How often the sizes are halved, as a factor: frames whose latents are multiples of it need no uneven upsampling.
        public var downscale: Int { 1 << (blockChannels.count - 1) }
    }

    /// - Parameters:
    ///   - w: the root of the network's checkpoint, converted to the type and device that it is to run in.
    ///   - exact: the same in float32.
    init(_ w: WeightScope, exact: WeightScope, _ c: Configuration) throws {
        configuration = c
        dtype = w.dtype ?? .float32
        format = w.format
        let time = c.blockChannels[0] * 4
        let widest = c.blockChannels[c.blockChannels.count - 1]
        timeEmbedding = try EmbeddingMLP(
            w["time_embedding"], c.blockChannels[0], time, condition: c.guidanceChannels)
        addEmbedding = try c.addition.map { try EmbeddingMLP(w["add_embedding"], $0.inputChannels, time) }
        // The last timesteps' noise is a thousandth of the latents: it would not survive their rounding to 8 bits of mantissa.
        convIn = try Convolution(exact["conv_in"], c.inChannels, c.blockChannels[0])

        let levels = c.blockChannels.count
        down = try (0..<levels).map { level in
            try DownBlock(
                w["down_blocks"][level], level == 0 ? c.blockChannels[0] : c.blockChannels[level - 1],
                c.blockChannels[level],
                layers: c.layersPerBlock[level], downsamples: level < levels - 1,
                transformer: c.transformer(level, in: c.downBlocks[level]), time: time, c)
        }
        mid = try c.midBlock.map { kind in
            try MidBlock(
                w["mid_block"], widest,
                transformer: kind == "UNetMidBlock2DCrossAttn" ? c.transformer(levels - 1, in: "CrossAttn") : nil,
                time: time, c)
        }
        up = try (0..<levels).map { index in
            let level = levels - 1 - index
            return try UpBlock(
                w["up_blocks"][index], previous: index == 0 ? widest : c.blockChannels[level + 1],
                c.blockChannels[level],
                skip: c.blockChannels[max(level - 1, 0)], layers: c.layersPerBlock[level] + 1, upsamples: level > 0,
                transformer: c.transformer(level, in: c.upBlocks[index]), time: time, c)
        }
        normOut = try GroupNorm(w["conv_norm_out"], c.blockChannels[0], groups: c.normGroups, epsilon: c.normEpsilon)
        convOut = try Convolution(w["conv_out"], c.blockChannels[0], c.outChannels)
    }

    /// The predicted noise of latents at a timestep.
    /// - Parameters:
    ///   - latents: (N, inChannels, h, w), float32.
    ///   - timestep: the same for all, 0 ... 999.
    /// - Returns: (N, outChannels, h, w) in the network's type.
    public func callAsFunction(_ latents: Tensor, timestep: Int, conditioning: Conditioning) throws -> Tensor {
        try self(latents, at: step(timestep, conditioning, text: text(conditioning)))
    }

    /// The same with all that does not depend on the latents at hand.
    func callAsFunction(_ latents: Tensor, at step: Step) throws -> Tensor {
        var step = step
        var h = try convIn(latents.to(.float32).contiguous(format)).to(dtype)
        var skips = [h]
        for block in down { h = try block(h, &step, &skips) }
        if let mid { h = try mid(h, &step) }
        for block in up { h = try block(h, &step, &skips) }
        return try convOut(normOut.silu(h))
    }

    /// What a timestep and a text are to the network, whatever the latents. The blocks take theirs from the front.
    struct Step: Sendable {
        /// Of every residual block.
        fileprivate var shifts: ArraySlice<Tensor?>
        /// Of every transformer layer.
        fileprivate var text: ArraySlice<Attention.Memory>
    }

    /// The keys and values of a text in every transformer layer. Cost: for SDXL 0.04 TFLOP, and 27 MB in 16 bits.
    func text(_ conditioning: Conditioning) throws -> [Attention.Memory] {
        let context = try conditioning.context.to(dtype).to(convOut.weight.device)
        let transformers = down.flatMap(\.attentions) + [mid?.attention].compactMap { $0 } + up.flatMap(\.attentions)
        return try transformers.flatMap(\.layers).map { try $0.crossAttention.memory(of: context) }
    }

    func step(_ timestep: Int, _ conditioning: Conditioning, text: [Attention.Memory]) throws -> Step {
        let time = try embedding(timestep, conditioning, on: convOut.weight.device).silu()
        let resnets = down.flatMap(\.resnets) + (mid?.resnets ?? []) + up.flatMap(\.resnets)
        return Step(shifts: try resnets.map { try $0.shift(time) }[...], text: text[...])
    }

    /// (1 or N, 4 * blockChannels[0]): the timestep's embedding plus that of the pooled text and the sizes.
    private func embedding(_ timestep: Int, _ conditioning: Conditioning, on device: Device) throws -> Tensor {
        let c = configuration
        func sinusoids(_ channels: Int, _ values: [Double]) throws -> Tensor {
            try Sinusoids(channels: channels, cosineFirst: c.cosineFirst, frequencyShift: c.frequencyShift)(values)
                .to(dtype).to(device)
        }
        let guidance = try c.guidanceChannels.map {
            // A thousandfold, sines first, as the distilled networks were trained (Luo et al. 2023; Meng et al. 2023).
            try Sinusoids(channels: $0, cosineFirst: false, frequencyShift: 1)([1000 * (conditioning.guidance - 1)])
                .to(dtype).to(device)
        }
        let time = try timeEmbedding(sinusoids(c.blockChannels[0], [Double(timestep)]), condition: guidance)
        guard let addEmbedding, let addition = c.addition else { return time }
        guard let pooled = conditioning.pooled else {
            throw ModelError.mismatch(
                "The network wants a pooled text embedding (text_time), and the conditioning has none.")
        }
        let text = try pooled.to(dtype).to(device)
        let sizes = try sinusoids(addition.timeChannels, conditioning.timeIDs).reshaped([1, -1]).expanded([
            text.size(0), -1,
        ])
        guard text.size(1) + sizes.size(1) == addition.inputChannels else {
            throw ModelError.mismatch(
                "The network wants \(addition.inputChannels) channels of pooled text and sizes, and the conditioning has "
                    + "\(text.size(1) + sizes.size(1)).")
        }
        return try time + addEmbedding(Tensor.concatenate([text, sizes], along: 1))
    }

    // MARK: Blocks

    struct Transformer: Sendable {
        var layers: Int
        var heads: Int
    }

    /// Residual blocks, each with a transformer behind it in a CrossAttnDownBlock2D, and a strided convolution.
    struct DownBlock: Sendable {
        let resnets: [ResidualBlock]
        let attentions: [SpatialTransformer]
        let downsampler: Convolution?

        init(
            _ w: WeightScope, _ input: Int, _ output: Int, layers: Int, downsamples: Bool, transformer: Transformer?,
            time: Int,
            _ c: Configuration
        ) throws {
            resnets = try (0..<layers).map {
                try ResidualBlock(
                    w["resnets"][$0], $0 == 0 ? input : output, output, timeChannels: time, groups: c.normGroups,
                    epsilon: c.normEpsilon)
            }
            attentions =
                try transformer.map { t in
                    try (0..<layers).map { try SpatialTransformer(w["attentions"][$0], output, t, c) }
                } ?? []
            downsampler =
                downsamples
                ? try Convolution(w["downsamplers.0.conv"], output, output, stride: 2, padding: c.downsamplePadding)
                : nil
        }

        func callAsFunction(_ x: Tensor, _ step: inout Step, _ skips: inout [Tensor]) throws -> Tensor {
            var h = x
            for (index, resnet) in resnets.enumerated() {
                h = try resnet(h, shift: step.shifts.removeFirst())
                if !attentions.isEmpty { h = try attentions[index](h, &step) }
                skips.append(h)
            }
            if let downsampler {
                h = try downsampler(h)
                skips.append(h)
            }
            return h
        }
    }

    /// UNetMidBlock2DCrossAttn (residual block, transformer, residual block), or UNetMidBlock2D (one residual block).
    struct MidBlock: Sendable {
        let resnets: [ResidualBlock]
        let attention: SpatialTransformer?

        init(_ w: WeightScope, _ channels: Int, transformer: Transformer?, time: Int, _ c: Configuration) throws {
            resnets = try (0..<(transformer == nil ? 1 : 2)).map {
                try ResidualBlock(
                    w["resnets"][$0], channels, channels, timeChannels: time, groups: c.normGroups,
                    epsilon: c.normEpsilon)
            }
            attention = try transformer.map { try SpatialTransformer(w["attentions.0"], channels, $0, c) }
        }

        func callAsFunction(_ x: Tensor, _ step: inout Step) throws -> Tensor {
            var h = try resnets[0](x, shift: step.shifts.removeFirst())
            if let attention {
                h = try attention(h, &step)
                h = try resnets[1](h, shift: step.shifts.removeFirst())
            }
            return h
        }
    }

    /// Residual blocks over the concatenation with the way down, transformers in a CrossAttnUpBlock2D, and an upsampler.
    struct UpBlock: Sendable {
        let resnets: [ResidualBlock]
        let attentions: [SpatialTransformer]
        let upsampler: Upsampler?

        init(
            _ w: WeightScope, previous: Int, _ output: Int, skip: Int, layers: Int, upsamples: Bool,
            transformer: Transformer?,
            time: Int, _ c: Configuration
        ) throws {
            resnets = try (0..<layers).map {
                let input = $0 == 0 ? previous : output
                let joined = $0 == layers - 1 ? skip : output
                return try ResidualBlock(
                    w["resnets"][$0], input + joined, output, timeChannels: time, groups: c.normGroups,
                    epsilon: c.normEpsilon)
            }
            attentions =
                try transformer.map { t in
                    try (0..<layers).map { try SpatialTransformer(w["attentions"][$0], output, t, c) }
                } ?? []
            upsampler = upsamples ? try Upsampler(w["upsamplers.0"], output) : nil
        }

        func callAsFunction(_ x: Tensor, _ step: inout Step, _ skips: inout [Tensor]) throws -> Tensor {
            var h = x
            for (index, resnet) in resnets.enumerated() {
                h = try resnet(Tensor.concatenate([h, skips.removeLast()], along: 1), shift: step.shifts.removeFirst())
                if !attentions.isEmpty { h = try attentions[index](h, &step) }
            }
            if let upsampler {
                // To the size of what it meets next, which is not twice as large where a size was odd.
                let next = skips[skips.count - 1]
                h = try upsampler(h, to: (next.size(2), next.size(3)))
            }
            return h
        }
    }

    /// Transformer layers over the pixels of an image as tokens (Rombach et al. 2022, appendix E.2.1).
    struct SpatialTransformer: Sendable {
        let norm: GroupNorm
        let projectIn: Linear
        let layers: [TransformerLayer]
        let projectOut: Linear

        init(_ w: WeightScope, _ channels: Int, _ transformer: Transformer, _ c: Configuration) throws {
            norm = try GroupNorm(w["norm"], channels, groups: c.normGroups, epsilon: 1e-6)
            projectIn = try Linear(w["proj_in"], channels, channels)
            layers = try (0..<transformer.layers).map {
                try TransformerLayer(
                    w["transformer_blocks"][$0], channels, context: c.contextChannels, heads: transformer.heads)
            }
            projectOut = try Linear(w["proj_out"], channels, channels)
        }

        func callAsFunction(_ x: Tensor, _ step: inout Step) throws -> Tensor {
            var tokens = try projectIn(norm(x).asTokens())
            for layer in layers { tokens = try layer(tokens, text: step.text.removeFirst()) }
            tokens = try projectOut(tokens)
            return try tokens.asImage(like: x) + x
        }
    }

    /// Attention to itself, attention to the text, and a gated feed-forward network (GEGLU, Shazeer 2020), each with a residual.
    struct TransformerLayer: Sendable {
        let norm1, norm2, norm3: LayerNorm
        let selfAttention, crossAttention: Attention
        /// Halves of one layer, apart so that what follows reads and writes whole rows.
        let value, gate: Linear
        let output: Linear

        init(_ w: WeightScope, _ channels: Int, context: Int, heads: Int) throws {
            norm1 = try LayerNorm(w["norm1"], channels)
            selfAttention = try Attention(w["attn1"], channels, heads: heads)
            norm2 = try LayerNorm(w["norm2"], channels)
            crossAttention = try Attention(w["attn2"], channels, context: context, heads: heads)
            norm3 = try LayerNorm(w["norm3"], channels)
            let both = try Linear(w["ff.net.0.proj"], channels, channels * 8)
            value = try both.outputs(0..<channels * 4)
            gate = try both.outputs(channels * 4..<channels * 8)
            output = try Linear(w["ff.net.2"], channels * 4, channels)
        }

        func callAsFunction(_ x: Tensor, text: Attention.Memory) throws -> Tensor {
            var h = try x + selfAttention(norm1(x))
            try h.add(crossAttention(norm2(h), memory: text))
            try h.add(feedForward(norm3(h)))
            return h
        }

        private func feedForward(_ x: Tensor) throws -> Tensor {
            var gated = try gate.gelu(x)
            try gated.multiply(by: value(x))
            return try output(gated)
        }
    }
}

extension UNet2DCondition.Configuration {
    func transformer(_ level: Int, in block: String) -> UNet2DCondition.Transformer? {
        block.hasPrefix("CrossAttn") ? .init(layers: transformerLayers[level], heads: heads[level]) : nil
    }

    /// Reads `config.json`. Values that are not implemented are refused by name.
    init(_ json: ConfigurationReader) throws {
        blockChannels = try json.ints("block_out_channels")
        let levels = blockChannels.count
        guard levels >= 1 else {
            throw ModelError.invalid(path: json.path, key: "block_out_channels", expected: "a list of numbers")
        }
        inChannels = try json.positive("in_channels", default: 4)
        outChannels = try json.positive("out_channels", default: 4)
        downBlocks = try json.strings("down_block_types")
        upBlocks = try json.strings("up_block_types")
        for (key, kinds, known) in [
            ("down_block_types", downBlocks, ["DownBlock2D", "CrossAttnDownBlock2D"]),
            ("up_block_types", upBlocks, ["UpBlock2D", "CrossAttnUpBlock2D"]),
        ] {
            guard kinds.count == levels else {
                throw ModelError.invalid(path: json.path, key: key, expected: "a list of \(levels) blocks")
            }
            for kind in kinds where !known.contains(kind) {
                throw ModelError.unsupported(
                    path: json.path, key: key, value: kind, supported: known.joined(separator: " or "))
            }
        }
        midBlock = try json.optionalString("mid_block_type", default: "UNetMidBlock2DCrossAttn")
        if let midBlock, !["UNetMidBlock2DCrossAttn", "UNetMidBlock2D"].contains(midBlock) {
            throw ModelError.unsupported(
                path: json.path, key: "mid_block_type", value: midBlock,
                supported: "UNetMidBlock2DCrossAttn, UNetMidBlock2D or null")
        }
        layersPerBlock = try json.ints("layers_per_block", count: levels, default: 2)
        transformerLayers = try json.ints("transformer_layers_per_block", count: levels, default: 1)
        // By an old mistake in naming, attention_head_dim is the number of heads unless num_attention_heads is there.
        let dimension = try json.ints("attention_head_dim", count: levels, default: 8)
        heads = try json.ints("num_attention_heads", count: levels, default: 0)
        if heads.contains(0) { heads = dimension }
        contextChannels = try json.positive("cross_attention_dim", default: 1280)
        normGroups = try json.positive("norm_num_groups", default: 32)
        normEpsilon = try json.double("norm_eps", default: 1e-5)
        cosineFirst = try json.bool("flip_sin_to_cos", default: true)
        frequencyShift = try json.double("freq_shift", default: 0)
        downsamplePadding = try json.int("downsample_padding", default: 1)
        let guidance = try json.int("time_cond_proj_dim", default: 0)
        guidanceChannels = guidance > 0 ? guidance : nil
        let additionType = try json.optionalString("addition_embed_type")
        let additionChannels = try json.int("addition_time_embed_dim", default: 0)
        let projectionChannels = try json.int("projection_class_embeddings_input_dim", default: 0)
        switch additionType {
        case nil: addition = nil
        case "text_time": addition = .init(timeChannels: additionChannels, inputChannels: projectionChannels)
        case let other?:
            throw ModelError.unsupported(
                path: json.path, key: "addition_embed_type", value: other, supported: "text_time or null")
        }
        _ = try json.bool("use_linear_projection", default: false)  // Linear reads either form.
        try json.require("act_fn", "\"silu\"", "\"swish\"", default: "\"silu\"")
        try json.require("attention_type", "\"default\"", default: "\"default\"")
        try json.require("conv_in_kernel", "3", default: "3")
        try json.require("conv_out_kernel", "3", default: "3")
        try json.require("mid_block_scale_factor", "1", default: "1")
        try json.require("resnet_out_scale_factor", "1", default: "1")
        try json.require("resnet_time_scale_shift", "\"default\"", default: "\"default\"")
        try json.require("time_embedding_type", "\"positional\"", default: "\"positional\"")
        // Dropout is training's; sample_size is a default size; the heads of addition embeddings are other types'.
        // upcast_attention guards float16 against overflow: attention here accumulates in float32 in any type.
        json.ignore("dropout", "sample_size", "addition_embed_type_num_heads", "upcast_attention")
        try json.finish()
    }
}

extension UNet2DCondition {
    /// Opens a diffusers component folder (`config.json` and safetensors weights).
    /// - Parameter format: of the images between the layers; the fastest when nil.
    public init(
        folder: URL, variant: String? = nil, dtype: DType = .float32, device: Device = .cpu, format: MemoryFormat? = nil
    ) throws {
        try self.init(NetworkSource(folder: folder, variant: variant), dtype: dtype, device: device, format: format)
    }

    init(_ source: NetworkSource, dtype: DType, device: Device, format: MemoryFormat?) throws {
        let configuration = try Configuration(source.configuration)
        let format = format ?? .fastest(for: dtype, on: device, channels: configuration.blockChannels.min() ?? 0)
        self = try source.weights().build(dtype: dtype, device: device, format: format, isExact: dtype == .float32) {
            try Self($0, exact: $0.converted(to: .float32, on: device, isExact: true), configuration)
        }
    }

    static func configuration(of source: ModelSource) throws -> Configuration {
        try Configuration(source.network("unet", variant: nil).configuration)
    }

    /// What `unet/config.json` of a model's folder says, or what the shapes in a single file do; no weights are read.
    public static func configuration(ofModel url: URL) throws -> Configuration {
        try configuration(of: ModelSource(at: url))
    }
}
