import TensorKit
import TestSupport
import Testing

@testable import InverseProblems

/// Laws of `pseudoinverse`.
@Suite struct PseudoinverseTests {
    /// Operators whose singular values all lie above a tenth of the largest, or at 0 but for rounding.
    static let separated = Registered.all.filter { registered in
        [
            "identity", "mask", "full mask", "empty mask", "adjoint of pooling", "valid average 1",
            "grey, then pooling", "pooling, then grey",
            "grey, then mask", "mask, then grey", "adjoint of grey", "mask of each frame",
            "mask, then mask of each frame",
            "grey, then mask of each frame", "mask of each frame, then grey", "adjoint of mask of each frame",
        ].contains(registered.testDescription)
            || [
                "blur 3 0.4", "blur 15 0.0", "blur 1 ", "pooling ", "average 1 ", "average 2 valid", "task sr4",
                "task inpaint", "grey bt",
            ]
            .contains { registered.testDescription.hasPrefix($0) }
    }

    /// A B A = A, B A B = B, and A B and B A are symmetric; applied to vectors.
    @Test(arguments: separated) func penrose(registered: Registered) throws {
        for (problem, shape) in try registered.cases() where shape.reduce(1, *) < 1500 {
            for (dtype, tolerance) in [(DType.float32, 3e-5), (.float64, 1e-11)] {
                let output = try problem.outputShape(for: shape)
                let (x, z) = (try random(shape, seed: 1, dtype: dtype), try random(shape, seed: 2, dtype: dtype))
                let (y, w) = (try random(output, seed: 3, dtype: dtype), try random(output, seed: 4, dtype: dtype))
                func A(_ x: Tensor) throws -> Tensor { try problem.apply(x) }
                func B(_ y: Tensor) throws -> Tensor { try problem.pseudoinverse(y) }
                #expect(try relativeDistance(A(B(A(x))), A(x)) < tolerance, "\(problem) \(shape) \(dtype)")
                #expect(try relativeDistance(B(A(B(y))), B(y)) < tolerance, "\(problem) \(shape) \(dtype)")
                #expect(
                    try abs(A(B(y)).dot(w) - y.dot(A(B(w)))) <= tolerance * y.norm() * w.norm(),
                    "\(problem) \(shape) \(dtype)")
                #expect(
                    try abs(B(A(x)).dot(z) - x.dot(B(A(z)))) <= tolerance * x.norm() * z.norm(),
                    "\(problem) \(shape) \(dtype)")
            }
        }
    }

    /// From a start: A X is Y's projection on what A makes, and X - X0 is orthogonal to what A does not see. Ratio 1e12 comes close.
    @Test(arguments: separated) func nearestSolution(registered: Registered) throws {
        for (problem, shape) in try registered.cases() where shape.reduce(1, *) < 1500 {
            let y = try random(problem.outputShape(for: shape), seed: 1, dtype: .float64)
            let (start, z) = (try random(shape, seed: 2, dtype: .float64), try random(shape, seed: 3, dtype: .float64))
            let projection = try problem.apply(problem.pseudoinverse(y))
            let unseen = try z - problem.pseudoinverse(problem.apply(z))
            for (x, tolerance) in [
                (try problem.pseudoinverse(y, around: start), 1e-11),
                (try problem.proximal(y, around: start, ratio: 1e12), 1e-8),
            ] {
                #expect(try (problem.apply(x) - projection).norm() <= tolerance * y.norm(), "\(problem) \(shape)")
                #expect(try abs((x - start).dot(unseen)) <= tolerance * x.norm() * z.norm(), "\(problem) \(shape)")
            }
        }
    }

    @Test(arguments: Registered.all) func linear(registered: Registered) throws {
        for (problem, shape) in try registered.cases() where shape.reduce(1, *) < 1500 {
            guard try problem.separated(for: shape)?.isExact == true else { continue }
            let output = try problem.outputShape(for: shape)
            let (u, v) = (try random(output, seed: 1, dtype: .float64), try random(output, seed: 2, dtype: .float64))
            let parts = try problem.pseudoinverse(v).adding(problem.pseudoinverse(u), times: -2.5)
            #expect(
                try relativeDistance(problem.pseudoinverse(v.adding(u, times: -2.5)), parts) < 1e-10,
                "\(problem) \(shape)")
        }
    }

    /// Singular values 1, 1e-2 and 1e-5 along the columns.
    @Test func toleranceTakesSmallSingularValuesAsZero() throws {
        let problem = try ColumnProduct([[1, 0, 0], [0, 1e-2, 0], [0, 0, 1e-5]])
        let y = try Tensor([1, 1, 1] as [Double], shape: [1, 1, 1, 3])
        for (tolerance, expected) in [(nil, [1, 1e2, 1e5]), (1e-3, [1, 1e2, 0]), (0.1, [1, 0, 0])]
            as [(Double?, [Double])]
        {
            let x = try problem.pseudoinverse(y, tolerance: tolerance).array(of: Double.self)
            #expect(zip(x, expected).allSatisfy { abs($0 - $1) <= 1e-12 * abs($1) }, "\(x)")
        }
        #expect(try problem.pseudoinverse(y.to(.float32)).array(of: Float.self) == [1, 100, 0])
    }

    /// Without a closed form: (tolerance / s)^2 from it.
    @Test func iterationsComeClose() throws {
        let full = try Mask.random(ratio: 0, seed: 1, height: 6, width: 8)
        for problem in [try AveragePooling(factor: 2), try GaussianBlur(size: 3, sigma: 0.4), full]
            as [any LinearOperator]
        {
            let y = try random(problem.outputShape(for: [3, 2, 6, 8]), seed: 1)
            let expected = try problem.pseudoinverse(y)
            #expect(try relativeDistance(Veiled(problem).pseudoinverse(y), expected) < 1e-5)
        }
        // A mask that spoils the closed form, and well conditioned.
        let problem = try GaussianBlur(size: 3, sigma: 0.4).then(Mask.random(ratio: 0.5, seed: 1, height: 6, width: 8))
        let x = try random([3, 2, 6, 8], seed: 1)
        let solution = try problem.pseudoinverse(problem.apply(x))
        #expect(try relativeDistance(problem.apply(solution), problem.apply(x)) < 1e-5)
        #expect(try abs((x - solution).dot(solution)) < 1e-4 * x.dot(x))
    }

    @Test func nothingMeasuredLeavesTheStart() throws {
        let problem = try Mask.random(ratio: 1, seed: 1, height: 6, width: 8)
        let (y, start) = (try random([3, 2, 6, 8], seed: 1), try random([3, 2, 6, 8], seed: 2))
        for problem in [problem, Veiled(problem), try GaussianBlur().then(problem), try problem.then(GaussianBlur())]
            as [any LinearOperator]
        {
            #expect(try relativeDistance(problem.pseudoinverse(y, around: start), start) == 0)
            #expect(try relativeDistance(problem.proximal(y, around: start, ratio: 100), start) == 0)
        }
    }
}

/// An operator that does not say its form.
struct Veiled: LinearOperator {
    let base: any LinearOperator

    init(_ base: any LinearOperator) { self.base = base }

    var name: String { "veiled \(base.name)" }
    func outputShape(for input: [Int]) throws(ProblemError) -> [Int] { try base.outputShape(for: input) }
    func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { try base.inputShape(for: output) }
    func apply(_ video: Tensor) throws -> Tensor { try base.apply(video) }
    func adjoint(_ measurement: Tensor) throws -> Tensor { try base.adjoint(measurement) }
}
