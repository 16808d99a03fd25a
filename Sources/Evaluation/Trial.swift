import InverseProblems
import Synchronization
import TensorKit
import Workflow

/// One degradation of one clip, its measurement made when the first method wants it.
final class Trial: Sendable {
    private let `operator`: any LinearOperator
    private let task: EvaluationTask
    private let truth: Truth
    private let storage: MeasurementStorage
    private let noise: Double
    private let seed: UInt64
    private let device: Device
    private let measured = Mutex<VideoMeasurement?>(nil)

    init(_ task: EvaluationTask, _ storage: MeasurementStorage, _ truth: Truth, _ plan: EvaluationPlan) throws {
        (self.task, self.truth, self.storage, noise, seed, device) = (
            task, truth, storage, plan.noise, plan.seed, plan.device
        )
        `operator` = try task.problem.operator(height: truth.frames.size(2), width: truth.frames.size(3))
        _ = try `operator`.outputShape(for: truth.frames.shape)
    }

    /// Y, A and the noise, as a file of that kind would have them.
    func measurement() async throws -> VideoMeasurement {
        if let measured = measured.withLock({ $0 }) { return measured }
        let exact = try await onThread(of: device) { [self] _ in
            let y = try `operator`.apply(truth.frames.to(device))
            return try VideoMeasurement(
                addNoise(to: y, sigma: noise, seed: seed), operator: `operator`, noise: .sigma(noise))
        }
        let result = try await storage.stored(exact, of: task.problem)
        measured.withLock { $0 = result }
        return result
    }
}
