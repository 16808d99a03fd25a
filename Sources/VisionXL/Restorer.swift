import InverseProblems
import TensorKit

/// A method that restores a video from a measurement of it: VISION-XL, and what it is compared with.
public protocol Restorer: Sendable {
    /// X from Y = A(X).
    ///
    /// The call is synchronous: make it on a thread of its own. Calls of `progress` come from that thread; what it throws (for example
    /// `CancellationError`) ends the restoration at once.
    /// - Parameters:
    ///   - measurement: Y, (N, 3, h, w) of a shape that `A` produces, in [-1, 1].
    ///   - A: the degradation.
    ///   - progress: called after each piece of work.
    /// - Throws: `RestorationError` for a measurement that `A` cannot have produced, `ProblemError`, `TensorError`, and what `progress` throws.
    func restore(
        _ measurement: Tensor, operator A: any LinearOperator, progress: @escaping RestorationProgress.Handler
    ) throws -> Restoration
}

extension Restorer {
    /// X from Y = A(X), in silence.
    public func restore(_ measurement: Tensor, operator A: any LinearOperator) throws -> Restoration {
        try restore(measurement, operator: A) { _ in }
    }
}

/// A restored video and how it was reached.
public struct Restoration: Sendable {
    /// (N, 3, H, W), about [-1, 1], float32.
    public var frames: Tensor
    /// |Y - A(X)| / |Y| around each data step, in order.
    public var residuals: [RestorationProgress.Residual]

    public init(frames: Tensor, residuals: [RestorationProgress.Residual] = []) {
        self.frames = frames
        self.residuals = residuals
    }
}
