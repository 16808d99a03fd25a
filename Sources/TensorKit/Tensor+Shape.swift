extension Tensor {
    /// The same elements in another shape; one size may be -1. A view where the layout allows it.
    public func reshaped(_ shape: [Int]) throws(TensorError) -> Tensor { try view("aten::reshape", "", .ints(shape)) }

    /// The dimensions in another order. O(1).
    public func permuted(_ dimensions: [Int]) throws(TensorError) -> Tensor {
        try view("aten::permute", "", .ints(dimensions))
    }

    /// Two dimensions exchanged. O(1).
    public func transposed(_ first: Int, _ second: Int) throws(TensorError) -> Tensor {
        try view("aten::transpose", "int", .int(first), .int(second))
    }

    /// `count` indices of one dimension from `start` on. O(1).
    public func narrow(_ dimension: Int, from start: Int, count: Int) throws(TensorError) -> Tensor {
        try view("aten::narrow", "", .int(dimension), .int(start), .int(count))
    }

    /// The rows of a batch: `tensor[2..<5]`-like access to the first dimension. O(1).
    public func rows(_ range: Range<Int>) throws(TensorError) -> Tensor {
        try narrow(0, from: range.lowerBound, count: range.count)
    }

    /// One index of one dimension, which disappears. O(1).
    public func select(_ dimension: Int, _ index: Int) throws(TensorError) -> Tensor {
        try view("aten::select", "int", .int(dimension), .int(index))
    }

    /// A new dimension of size 1. O(1).
    public func unsqueezed(_ dimension: Int) throws(TensorError) -> Tensor {
        try view("aten::unsqueeze", "", .int(dimension))
    }

    /// A dimension of size 1 less. O(1).
    public func squeezed(_ dimension: Int) throws(TensorError) -> Tensor {
        try view("aten::squeeze", "dim", .int(dimension))
    }

    /// Dimensions of size 1 repeated without a copy; -1 keeps a size. O(1).
    public func expanded(_ shape: [Int]) throws(TensorError) -> Tensor {
        try view("aten::expand", "", .ints(shape), .bool(false))
    }

    /// The tensor repeated along each dimension, copied.
    public func repeated(_ counts: [Int]) throws(TensorError) -> Tensor {
        try Self.dispatch("aten::repeat", "", .tensor(self), .ints(counts))
    }

    /// The order of the elements along the dimensions reversed.
    public func flipped(_ dimensions: [Int]) throws(TensorError) -> Tensor {
        try Self.dispatch("aten::flip", "", .tensor(self), .ints(dimensions))
    }

    /// Elements shifted along one dimension, those that fall off come in at the other end.
    public func rolled(_ shift: Int, along dimension: Int) throws(TensorError) -> Tensor {
        try Self.dispatch("aten::roll", "", .tensor(self), .ints([shift]), .ints([dimension]))
    }

    /// The given indices of one dimension, in their order.
    public func gathered(_ indices: [Int], along dimension: Int) throws(TensorError) -> Tensor {
        let index = try Tensor(indices, shape: [indices.count], device: device)
        return try Self.dispatch("aten::index_select", "", .tensor(self), .int(dimension), .tensor(index))
    }

    /// Tensors side by side along one dimension.
    public static func concatenate(_ tensors: [Tensor], along dimension: Int) throws(TensorError) -> Tensor {
        if tensors.count == 1 { return tensors[0] }
        return try dispatch("aten::cat", "", .tensors(tensors), .int(dimension))
    }

    /// Tensors of one shape along a new dimension.
    public static func stack(_ tensors: [Tensor], along dimension: Int = 0) throws(TensorError) -> Tensor {
        try dispatch("aten::stack", "", .tensors(tensors), .int(dimension))
    }

    /// How values beyond the border are found.
    public enum Padding: Sendable, Hashable {
        case constant(Double)
        /// Mirrored about the border elements, which are not repeated.
        case reflect
        /// The border element repeated.
        case replicate
        /// The other side's elements.
        case circular
    }

    /// Elements added around the last dimensions: `[left, right, top, bottom]` for the last two. Negative amounts crop.
    /// Other than `constant`, only the last two dimensions of a batch of images (or one of a batch of signals) can be padded.
    public func padded(_ amounts: [Int], _ mode: Padding = .constant(0)) throws(TensorError) -> Tensor {
        let (name, value): (String, Double?) =
            switch mode {
            case .constant(let value): ("constant", value)
            case .reflect: ("reflect", nil)
            case .replicate: ("replicate", nil)
            case .circular: ("circular", nil)
            }
        return try view("aten::pad", "", .ints(amounts), .string(name), .optional(value))
    }

    /// (N, C, H, W) -> (N, C*f*f, H/f, W/f).
    public func pixelUnshuffled(_ factor: Int) throws(TensorError) -> Tensor {
        try Self.dispatch("aten::pixel_unshuffle", "", .tensor(self), .int(factor))
    }

    /// (N, C*f*f, H, W) -> (N, C, H*f, W*f).
    public func pixelShuffled(_ factor: Int) throws(TensorError) -> Tensor {
        try Self.dispatch("aten::pixel_shuffle", "", .tensor(self), .int(factor))
    }
}
