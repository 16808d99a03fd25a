import InverseProblems
import TensorKit
import TestSupport
import Testing

@testable import Workflow

@Suite struct FinishingTests {
    private func difference(_ a: Tensor, _ b: Tensor) throws -> Double { try (a - b).absolute().maximum().item() }

    /// 1 is the result and 0 the measurement, between them a straight line; in holes there is only the result.
    @Test func mixing() throws {
        let (X, Y) = (try movingTexture(3, 8, 8), try random([3, 3, 8, 8], seed: 1))
        let measured = try VideoMeasurement(Y, operator: Identity(), noise: NoiseFigure(0.1))
        #expect(try difference(Finishing(mix: 1).applied(to: X, measured), X) == 0)
        #expect(try difference(Finishing(mix: 0).applied(to: X, measured), Y) < 1e-6)
        #expect(try difference(Finishing(mix: 0.25).applied(to: X, measured), X * 0.25 + Y * 0.75) < 1e-6)
        let mask = try Mask.random(ratio: 0.5, seed: 2, height: 8, width: 8)
        let holed = try VideoMeasurement(Y, operator: mask, noise: NoiseFigure(0.1))
        let expected = try Y * mask.mask + X * (mask.mask * -1 + 1)
        #expect(try difference(Finishing(mix: 0).applied(to: X, holed), expected) < 1e-6)
    }

    @Test func mixingEnlarges() throws {
        let X = try movingTexture(2, 16, 16)
        let A = try AveragePooling(factor: 4)
        let measured = try VideoMeasurement(A.apply(X), operator: A, noise: .none)
        let result = try Finishing(mix: 0).applied(to: X, measured)
        #expect(result.shape == X.shape)
        #expect(try difference(result, A.apply(X).resizedBicubic(height: 16, width: 16)) < 1e-6)
    }

    /// The noise comes back whole, and structure that the result has otherwise does not.
    @Test func grain() throws {
        let X = try movingTexture(3, 8, 8)
        let noise = try random([3, 3, 8, 8], seed: 4).clamped(to: -2.9...2.9) * 0.05
        let measured = try VideoMeasurement(X + noise, operator: Identity(), noise: NoiseFigure(0.05))
        #expect(try difference(Finishing(grain: 1).applied(to: X, measured), X + noise) < 1e-5)
        #expect(try difference(Finishing(grain: 0.5).applied(to: X, measured), X + noise * 0.5) < 1e-5)
        let far = try VideoMeasurement(X + 1, operator: Identity(), noise: NoiseFigure(0.05))
        #expect(try difference(Finishing(grain: 1).applied(to: X, far), X + 0.15) < 1e-5)
    }

    @Test func numbersOutOfRange() {
        for bad in [Finishing(mix: -0.1), Finishing(mix: 1.1), Finishing(grain: 2), Finishing(mix: .nan)] {
            #expect(throws: WorkflowError.self) { try bad.validate() }
        }
        #expect(Finishing().isEmpty && Finishing(mix: 1, grain: 0).isEmpty && !Finishing(grain: 1).isEmpty)
    }
}
