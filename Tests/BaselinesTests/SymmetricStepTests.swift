import InverseProblems
import TensorKit
import TestSupport
import Testing

@testable import Baselines

@Suite struct SymmetricStepTests {
    /// B A is symmetric and positive semidefinite.
    @Test(arguments: Registered.all) func symmetrizerMakesSymmetric(registered: Registered) throws {
        for (problem, shape) in try registered.cases() {
            guard let symmetrizer = symmetrizer(of: problem) else { continue }
            #expect(try symmetrizer.outputShape(for: problem.outputShape(for: shape)) == shape)
            let (u, v) = (try random(shape, seed: 1, dtype: .float64), try random(shape, seed: 2, dtype: .float64))
            let (au, av) = (try symmetrizer.apply(problem.apply(u)), try symmetrizer.apply(problem.apply(v)))
            let scale = try u.norm() * v.norm()
            #expect(try abs(au.dot(v) - u.dot(av)) <= 1e-12 * scale, "\(problem) \(shape)")
            // Random vectors, what the operator almost swallows, and a checkerboard: the highest frequency.
            let rest = try u - au
            let board = try Tensor(
                (0..<shape.reduce(1, *)).map { ($0 + $0 / shape[3]) % 2 == 0 ? 1.0 : -1 }, shape: shape)
            for w in [u, v, rest, board] {
                #expect(try w.dot(symmetrizer.apply(problem.apply(w))) >= -2e-6 * w.dot(w), "\(problem) \(shape)")
            }
        }
    }

    @Test func whichOperatorsHaveASymmetrizer() throws {
        func has(_ problem: any LinearOperator) -> Bool { symmetrizer(of: problem) != nil }
        #expect(has(Identity()))
        for boundary in BlurBoundary.allCases {
            #expect(has(try GaussianBlur(boundary: boundary)))
            // Cut off at 1.7 sigma its transfer function goes below zero.
            #expect(!has(try GaussianBlur(size: 11, sigma: 3, boundary: boundary)))
        }
        #expect(has(try TemporalAverage().then(GaussianBlur())))
        #expect(has(try Greyscale(.bt601).then(GaussianBlur())))
        #expect(!has(try TemporalAverage()))
        #expect(!has(try AveragePooling(factor: 4)))
        #expect(!has(Greyscale(.bt601)))
        #expect(!has(try Mask.random(ratio: 0.5, seed: 1, height: 4, width: 4)))
        #expect(!has(try TemporalAverage().then(AveragePooling(factor: 4))))
        #expect(!has(try GaussianBlur().transposed))
    }

    /// D is what the symmetry of a reflected blur needs: 1/2 on the border, linear, its own adjoint.
    @Test func borderWeightsByHand() throws {
        let weights = BorderWeights()
        let y = try weights.apply(.ones([2, 3, 3, 4], dtype: .float64))
        let frame = [0.25, 0.5, 0.5, 0.25, 0.5, 1, 1, 0.5, 0.25, 0.5, 0.5, 0.25]
        #expect(try y.array(of: Double.self) == (0..<6).flatMap { _ in frame })
        // A line has no border across, and a single pixel none at all.
        #expect(try weights.apply(.ones([1, 1, 1, 4])).array(of: Float.self) == [0.5, 1, 1, 0.5])
        #expect(try weights.apply(.ones([1, 1, 1, 1])).array(of: Float.self) == [1])
        #expect(!weights.mixesFrames && !weights.name.isEmpty)
        for shape in Registered.shapes {
            let (x, z) = (try random(shape, seed: 1, dtype: .float64), try random(shape, seed: 2, dtype: .float64))
            #expect(try weights.outputShape(for: shape) == shape && weights.inputShape(for: shape) == shape)
            #expect(try abs(weights.apply(x).dot(z) - x.dot(weights.adjoint(z))) <= 1e-12 * x.norm() * z.norm())
            let parts = try weights.apply(z).adding(weights.apply(x), times: -2.5)
            #expect(try relativeError(weights.apply(z.adding(x, times: -2.5)), parts) < 1e-12)
        }
        #expect(throws: ProblemError.notAVideo(shape: [3, 4])) { try weights.apply(.ones([3, 4])) }
    }

    @Test(arguments: Registered.all) func staysFinite(registered: Registered) throws {
        for (problem, shape) in try registered.cases() {
            let y = try problem.apply(random(shape, seed: 1))
            let start = try random(shape, seed: 2)
            let (x, report) = try symmetricConjugateGradients(problem, measurement: y, start: start)
            #expect(try x.isFinite().all())
            #expect(report.residualAfter <= report.residualBefore)
            // Without a symmetrizer it is the method as ever.
            guard symmetrizer(of: problem) == nil else { continue }
            let (same, ordinary) = try conjugateGradients(problem, measurement: y, start: start)
            #expect(try relativeError(x, same) == 0 && report == ordinary)
        }
    }

    @Test func wellPosedSystemsAreSolvedExactly() throws {
        for boundary in BlurBoundary.allCases {
            let problem = try GaussianBlur(size: 5, sigma: 0.4, boundary: boundary)
            let truth = try random([3, 2, 9, 7], seed: 1, dtype: .float64)
            let (x, report) = try symmetricConjugateGradients(
                problem, measurement: problem.apply(truth), start: .zeros(truth.shape, dtype: .float64), iterations: 60)
            #expect(try relativeError(x, truth) < 1e-12)
            #expect(report.residualAfter < 1e-12 && report.residualBefore == 1)
            #expect(report.steps < 60)
        }
        // Invertible, since 7 does not divide 5.
        let average = try TemporalAverage(window: 7)
        let truth = try random([5, 1, 3, 3], seed: 1, dtype: .float64)
        let (x, _) = try symmetricConjugateGradients(
            average, measurement: average.apply(truth), start: .zeros(truth.shape, dtype: .float64))
        #expect(try relativeError(x, truth) < 1e-10)
    }

    /// The system is not squared: for a blur it comes closer in as many steps.
    @Test func goesFurtherThanTheSquaredSystem() throws {
        let problem = try GaussianBlur(size: 61, sigma: 3)
        let truth = try GaussianBlur(size: 15, sigma: 2).apply(random([2, 3, 48, 64], seed: 1, dtype: .float64))
        let y = try problem.apply(truth)
        let symmetric = try symmetricConjugateGradients(problem, measurement: y, start: y).solution
        let squared = try conjugateGradients(problem, measurement: y, start: y).solution
        #expect(try relativeError(symmetric, truth) < 0.6 * relativeError(squared, truth))
    }

    @Test func inpaintingConvergesInOneStep() throws {
        let problem = try Mask.random(ratio: 0.5, seed: 1, height: 24, width: 31)
        let (truth, start) = (try random([4, 3, 24, 31], seed: 1), try random([4, 3, 24, 31], seed: 2))
        let (x, report) = try symmetricConjugateGradients(problem, measurement: problem.apply(truth), start: start)
        #expect(report.steps == 1)
        #expect(report.residualAfter < 1e-6)
        let known = try problem.apply(x)
        #expect(try relativeError(known, problem.apply(truth)) < 1e-6)
        // What was not measured is as it was.
        #expect(try relativeError(x - known, start - problem.apply(start)) == 0)
    }

    /// Rounded to 8 bits a blurred video is no blurred video: without a stop the symmetric system diverges.
    @Test func doesNotDivergeOnARoundedMeasurement() throws {
        let problem = try GaussianBlur()
        let truth = try GaussianBlur(size: 15, sigma: 1).apply(random([2, 3, 48, 64], seed: 1)).clamped(to: -1...1)
        let y = try ((problem.apply(truth) + 1) * 127.5).rounded() / 127.5 - 1
        var last = 0.0
        for iterations in [10, 20, 40] {
            let (x, report) = try symmetricConjugateGradients(problem, measurement: y, start: y, iterations: iterations)
            #expect(try relativeError(x, truth) < relativeError(y, truth))
            #expect(try abs((y - problem.apply(x)).norm() / y.norm() - report.residualAfter) < 1e-5)
            // Once it turns away more steps change nothing.
            #expect(last == 0 || Double(report.steps) == last || report.steps == iterations)
            last = Double(report.steps)
        }
    }

    /// A stored measurement: mid-grey where pixels are missing, but not exactly 0, which 8 bits cannot hold.
    @Test func missingPixelsNeedNotBeZero() throws {
        let problem = try TemporalAverage(window: 3).then(Mask.random(ratio: 0.5, seed: 1, height: 24, width: 31))
        let y = try problem.apply(random([7, 3, 24, 31], seed: 1))
        func solution(_ y: Tensor) throws -> Tensor {
            try symmetricConjugateGradients(problem, measurement: y, start: .zeros(y.shape)).solution
        }
        let grey = try (Tensor.ones([24, 31]) - Mask.random(ratio: 0.5, seed: 1, height: 24, width: 31).mask) / 255
        #expect(try relativeError(solution(y + grey), solution(y)) < 1e-3)
    }

    @Test(arguments: Registered.all) func zeroMeasurement(registered: Registered) throws {
        for (problem, shape) in try registered.cases() {
            let y = try Tensor.zeros(problem.outputShape(for: shape))
            let (zero, nothing) = try symmetricConjugateGradients(problem, measurement: y, start: .zeros(shape))
            #expect(nothing.steps == 0 && nothing.residualBefore == 0 && nothing.residualAfter == 0)
            #expect(try zero.norm() == 0)
            let (x, report) = try symmetricConjugateGradients(problem, measurement: y, start: random(shape, seed: 1))
            #expect(try x.isFinite().all())
            #expect(report.residualAfter <= report.residualBefore)
        }
    }

    @Test(arguments: Registered.all) func convergedStartIsLeftAlone(registered: Registered) throws {
        for (problem, shape) in try registered.cases() {
            let truth = try random(shape, seed: 1)
            let (x, report) = try symmetricConjugateGradients(problem, measurement: problem.apply(truth), start: truth)
            #expect(report.steps == 0 && report.residualAfter == report.residualBefore)
            #expect(try relativeError(x, truth) == 0)
        }
    }

    /// As a data step it is the function, whatever the noise.
    @Test func theStepIsTheFunction() throws {
        let step = SymmetricStep(iterations: 4)
        #expect(step.range == nil && SymmetricStep().iterations == 10)
        for registered in Registered.all {
            for (problem, shape) in try registered.cases() where shape.reduce(1, *) < 1500 {
                let y = try random(problem.outputShape(for: shape), seed: 1)
                let measurement = try VideoMeasurement(y, operator: problem, noise: .sigma(0.1))
                let start = try random(shape, seed: 2)
                let (x, report) = try symmetricConjugateGradients(
                    problem, measurement: measurement.frames, start: start, iterations: 4)
                let result = try step.apply(start, measurement, noiseToSignal: 0.5)
                #expect(try relativeError(result.frames, x) == 0, "\(problem) \(shape)")
                #expect(result.residual == Residual(before: report.residualBefore, after: report.residualAfter))
                #expect(result.passedNoise == nil)
            }
        }
    }

    @Test func badArgumentsAreRefused() throws {
        let (problem, y) = (try GaussianBlur(size: 5, sigma: 1), try random([1, 3, 8, 8], seed: 1))
        #expect(throws: ProblemError.shapeMismatch(what: "start", shape: [1, 3, 2, 2], expected: [1, 3, 8, 8])) {
            try symmetricConjugateGradients(problem, measurement: y, start: .zeros([1, 3, 2, 2]))
        }
        #expect(throws: ProblemError.notFinite("measurement")) {
            try symmetricConjugateGradients(problem, measurement: .full([1, 3, 8, 8], .nan), start: y)
        }
        #expect(throws: ProblemError.notFinite("start")) {
            try symmetricConjugateGradients(problem, measurement: y, start: .full([1, 3, 8, 8], .infinity))
        }
        #expect(throws: ProblemError.self) {
            try symmetricConjugateGradients(problem, measurement: y.to(.float16), start: y.to(.float16))
        }
        #expect(throws: ProblemError.self) {
            try symmetricConjugateGradients(problem, measurement: y, start: y, iterations: -1)
        }
        #expect(throws: ProblemError.self) {
            try symmetricConjugateGradients(problem, measurement: y, start: y, tolerance: .nan)
        }
    }
}
