import InverseProblems
import Synchronization
import TensorKit
import Testing

@testable import VisionXL

/// Faults that a GPU would show, put in for the purpose: a simulated one shows them, too.
@Suite struct SimulatedFaultTests {
    private static let device = Device.simulated(.cuda)

    /// The proximal step with a fault after it.
    private struct FaultyStep: DataStep {
        var fault: @Sendable (Tensor) throws -> Tensor
        private let step = ProximalStep()

        init(_ fault: @escaping @Sendable (Tensor) throws -> Tensor) { self.fault = fault }

        var range: ClosedRange<Double>? { step.range }
        func prepared(_ measurement: VideoMeasurement, start: () throws -> Tensor) throws -> VideoMeasurement {
            try step.prepared(measurement, start: start)
        }
        func apply(
            _ estimate: Tensor, _ measurement: VideoMeasurement, noiseToSignal: Double
        ) throws -> DataStepResult {
            var result = try step.apply(estimate, measurement, noiseToSignal: noiseToSignal)
            result.frames = try fault(result.frames)
            return result
        }
    }

    /// A mask that stays where it was made.
    private struct HostMask: LinearOperator {
        let mask: Tensor
        func outputShape(for input: [Int]) throws(ProblemError) -> [Int] { input }
        func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { output }
        func apply(_ video: Tensor) throws -> Tensor { try video * mask }
        func adjoint(_ measurement: Tensor) throws -> Tensor { try measurement * mask }
    }

    /// The waits of each timestep with a data step.
    private func waits(_ step: FaultyStep, _ A: any LinearOperator = Identity()) throws -> [Int] {
        let (traffic, marks) = (DeviceTraffic(), Marks())
        try traffic.counting {
            var solver = Solver(prior: BlurPrior(device: Self.device))
            solver.dataStep = step
            let result = try solver.restore(measured(video(3, 16, 24), A, noise: 0.01)) { progress in
                if progress.residual != nil { marks.add(traffic.events.count) }
            }
            #expect(result.frames.device == Self.device)
        }
        return zip(marks.all.dropFirst(), marks.all).map { $0 - $1 }
    }

    private final class Marks: Sendable {
        private let counts = Mutex<[Int]>([])
        var all: [Int] { counts.withLock { $0 } }
        func add(_ count: Int) { counts.withLock { $0.append(count) } }
    }

    @Test func withoutAFaultATimestepWaitsOnce() throws {
        let counts = try waits(FaultyStep { $0 }, GaussianBlur(size: 9, sigma: 1))
        #expect(counts.count == 7 && Set(counts) == [1])
    }

    @Test func aTensorThatIsLeftOnTheHostIsCaught() throws {
        let step = FaultyStep { try $0 + Tensor.zeros($0.shape) }
        #expect {
            try waits(step)
        } throws: { error in
            "\(error)".contains("on the same device, but found at least two devices, simulated:cuda and cpu!")
        }
    }

    @Test func aNumberThatIsReadInATimestepIsCaught() throws {
        let counts = try waits(
            FaultyStep { frames in
                guard try frames.norm() > 0 else { return frames }
                return frames
            })
        #expect(Set(counts) == [2])
    }

    @Test func aCopyInATimestepIsCaught() throws {
        let counts = try waits(FaultyStep { try $0 * Tensor([1] as [Float], shape: [1], device: Self.device) })
        #expect(Set(counts) == [2])
    }

    @Test func aMaskOnTheWrongDeviceIsCaught() throws {
        #expect {
            try waits(FaultyStep { $0 }, HostMask(mask: .ones([16, 24])))
        } throws: { error in
            "\(error)".contains("Expected all tensors to be on the same device")
        }
        // The same mask where the program has it.
        let counts = try waits(FaultyStep { $0 }, Mask(.ones([16, 24])))
        #expect(Set(counts) == [1])
    }
}
