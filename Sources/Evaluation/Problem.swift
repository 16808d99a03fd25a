import InverseProblems
import Synchronization
import TensorKit

/// One degradation of one clip, its measurement made when the first method wants it.
final class Problem: Sendable {
    let `operator`: any LinearOperator
    private let truth: Truth
    private let storage: MeasurementStorage
    private let noise: Double
    private let seed: UInt64
    private let device: Device
    private let known: Tensor?
    private let measured = Mutex<(Tensor, noise: Double)?>(nil)

    init(_ task: EvaluationTask, _ storage: MeasurementStorage, _ truth: Truth, _ plan: EvaluationPlan) throws {
        let (height, width) = (truth.frames.size(2), truth.frames.size(3))
        (self.truth, self.storage, noise, seed, device) = (truth, storage, plan.noise, plan.seed, plan.device)
        known = try task.degradation.randomMask(height: height, width: width)?.to(plan.device)
        `operator` = try task.degradation.operator(height: height, width: width, mask: known)
        _ = try `operator`.outputShape(for: truth.frames.shape)
    }

    /// Y, and the standard deviation of its noise.
    func measurement() async throws -> (Tensor, noise: Double) {
        if let measured = measured.withLock({ $0 }) { return measured }
        let exact = try await onThread { [self] _ in
            let y = try `operator`.apply(truth.frames.to(device))
            return try addNoise(to: y, sigma: noise, seed: seed)
        }
        // Noise falls on what is measured only.
        let stored = try await storage.stored(known.map { try exact * $0 } ?? exact, known: known)
        let result = (stored, noise: try storage.noise(of: stored, added: noise, known: known))
        measured.withLock { $0 = result }
        return result
    }
}
