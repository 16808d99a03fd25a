import TensorKit

/// Downscaling by the mean of factor x factor blocks: Y[i, j] = mean of X[f i ..< f (i + 1), f j ..< f (j + 1)].
///
/// A A' = I / factor^2, so that one step of conjugate gradients solves it. One pass over memory.
public struct AveragePooling: LinearOperator {
    public let factor: Int

    /// - Throws: `ProblemError.invalidParameter` for a factor outside 1...1024.
    public init(factor: Int) throws(ProblemError) {
        guard (1...1024).contains(factor) else {
            throw .invalidParameter("The pooling factor is a whole number from 1 to 1024, not \(factor).")
        }
        self.factor = factor
    }

    public var name: String { "average pooling by \(factor)" }
    public var mixesFrames: Bool { false }

    /// - Throws: `ProblemError.indivisible` for frames whose sides are no multiples of the factor.
    public func outputShape(for input: [Int]) throws(ProblemError) -> [Int] {
        try requireVideo(input)
        guard input[2] % factor == 0, input[3] % factor == 0 else {
            throw .indivisible(height: input[2], width: input[3], factor: factor)
        }
        return [input[0], input[1], input[2] / factor, input[3] / factor]
    }
    public func inputShape(for output: [Int]) throws(ProblemError) -> [Int] {
        try requireVideo(output)
        return [output[0], output[1], output[2] * factor, output[3] * factor]
    }

    public func apply(_ video: Tensor) throws -> Tensor {
        _ = try requireInput(video)
        return factor == 1 ? video : try video.averagePooled(factor)
    }
    public func adjoint(_ measurement: Tensor) throws -> Tensor {
        let shape = try requireOutput(measurement)
        if factor == 1 { return measurement }
        // Divided while it is still small.
        return try (measurement / (factor * factor)).upsampledNearest(height: shape[2], width: shape[3])
    }

    public func separated(for shape: [Int]) throws -> SeparatedForm? {
        factor == 1 ? SeparatedForm() : SeparatedForm(rows: .pooling(factor), columns: .pooling(factor))
    }
}

/// The frames were shrunk: each pixel is the mean of a block.
public struct Shrink: Stage {
    /// Sides of a block, 1 to 1024.
    public var factor: Int

    public init(factor: Int) { self.factor = factor }

    public static let kind = "shrink"
    public var words: String { "shrunk by \(factor)" }

    public func makeOperator(for input: StageInput) throws -> any LinearOperator { try AveragePooling(factor: factor) }
    public func inputShape(for output: [Int]) throws(ProblemError) -> [Int] {
        try AveragePooling(factor: factor).inputShape(for: output)
    }
}
