import TensorKit

/// What holds the prior's frames to the measurement at each timestep: step 3 of Algorithm 1.
///
/// Six concepts are all that a new one needs: the `VideoMeasurement`, its operator A and the adjoint A', its noise, the error of the prior's
/// frames, and this protocol. A step that other programs have is a value of `ConjugateGradientStep` or `ProximalStep`.
public protocol DataStep: Sendable {
    /// Frames of a video lie in this range, and are brought into it before and after each step; nil leaves them as they are.
    var range: ClosedRange<Double>? { get }
    /// What `apply` wants of the measurement, made once for all timesteps.
    /// - Parameter start: makes a first guess of the video, where one is needed.
    func prepared(_ measurement: VideoMeasurement, start: () throws -> Tensor) throws -> VideoMeasurement
    /// Frames that fit the measurement better.
    /// - Parameters:
    ///   - estimate: Xhat, the prior's frames, (N, C, H, W).
    ///   - measurement: as `prepared` made it.
    ///   - noiseToSignal: sqrt((1 - abar) / abar) of the timestep: how noisy the latents were that the estimate was made of.
    func apply(_ estimate: Tensor, _ measurement: VideoMeasurement, noiseToSignal: Double) throws -> DataStepResult
}

extension DataStep {
    public var range: ClosedRange<Double>? { nil }
    public func prepared(_ measurement: VideoMeasurement, start: () throws -> Tensor) throws -> VideoMeasurement {
        measurement
    }
}

/// What a data step has made.
public struct DataStepResult: Sendable {
    /// Xbar, of the estimate's shape.
    public var frames: Tensor
    /// |Y - A X| / |Y| of the estimate and of these frames.
    public var residual: Residual
    /// Standard deviation of the measurement's noise in these frames, over all pixels; nil where the step cannot tell.
    public var passedNoise: Double?

    public init(frames: Tensor, residual: Residual, passedNoise: Double? = nil) {
        self.frames = frames
        self.residual = residual
        self.passedNoise = passedNoise
    }
}

/// |Y - A X| / |Y| before and after a data step.
public struct Residual: Sendable, Equatable, Codable {
    public var before: Double
    public var after: Double

    public init(before: Double, after: Double) {
        self.before = before
        self.after = after
    }
}
