import TensorKit
import Testing

@testable import InverseProblems

/// Laws of `proximal` and `pseudoinverse`, for every operator.
@Suite struct ProximalTests {
    static let ratios = [1e-4, 1e-2, 1, 1e2, 1e4]

    /// |(I + r A'A) X - X0 - r A'Y| / (|X0| + r |A'Y|), evaluated in float64.
    static func defect(_ x: Tensor, _ problem: any LinearOperator, _ y: Tensor, _ start: Tensor, ratio: Double) throws -> Double {
        let (x, y, start) = (try x.to(.float64), try y.to(.float64), try start.to(.float64))
        let pull = try problem.adjoint(y)
        let left = try x.adding(problem.adjoint(problem.apply(x)), times: ratio)
        return try (left - start).adding(pull, times: -ratio).norm() / (start.norm() + ratio * pull.norm())
    }

    @Test(arguments: Registered.all) func normalEquationHolds(registered: Registered) throws {
        for (problem, shape) in try registered.cases() {
            for dtype in [DType.float32, .float64] {
                let y = try random(problem.outputShape(for: shape), seed: 1, dtype: dtype)
                let start = try random(shape, seed: 2, dtype: dtype)
                for ratio in Self.ratios {
                    let (x, report) = try problem.solveProximal(y, around: start, ratio: ratio)
                    #expect(x.shape == shape && x.dtype == dtype)
                    let defect = try Self.defect(x, problem, y, start, ratio: ratio)
                    print("DEFECT", dtype.rawValue, defect, ratio, report.steps, problem.name, shape)
                    #expect(defect < (dtype == .float32 ? 1e-5 : 1e-10), "\(problem) \(shape) \(ratio) \(report)")
                }
            }
        }
    }
}
