import Synchronization

extension Tensor {
    // MARK: Layers

    /// Two-dimensional convolution (cross-correlation) of (N, C, H, W) with a weight (O, C/groups, kH, kW).
    /// - Parameter allowsTF32: whether a GPU may round float32 to 10 bits of mantissa, which it multiplies several times as fast.
    public func convolved(
        _ weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0, groups: Int = 1,
        allowsTF32: Bool = false
    ) throws(TensorError) -> Tensor {
        try convolved(
            weight, bias: bias, stride: (stride, stride), padding: (padding, padding), groups: groups,
            allowsTF32: allowsTF32)
    }

    /// The same with different strides and paddings for rows and columns.
    public func convolved(
        _ weight: Tensor, bias: Tensor? = nil, stride: (Int, Int), padding: (Int, Int), groups: Int = 1,
        allowsTF32: Bool = false
    ) throws(TensorError) -> Tensor {
        if stride == (1, 1), groups == 1 {
            if padding == (1, 1), let result = try winogradConvolved(weight, bias: bias) { return result }
            if padding == (0, 0), let result = try pointwiseConvolved(weight, bias: bias) { return result }
        }
        // What aten::conv2d calls with the process's settings. After the groups: whether cuDNN tries its algorithms, whether it must repeat
        // its sums exactly, whether it is asked at all, and whether it may round to TF32. Of no meaning on a CPU.
        let tries = Kernels.current(on: device).autotunesConvolutions
        return try Self.dispatch(
            "aten::_convolution", "", .tensor(self), .tensor(weight), .optional(bias), .ints([stride.0, stride.1]),
            .ints([padding.0, padding.1]), .ints([1, 1]), .bool(false), .ints([0, 0]), .int(groups), .bool(tries),
            .bool(false), .bool(true), .bool(allowsTF32))
    }

    /// Convolution with 3 x 3 weights and a padding of 1 by Winograd's minimal filtering over 6 x 6 outputs (Lavin & Gray 2016), which takes 64
    /// products where 324 are in the sum; relative error about 3e-6. Nil where NNPACK, which computes it, has no part in this tensor or gains
    /// nothing: it knows float32 in row-major memory, and transforms the weights in every call.
    private func winogradConvolved(_ weight: Tensor, bias: Tensor?) throws(TensorError) -> Tensor? {
        guard Engine.hasWinograd, dtype == .float32, rank == 4, weight.rank == 4, weight.size(2) == 3,
            weight.size(3) == 3, size(2) * size(3) >= 512,
            min(size(1), weight.size(0)) >= 64, size(1) == weight.size(1), isContiguous, fitsOnCPU(weight, bias: bias)
        else { return nil }
        func image(_ x: Tensor) throws(TensorError) -> Tensor {
            try Self.dispatch(
                "aten::_nnpack_spatial_convolution", "", .tensor(x), .tensor(weight), .optional(bias), .ints([1, 1]),
                .ints([1, 1]))
        }
        let (height, outputs) = (size(2), weight.size(0))
        let strip = Self.winogradRows(width: size(3), inputs: size(1), outputs: outputs)
        if size(0) == 1, height <= strip { return try image(self) }
        var result = try Tensor.empty([size(0), outputs, height, size(3)])
        // A strip is computed with a row above and one below it, together whole tiles of 6 rows.
        let rows = height <= strip ? height : strip - 2
        for n in 0..<size(0) {
            for top in Swift.stride(from: 0, to: height, by: rows) {
                let (end, above) = (min(top + rows, height), max(top - 1, 0))
                let part = try image(
                    self.rows(n..<n + 1).narrow(2, from: above, count: min(end + 1, height) - above).contiguous())
                try result.replace(at: [n, 0, top, 0], with: part.narrow(2, from: top - above, count: end - top))
            }
        }
        return result
    }

    /// What Winograd's algorithm may hold beside its tensors. PyTorch keeps it for each thread that convolved, for good.
    public static let winogradBytes = 128 << 20

    /// The rows whose transforms fit into `winogradBytes`: 64 numbers of 36 of every output, and of up to 256 inputs.
    private static func winogradRows(width: Int, inputs: Int, outputs: Int) -> Int {
        max(winogradBytes / (4 * 64 * width * (outputs + min(inputs, 256)) / 36) / 6 * 6, 12)
    }

    /// Convolution with 1 x 1 weights as a product of matrices: in row-major memory, where oneDNN would reorder both images, in 0.5 to 0.75 of
    /// the time. Nil elsewhere.
    private func pointwiseConvolved(_ weight: Tensor, bias: Tensor?) throws(TensorError) -> Tensor? {
        guard dtype == .float32, rank == 4, weight.rank == 4, weight.size(2) == 1, weight.size(3) == 1,
            size(1) == weight.size(1), isContiguous,
            fitsOnCPU(weight, bias: bias)
        else { return nil }
        let (n, inputs, outputs) = (size(0), size(1), weight.size(0))
        var sums = try weight.reshaped([1, outputs, inputs]).expanded([n, -1, -1]).multiplied(
            by: reshaped([n, inputs, size(2) * size(3)]))
        if let bias { try sums.add(bias.reshaped([1, outputs, 1]).expanded(sums.shape)) }
        return try sums.reshaped([n, outputs, size(2), size(3)])
    }

    /// The adjoint of `convolved`: (N, O, H, W) with a weight (O, C, kH, kW).
    public func transposeConvolved(
        _ weight: Tensor, bias: Tensor? = nil, stride: Int, padding: Int = 0, groups: Int = 1
    ) throws(TensorError) -> Tensor {
        try Self.dispatch(
            "aten::conv_transpose2d", "input", .tensor(self), .tensor(weight), .optional(bias),
            .ints([stride, stride]),
            .ints([padding, padding]), .ints([0, 0]), .int(groups), .ints([1, 1]))
    }

    /// Three-dimensional convolution (cross-correlation) of (N, C, T, H, W) with a weight (O, C, kT, kH, kW), without padding.
    public func convolved3D(_ weight: Tensor, bias: Tensor? = nil, stride: Int = 1) throws(TensorError) -> Tensor {
        try Self.dispatch(
            "aten::conv3d", "", .tensor(self), .tensor(weight), .optional(bias), .ints([stride, stride, stride]),
            .ints([0, 0, 0]),
            .ints([1, 1, 1]), .int(1))
    }

    /// x W' + b along the last dimension; weight (O, I).
    public func linear(_ weight: Tensor, bias: Tensor? = nil) throws(TensorError) -> Tensor {
        if isWorthOneDNN(weight, bias: bias) { return try oneDNNLinear(weight, bias: bias, activation: "none") }
        return try Self.dispatch("aten::linear", "", .tensor(self), .tensor(weight), .optional(bias))
    }

    /// gelu(x W' + b), the exact GELU.
    public func linearGelu(_ weight: Tensor, bias: Tensor? = nil) throws(TensorError) -> Tensor {
        if isWorthOneDNN(weight, bias: bias) { return try oneDNNLinear(weight, bias: bias, activation: "gelu") }
        var result = try linear(weight, bias: bias)
        try result.formGelu()
        return result
    }

    /// Whether the product is large enough for oneDNN's own to be quicker than the BLAS that `aten::linear` calls (float32: 5 to 20 %).
    private func isWorthOneDNN(_ weight: Tensor, bias: Tensor?) -> Bool {
        rank >= 2 && weight.rank == 2 && size(-1) == weight.size(1) && count * weight.size(0) >= 1 << 25
            && fitsOnCPU(weight, bias: bias)
            && Engine.oneDNNTypes.contains(dtype)
    }

    /// What kernels rely on that are called past PyTorch's own checks: one type, on the CPU, in order, and a bias of the outputs' number.
    private func fitsOnCPU(_ weight: Tensor, bias: Tensor?) -> Bool {
        device == .cpu
            && [weight, bias ?? weight].allSatisfy { $0.device == .cpu && $0.dtype == dtype && $0.isContiguous }
            && (bias.map { $0.shape == [weight.size(0)] } ?? true)
    }

    func oneDNNLinear(_ weight: Tensor, bias: Tensor?, activation: String) throws(TensorError) -> Tensor {
        try Self.dispatch(
            "mkldnn::_linear_pointwise", "", .tensor(self), .tensor(weight), .optional(bias), .string(activation),
            .ints([]),
            .some(.string("none")))
    }

    /// Matrix product of the last two dimensions, batched over the others.
    public func multiplied(by other: Tensor) throws(TensorError) -> Tensor {
        try Self.dispatch("aten::matmul", "", .tensor(self), .tensor(other))
    }

    /// Group normalisation of (N, C, ...) (Wu & He 2018).
    public func groupNormalized(
        groups: Int, weight: Tensor? = nil, bias: Tensor? = nil, epsilon: Double
    ) throws(TensorError) -> Tensor {
        try Self.dispatch(
            "aten::group_norm", "", .tensor(self), .int(groups), .optional(weight), .optional(bias), .double(epsilon),
            .bool(true))
    }

    /// Layer normalisation over the last dimension.
    public func layerNormalized(
        weight: Tensor? = nil, bias: Tensor? = nil, epsilon: Double = 1e-5
    ) throws(TensorError) -> Tensor {
        try Self.dispatch(
            "aten::layer_norm", "", .tensor(self), .ints([size(-1)]), .optional(weight), .optional(bias),
            .double(epsilon),
            .bool(true))
    }

    /// softmax(Q K' / sqrt(d)) V; self is Q, all of the shape (batch, heads, tokens, d).
    ///
    /// The scores are never held as a whole: on a CPU that is quick in bfloat16, those of 256 queries or two million of them, the larger.
    /// - Parameter isCausal: whether a token attends to itself and those before it only.
    public func attention(keys: Tensor, values: Tensor, isCausal: Bool = false) throws(TensorError) -> Tensor {
        // The engine's fused kernel for CPUs multiplies no faster in bfloat16 than in float32; over few keys that does not matter.
        let operands = [self, keys, values]
        if !isCausal,
            operands.allSatisfy({
                $0.device == .cpu && $0.dtype == .bfloat16 && $0.rank == 4 && $0.shape.prefix(2) == shape.prefix(2)
            }),
            size(2) > 0, size(3) == keys.size(3), keys.size(2) == values.size(2), keys.size(2) >= 512,
            Processor.current.hasFastBFloat16
        {
            return try blockedAttention(keys: keys, values: values)
        }
        return try Self.dispatch(
            "aten::scaled_dot_product_attention", "", .tensor(self), .tensor(keys), .tensor(values), .none, .double(0),
            .bool(isCausal), .none, .bool(false))
    }

    /// Attention by two matrix products, one head and one block of queries at a time, so that the scores stay in cache. Memory laid out as
    /// (batch, tokens, heads, d), as the fused kernel leaves it.
    private func blockedAttention(keys: Tensor, values: Tensor) throws(TensorError) -> Tensor {
        let (batch, heads, tokens, depth) = (size(0), size(1), size(2), size(3))
        let scaled = try self * (1 / Double(depth).squareRoot())
        var result = try Tensor.empty([batch, tokens, heads, values.size(3)], dtype: dtype, device: device)
        let blocks = (tokens - 1) / min(tokens, max(256, (1 << 21) / keys.size(2))) + 1
        func matrix(_ x: Tensor, _ n: Int, _ head: Int) throws(TensorError) -> Tensor {
            try x.select(0, n).select(0, head)
        }
        for n in 0..<batch {
            for head in 0..<heads {
                let (q, k, v) = (
                    try matrix(scaled, n, head), try matrix(keys, n, head).transposed(0, 1), try matrix(values, n, head)
                )
                for block in 0..<blocks {
                    let start = block * tokens / blocks
                    let count = (block + 1) * tokens / blocks - start
                    let attended = try q.narrow(0, from: start, count: count).multiplied(by: k).softmax(along: -1)
                        .multiplied(by: v)
                    try result.replace(at: [n, start, head, 0], with: attended.reshaped([1, count, 1, -1]))
                }
            }
        }
        return try result.transposed(1, 2)
    }

    // MARK: Activations

    /// x * sigmoid(x).
    public func silu() throws(TensorError) -> Tensor { try Self.dispatch("aten::silu", "", .tensor(self)) }
    /// The exact (erf) GELU.
    public func gelu() throws(TensorError) -> Tensor {
        try Self.dispatch("aten::gelu", "", .tensor(self), .string("none"))
    }
    public func relu() throws(TensorError) -> Tensor { try Self.dispatch("aten::relu", "", .tensor(self)) }
    public func tanh() throws(TensorError) -> Tensor { try Self.dispatch("aten::tanh", "", .tensor(self)) }
    public func sigmoid() throws(TensorError) -> Tensor { try Self.dispatch("aten::sigmoid", "", .tensor(self)) }
    public func softmax(along dimension: Int) throws(TensorError) -> Tensor {
        try Self.dispatch("aten::softmax", "int", .tensor(self), .int(dimension), .none)
    }

    // MARK: Resampling of (N, C, H, W)

    /// Every pixel repeated: nearest-neighbour upsampling to a size.
    public func upsampledNearest(height: Int, width: Int) throws(TensorError) -> Tensor {
        try Self.dispatch("aten::upsample_nearest2d", "", .tensor(self), .ints([height, width]), .none, .none)
    }

    /// Bicubic interpolation (half-pixel centres) to a size: of four neighbours with a = -0.75, or, `antialiased`, with a = -0.5 and a
    /// kernel as wide as shrinking needs it.
    public func resizedBicubic(height: Int, width: Int, antialiased: Bool = false) throws(TensorError) -> Tensor {
        try Self.dispatch(
            antialiased ? "aten::_upsample_bicubic2d_aa" : "aten::upsample_bicubic2d", "", .tensor(self),
            .ints([height, width]), .bool(false),
            .none, .none)
    }

    /// Means of `factor` x `factor` blocks.
    public func averagePooled(_ factor: Int) throws(TensorError) -> Tensor {
        try Self.dispatch(
            "aten::avg_pool2d", "", .tensor(self), .ints([factor, factor]), .ints([factor, factor]), .ints([0, 0]),
            .bool(false),
            .bool(true), .none)
    }

    /// Means of `height` x `width` blocks of nearly the same size, which overlap by a row or a column where they do not divide the picture.
    public func averagePooled(toHeight height: Int, width: Int) throws(TensorError) -> Tensor {
        // Apple's GPUs pool only what divides.
        if device.isMetal, rank >= 2, height > 0, width > 0,
            !(size(-2).isMultiple(of: height) && size(-1).isMultiple(of: width))
        {
            let rows = try PoolingMatrices.matrix(from: size(-2), to: height, dtype, device)
            let columns = try PoolingMatrices.matrix(from: size(-1), to: width, dtype, device)
            return try rows.multiplied(by: self).multiplied(by: columns.transposed(0, 1))
        }
        return try Self.dispatch("aten::_adaptive_avg_pool2d", "", .tensor(self), .ints([height, width]))
    }

    /// Maxima of `size` x `size` windows.
    public func maxPooled(_ size: Int, stride: Int) throws(TensorError) -> Tensor {
        try Self.dispatch(
            "aten::max_pool2d", "", .tensor(self), .ints([size, size]), .ints([stride, stride]), .ints([0, 0]),
            .ints([1, 1]),
            .bool(false))
    }

    /// Maxima of windows of (N, C, T, H, W), `[time, rows, columns]` large and as far apart as `stride` says.
    public func maxPooled3D(_ size: [Int], stride: [Int]) throws(TensorError) -> Tensor {
        try Self.dispatch(
            "aten::max_pool3d", "", .tensor(self), .ints(size), .ints(stride), .ints([0, 0, 0]), .ints([1, 1, 1]),
            .bool(false))
    }
}

/// The means of `averagePooled(toHeight:width:)` along one axis, as matrices. Kept: a program knows few sizes, and a copy to a GPU waits.
private enum PoolingMatrices {
    private struct Key: Hashable {
        let from: Int
        let to: Int
        let dtype: DType
        let device: Device
    }
    private static let cache = Mutex<[Key: Tensor]>([:])

    static func matrix(from: Int, to: Int, _ dtype: DType, _ device: Device) throws(TensorError) -> Tensor {
        let key = Key(from: from, to: to, dtype: dtype, device: device)
        if let matrix = cache.withLock({ $0[key] }) { return matrix }
        var values = [Float](repeating: 0, count: to * from)
        for block in 0..<to {
            let range = block * from / to..<((block + 1) * from + to - 1) / to
            for place in range { values[block * from + place] = 1 / Float(range.count) }
        }
        let matrix = try Tensor(values, shape: [to, from]).to(dtype).to(device)
        cache.withLock { $0[key] = matrix }
        return matrix
    }
}
