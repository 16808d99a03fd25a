import TensorKit

/// A linear degradation A of videos (N, C, H, W), pixels in [-1, 1]: Y = A(X).
///
/// Every operator is a value that can be used from any task, works in its argument's type (float32, float64) and on its device, and
/// satisfies the laws that the test suite checks for every operator and composition: linearity, <A x, y> = <x, A' y> to rounding, and
/// B A symmetric and positive semidefinite for its `symmetrizer` B. All of this project's operators have a norm of about 1 or less.
///
///     let operator = try TemporalAverage(window: 7).then(GaussianBlur(size: 61, sigma: 3))
///     let measurement = try operator.apply(video)
public protocol LinearOperator: Sendable, CustomStringConvertible {
    /// A few words that say what it does, for logs and reports.
    var name: String { get }

    /// The shape of A(X) for an X of the shape `input`.
    /// - Throws: `ProblemError` where A is not defined for that shape.
    func outputShape(for input: [Int]) throws(ProblemError) -> [Int]

    /// The shape of X from that of A(X).
    /// - Throws: `ProblemError` where no X leads to that shape.
    func inputShape(for output: [Int]) throws(ProblemError) -> [Int]

    /// A(X).
    /// - Throws: `ProblemError` for a shape that `outputShape` refuses, `TensorError` from the engine.
    func apply(_ video: Tensor) throws -> Tensor

    /// A'(Y), the exact adjoint: <A x, y> = <x, A' y>.
    /// - Throws: `ProblemError` for a shape that `inputShape` refuses, `TensorError` from the engine.
    func adjoint(_ measurement: Tensor) throws -> Tensor

    /// An operator B such that B A is symmetric and positive semidefinite, so that conjugate gradients can solve B A x = B y directly
    /// instead of the squared system A' A x = A' y; nil where there is none better than A'.
    var symmetrizer: (any LinearOperator)? { get }

    /// Whether a frame of A(X) may depend on more than the same frame of X. What says false gives the same for a video as for its frames
    /// one at a time; true unless an operator knows better.
    var mixesFrames: Bool { get }

    /// A for videos of the shape `shape`, which `outputShape` accepts, as a product of matrices along the axes: what `proximal` and
    /// `pseudoinverse` solve in closed form. nil where there is none, or none is known; then they iterate. An operator keeps the matrices
    /// that it hands out, since they keep their singular vectors.
    func separated(for shape: [Int]) throws -> SeparatedForm?
}

extension LinearOperator {
    public var mixesFrames: Bool { true }
    public var symmetrizer: (any LinearOperator)? { nil }
    public var description: String { name }
    public func separated(for shape: [Int]) throws -> SeparatedForm? { nil }

    /// This operator first, `next` on its result.
    public func then(_ next: some LinearOperator) -> Composition { Composition(first: self, second: next) }

    /// The operator that exchanges `apply` and `adjoint`.
    public var transposed: Adjoint { Adjoint(of: self) }

    /// `outputShape` for a tensor that is about to be computed with.
    func requireInput(_ video: Tensor) throws(ProblemError) -> [Int] {
        guard video.dtype.isFloatingPoint else { throw .notFloatingPoint(video.dtype) }
        return try outputShape(for: video.shape)
    }

    /// `inputShape` for a tensor that is about to be computed with.
    func requireOutput(_ measurement: Tensor) throws(ProblemError) -> [Int] {
        guard measurement.dtype.isFloatingPoint else { throw .notFloatingPoint(measurement.dtype) }
        return try inputShape(for: measurement.shape)
    }
}

/// Checks for (N, C, H, W) without empty dimensions.
func requireVideo(_ shape: [Int]) throws(ProblemError) {
    guard shape.count == 4, shape.allSatisfy({ $0 > 0 }) else { throw .notAVideo(shape: shape) }
}

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
    public var symmetrizer: (any LinearOperator)? { self }
    public func separated(for shape: [Int]) throws -> SeparatedForm? { SeparatedForm() }
}

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

    /// first' B for the second's symmetrizer B: first' (B second) first is symmetric and >= 0 when B second is.
    public var symmetrizer: (any LinearOperator)? {
        second.symmetrizer.map { Composition(first: $0, second: Adjoint(of: first)) }
    }

    /// The products of both operators' matrices, but nil for a mask before a blur or a pooling.
    public func separated(for shape: [Int]) throws -> SeparatedForm? {
        guard let inner = try first.separated(for: shape), let outer = try second.separated(for: first.outputShape(for: shape)) else {
            return nil
        }
        return try inner.followed(by: outer, shape: shape, products: products)
    }
}

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
