import InverseProblems
import TensorKit

// What a prior has to beat: methods that know the measurement and the degradation alone.

/// The measurement, enlarged to the frames' size where the degradation shrinks them; frames repeated at the ends where it has fewer of
/// them. Where the sizes agree it is the measurement itself. The degradation is not undone.
public struct UpsamplingRestorer: Restorer {
    public var upsampling: RestorationOptions.Upsampling
    /// Where it is computed.
    public var device: Device

    public init(_ upsampling: RestorationOptions.Upsampling = .bicubic, device: Device = .cpu) {
        self.upsampling = upsampling
        self.device = device
    }

    public func restore(
        _ measurement: Tensor, operator A: any LinearOperator, measurementNoise: Double, progress: @escaping RestorationProgress.Handler
    ) throws -> Restoration {
        let Y = try requireMeasurement(measurement, on: device)
        let X = try fullSize(Y, like: Padding(A.inputShape(for: Y.shape)), upsampling)
        try progress(.only(frames: X.size(0)))
        return Restoration(frames: X)
    }
}

/// A'Y, the adjoint of the degradation, by itself or normalised.
///
/// By itself it has the wrong brightness where A' A changes that of a flat picture: the adjoint of pooling by k spreads a pixel over k x k
/// at 1/k^2 of its value. Normalised, A'Y is divided by A'(A 1), 1 a video of ones, so that flat areas of the measurement keep their level
/// (pooling's becomes repeated pixels). Where A'(A 1) is 0, nothing was measured, and the result is 0 (mid-grey).
public struct AdjointRestorer: Restorer {
    public var normalized: Bool
    /// Where it is computed.
    public var device: Device

    public init(normalized: Bool = true, device: Device = .cpu) {
        self.normalized = normalized
        self.device = device
    }

    public func restore(
        _ measurement: Tensor, operator A: any LinearOperator, measurementNoise: Double, progress: @escaping RestorationProgress.Handler
    ) throws -> Restoration {
        let Y = try requireMeasurement(measurement, on: device)
        var X = try A.adjoint(Y)
        if normalized {
            let weight = try A.adjoint(A.apply(.ones(X.shape, device: device)))
            // Rounding of sums of ones stays below this.
            X = try (X / weight).selected(where: weight.absolute().isGreater(than: 1e-6), otherwise: .zeros(X.shape, device: device))
        }
        try progress(.only(frames: X.size(0)))
        return Restoration(frames: X)
    }
}

/// Conjugate gradients from the enlarged measurement: the data steps of Algorithm 1 without a prior.
public struct ConjugateGradientsRestorer: Restorer {
    /// Conjugate-gradient steps, 0 or more.
    public var steps: Int
    public var upsampling: RestorationOptions.Upsampling
    /// As `RestorationOptions.usesSymmetrizer`.
    public var usesSymmetrizer: Bool
    /// Where it is computed.
    public var device: Device

    public init(
        steps: Int = 10, upsampling: RestorationOptions.Upsampling = .bicubic, usesSymmetrizer: Bool = false, device: Device = .cpu
    ) {
        self.steps = steps
        self.upsampling = upsampling
        self.usesSymmetrizer = usesSymmetrizer
        self.device = device
    }

    public func restore(
        _ measurement: Tensor, operator A: any LinearOperator, measurementNoise: Double, progress: @escaping RestorationProgress.Handler
    ) throws -> Restoration {
        let Y = try requireMeasurement(measurement, on: device)
        let start = try fullSize(Y, like: Padding(A.inputShape(for: Y.shape)), upsampling)
        let (X, report) = try conjugateGradients(A, measurement: Y, start: start, iterations: steps, usingSymmetrizer: usesSymmetrizer)
        let residual = RestorationProgress.Residual(before: report.residualBefore, after: report.residualAfter)
        try progress(.only(frames: X.size(0), residual: residual))
        return Restoration(frames: X, residuals: [residual])
    }
}

extension Padding {
    /// No padding of a video (N, C, H, W).
    fileprivate init(_ shape: [Int]) {
        self.init(count: shape[0], height: shape[2], width: shape[3], multiple: 1)
    }
}

extension RestorationProgress {
    /// The only piece of work of a method, done.
    fileprivate static func only(frames: Int, residual: Residual? = nil) -> RestorationProgress {
        RestorationProgress(
            phase: .optimizing, step: 1, stepCount: 1, timestep: 0, frame: frames, frameCount: frames, fraction: 1, residual: residual)
    }
}
