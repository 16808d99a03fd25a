import TensorKit
import TestSupport
import Testing

@testable import InverseProblems

@Suite struct ConjugateGradientsTests {
    @Test(arguments: Registered.all) func residualFallsMonotonically(registered: Registered) throws {
        for (problem, shape) in try registered.cases() {
            let y = try problem.apply(random(shape, seed: 1))
            let start = try random(shape, seed: 2)
            var last = Double.infinity
            for iterations in 0...6 {
                let (x, report) = try conjugateGradients(problem, measurement: y, start: start, iterations: iterations)
                #expect(report.steps <= iterations)
                #expect(report.residualAfter <= last * (1 + 1e-6), "\(problem) \(shape) \(iterations)")
                #expect(try x.isFinite().all())
                // What the report says is true of the solution, not only of the recurrence.
                let scale = try y.norm() > 0 ? y.norm() : 1
                #expect(
                    try abs((y - problem.apply(x)).norm() / scale - report.residualAfter) < 1e-5
                        * (1 + report.residualBefore))
                last = report.residualAfter
            }
        }
    }

    @Test func wellPosedSystemsAreSolvedExactly() throws {
        for boundary in BlurBoundary.allCases {
            let problem = try GaussianBlur(size: 5, sigma: 0.4, boundary: boundary)
            let truth = try random([3, 2, 9, 7], seed: 1, dtype: .float64)
            let (x, report) = try conjugateGradients(
                problem, measurement: problem.apply(truth), start: .zeros(truth.shape, dtype: .float64), iterations: 60)
            #expect(try relativeDistance(x, truth) < 1e-12)
            #expect(report.residualAfter < 1e-12 && report.residualBefore == 1)
            #expect(report.steps < 60)
        }
        // Invertible, since 7 does not divide 5.
        let average = try TemporalAverage(window: 7)
        let truth = try random([5, 1, 3, 3], seed: 1, dtype: .float64)
        let (x, _) = try conjugateGradients(
            average, measurement: average.apply(truth), start: .zeros(truth.shape, dtype: .float64))
        #expect(try relativeDistance(x, truth) < 1e-10)
    }

    @Test func inpaintingConvergesInOneStep() throws {
        let problem = try Mask.random(ratio: 0.5, seed: 1, height: 24, width: 31)
        let (truth, start) = (try random([4, 3, 24, 31], seed: 1), try random([4, 3, 24, 31], seed: 2))
        let (x, report) = try conjugateGradients(problem, measurement: problem.apply(truth), start: start)
        #expect(report.steps == 1)
        #expect(report.residualAfter < 1e-6)
        let known = try problem.apply(x)
        #expect(try relativeDistance(known, problem.apply(truth)) < 1e-6)
        // What was not measured is as it was.
        #expect(try relativeDistance(x - known, start - problem.apply(start)) == 0)
    }

    /// A stored measurement: mid-grey where pixels are missing, but not exactly 0, which 8 bits cannot hold.
    @Test func missingPixelsNeedNotBeZero() throws {
        let problem = try TemporalAverage(window: 3).then(Mask.random(ratio: 0.5, seed: 1, height: 24, width: 31))
        let y = try problem.apply(random([7, 3, 24, 31], seed: 1))
        func solution(_ y: Tensor) throws -> Tensor {
            try conjugateGradients(problem, measurement: y, start: .zeros(y.shape)).solution
        }
        let grey = try (Tensor.ones([24, 31]) - Mask.random(ratio: 0.5, seed: 1, height: 24, width: 31).mask) / 255
        #expect(try relativeDistance(solution(y + grey), solution(y)) < 1e-3)
    }

    @Test func poolingConvergesInOneStep() throws {
        let problem = try AveragePooling(factor: 4)
        let (truth, start) = (try random([4, 3, 24, 32], seed: 1), try random([4, 3, 24, 32], seed: 2))
        let (x, report) = try conjugateGradients(problem, measurement: problem.apply(truth), start: start)
        #expect(report.steps == 1)
        #expect(try relativeDistance(problem.apply(x), problem.apply(truth)) < 1e-6)
    }

    /// A A' is a multiple of the identity.
    @Test(arguments: Grey.Matrix.allCases) func greyConvergesInOneStep(matrix: Grey.Matrix) throws {
        let problem = Greyscale(matrix)
        let (truth, start) = (try random([4, 3, 24, 31], seed: 1), try random([4, 3, 24, 31], seed: 2))
        let (x, report) = try conjugateGradients(problem, measurement: problem.apply(truth), start: start)
        #expect(report.steps == 1)
        #expect(try relativeDistance(problem.apply(x), problem.apply(truth)) < 1e-6)
    }

    /// Every frame keeps the pixels that its own mask knows.
    @Test func inpaintingFramesConvergesInOneStep() throws {
        let problem = try Registered.maskOfEachFrame([4, 3, 24, 31])
        let (truth, start) = (try random([4, 3, 24, 31], seed: 1), try random([4, 3, 24, 31], seed: 2))
        let (x, report) = try conjugateGradients(problem, measurement: problem.apply(truth), start: start)
        #expect(report.steps == 1)
        #expect(
            try relativeDistance(x, truth.selected(where: problem.mask.isGreater(than: 0.5), otherwise: start)) < 1e-6)
    }

    @Test(arguments: Registered.all) func zeroMeasurement(registered: Registered) throws {
        for (problem, shape) in try registered.cases() {
            let y = try Tensor.zeros(problem.outputShape(for: shape))
            let (zero, nothing) = try conjugateGradients(problem, measurement: y, start: .zeros(shape))
            #expect(nothing == .init(steps: 0, residualBefore: 0, residualAfter: 0))
            #expect(try zero.norm() == 0)
            let (x, report) = try conjugateGradients(problem, measurement: y, start: random(shape, seed: 1))
            #expect(try x.isFinite().all())
            #expect(report.residualAfter <= report.residualBefore)
        }
    }

    @Test(arguments: Registered.all) func convergedStartIsLeftAlone(registered: Registered) throws {
        for (problem, shape) in try registered.cases() {
            let truth = try random(shape, seed: 1)
            let (x, report) = try conjugateGradients(problem, measurement: problem.apply(truth), start: truth)
            #expect(report.steps == 0 && report.residualAfter == report.residualBefore)
            #expect(try relativeDistance(x, truth) == 0)
        }
    }

    /// argmin |Y - A X| over start + K_l, by an orthonormal basis of K_l and dense least squares.
    @Test(arguments: 1...4) func agreesWithDenseLeastSquaresOverTheKrylovSpace(steps: Int) throws {
        let problem = try TemporalAverage(window: 3).then(GaussianBlur(size: 5, sigma: 0.7)).then(
            AveragePooling(factor: 2))
        let shape = [3, 1, 6, 4]
        let start = try random(shape, seed: 2, dtype: .float64)
        let y = try random(problem.outputShape(for: shape), seed: 1, dtype: .float64)
        let residual = try y - problem.apply(start)

        var basis: [Tensor] = []
        var next = try problem.adjoint(residual)
        for _ in 0..<steps {
            for _ in 0..<2 { for b in basis { next = try next.adding(b, times: -next.dot(b)) } }
            basis.append(try next / next.norm())
            next = try problem.adjoint(problem.apply(basis[basis.count - 1]))
        }
        let images = try basis.map { try problem.apply($0) }
        var system = try images.map { row in try images.map { try row.dot($0) } + [row.dot(residual)] }
        // Gauss-Jordan elimination; the matrix is positive definite.
        for pivot in 0..<steps {
            system[pivot] = system[pivot].map { $0 / system[pivot][pivot] }
            for row in 0..<steps where row != pivot {
                let factor = system[row][pivot]
                for column in 0...steps { system[row][column] -= factor * system[pivot][column] }
            }
        }
        var expected = start
        for (b, row) in zip(basis, system) { expected = try expected.adding(b, times: row[steps]) }

        let (x, report) = try conjugateGradients(problem, measurement: y, start: start, iterations: steps)
        #expect(report.steps == steps)
        #expect(try relativeDistance(x, expected) < 1e-9)
    }

    @Test func toleranceEndsEarly() throws {
        let problem = try GaussianBlur(size: 5, sigma: 0.6)
        let y = try problem.apply(random([2, 3, 16, 16], seed: 1))
        let start = try Tensor.zeros(y.shape)
        let loose = try conjugateGradients(problem, measurement: y, start: start, iterations: 50, tolerance: 1e-2)
            .report
        let tight = try conjugateGradients(problem, measurement: y, start: start, iterations: 50, tolerance: 1e-4)
            .report
        #expect(0 < loose.steps && loose.steps < tight.steps && tight.steps < 50)
    }

    @Test func noStepsReturnTheStart() throws {
        let (start, y) = (try random([1, 1, 4, 4], seed: 1), try random([1, 1, 4, 4], seed: 2))
        let (x, report) = try conjugateGradients(Identity(), measurement: y, start: start, iterations: 0)
        #expect(try relativeDistance(x, start) == 0)
        #expect(report.steps == 0 && report.residualAfter == report.residualBefore)
    }

    @Test func badArgumentsAreRefused() throws {
        let x = try random([1, 3, 8, 8], seed: 1)
        let y = try random([1, 3, 2, 2], seed: 1)
        let problem = try AveragePooling(factor: 4)
        #expect(throws: ProblemError.shapeMismatch(what: "start", shape: [1, 3, 2, 2], expected: [1, 3, 8, 8])) {
            try conjugateGradients(problem, measurement: y, start: y)
        }
        #expect(throws: ProblemError.notFinite("measurement")) {
            try conjugateGradients(problem, measurement: .full([1, 3, 2, 2], .nan), start: x)
        }
        #expect(throws: ProblemError.notFinite("start")) {
            try conjugateGradients(problem, measurement: y, start: .full([1, 3, 8, 8], .infinity))
        }
        for (type, other) in [
            (DType.float16, DType.float16), (.bfloat16, .bfloat16), (.float32, .float64), (.uint8, .uint8),
        ] {
            #expect(throws: ProblemError.self) {
                try conjugateGradients(problem, measurement: y.to(type), start: x.to(other))
            }
        }
        #expect(throws: ProblemError.self) { try conjugateGradients(problem, measurement: y, start: x, iterations: -1) }
        #expect(throws: ProblemError.self) {
            try conjugateGradients(problem, measurement: y, start: x, tolerance: .nan)
        }
    }
}
