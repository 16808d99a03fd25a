import InverseProblems
import TensorKit

/// A method that restores a video from a measurement of it: VISION-XL, and what it is compared with.
public protocol Restorer: Sendable {
    /// X from Y = A(X) + noise.
    ///
    /// The call is synchronous: make it on a thread of its own. Calls of `progress` come from that thread; what it throws (for example
    /// `CancellationError`) ends the restoration at once.
    /// - Parameters:
    ///   - measurement: Y, A and the noise, of which some methods take no notice.
    ///   - progress: called after each piece of work.
    /// - Throws: `RestorationError`, `ProblemError`, `TensorError`, and what `progress` throws.
    func restore(_ measurement: VideoMeasurement, progress: @escaping RestorationProgress.Handler) throws -> Restoration
}

extension Restorer {
    /// X from Y = A(X) + noise, in silence.
    public func restore(_ measurement: VideoMeasurement) throws -> Restoration { try restore(measurement) { _ in } }
}

/// A restored video and how it was reached.
public struct Restoration: Sendable {
    /// (N, 3, H, W), about [-1, 1], float32.
    public var frames: Tensor
    /// |Y - A(X)| / |Y| around each data step, in order.
    public var residuals: [Residual]
    /// What a method that minimises something has brought down: the objective at its start and after each iteration; empty for others.
    public var objectives: [Double]
    /// How much went through a network at once in the end; nil where there was none. A solver that is given it (`Solver.passes`) need not
    /// find out again.
    public var passes: PassSizes?
    /// What a solver followed. Nil for other methods.
    public var settings: Settings?
    /// Where a solver's time went; empty for other methods.
    public var phases: PhaseTimes

    public init(
        frames: Tensor, residuals: [Residual] = [], objectives: [Double] = [], passes: PassSizes? = nil,
        settings: Settings? = nil, phases: PhaseTimes = PhaseTimes()
    ) {
        self.frames = frames
        self.residuals = residuals
        self.objectives = objectives
        self.passes = passes
        self.settings = settings
        self.phases = phases
    }
}
