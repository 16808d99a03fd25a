extension Tensor {
    /// Group normalisation of (N, C, H, W) in channels-last memory (Wu & He 2018), with an activation behind it where asked: one a x + b for
    /// every channel of an image, of statistics in float32.
    ///
    /// The result is in this tensor's type and memory format; what is between is in float32. Cost: an element of 16 bits is read three times and
    /// written once, and in float32 written twice and read twice.
    /// - Returns: nil for a tensor that is not in channels-last memory.
    package func channelsLastNormalized(
        groups: Int, weight: Tensor, bias: Tensor, epsilon: Double, silu: Bool
    ) throws(TensorError) -> Tensor? {
        guard isChannelsLast else { return nil }
        let (n, c) = (size(0), size(1))
        let members = try permuted([0, 2, 3, 1]).reshaped([n, size(2) * size(3), groups, c / groups])
        let (variance, mean) = try members.varianceAndMean(along: [1, 3])
        let grouped = [1, 1, groups, c / groups]
        let scale = try (variance + epsilon).inverseSquareRoot() * weight.reshaped(grouped)
        let shift = try bias.reshaped(grouped) - mean * scale
        var y = try Self.fusedProduct(self, scale.reshaped([n, c, 1, 1]), adding: shift.reshaped([n, c, 1, 1]))
        if silu { try y.formSilu() }
        return try y.to(dtype)
    }

    /// Whether (N, C, H, W) lies as N, H, W, C, without gaps.
    var isChannelsLast: Bool {
        guard rank == 4 else { return false }
        let (shape, strides) = (shape, strides)
        var expected = 1
        for dimension in [1, 3, 2, 0] where shape[dimension] != 1 {
            if strides[dimension] != expected { return count == 0 }
            expected *= shape[dimension]
        }
        return true
    }

    /// Of all elements along some dimensions, which stay with a size of 1; in float32 for narrower types.
    private func varianceAndMean(along dimensions: [Int]) throws(TensorError) -> (variance: Tensor, mean: Tensor) {
        guard dtype.byteCount < 4 else {
            return try Self.dispatchPair(
                "aten::var_mean", "dim", .tensor(self), .some(.ints(dimensions)), .bool(false), .bool(true))
        }
        // Both widen as they read; together they would round to the narrow type.
        let mean = try Self.dispatch(
            "aten::mean", "dim", .tensor(self), .some(.ints(dimensions)), .bool(true), .some(.dtype(.float32)))
        let result = try Tensor.empty(mean.shape, device: device)
        let variance = try Self.dispatch(
            "aten::var", "out", .tensor(self), .some(.ints(dimensions)), .bool(false), .bool(true), .tensor(result))
        return (variance, mean)
    }

    private func inverseSquareRoot() throws(TensorError) -> Tensor {
        try Self.dispatch("aten::rsqrt", "", .tensor(self))
    }

    /// a * b + c in one pass over what they broadcast to, in the widest of their types.
    private static func fusedProduct(_ a: Tensor, _ b: Tensor, adding c: Tensor) throws(TensorError) -> Tensor {
        // Of the operators that do this, this one has its factor in a tensor.
        try dispatchSingle(
            "aten::_foreach_addcmul", "Tensor", .tensors([c]), .tensors([a]), .tensors([b]),
            .tensor(Tensor([1.0], shape: [1])))
    }
}
