import TensorKit

/// Inpainting: Y = M X with the same pixels of every frame and channel kept (1) and removed (0). A projection: A = A' = A A.
public struct Mask: LinearOperator {
    /// (H, W), 1 where pixels are kept and 0 where they are missing; float32.
    public let mask: Tensor

    private struct Key: Hashable {
        let dtype: DType
        let device: Device
    }
    private let cache = Cache<Key, Tensor>()

    /// - Parameter mask: (H, W) of 0 and 1, any type.
    /// - Throws: `ProblemError.invalidParameter` for another number of dimensions or other values, `TensorError` from the engine.
    public init(_ mask: Tensor) throws {
        guard mask.rank == 2, mask.count > 0 else {
            throw ProblemError.invalidParameter("A mask has the shape (height, width), not \(mask.shape).")
        }
        let mask = try mask.to(.float32)
        guard try (mask * (mask - 1)).isEqual(to: 0).all() else {
            throw ProblemError.invalidParameter("A mask holds 0 (missing) and 1 (known) only; threshold it first.")
        }
        self.mask = mask
    }

    /// A mask without `ratio` of its pixels, rounded to a whole number of them. The same for a seed on every machine.
    /// - Parameter ratio: the fraction removed, in [0, 1].
    public static func random(ratio: Double, seed: UInt64, height: Int, width: Int) throws -> Mask {
        guard (0...1).contains(ratio) else {
            throw ProblemError.invalidParameter("The fraction of pixels that a mask removes lies between 0 and 1, not at \(ratio).")
        }
        guard height > 0, width > 0 else { throw ProblemError.invalidParameter("A mask cannot have the size \(width)x\(height).") }
        var values = [Float](repeating: 1, count: height * width)
        var generator = RandomGenerator(seed: seed, stream: RandomStream.mask)
        for index in generator.permutation(values.count).prefix(Int((ratio * Double(values.count)).rounded())) { values[index] = 0 }
        return try Mask(Tensor(values, shape: [height, width]))
    }

    public var name: String { "mask \(mask.size(1))x\(mask.size(0))" }
    public var mixesFrames: Bool { false }

    /// - Throws: `ProblemError.maskSize` for frames of another size.
    public func outputShape(for input: [Int]) throws(ProblemError) -> [Int] {
        try requireVideo(input)
        guard mask.shape == [input[2], input[3]] else { throw .maskSize(mask: mask.shape, height: input[2], width: input[3]) }
        return input
    }
    public func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { try outputShape(for: output) }

    public func apply(_ video: Tensor) throws -> Tensor {
        _ = try requireInput(video)
        let key = Key(dtype: video.dtype, device: video.device)
        return try video * cache.value(for: key) { () throws(TensorError) in try mask.to(key.dtype).to(key.device) }
    }
    // M is symmetric, but M x = y has no solution for a y with anything but zeros where pixels are missing (a stored one has mid-grey,
    // which 8 bits cannot hold); M' M x = M' y has, so there is no better symmetrizer than M' itself.
    public func adjoint(_ measurement: Tensor) throws -> Tensor { try apply(measurement) }

    public func separated(for shape: [Int]) throws -> SeparatedForm? { SeparatedForm(mask: mask) }
}
