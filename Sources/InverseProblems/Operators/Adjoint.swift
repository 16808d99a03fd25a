import TensorKit

/// A' as an operator of its own.
public struct Adjoint: LinearOperator {
    public let base: any LinearOperator
    private let products = AxisProducts()

    public init(of base: any LinearOperator) { self.base = base }

    public var name: String { "adjoint of (\(base.name))" }
    public var mixesFrames: Bool { base.mixesFrames }
    public func outputShape(for input: [Int]) throws(ProblemError) -> [Int] { try base.inputShape(for: input) }
    public func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { try base.outputShape(for: output) }
    public func apply(_ video: Tensor) throws -> Tensor { try base.adjoint(video) }
    public func adjoint(_ measurement: Tensor) throws -> Tensor { try base.apply(measurement) }
    public func separated(for shape: [Int]) throws -> SeparatedForm? {
        let video = try base.inputShape(for: shape)
        return try base.separated(for: video)?.transposed(shape: video, products: products)
    }
}
