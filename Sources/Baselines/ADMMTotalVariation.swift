import InverseProblems
import TensorKit
import VisionXL

/// ADMM-TV: the video of least total variation in time, height and width that explains the measurement, without a network (Kwon & Ye
/// 2025, Eq. 9). `minimizeTotalVariation` has the algorithm and its cost.
public struct ADMMTotalVariation: Restorer {
    public var options: TotalVariationOptions
    /// Where it is computed.
    public var device: Device

    public init(options: TotalVariationOptions = TotalVariationOptions(), device: Device = .cpu) {
        self.options = options
        self.device = device
    }

    /// X from Y = A(X). `objectives` has the objective of X = 0 and after each outer iteration, `residuals` one entry for each iteration.
    public func restore(
        _ measurement: VideoMeasurement, progress: @escaping RestorationProgress.Handler
    ) throws -> Restoration {
        let measurement = try measurement.forRestoring(on: device)
        let (A, Y, count) = (measurement.operator, measurement.frames, measurement.videoShape[0])
        let steps = options.innerSteps
        let (X, report) = try minimizeTotalVariation(A, measurement: Y, options: options) { iteration, step, report in
            let last = step == steps ? report.residuals.suffix(2) : []
            try progress(
                RestorationProgress(
                    phase: .optimizing, step: iteration + 1, stepCount: options.iterations, timestep: 0, frame: count,
                    frameCount: count,
                    fraction: Double(iteration * steps + min(step + 1, steps)) / Double(options.iterations * steps),
                    residual: last.first.map { .init(before: $0, after: last.last ?? $0) }))
        }
        return Restoration(
            frames: X,
            residuals: zip(report.residuals, report.residuals.dropFirst()).map { .init(before: $0, after: $1) },
            objectives: report.objectives)
    }
}
