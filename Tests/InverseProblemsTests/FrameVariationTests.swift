import TensorKit
import Testing

@testable import InverseProblems

@Suite struct FrameVariationTests {
    static let height = 24, width = 32

    /// |Y - A X|^2 / (2 sigma^2) + weight |D X|_1 of a single frame, where the differences are those of `totalVariation`.
    static func objective(_ A: any LinearOperator, _ Y: Tensor, _ X: Tensor, noise: Double, weight: Double) throws -> Double {
        let distance = try (Y - A.apply(X)).norm() / noise
        return try distance * distance / 2 + weight * totalVariation(X)
    }

    /// Another way to the same minimum: ADMM with conjugate gradients.
    @Test(arguments: ["sr4", "deblur", "inpaint"]) func agreesWithADMM(task: String) throws {
        let A = try Problem(task: task).operator(height: Self.height, width: Self.width)
        let Y = try A.apply(TotalVariationTests.movingTexture(1, Self.height, Self.width))
        let (noise, weight) = (0.1, 3.0)
        let start = try Tensor.zeros([1, 3, Self.height, Self.width])
        let X = try minimizeFrameVariation(A, measurement: Y, start: start, noise: noise, weight: weight, iterations: 1000)
        var options = TotalVariationOptions()
        (options.weight, options.penalty, options.iterations) = (weight * noise * noise, 0.3, 200)
        let other = try minimizeTotalVariation(A, measurement: Y, options: options).solution
        let (found, known) = try (
            Self.objective(A, Y, X, noise: noise, weight: weight), Self.objective(A, Y, other, noise: noise, weight: weight)
        )
        #expect(abs(found - known) < 2e-3 * known, "\(found), \(known)")
    }

    /// Where the measurement is exact, it is met, and nothing that meets it varies less: not the truth, nor what lies around the solution.
    @Test func fillsHolesWithTheLeastVariation() throws {
        var truth = try Tensor.full([2, 3, Self.height, Self.width], -0.5)
        try truth.replace(along: 3, from: 13, with: .full([2, 3, Self.height, Self.width - 13], 0.75))
        let A = try Mask.random(ratio: 0.5, seed: 4, height: Self.height, width: Self.width)
        let Y = try A.apply(truth)
        let X = try minimizeFrameVariation(A, measurement: Y, start: Y, noise: 1e-6, iterations: 500)
        #expect(try (A.apply(X) - Y).norm() < 1e-5 * Y.norm())
        func variation(_ x: Tensor) throws -> Double {
            try (0..<2).reduce(0) { try $0 + totalVariation(x.rows($1..<$1 + 1)) }
        }
        #expect(try variation(X) < 1.001 * variation(truth))
        #expect(try (X - truth).norm() < 0.5 * (Y - truth).norm())
        let direction = try random(X.shape, seed: 5)
        let unseen = try direction - A.apply(direction)
        for size in [-0.01, 0.01] { #expect(try variation(X.adding(unseen, times: size)) > variation(X)) }
    }

    /// Fifty iterations, as the solver takes, come close to what two thousand find, for the tasks with holes.
    @Test(arguments: ["inpaint", "inpaint+"]) func fiftyIterationsSuffice(task: String) throws {
        let A = try Problem(task: task).operator(height: Self.height, width: Self.width)
        let Y = try A.apply(TotalVariationTests.movingTexture(8, Self.height, Self.width))
        func variation(_ iterations: Int) throws -> Double {
            let X = try minimizeFrameVariation(A, measurement: Y, start: Y, noise: 1e-3, iterations: iterations)
            return try (0..<8).reduce(0) { try $0 + totalVariation(X.rows($1..<$1 + 1)) }
        }
        let (some, all) = (try variation(50), try variation(2000))
        #expect(some < 1.02 * all && some > 0.99 * all, "\(some), \(all)")
    }

    /// Frames are coupled by the operator alone.
    @Test func framesStandAlone() throws {
        let A = try Mask.random(ratio: 0.5, seed: 6, height: 9, width: 11)
        let Y = try A.apply(random([3, 3, 9, 11], seed: 7))
        let all = try minimizeFrameVariation(A, measurement: Y, start: Y, noise: 0.1, iterations: 20)
        let one = try minimizeFrameVariation(A, measurement: Y.rows(1..<2), start: Y.rows(1..<2), noise: 0.1, iterations: 20)
        #expect(try relativeDistance(all.rows(1..<2), one) < 1e-6)
    }

    @Test func keepsWhatNeedsNoChange() throws {
        let Y = try Tensor.full([2, 3, 4, 5], 0.25)
        let X = try minimizeFrameVariation(Identity(), measurement: Y, start: Y, noise: 0.1)
        #expect(try relativeDistance(X, Y) < 1e-6)
        let start = try random([1, 1, 1, 1], seed: 8)
        #expect(try minimizeFrameVariation(Identity(), measurement: start, start: start, noise: 0.1).shape == [1, 1, 1, 1])
        #expect(try (minimizeFrameVariation(Identity(), measurement: Y, start: Y * 2, noise: 0.1, iterations: 0) - Y * 2).norm() == 0)
    }

    @Test func whatDoesNotFitIsRefused() throws {
        let Y = try Tensor.zeros([2, 3, 4, 4])
        func minimize(_ Y: Tensor, start: Tensor, noise: Double = 0.1, weight: Double = 1, iterations: Int = 1, step: Double = 1) throws {
            _ = try minimizeFrameVariation(
                Identity(), measurement: Y, start: start, noise: noise, weight: weight, iterations: iterations, step: step)
        }
        for bad in [0, -1, .nan, .infinity] {
            #expect(throws: ProblemError.self) { try minimize(Y, start: Y, noise: bad) }
            #expect(throws: ProblemError.self) { try minimize(Y, start: Y, weight: bad) }
            #expect(throws: ProblemError.self) { try minimize(Y, start: Y, step: bad) }
        }
        #expect(throws: ProblemError.self) { try minimize(Y, start: Y, iterations: -1) }
        #expect(throws: ProblemError.self) { try minimize(Y, start: .zeros([2, 3, 4, 5])) }
        #expect(throws: ProblemError.self) { try minimize(Y, start: .zeros([2, 4])) }
        #expect(throws: ProblemError.self) { try minimize(.full([2, 3, 4, 4], .nan), start: Y) }
        #expect(throws: ProblemError.self) { try minimize(Y.to(.float16), start: Y.to(.float16)) }
    }
}
