import TensorKit

/// A(X) = X.
public struct Identity: LinearOperator {
    public init() {}
    public var name: String { "identity" }
    public var mixesFrames: Bool { false }

    public func outputShape(for input: [Int]) throws(ProblemError) -> [Int] {
        try requireVideo(input)
        return input
    }
    public func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { try outputShape(for: output) }

    public func apply(_ video: Tensor) throws -> Tensor {
        _ = try requireInput(video)
        return video
    }
    public func adjoint(_ measurement: Tensor) throws -> Tensor { try apply(measurement) }
    public func separated(for shape: [Int]) throws -> SeparatedForm? { SeparatedForm() }
}
