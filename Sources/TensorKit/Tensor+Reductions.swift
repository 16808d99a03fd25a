extension Tensor {
    /// The sum of all elements, as a tensor without dimensions.
    public func sum() throws(TensorError) -> Tensor { try Self.dispatch("aten::sum", "", .tensor(self), .none) }

    /// Sums along the dimensions, optionally accumulated in another type.
    public func sum(
        along dimensions: [Int], keepingDimensions: Bool = false, dtype: DType? = nil
    ) throws(TensorError) -> Tensor {
        try Self.dispatch(
            "aten::sum", "dim_IntList", .tensor(self), .some(.ints(dimensions)), .bool(keepingDimensions),
            .optional(dtype))
    }

    /// The mean of all elements, as a tensor without dimensions.
    public func mean() throws(TensorError) -> Tensor { try Self.dispatch("aten::mean", "", .tensor(self), .none) }

    /// Means along the dimensions.
    public func mean(along dimensions: [Int], keepingDimensions: Bool = false) throws(TensorError) -> Tensor {
        try Self.dispatch(
            "aten::mean", "dim", .tensor(self), .some(.ints(dimensions)), .bool(keepingDimensions), .none)
    }

    public func maximum() throws(TensorError) -> Tensor { try Self.dispatch("aten::max", "", .tensor(self)) }
    public func minimum() throws(TensorError) -> Tensor { try Self.dispatch("aten::min", "", .tensor(self)) }

    /// Whether all elements are true (or not zero).
    public func all() throws(TensorError) -> Bool { try Self.dispatch("aten::all", "", .tensor(self)).item() != 0 }

    /// The inner product of all elements with those of `other`, accumulated in float64 over pieces of a million float32 products,
    /// so that its relative error does not grow with the number of elements. Waits for the device.
    public func dot(_ other: Tensor) throws(TensorError) -> Double { try innerProduct(other).item() }

    /// `dot` as a number without dimensions that stays on the device, in float64 where that has it: for `numbers`, which reads several.
    public func innerProduct(_ other: Tensor) throws(TensorError) -> Tensor {
        guard shape == other.shape else {
            throw .invalidArgument(
                "The inner product of tensors of the shapes \(shape) and \(other.shape) is not defined.")
        }
        let piece = device.pieceSize
        let exact: DType = device.hasFloat64 ? .float64 : .float32
        let a = try reshaped([-1])
        let b = try other.reshaped([-1])
        let count = a.count
        var products: [Tensor] = []
        var start = 0
        while start < count {
            let length = Swift.min(piece, count - start)
            products.append(
                try Self.dispatch(
                    "aten::dot", "", .tensor(a.narrow(0, from: start, count: length)),
                    .tensor(b.narrow(0, from: start, count: length))))
            start += length
        }
        guard !products.isEmpty else { return try .zeros([], dtype: exact, device: device) }
        return try Tensor.stack(products).to(exact).sum()
    }

    /// The square root of the sum of squares of all elements. Waits for the device.
    public func norm() throws(TensorError) -> Double { try dot(self).squareRoot() }
}
