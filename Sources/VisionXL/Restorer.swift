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
    ///   - measurementNoise: the standard deviation of the noise on Y, in units of [-1, 1]; 0 for none. Rounding to b bits has
    ///     2 / (2^b - 1) / sqrt 12. Methods that have no use for it ignore it.
    ///   - progress: called after each piece of work.
    /// - Throws: `RestorationError` for a measurement that `A` cannot have produced, `ProblemError`, `TensorError`, and what `progress` throws.
    func restore(
        _ measurement: Tensor, operator A: any LinearOperator, measurementNoise: Double, progress: @escaping RestorationProgress.Handler
    ) throws -> Restoration
}

extension Restorer {
    /// X from Y = A(X), exact or of unknown noise, in silence.
    public func restore(_ measurement: Tensor, operator A: any LinearOperator) throws -> Restoration {
        try restore(measurement, operator: A, measurementNoise: 0) { _ in }
    }

    /// X from Y = A(X) with noise, in silence.
    public func restore(_ measurement: Tensor, operator A: any LinearOperator, measurementNoise: Double) throws -> Restoration {
        try restore(measurement, operator: A, measurementNoise: measurementNoise) { _ in }
    }

    /// X from Y = A(X), exact or of unknown noise.
    public func restore(
        _ measurement: Tensor, operator A: any LinearOperator, progress: @escaping RestorationProgress.Handler
    ) throws -> Restoration {
        try restore(measurement, operator: A, measurementNoise: 0, progress: progress)
    }
}

/// A restored video and how it was reached.
public struct Restoration: Sendable {
    /// (N, 3, H, W), about [-1, 1], float32.
    public var frames: Tensor
    /// |Y - A(X)| / |Y| around each data step, in order.
    public var residuals: [RestorationProgress.Residual]

    /// What a method that minimises something has brought down: the objective at its start and after each iteration; empty for others.
    public var objectives: [Double]

    /// How much went through a network at once in the end; nil where there was none. A solver that is given it (`Solver.passes`) need not
    /// find out again.
    public var passes: PassSizes?

    /// What a solver followed: its options, with the eta and lambda it chose where they were left open. Nil for other methods.
    public var options: RestorationOptions?

    public init(
        frames: Tensor, residuals: [RestorationProgress.Residual] = [], objectives: [Double] = [], passes: PassSizes? = nil,
        options: RestorationOptions? = nil
    ) {
        self.passes = passes
        self.options = options
        self.frames = frames
        self.residuals = residuals
        self.objectives = objectives
    }
}

/// The measurement as float32 on a device, if it is one.
func requireMeasurement(_ measurement: Tensor, on device: Device) throws -> Tensor {
    guard measurement.rank == 4, measurement.size(0) >= 1, measurement.size(1) == 3 else {
        throw RestorationError.invalidMeasurement(
            "A measurement must have the shape (frames, 3, height, width), and has \(measurement.shape).")
    }
    return try measurement.to(.float32).to(device)
}
