import Diffusion
import Foundation
import Networks
import TensorKit
import Weights

/// The ablated diffusion model (Dhariwal & Nichol, "Diffusion Models Beat GANs on Image Synthesis", 2021) without classes: a U-Net that
/// predicts the noise in pixels, with the tensor names and the configuration of guided-diffusion.
///
/// The configuration is a small JSON file with the names of guided-diffusion's `model_and_diffusion_defaults`; what is left out has their
/// values. The unconditional ImageNet model of 256 x 256 is
///
///     {"image_size": 256, "num_channels": 256, "num_res_blocks": 2, "num_head_channels": 64, "attention_resolutions": "32,16,8",
///      "resblock_updown": true, "use_scale_shift_norm": true, "learn_sigma": true, "noise_schedule": "linear"}
public struct ADMUNet: Sendable {
    public let configuration: Configuration
    public let device: Device
    public let dtype: DType
    private let format: MemoryFormat
    let timeEmbedding: (first: Linear, second: Linear)
    let convIn: Convolution
    let down: [Stage]
    let middle: (first: Residual, attention: SelfAttention, second: Residual)
    let up: [Stage]
    let normOut: GroupNorm
    let convOut: Convolution

    /// What of guided-diffusion's settings decides the network and its schedule.
    public struct Configuration: Sendable, Equatable {
        public var imageSize = 64
        public var channels = 128
        public var residualBlocks = 2
        /// Channels of each level, in units of `channels`.
        public var multipliers: [Double] = [1, 2, 3, 4]
        /// Sides of the feature maps that have attention, for pictures of `imageSize`.
        public var attentionResolutions = [16, 8]
        public var heads = 4
        public var headsOnTheWayUp = 4
        /// Channels of a head; the numbers of heads count when nil.
        public var headChannels: Int?
        public var scalesAndShifts = true
        /// Whether residual blocks change the size, instead of strided convolutions.
        public var resamplesInBlocks = false
        /// Whether queries, keys and values lie whole behind each other, instead of head by head.
        public var newAttentionOrder = false
        /// Whether a variance is predicted beside the noise.
        public var learnsSigma = false
        public var diffusionSteps = 1000

        /// Pictures' sides are multiples of this.
        public var multiple: Int { 1 << (multipliers.count - 1) }
        /// The linear schedule of 1e-4 to 0.02 over a thousand steps, or as steep over another number.
        public var schedule: DDIMSchedule { .linear(steps: diffusionSteps) }
    }

    /// One entry of `input_blocks` or `output_blocks`.
    enum Stage: Sendable {
        case residual(Residual, SelfAttention?, resampling: Resampling?)
        case resampling(Resampling)

        func callAsFunction(_ x: Tensor, _ time: Tensor) throws -> Tensor {
            switch self {
            case .residual(let block, let attention, let resampling):
                var h = try block(x, time)
                if let attention { h = try attention(h) }
                return try resampling?(h, time) ?? h
            case .resampling(let resampling): return try resampling(x, time)
            }
        }
    }

    /// What halves or doubles the size.
    enum Resampling: Sendable {
        case block(Residual)
        case strided(Convolution)
        case enlarged(Convolution)

        func callAsFunction(_ x: Tensor, _ time: Tensor) throws -> Tensor {
            switch self {
            case .block(let block): try block(x, time)
            case .strided(let convolution): try convolution(x)
            case .enlarged(let convolution):
                try convolution(x.upsampledNearest(height: 2 * x.size(2), width: 2 * x.size(3)))
            }
        }
    }

    /// Two convolutions with a residual; the time scales and shifts what was normalised before the second, or is added before it.
    struct Residual: Sendable {
        enum Resizing: Sendable { case none, half, double }
        let norm1: GroupNorm
        let conv1: Convolution
        let timeProjection: Linear
        let norm2: GroupNorm
        let conv2: Convolution
        let shortcut: Convolution?
        let scalesAndShifts: Bool
        let resizing: Resizing

        init(_ w: WeightScope, _ input: Int, _ output: Int, _ c: Configuration, _ resizing: Resizing = .none) throws {
            norm1 = try GroupNorm(w["in_layers"][0], input, groups: 32, epsilon: 1e-5)
            conv1 = try Convolution(w["in_layers"][2], input, output)
            timeProjection = try Linear(w["emb_layers"][1], 4 * c.channels, c.scalesAndShifts ? 2 * output : output)
            norm2 = try GroupNorm(w["out_layers"][0], output, groups: 32, epsilon: 1e-5)
            conv2 = try Convolution(w["out_layers"][3], output, output)
            shortcut = input == output ? nil : try Convolution(w["skip_connection"], input, output, size: 1)
            scalesAndShifts = c.scalesAndShifts
            self.resizing = resizing
        }

        private func resized(_ x: Tensor) throws -> Tensor {
            switch resizing {
            case .none: x
            case .half: try x.averagePooled(2)
            case .double: try x.upsampledNearest(height: 2 * x.size(2), width: 2 * x.size(3))
            }
        }

        /// - Parameter time: silu of the time embedding.
        func callAsFunction(_ x: Tensor, _ time: Tensor) throws -> Tensor {
            var h = try conv1(resized(norm1.silu(x)))
            let embedding = try timeProjection(time).unsqueezed(2).unsqueezed(3)
            if scalesAndShifts {
                let width = embedding.size(1) / 2
                let scale = try embedding.narrow(1, from: 0, count: width) + 1
                h = try norm2(h) * scale + embedding.narrow(1, from: width, count: width)
                try h.formSilu()
            } else {
                h = try norm2.silu(h + embedding)
            }
            h = try conv2(h)
            let x = try resized(x)
            return try (shortcut?(x) ?? x) + h
        }
    }

    /// Attention of all pixels to each other, with a residual.
    struct SelfAttention: Sendable {
        let norm: GroupNorm
        let projection: (weight: Tensor, bias: Tensor)
        let output: (weight: Tensor, bias: Tensor)
        let heads: Int
        let newOrder: Bool

        init(_ w: WeightScope, _ channels: Int, heads: Int, _ c: Configuration) throws {
            let heads = c.headChannels.map { channels / $0 } ?? heads
            guard heads > 0, channels % heads == 0, c.headChannels.map({ channels % $0 == 0 }) ?? true else {
                throw ModelError.mismatch("\(w.name): \(channels) channels cannot be split into heads.")
            }
            // Convolutions of one tap over a sequence.
            func pointwise(_ name: String, _ output: Int) throws -> (Tensor, Tensor) {
                (
                    try w[name].tensor("weight", [output, channels, 1]).reshaped([output, channels]),
                    try w[name].tensor("bias", [output])
                )
            }
            norm = try GroupNorm(w["norm"], channels, groups: 32, epsilon: 1e-5)
            projection = try pointwise("qkv", 3 * channels)
            output = try pointwise("proj_out", channels)
            self.heads = heads
            newOrder = c.newAttentionOrder
        }

        func callAsFunction(_ x: Tensor) throws -> Tensor {
            let tokens = try norm(x).asTokens()
            let (n, length) = (tokens.size(0), tokens.size(1))
            let all = try tokens.linear(projection.weight, bias: projection.bias)
                .reshaped(newOrder ? [n, length, 3, heads, -1] : [n, length, heads, 3, -1])
            func part(_ index: Int) throws -> Tensor { try all.select(newOrder ? 2 : 3, index).transposed(1, 2) }
            let attended = try part(0).attention(keys: part(1), values: part(2))
            return try attended.transposed(1, 2).reshaped([n, length, -1]).linear(output.weight, bias: output.bias)
                .asImage(like: x) + x
        }
    }

    /// Opens a safetensors file and its configuration.
    /// - Parameters:
    ///   - configuration: the JSON file; that of the weights' name when nil (`adm.json` beside `adm.safetensors`).
    ///   - dtype: the type that it runs in.
    ///   - format: of the images between the layers; the fastest when nil.
    public init(
        weights url: URL, configuration: URL? = nil, dtype: DType = .float32, device: Device = .cpu,
        format: MemoryFormat? = nil
    ) throws {
        try Engine.require(device)
        let json = configuration ?? url.deletingPathExtension().appendingPathExtension("json")
        let settings = try Configuration(ConfigurationReader(contentsOf: json))
        let format = format ?? .fastest(for: dtype, on: device, channels: settings.channels)
        self = try WeightStore(at: url).build(dtype: dtype, device: device, format: format) { w in
            try ADMUNet(w, settings, dtype: dtype, device: device, format: format)
        }
    }

    init(_ w: WeightScope, _ c: Configuration, dtype: DType, device: Device, format: MemoryFormat) throws {
        (configuration, self.dtype, self.device, self.format) = (c, dtype, device, format)
        timeEmbedding = (
            try Linear(w["time_embed"][0], c.channels, 4 * c.channels),
            try Linear(w["time_embed"][2], 4 * c.channels, 4 * c.channels)
        )
        let widths = c.multipliers.map { Int($0 * Double(c.channels)) }
        func hasAttention(_ level: Int) -> Bool { c.attentionResolutions.contains(c.imageSize >> level) }

        let input = w["input_blocks"]
        convIn = try Convolution(input["0.0"], 3, widths[0])
        var width = widths[0]
        var skips = [width]
        var stages: [Stage] = []
        for (level, output) in widths.enumerated() {
            for _ in 0..<c.residualBlocks {
                let scope = input[stages.count + 1]
                let attention = hasAttention(level) ? try SelfAttention(scope[1], output, heads: c.heads, c) : nil
                stages.append(.residual(try Residual(scope[0], width, output, c), attention, resampling: nil))
                width = output
                skips.append(width)
            }
            if level < widths.count - 1 {
                let scope = input[stages.count + 1][0]
                stages.append(
                    .resampling(
                        c.resamplesInBlocks
                            ? .block(try Residual(scope, width, width, c, .half))
                            : .strided(try Convolution(scope["op"], width, width, stride: 2))))
                skips.append(width)
            }
        }
        down = stages

        let mid = w["middle_block"]
        middle = (
            try Residual(mid[0], width, width, c), try SelfAttention(mid[1], width, heads: c.heads, c),
            try Residual(mid[2], width, width, c)
        )

        stages = []
        for (level, output) in widths.enumerated().reversed() {
            for block in 0...c.residualBlocks {
                let scope = w["output_blocks"][stages.count]
                let residual = try Residual(scope[0], width + skips.removeLast(), output, c)
                width = output
                let attention =
                    hasAttention(level) ? try SelfAttention(scope[1], width, heads: c.headsOnTheWayUp, c) : nil
                var resampling: Resampling?
                if level > 0, block == c.residualBlocks {
                    let last = scope[attention == nil ? 1 : 2]
                    resampling =
                        c.resamplesInBlocks
                        ? .block(try Residual(last, width, width, c, .double))
                        : .enlarged(try Convolution(last["conv"], width, width))
                }
                stages.append(.residual(residual, attention, resampling: resampling))
            }
        }
        up = stages
        normOut = try GroupNorm(w["out"][0], width, groups: 32, epsilon: 1e-5)
        convOut = try Convolution(w["out"][2], width, c.learnsSigma ? 6 : 3)
    }

    /// The network's output, (n, 3 or 6, H, W): the noise, and where it was learned what stands for the variance.
    /// - Parameters:
    ///   - pictures: (n, 3, H, W), noisy, of sides that are multiples of `configuration.multiple`.
    ///   - timestep: of training, 0 ..< diffusionSteps; entry t of the cumulative products is its signal's share.
    public func callAsFunction(_ pictures: Tensor, timestep: Int) throws -> Tensor {
        let multiple = configuration.multiple
        guard pictures.rank == 4, pictures.size(1) == 3, pictures.count > 0, pictures.size(2) % multiple == 0,
            pictures.size(3) % multiple == 0
        else {
            throw ModelError.mismatch(
                "This network takes pictures (n, 3, height, width) with sides that are multiples of \(multiple), not \(pictures.shape)."
            )
        }
        let sinusoids = try Sinusoids(channels: configuration.channels, cosineFirst: true, frequencyShift: 0)([
            Double(timestep)
        ])
        // Every use of the embedding is of its silu.
        let time = try timeEmbedding.second(timeEmbedding.first(sinusoids.to(dtype).to(device)).silu()).silu()
        var h = try convIn(pictures.to(dtype).contiguous(format))
        var skips = [h]
        for stage in down {
            h = try stage(h, time)
            skips.append(h)
        }
        h = try middle.second(middle.attention(middle.first(h, time)), time)
        for stage in up { h = try stage(Tensor.concatenate([h, skips.removeLast()], along: 1), time) }
        return try convOut(normOut.silu(h))
    }
}

extension ADMUNet.Configuration {
    /// Reads the JSON file. Values that are not implemented are refused by name.
    init(_ json: ConfigurationReader) throws {
        imageSize = try json.positive("image_size", default: imageSize)
        channels = try json.positive("num_channels", default: channels)
        residualBlocks = try json.positive("num_res_blocks", default: residualBlocks)
        let fallback: [Int: [Double]] = [
            512: [0.5, 1, 1, 2, 2, 4, 4], 256: [1, 1, 2, 2, 4, 4], 128: [1, 1, 2, 3, 4], 64: [1, 2, 3, 4],
        ]
        multipliers = try json.numbers("channel_mult") ?? fallback[imageSize] ?? []
        guard !multipliers.isEmpty, multipliers.count < 16,
            multipliers.allSatisfy({ $0 > 0 && $0 * Double(channels) < 1e6 })
        else {
            throw ModelError.invalid(path: json.path, key: "channel_mult", expected: "a list of numbers above 0")
        }
        attentionResolutions = try json.numbers("attention_resolutions")?.map { Int($0) } ?? attentionResolutions
        // -1 stands for "not given".
        func given(_ key: String) throws -> Int? {
            let value = try json.double(key, default: -1)
            guard value == -1 || (value >= 1 && value == value.rounded() && value < 1e6) else {
                throw ModelError.invalid(path: json.path, key: key, expected: "a whole number from 1 on, or -1")
            }
            return value == -1 ? nil : Int(value)
        }
        heads = try json.positive("num_heads", default: heads)
        headsOnTheWayUp = try given("num_heads_upsample") ?? heads
        headChannels = try given("num_head_channels")
        scalesAndShifts = try json.bool("use_scale_shift_norm", default: scalesAndShifts)
        resamplesInBlocks = try json.bool("resblock_updown", default: resamplesInBlocks)
        newAttentionOrder = try json.bool("use_new_attention_order", default: newAttentionOrder)
        learnsSigma = try json.bool("learn_sigma", default: learnsSigma)
        diffusionSteps = try json.positive("diffusion_steps", default: diffusionSteps)
        try json.require("noise_schedule", "\"linear\"", default: "\"linear\"")
        try json.require("class_cond", "false", default: "false")
        try json.require("predict_xstart", "false", default: "false")
        try json.require("rescale_timesteps", "false", default: "false")
        // Training's, the sampler's, or the memory's.
        json.ignore("dropout", "use_checkpoint", "use_fp16", "timestep_respacing", "use_kl", "rescale_learned_sigmas")
        try json.finish()
    }
}
