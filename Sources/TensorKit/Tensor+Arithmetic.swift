import CLibTorch

/// A right-hand side of an arithmetic operator: a tensor or a number.
public protocol TensorOperand: Sendable {
    func operand() throws(TensorError) -> Tensor
}

extension Tensor: TensorOperand { public func operand() -> Tensor { self } }
extension Double: TensorOperand { public func operand() throws(TensorError) -> Tensor { try .scalar(self) } }
extension Int: TensorOperand { public func operand() throws(TensorError) -> Tensor { try .scalar(Double(self)) } }

extension Tensor {
    /// An operand of this tensor's: a number in a type that this device takes numbers in.
    private func taking(_ operand: some TensorOperand) throws(TensorError) -> Tensor {
        let operand = try operand.operand()
        return operand.dtype == .float64 && !device.hasFloat64 ? try operand.to(.float32) : operand
    }
}

// Shapes broadcast as in PyTorch and NumPy; types promote as in PyTorch, where a tensor without dimensions (a number) does not widen.
extension Tensor {
    /// self + factor * other, in one pass.
    public func adding(_ other: Tensor, times factor: Double = 1) throws(TensorError) -> Tensor {
        // The stable ABI's factor is a double, which integer tensors refuse: they go through float64, exact up to 2^53.
        if dtype.isIntegral && other.dtype.isIntegral {
            // Where there is no float64, that is on the CPU.
            guard device.hasFloat64 else {
                return try to(.cpu).adding(other.to(.cpu), times: factor).to(device)
            }
            return try to(.float64).adding(other.to(.float64), times: factor).to(dtype)
        }
        let other = try taking(other)
        let simulation = try Placement.of("aten::sub", [.tensor(self), .tensor(other)])
        var result: clibtorch_tensor?
        guard clibtorch_tensor_subtract(handle, other.handle, -factor, &result) == 0, let result else {
            throw Self.failure("add")
        }
        return Tensor(owning: result, on: simulation)
    }

    public static func + (a: Tensor, b: some TensorOperand) throws(TensorError) -> Tensor { try a.adding(b.operand()) }
    public static func - (a: Tensor, b: some TensorOperand) throws(TensorError) -> Tensor {
        try a.adding(b.operand(), times: -1)
    }
    public static func * (a: Tensor, b: some TensorOperand) throws(TensorError) -> Tensor {
        try dispatch("aten::mul", "Tensor", .tensor(a), .tensor(a.taking(b)))
    }
    public static func / (a: Tensor, b: some TensorOperand) throws(TensorError) -> Tensor {
        try dispatch("aten::div", "Tensor", .tensor(a), .tensor(a.taking(b)))
    }
    public static prefix func - (a: Tensor) throws(TensorError) -> Tensor { try dispatch("aten::neg", "", .tensor(a)) }

    /// self to the power of `exponent`, element by element.
    public func power(_ exponent: some TensorOperand) throws(TensorError) -> Tensor {
        try Self.dispatch("aten::pow", "Tensor_Tensor", .tensor(self), .tensor(taking(exponent)))
    }

    public func squared() throws(TensorError) -> Tensor { try self * self }
    public func squareRoot() throws(TensorError) -> Tensor { try Self.dispatch("aten::sqrt", "", .tensor(self)) }
    public func absolute() throws(TensorError) -> Tensor { try Self.dispatch("aten::abs", "", .tensor(self)) }
    public func exponential() throws(TensorError) -> Tensor { try Self.dispatch("aten::exp", "", .tensor(self)) }
    /// To the nearest integer, halves to even.
    public func rounded() throws(TensorError) -> Tensor { try Self.dispatch("aten::round", "", .tensor(self)) }

    /// Every element brought into `range`.
    public func clamped(to range: ClosedRange<Double>) throws(TensorError) -> Tensor {
        // Bounds of the tensor's own type: clamp promotes, unlike the arithmetic operators.
        let (low, high) = (try bound(range.lowerBound), try bound(range.upperBound))
        return try Self.dispatch("aten::clamp", "Tensor", .tensor(self), .optional(low), .optional(high))
    }

    /// A number of this tensor's type on its device, made there: a copy of one of the host's would wait for the device.
    private func bound(_ value: Double) throws(TensorError) -> Tensor {
        guard dtype.isFloatingPoint else { return try Tensor.scalar(value).to(dtype).to(device) }
        // What the type cannot hold bounds nothing.
        return try .full([], abs(value) > dtype.largest ? value * .infinity : value, dtype: dtype, device: device)
    }

    public func minimum(_ other: Tensor) throws(TensorError) -> Tensor {
        try Self.dispatch("aten::minimum", "", .tensor(self), .tensor(other))
    }
    public func maximum(_ other: Tensor) throws(TensorError) -> Tensor {
        try Self.dispatch("aten::maximum", "", .tensor(self), .tensor(other))
    }

    // MARK: Comparison, element by element

    public func isGreater(than other: some TensorOperand) throws(TensorError) -> Tensor {
        try Self.dispatch("aten::gt", "Tensor", .tensor(self), .tensor(taking(other)))
    }
    public func isEqual(to other: some TensorOperand) throws(TensorError) -> Tensor {
        try Self.dispatch("aten::eq", "Tensor", .tensor(self), .tensor(taking(other)))
    }
    /// Where the elements are neither NaN nor infinite.
    public func isFinite() throws(TensorError) -> Tensor { try Self.dispatch("aten::isfinite", "", .tensor(self)) }
    /// self where `condition` holds, `other` elsewhere.
    public func selected(where condition: Tensor, otherwise other: Tensor) throws(TensorError) -> Tensor {
        try Self.dispatch("aten::where", "self", .tensor(condition), .tensor(self), .tensor(other))
    }

    // MARK: In place

    /// Runs `name` in place when nobody else sees the memory, and otherwise assigns the result of `copying`.
    private mutating func modify(
        _ inPlace: (Tensor) throws(TensorError) -> Void, orAssign copying: (Tensor) throws(TensorError) -> Tensor
    ) throws(TensorError) {
        if isKnownUniquelyReferenced(&reference), isKnownUniquelyReferenced(&reference.storage),
            !reference.storage.isReadOnly
        {
            try inPlace(self)
        } else {
            self = try copying(self)
        }
    }

    /// self *= factor. In place where the memory is not shared; `factor` must not have a wider type or a larger shape.
    public mutating func multiply(by factor: some TensorOperand) throws(TensorError) {
        let factor = try taking(factor)
        try modify(
            { (t) throws(TensorError) in try t.dispatchInPlace("aten::mul_", "Tensor", .tensor(factor)) },
            orAssign: { (t) throws(TensorError) in try t * factor })
    }

    /// self += factor * other in one pass, or the same for the box of other's shape that begins at the index `start`. In place where the
    /// memory is not shared, then without any memory of its own. Floating-point tensors of one type.
    /// - Throws: `invalidArgument` when the box does not lie within self or the types differ.
    public mutating func add(_ other: Tensor, times factor: Double = 1, at start: [Int]? = nil) throws(TensorError) {
        // Of the operators that add in place, the one below has its factor in a tensor.
        try add(other, times: .ones([], dtype: other.dtype, device: other.device), factor, at: start)
    }

    /// self += other * weights, the weights of a shape that broadcasts to other's; as the above, without memory for the product.
    public mutating func add(_ other: Tensor, times weights: Tensor, at start: [Int]? = nil) throws(TensorError) {
        try add(other, times: weights, 1, at: start)
    }

    private mutating func add(
        _ other: Tensor, times weights: Tensor, _ factor: Double, at start: [Int]?
    ) throws(TensorError) {
        let (shape, box, dtype) = (self.shape, other.shape, self.dtype)
        let start = start ?? shape.map { _ in 0 }
        guard dtype.isFloatingPoint, other.dtype == dtype, box.count == shape.count, start.count == shape.count,
            zip(shape, zip(start, box)).allSatisfy({ $1.0 >= 0 && $1.0 + $1.1 <= $0 })
        else {
            throw .invalidArgument(
                "A \(other.dtype.rawValue) tensor of the shape \(box) cannot be added at \(start) of a \(dtype.rawValue) tensor of the shape "
                    + "\(shape).")
        }
        func add(to target: Tensor) throws(TensorError) {
            var part = target
            for (dimension, size) in shape.enumerated() where box[dimension] != size {
                part = try part.narrow(dimension, from: start[dimension], count: box[dimension])
            }
            try Self.perform(
                "aten::_foreach_addcmul_", "Tensor", .tensors([part]), .tensors([other]), .tensors([weights]),
                .tensor(Tensor([factor], shape: [1])))
        }
        try modify(
            { (t) throws(TensorError) in try add(to: t) },
            orAssign: { (t) throws(TensorError) in
                let copy = try t.copied()
                try add(to: copy)
                return copy
            })
    }

    /// x * sigmoid(x), in place where the memory is not shared.
    public mutating func formSilu() throws(TensorError) {
        try modify(
            { (t) throws(TensorError) in try t.dispatchInPlace("aten::silu_") },
            orAssign: { (t) throws(TensorError) in try t.silu() })
    }

    /// The exact (erf) GELU, in place where the memory is not shared.
    public mutating func formGelu() throws(TensorError) {
        try modify(
            { (t) throws(TensorError) in try t.dispatchInPlace("aten::gelu_", "", .string("none")) },
            orAssign: { (t) throws(TensorError) in try t.gelu() })
    }

    /// max(x, 0), in place where the memory is not shared.
    public mutating func formRelu() throws(TensorError) {
        try modify(
            { (t) throws(TensorError) in try t.dispatchInPlace("aten::relu_") },
            orAssign: { (t) throws(TensorError) in try t.relu() })
    }

    /// Writes `other` over a range of one dimension; in place where the memory is not shared.
    public mutating func replace(along dimension: Int, from start: Int, with other: Tensor) throws(TensorError) {
        let length = other.size(dimension)
        try modify(
            { (t) throws(TensorError) in
                try t.narrow(dimension, from: start, count: length).dispatchInPlace(
                    "aten::copy_", "", .tensor(other), .bool(false))
            },
            orAssign: { (t) throws(TensorError) in
                let copy = try t.copied()
                try copy.narrow(dimension, from: start, count: length)
                    .dispatchInPlace("aten::copy_", "", .tensor(other), .bool(false))
                return copy
            })
    }

    /// Writes `other` over the box of its shape that begins at the index `start`; in place where the memory is not shared. The values are
    /// converted to this tensor's type.
    /// - Throws: `invalidArgument` when the box does not lie within self.
    public mutating func replace(at start: [Int], with other: Tensor) throws(TensorError) {
        let (shape, box) = (self.shape, other.shape)
        guard box.count == shape.count, start.count == shape.count,
            zip(shape, zip(start, box)).allSatisfy({ $1.0 >= 0 && $1.0 + $1.1 <= $0 })
        else {
            throw .invalidArgument(
                "A tensor of the shape \(box) cannot be written at \(start) of one of the shape \(shape).")
        }
        func write(to target: Tensor) throws(TensorError) {
            var part = target
            for (dimension, size) in shape.enumerated() where box[dimension] != size {
                part = try part.narrow(dimension, from: start[dimension], count: box[dimension])
            }
            try part.dispatchInPlace("aten::copy_", "", .tensor(other), .bool(false))
        }
        try modify(
            { (t) throws(TensorError) in try write(to: t) },
            orAssign: { (t) throws(TensorError) in
                let copy = try t.copied()
                try write(to: copy)
                return copy
            })
    }
}
