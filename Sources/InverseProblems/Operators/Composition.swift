import TensorKit

/// Two operators, one after the other: A(X) = second(first(X)).
public struct Composition: LinearOperator {
    public let first: any LinearOperator
    public let second: any LinearOperator
    private let products = AxisProducts()

    public init(first: any LinearOperator, second: any LinearOperator) {
        self.first = first
        self.second = second
    }

    public var name: String { "\(first.name), then \(second.name)" }
    public var mixesFrames: Bool { first.mixesFrames || second.mixesFrames }
    public var knownPixels: Tensor? { second.knownPixels }

    public func outputShape(for input: [Int]) throws(ProblemError) -> [Int] {
        try second.outputShape(for: first.outputShape(for: input))
    }
    public func inputShape(for output: [Int]) throws(ProblemError) -> [Int] {
        try first.inputShape(for: second.inputShape(for: output))
    }

    public func apply(_ video: Tensor) throws -> Tensor {
        // Before the first operator has run for seconds.
        _ = try requireInput(video)
        return try second.apply(first.apply(video))
    }
    public func adjoint(_ measurement: Tensor) throws -> Tensor {
        _ = try requireOutput(measurement)
        return try first.adjoint(second.adjoint(measurement))
    }

    /// The products of both operators' matrices, but nil for a mask before a blur or a pooling.
    public func separated(for shape: [Int]) throws -> SeparatedForm? {
        guard let inner = try first.separated(for: shape),
            let outer = try second.separated(for: first.outputShape(for: shape))
        else {
            return nil
        }
        return try inner.followed(by: outer, shape: shape, products: products)
    }
}
