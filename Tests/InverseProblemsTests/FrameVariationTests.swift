import TensorKit
import TestSupport
import Testing

@testable import InverseProblems

@Suite struct FrameVariationTests {
    static let height = 24, width = 32

    /// |D X|_1, D the differences of neighbours in height and width.
    static func variation(_ x: Tensor) throws -> Double {
        try Neighbours.all(x.shape).filter { $0.axis != 0 }.reduce(0) {
            try $0 + $1.difference(x).absolute().sum().item()
        }
    }

    static func minimize(
        _ A: any LinearOperator, _ Y: Tensor, start: Tensor, noise: Double, weight: Double = 10, iterations: Int = 20,
        step: Double = 0.06
    ) throws -> Tensor {
        let measurement = try VideoMeasurement(Y, operator: A, noise: .sigma(noise))
        return try minimizeFrameVariation(measurement, start: start, weight: weight, iterations: iterations, step: step)
    }

    /// Where the measurement is exact, it is met, and nothing that meets it varies less: not the truth, nor what lies around the solution.
    @Test func fillsHolesWithTheLeastVariation() throws {
        var truth = try Tensor.full([2, 3, Self.height, Self.width], -0.5)
        try truth.replace(along: 3, from: 13, with: .full([2, 3, Self.height, Self.width - 13], 0.75))
        let A = try Mask.random(ratio: 0.5, seed: 4, height: Self.height, width: Self.width)
        let Y = try A.apply(truth)
        let X = try Self.minimize(A, Y, start: Y, noise: 1e-6, iterations: 500)
        #expect(try (A.apply(X) - Y).norm() < 1e-5 * Y.norm())
        #expect(try Self.variation(X) < 1.001 * Self.variation(truth))
        #expect(try (X - truth).norm() < 0.5 * (Y - truth).norm())
        let direction = try random(X.shape, seed: 5)
        let unseen = try direction - A.apply(direction)
        for size in [-0.01, 0.01] { #expect(try Self.variation(X.adding(unseen, times: size)) > Self.variation(X)) }
    }

    /// Twenty iterations, as the solver takes, come close to what two thousand find, for the tasks with holes.
    @Test(arguments: ["inpaint", "inpaint+"]) func twentyIterationsSuffice(task: String) throws {
        let A = try Problem(task: task).operator(height: Self.height, width: Self.width)
        let Y = try A.apply(movingTexture(8, Self.height, Self.width))
        func variation(_ iterations: Int) throws -> Double {
            try Self.variation(Self.minimize(A, Y, start: Y, noise: 1e-3, iterations: iterations))
        }
        let (some, all) = (try variation(20), try variation(2000))
        #expect(some < 1.05 * all && some > 0.99 * all, "\(some), \(all)")
    }

    /// Frames are coupled by the operator alone.
    @Test func framesStandAlone() throws {
        let A = try Mask.random(ratio: 0.5, seed: 6, height: 9, width: 11)
        let Y = try A.apply(random([3, 3, 9, 11], seed: 7))
        let all = try Self.minimize(A, Y, start: Y, noise: 0.1, iterations: 20)
        let one = try Self.minimize(A, Y.rows(1..<2), start: Y.rows(1..<2), noise: 0.1, iterations: 20)
        #expect(try relativeDistance(all.rows(1..<2), one) < 1e-6)
    }

    @Test func keepsWhatNeedsNoChange() throws {
        let Y = try Tensor.full([2, 3, 4, 5], 0.25)
        let X = try Self.minimize(Identity(), Y, start: Y, noise: 0.1)
        #expect(try relativeDistance(X, Y) < 1e-6)
        let start = try random([1, 1, 1, 1], seed: 8)
        #expect(try Self.minimize(Identity(), start, start: start, noise: 0.1).shape == [1, 1, 1, 1])
        #expect(try (Self.minimize(Identity(), Y, start: Y * 2, noise: 0.1, iterations: 0) - Y * 2).norm() == 0)
    }

    /// An exact measurement has float32's rounding.
    @Test func noNoiseIsRounding() throws {
        let A = try Mask.random(ratio: 0.5, seed: 6, height: 9, width: 11)
        let Y = try A.apply(random([2, 3, 9, 11], seed: 7))
        let exact = try Self.minimize(A, Y, start: Y, noise: 0, iterations: 20)
        #expect(try relativeDistance(exact, Self.minimize(A, Y, start: Y, noise: 1e-6, iterations: 20)) == 0)
        #expect(try relativeDistance(A.apply(exact), Y) < 1e-5)
    }

    /// What was dequantized is what is held to.
    @Test func startsFromTheBestThatIsKnown() throws {
        var measurement = try VideoMeasurement(.full([1, 3, 4, 5], 0.25), operator: Identity(), noise: .sigma(1e-3))
        measurement.dequantized = try .full([1, 3, 4, 5], 0.5)
        let X = try minimizeFrameVariation(measurement, start: measurement.frames)
        #expect(try relativeDistance(X, .full([1, 3, 4, 5], 0.5)) < 1e-4)
    }

    /// A hole has no variation to add: what the masks of a frame know of it decides it alone.
    @Test func everyFrameHasItsOwnHoles() throws {
        let A = try Registered.maskOfEachFrame([3, 3, 9, 11])
        let Y = try A.apply(random([3, 3, 9, 11], seed: 7))
        let all = try Self.minimize(A, Y, start: Y, noise: 0.1, iterations: 20)
        for frame in 0..<3 {
            let mask = try Mask(A.mask.select(0, frame).select(0, 0))
            let Y = try Y.rows(frame..<frame + 1)
            #expect(
                try relativeDistance(
                    all.rows(frame..<frame + 1), Self.minimize(mask, Y, start: Y, noise: 0.1, iterations: 20)) < 1e-6)
        }
    }

    @Test func whatDoesNotFitIsRefused() throws {
        let Y = try Tensor.zeros([2, 3, 4, 4])
        func minimize(
            _ Y: Tensor, start: Tensor, noise: Double = 0.1, weight: Double = 1, iterations: Int = 1, step: Double = 1
        ) throws {
            _ = try Self.minimize(
                Identity(), Y, start: start, noise: noise, weight: weight, iterations: iterations, step: step)
        }
        for bad in [-1, .nan, .infinity] {
            #expect(throws: ProblemError.self) { try minimize(Y, start: Y, noise: bad) }
        }
        for bad in [0, -1, .nan, .infinity] {
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
