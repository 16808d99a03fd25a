import InverseProblems
import TensorKit
import TestSupport
import Testing

@testable import Baselines

@Suite struct TotalVariationTests {
    /// <D x, d> = <x, D'd> for every part of D, videos of single frames, rows and columns included.
    @Test(arguments: Registered.shapes) func theAdjointOfTheDifferencesIsExact(shape: [Int]) throws {
        let x = try random(shape, seed: 1, dtype: .float64)
        for (index, pairs) in Neighbours.all(shape).enumerated() {
            let difference = try pairs.difference(x)
            #expect(difference.shape == pairs.shape(in: shape))
            let d = try random(difference.shape, seed: UInt64(index) + 2, dtype: .float64)
            var adjoint = try Tensor.zeros(shape, dtype: .float64)
            try pairs.addAdjoint(d, times: 1, to: &adjoint)
            let (left, right) = (try difference.dot(d), try x.dot(adjoint))
            #expect(abs(left - right) <= 1e-12 * (1 + abs(left)))
        }
    }

    @Test func everyPairOfNeighboursIsCountedOnce() throws {
        let shape = [3, 2, 4, 5]
        let pairs = Neighbours.all(shape).reduce(0) { $0 + $1.shape(in: shape).reduce(1, *) }
        #expect(pairs == 2 * 2 * 4 * 5 + 3 * 2 * 3 * 5 + 3 * 2 * 4 * 4)
        #expect(Neighbours.all([1, 1, 1, 1]).isEmpty)
        #expect(try totalVariation(.ones([1, 1, 1, 1])) == 0)
    }

    @Test func totalVariationOfAStepIsItsAreaTimesItsHeight() throws {
        var video = try Tensor.zeros([4, 3, 6, 8])
        try video.replace(along: 3, from: 5, with: .full([4, 3, 6, 3], 0.5))
        #expect(try totalVariation(video) == 4 * 3 * 6 * 0.5)
        #expect(try totalVariation(video + 7) == 4 * 3 * 6 * 0.5)
        #expect(throws: ProblemError.self) { try totalVariation(.zeros([2, 2])) }
    }

    /// ADMM promises the limit, not the way; on these problems, the six tasks of the paper's tables among them, every one of the thirty
    /// outer iterations lowers the objective.
    @Test(arguments: Problem.tasks) func theObjectiveFallsOnEveryTask(task: String) throws {
        let truth = try movingTexture(8, 24, 32)
        let problem = try Problem(task: task).operator(height: 24, width: 32)
        let Y = try problem.apply(truth)
        let (X, report) = try minimizeTotalVariation(problem, measurement: Y)
        let values = report.objectives
        for (iteration, (earlier, later)) in zip(values, values.dropFirst()).enumerated() {
            #expect(later < earlier, "outer iteration \(iteration + 1)")
        }
        #expect(values.count == 31 && report.residuals.count == 31)
        // What is reported is true of X.
        let rest = try Y - problem.apply(X)
        let objective = try 0.5 * rest.dot(rest) + 1e-3 * totalVariation(X)
        #expect(abs(objective - values[30]) < 1e-5 * objective)
        #expect(abs(try rest.norm() / Y.norm() - report.residuals[30]) < 1e-6)
    }

    /// The objectives that the same formulas gave in a few lines of PyTorch, with z stored and the differences padded by zeros.
    @Test func theWayIsTheOneOfTheFormulas() throws {
        let problem = try AveragePooling(factor: 4)
        let (_, report) = try minimizeTotalVariation(problem, measurement: problem.apply(movingTexture(8, 24, 32)))
        for (iteration, expected) in [1: 29.82, 2: 19.312, 5: 7.9999, 10: 4.324, 20: 3.4561, 30: 3.3433] {
            #expect(abs(report.objectives[iteration] - expected) < 2e-4 * expected, "iteration \(iteration)")
        }
    }

    /// At the minimum A'(Y - A X) = lambda D's with s the signs of D X where it is not zero and within -1...1 elsewhere. For a single pair of
    /// pixels and A = 1 that is soft thresholding: both move towards each other by lambda, or meet.
    @Test(arguments: [(0.3, 0.3, 0.7), (0.6, 0.5, 0.5)]) func twoPixelsMeetOrMoveByLambda(
        weight: Double, low: Double, high: Double
    ) throws {
        var options = TotalVariationOptions()
        (options.weight, options.iterations) = (weight, 200)
        let Y = try Tensor([0.0, 1.0], shape: [1, 1, 1, 2])
        let (X, _) = try minimizeTotalVariation(Identity(), measurement: Y, options: options)
        let values: [Double] = try X.array()
        #expect(abs(values[0] - low) < 1e-6 && abs(values[1] - high) < 1e-6)
    }

    /// The penalty changes the way, not where it leads.
    @Test func theSolutionDoesNotDependOnThePenalty() throws {
        let truth = try movingTexture(3, 8, 12, dtype: .float64)
        let problem = try GaussianBlur(size: 5, sigma: 1)
        func minimum(_ penalty: Double) throws -> Double {
            var options = TotalVariationOptions()
            (options.weight, options.penalty, options.iterations) = (0.05, penalty, 400)
            let (_, report) = try minimizeTotalVariation(problem, measurement: problem.apply(truth), options: options)
            return report.objectives[400]
        }
        let (one, other) = (try minimum(1), try minimum(0.2))
        #expect(abs(one - other) < 1e-3 * one)
    }

    /// |Y - A X|^2 / (2 sigma^2) + weight |D X|_1 of a single frame: `minimizeFrameVariation` finds the same minimum.
    @Test(arguments: ["sr4", "deblur", "inpaint"]) func agreesWithTheFrameVariation(task: String) throws {
        let (height, width) = (24, 32)
        let A = try Problem(task: task).operator(height: height, width: width)
        let Y = try A.apply(movingTexture(1, height, width))
        let (noise, weight) = (0.1, 3.0)
        func objective(_ X: Tensor) throws -> Double {
            let distance = try (Y - A.apply(X)).norm() / noise
            return try distance * distance / 2 + weight * totalVariation(X)
        }
        let X = try minimizeFrameVariation(
            VideoMeasurement(Y, operator: A, noise: .sigma(noise)), start: .zeros([1, 3, height, width]),
            weight: weight, iterations: 1000)
        var options = TotalVariationOptions()
        (options.weight, options.penalty, options.iterations) = (weight * noise * noise, 0.3, 200)
        let other = try minimizeTotalVariation(A, measurement: Y, options: options).solution
        let (found, known) = (try objective(X), try objective(other))
        #expect(abs(found - known) < 2e-3 * known, "\(found), \(known)")
    }

    @Test func aMeasurementOfZerosIsAVideoOfZeros() throws {
        let (X, report) = try minimizeTotalVariation(AveragePooling(factor: 2), measurement: .zeros([2, 3, 4, 4]))
        #expect(try X.absolute().maximum().item() == 0)
        #expect(report.objectives.allSatisfy { $0 == 0 } && report.objectives.count == 31)
    }

    @Test func whatDoesNotFitIsRefused() throws {
        let Y = try Tensor.zeros([2, 3, 4, 4])
        for change in [
            { (o: inout TotalVariationOptions) in o.weight = -1 }, { o in o.weight = .nan }, { o in o.penalty = 0 },
            { o in o.iterations = 0 }, { o in o.innerSteps = 0 },
        ] as [(inout TotalVariationOptions) -> Void] {
            var options = TotalVariationOptions()
            change(&options)
            #expect(throws: ProblemError.self) {
                try minimizeTotalVariation(Identity(), measurement: Y, options: options)
            }
        }
        #expect(throws: ProblemError.self) { try minimizeTotalVariation(Identity(), measurement: .zeros([2, 4])) }
        #expect(throws: ProblemError.self) { try minimizeTotalVariation(Identity(), measurement: Y.to(.float16)) }
        #expect(throws: ProblemError.self) {
            try minimizeTotalVariation(Identity(), measurement: .full([2, 3, 4, 4], .nan))
        }
    }
}
