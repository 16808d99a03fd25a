import TensorKit

/// A linear degradation A of videos (N, C, H, W), pixels in [-1, 1]: Y = A(X).
///
/// Every operator is a value that can be used from any task, works in its argument's type (float32, float64) and on its device, and
/// satisfies the laws that the test suite checks for every operator and composition: linearity and <A x, y> = <x, A' y> to rounding. All of
/// this project's operators have a norm of about 1 or less. Four functions have no default; the others are for those who know better.
///
///     let operator = try TemporalAverage(window: 7).then(GaussianBlur(size: 61, sigma: 3))
///     let measurement = try operator.apply(video)
public protocol LinearOperator: Sendable, CustomStringConvertible {
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

    /// A few words that say what it does, for logs and reports; the type's name unless it is said.
    var name: String { get }

    /// Whether a frame of A(X) may depend on more than the same frame of X. What says false gives the same for a video as for its frames
    /// one at a time; true unless an operator knows better.
    var mixesFrames: Bool { get }

    /// 0 in holes of A(X), where it says nothing of X, and 1 elsewhere, as `SeparatedForm.mask`; nil for none. Only an operator
    /// without a separated form has to know.
    var knownPixels: Tensor? { get }

    /// A for videos of the shape `shape`, which `outputShape` accepts, as a product of matrices along the axes: what `proximal` and
    /// `pseudoinverse` solve in closed form. nil where there is none, or none is known; then they iterate. An operator keeps the matrices
    /// that it hands out, since they keep their singular vectors.
    func separated(for shape: [Int]) throws -> SeparatedForm?
}

extension LinearOperator {
    public var name: String { "\(Self.self)" }
    public var mixesFrames: Bool { true }
    public var knownPixels: Tensor? { nil }
    public var description: String { name }
    public func separated(for shape: [Int]) throws -> SeparatedForm? { nil }

    /// This operator first, `next` on its result.
    public func then(_ next: some LinearOperator) -> Composition { Composition(first: self, second: next) }

    /// The operator that exchanges `apply` and `adjoint`.
    public var transposed: Adjoint { Adjoint(of: self) }

    /// `knownPixels` for a measurement of the shape `shape`, whoever knows it.
    package func known(inMeasurement shape: [Int]) throws -> Tensor? {
        try separated(for: inputShape(for: shape))?.mask ?? knownPixels
    }

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
package func requireVideo(_ shape: [Int]) throws(ProblemError) {
    guard shape.count == 4, shape.allSatisfy({ $0 > 0 }) else { throw .notAVideo(shape: shape) }
}
