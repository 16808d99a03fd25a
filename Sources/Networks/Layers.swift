import TensorKit
import Weights

// The layers that all networks here are made of. Each is a value that holds its parameters, is built from the scope of the
// checkpoint that holds them, and is called like a function. Images are (N, C, H, W) in the memory format of the weights, which
// their convolutions hand on; tokens are (N, T, C).

/// A square convolution; `weight` (out, in, size, size), `bias` (out).
package struct Convolution: Sendable {
    package let weight: Tensor
    package let bias: Tensor?
    package let stride: Int
    package let padding: Int
    /// Whether a GPU may round float32 more coarsely.
    package let allowsTF32: Bool

    package init(
        _ w: WeightScope, _ input: Int, _ output: Int, size: Int = 3, stride: Int = 1, padding: Int? = nil,
        bias: Bool = true
    ) throws {
        weight = try w.tensor("weight", [output, input, size, size])
        self.bias = bias ? try w.tensor("bias", [output]) : nil
        self.stride = stride
        self.padding = padding ?? size / 2
        allowsTF32 = !w.isExact
    }

    package func callAsFunction(_ x: Tensor) throws -> Tensor { try self(x, bias: bias) }

    /// With another bias.
    package func callAsFunction(_ x: Tensor, bias: Tensor?) throws -> Tensor {
        try x.convolved(weight, bias: bias, stride: stride, padding: padding, allowsTF32: allowsTF32)
    }
}

/// A fully connected layer; `weight` (out, in), `bias` (out).
package struct Linear: Sendable {
    package let weight: Tensor
    package let bias: Tensor?

    package init(_ w: WeightScope, _ input: Int, _ output: Int, bias: Bool = true) throws {
        // Older checkpoints store projections as 1x1 convolutions: the same numbers.
        let asConvolution = w.shape(of: "weight")?.count == 4
        weight = try w.tensor("weight", asConvolution ? [output, input, 1, 1] : [output, input]).reshaped([
            output, input,
        ])
        self.bias = bias ? try w.tensor("bias", [output]) : nil
    }

    private init(weight: Tensor, bias: Tensor?) { (self.weight, self.bias) = (weight, bias) }

    /// The part that computes some of the outputs, over the same memory.
    package func outputs(_ range: Range<Int>) throws -> Linear {
        try Linear(weight: weight.rows(range), bias: bias?.rows(range))
    }

    package func callAsFunction(_ x: Tensor) throws -> Tensor { try x.linear(weight, bias: bias) }

    /// gelu of it.
    package func gelu(_ x: Tensor) throws -> Tensor { try x.linearGelu(weight, bias: bias) }
}

/// Group normalisation, with an activation behind it where asked.
package struct GroupNorm: Sendable {
    package let weight: Tensor
    package let bias: Tensor
    package let groups: Int
    package let epsilon: Double

    package init(_ w: WeightScope, _ channels: Int, groups: Int, epsilon: Double) throws {
        guard channels % groups == 0 else {
            throw ModelError.mismatch("\(w.name): \(channels) channels cannot be normalised in \(groups) groups.")
        }
        weight = try w.tensor("weight", [channels])
        bias = try w.tensor("bias", [channels])
        self.groups = groups
        self.epsilon = epsilon
    }

    /// Where the parameters have a wider type than x, the arithmetic is done in it.
    package func callAsFunction(_ x: Tensor) throws -> Tensor {
        try channelsLast(x, silu: false) ?? normalized(x).to(x.dtype)
    }

    /// silu(norm(x)), under the same condition.
    package func silu(_ x: Tensor) throws -> Tensor {
        if let y = try channelsLast(x, silu: true) { return y }
        var y = try normalized(x)
        try y.formSilu()
        return try y.to(x.dtype)
    }

    private func channelsLast(_ x: Tensor, silu: Bool) throws -> Tensor? {
        guard Kernels.current(on: x.device).normsChannelsLast else { return nil }
        return try x.channelsLastNormalized(groups: groups, weight: weight, bias: bias, epsilon: epsilon, silu: silu)
    }

    private func normalized(_ x: Tensor) throws -> Tensor {
        // On a CPU the engine widens as it reads, in a third of the time of a wide copy; elsewhere it wants one type.
        let widensItself = x.device == .cpu && weight.dtype == .float32
        return try (widensItself ? x : x.to(weight.dtype)).groupNormalized(
            groups: groups, weight: weight, bias: bias, epsilon: epsilon)
    }
}

/// Layer normalisation over the channels of tokens.
package struct LayerNorm: Sendable {
    package let weight: Tensor
    package let bias: Tensor
    package let epsilon: Double

    package init(_ w: WeightScope, _ channels: Int, epsilon: Double = 1e-5) throws {
        weight = try w.tensor("weight", [channels])
        bias = try w.tensor("bias", [channels])
        self.epsilon = epsilon
    }

    package func callAsFunction(_ x: Tensor) throws -> Tensor {
        try x.layerNormalized(weight: weight, bias: bias, epsilon: epsilon)
    }
}

/// Two convolutions with a residual (He et al. 2016), the time embedding added between them where there is one.
package struct ResidualBlock: Sendable {
    package let norm1: GroupNorm
    package let conv1: Convolution
    package let timeProjection: Linear?
    package let norm2: GroupNorm
    package let conv2: Convolution
    package let shortcut: Convolution?

    /// - Parameter norms: the same scope in the type that the norms are computed in.
    package init(
        _ w: WeightScope, norms: WeightScope? = nil, _ input: Int, _ output: Int, timeChannels: Int?, groups: Int,
        epsilon: Double
    ) throws {
        norm1 = try GroupNorm((norms ?? w)["norm1"], input, groups: groups, epsilon: epsilon)
        conv1 = try Convolution(w["conv1"], input, output)
        timeProjection = try timeChannels.map { try Linear(w["time_emb_proj"], $0, output) }
        norm2 = try GroupNorm((norms ?? w)["norm2"], output, groups: groups, epsilon: epsilon)
        conv2 = try Convolution(w["conv2"], output, output)
        shortcut = input == output ? nil : try Convolution(w["conv_shortcut"], input, output, size: 1)
    }

    /// What a time adds between the convolutions: (output) with the first one's bias in it, if the time is the same for all images, or
    /// (N, output) beside it.
    /// - Parameter time: silu of the time embedding, (1 or N, timeChannels).
    package func shift(_ time: Tensor) throws -> Tensor? {
        guard let timeProjection else { return nil }
        let shift = try timeProjection(time)
        guard shift.size(0) == 1 else { return shift }
        let single = try shift.reshaped([-1])
        return try conv1.bias.map { try $0 + single } ?? single
    }

    package func callAsFunction(_ x: Tensor, shift: Tensor? = nil) throws -> Tensor {
        // One variable, so that no map outlives the layer that reads it. An input in a wider type stays so: what is added to it is all that is
        // computed in the narrow one.
        var h = try norm1.silu(x).to(conv1.weight.dtype)
        if let shift, shift.rank == 1 {
            h = try conv1(h, bias: shift)
        } else {
            h = try conv1(h)
            if let shift { h = try h + shift.unsqueezed(2).unsqueezed(3) }
        }
        h = try norm2.silu(h)
        h = try conv2(h)
        let skip = try shortcut?(x) ?? x
        guard skip.dtype == h.dtype else { return try skip + h }
        try h.add(skip)
        return h
    }
}

/// Multi-head attention (Vaswani et al. 2017) of tokens to themselves or to a context.
package struct Attention: Sendable {
    package let query: Linear
    package let key: Linear
    package let value: Linear
    package let output: Linear
    package let heads: Int

    package init(_ w: WeightScope, _ channels: Int, context: Int? = nil, heads: Int, bias: Bool = false) throws {
        guard heads > 0, channels % heads == 0 else {
            throw ModelError.mismatch("\(w.name): \(channels) channels cannot be split into \(heads) heads.")
        }
        query = try Linear(w["to_q"], channels, channels, bias: bias)
        key = try Linear(w["to_k"], context ?? channels, channels, bias: bias)
        value = try Linear(w["to_v"], context ?? channels, channels, bias: bias)
        output = try Linear(w["to_out.0"], channels, channels)
        self.heads = heads
    }

    /// What tokens attend to, split into heads.
    package struct Memory: Sendable {
        let keys: Tensor
        let values: Tensor
    }

    /// - Parameter source: (N or 1, S, D).
    package func memory(of source: Tensor) throws -> Memory {
        Memory(keys: try split(key(source)), values: try split(value(source)))
    }

    /// - Parameters: tokens (N, T, C); a context's memory, that of the tokens themselves when nil.
    package func callAsFunction(_ tokens: Tensor, memory: Memory? = nil) throws -> Tensor {
        let memory = try memory ?? self.memory(of: tokens)
        // What all images attend to alike is one image's: queries know nothing of each other.
        let images = memory.keys.size(0)
        let queries = try query(tokens).reshaped([images, -1, tokens.size(2)])
        let h = try split(queries).attention(keys: memory.keys, values: memory.values)
        return try output(h.transposed(1, 2).reshaped(tokens.shape))
    }

    private func split(_ x: Tensor) throws -> Tensor {
        try x.reshaped([x.size(0), x.size(1), heads, -1]).transposed(1, 2)
    }
}

extension Tensor {
    /// (N, C, H, W) -> (N, H*W, C), in row-major memory. O(1) from channels-last memory.
    package func asTokens() throws -> Tensor {
        try permuted([0, 2, 3, 1]).contiguous().reshaped([size(0), size(2) * size(3), size(1)])
    }

    /// (N, H*W, C) -> (N, C, H, W) of the size of an image and in its memory format. O(1) in channels-last memory.
    package func asImage(like image: Tensor) throws -> Tensor {
        let (height, width) = (image.size(2), image.size(3))
        if image.isContiguous { return try transposed(1, 2).contiguous().reshaped([size(0), size(2), height, width]) }
        return try reshaped([size(0), height, width, size(2)]).permuted([0, 3, 1, 2])
    }
}

/// Nearest-neighbour upsampling and a convolution.
///
/// In channels-last memory and to twice the size, both are 16 products for a pixel of the input in place of 36, and no enlarged copy. On a CPU
/// they are one transposed convolution of stride 2; folded, they are a convolution of 2 x 2 for each of the four pixels that one becomes. In the
/// other memory format Winograd's algorithm saves more of the 36.
package struct Upsampler: Sendable {
    package let conv: Convolution
    /// (in, out, 4, 4): what one pixel of the input adds to the output.
    package let doubling: Tensor?
    /// (out, in, 2, 2) each: the weights of the even rows' even columns, their odd columns, the odd rows' even and odd columns.
    package let quarters: [Tensor]?

    package init(_ w: WeightScope, _ channels: Int) throws {
        conv = try Convolution(w["conv"], channels, channels)
        let device = conv.weight.device
        let isFolded = Kernels.current(on: device).foldsEnlargement
        // Without the instructions for it, a CPU's engine rounds what a transposed convolution adds up.
        let isExact = conv.weight.dtype != .bfloat16 || Processor.current.hasFastBFloat16
        let isWanted = !w.isInventory && w.format == .channelsLast
        doubling =
            isWanted && !isFolded && device == .cpu && isExact
            ? try Self.doubling(conv.weight).contiguous(.channelsLast) : nil
        quarters = isWanted && isFolded ? try Self.quarters(conv.weight) : nil
    }

    /// The convolution's 3 x 3 weights turned around, and summed over the 2 x 2 pixels that repeat one.
    private static func doubling(_ weight: Tensor) throws -> Tensor {
        let padded = try weight.to(.float32).transposed(0, 1).flipped([2, 3]).padded([1, 1, 1, 1])
        let rows = try padded.narrow(2, from: 0, count: 4) + padded.narrow(2, from: 1, count: 4)
        return try (rows.narrow(3, from: 0, count: 4) + rows.narrow(3, from: 1, count: 4)).to(weight.dtype)
    }

    /// The 3 x 3 weights summed where they meet the same pixel: of three neighbours in the enlarged map an even one's first, and an odd one's
    /// last, is a neighbour in the small map, and the other two are one pixel there.
    private static func quarters(_ weight: Tensor) throws -> [Tensor] {
        func halves(_ w: Tensor, _ dimension: Int) throws -> [Tensor] {
            let taps = try (0..<3).map { try w.narrow(dimension, from: $0, count: 1) }
            return try [
                .concatenate([taps[0], taps[1] + taps[2]], along: dimension),
                .concatenate([taps[0] + taps[1], taps[2]], along: dimension),
            ]
        }
        return try halves(weight.to(.float32), 2).flatMap { try halves($0, 3) }
            .map { try $0.to(weight.dtype).contiguous(.channelsLast) }
    }

    /// - Parameter size: (height, width) to upsample to; twice the input's when nil.
    package func callAsFunction(_ x: Tensor, to size: (height: Int, width: Int)? = nil) throws -> Tensor {
        let (height, width) = size ?? (2 * x.size(2), 2 * x.size(3))
        if height == 2 * x.size(2), width == 2 * x.size(3) {
            if let doubling { return try x.transposeConvolved(doubling, bias: conv.bias, stride: 2, padding: 1) }
            if let quarters, Kernels.current(on: x.device).foldsEnlargement { return try folded(x, quarters) }
        }
        return try conv(x.upsampledNearest(height: height, width: width))
    }

    /// The four convolutions, put together.
    private func folded(_ x: Tensor, _ quarters: [Tensor]) throws -> Tensor {
        let (n, height, width, channels) = (x.size(0), x.size(2), x.size(3), conv.weight.size(0))
        var result = try Tensor.empty([n, height, 2, width, 2, channels], dtype: x.dtype, device: x.device)
        for (index, weight) in quarters.enumerated() {
            let (row, column) = (index / 2, index % 2)
            // A row and a column more than there are pixels: an even pixel sees the ones before it, an odd one those after it.
            let part = try x.convolved(weight, bias: conv.bias, padding: 1, allowsTF32: conv.allowsTF32)
                .narrow(2, from: row, count: height).narrow(3, from: column, count: width)
            try result.replace(
                at: [0, 0, row, 0, column, 0], with: part.permuted([0, 2, 3, 1]).unsqueezed(2).unsqueezed(4))
        }
        return try result.reshaped([n, 2 * height, 2 * width, channels]).permuted([0, 3, 1, 2])
    }
}
