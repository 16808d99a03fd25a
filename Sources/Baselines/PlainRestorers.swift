import InverseProblems
import TensorKit
import VisionXL

// What a prior has to beat: methods that know the measurement and the degradation alone.

/// The measurement, enlarged to the frames' size where the degradation shrinks them; frames repeated at the ends where it has fewer of
/// them. Where the sizes agree it is the measurement itself. The degradation is not undone.
public struct UpsamplingRestorer: Restorer {
    public var upsampling: Upsampling
    /// Where it is computed.
    public var device: Device

    public init(_ upsampling: Upsampling = .bicubic, device: Device = .cpu) {
        self.upsampling = upsampling
        self.device = device
    }

    public func restore(
        _ measurement: VideoMeasurement, progress: @escaping RestorationProgress.Handler
    ) throws -> Restoration {
        let X = try measurement.forRestoring(on: device).enlarged(upsampling)
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
        _ measurement: VideoMeasurement, progress: @escaping RestorationProgress.Handler
    ) throws -> Restoration {
        let (A, Y) = (measurement.operator, try measurement.forRestoring(on: device).frames)
        var X = try A.adjoint(Y)
        if normalized {
            let weight = try A.adjoint(A.apply(.ones(X.shape, device: device)))
            // Rounding of sums of ones stays below this.
            X = try (X / weight).selected(
                where: weight.absolute().isGreater(than: 1e-6), otherwise: .zeros(X.shape, device: device))
        }
        try progress(.only(frames: X.size(0)))
        return Restoration(frames: X)
    }
}

/// A data step from the enlarged measurement, as Algorithm 1 has one after each decode, without a prior.
public struct DataStepRestorer: Restorer {
    public var step: any DataStep
    public var upsampling: Upsampling
    /// Where it is computed.
    public var device: Device

    /// - Parameter step: one that needs no error of a prior.
    public init(_ step: any DataStep, upsampling: Upsampling = .bicubic, device: Device = .cpu) {
        self.step = step
        self.upsampling = upsampling
        self.device = device
    }

    public func restore(
        _ measurement: VideoMeasurement, progress: @escaping RestorationProgress.Handler
    ) throws -> Restoration {
        let given = try measurement.forRestoring(on: device)
        func inRange(_ X: Tensor) throws -> Tensor { try step.range.map { try X.clamped(to: $0) } ?? X }
        let measurement = try step.prepared(given) { try given.enlarged(upsampling) }
        var result = try step.apply(inRange(measurement.enlarged(upsampling)), measurement, noiseToSignal: 1)
        result.frames = try inRange(result.frames)
        try progress(.only(frames: result.frames.size(0), residual: result.residual))
        return Restoration(frames: result.frames, residuals: [result.residual])
    }
}

extension RestorationProgress {
    /// The only piece of work of a method, done.
    fileprivate static func only(frames: Int, residual: Residual? = nil) -> RestorationProgress {
        RestorationProgress(
            phase: .optimizing, step: 1, stepCount: 1, timestep: 0, frame: frames, frameCount: frames, fraction: 1,
            residual: residual)
    }
}
