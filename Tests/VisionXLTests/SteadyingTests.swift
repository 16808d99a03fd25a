import InverseProblems
import TensorKit
import TestSupport
import Testing

@testable import VisionXL

@Suite struct SteadyingTests {
    private static func noise(_ shape: [Int], seed: UInt64) throws -> Tensor {
        var random = RandomGenerator(seed: seed, stream: 0)
        return try random.normal(shape)
    }

    /// Seven noisy views of one picture are averaged: the noise falls to about its root.
    @Test func whatStandsStillIsAveraged() throws {
        let picture = try GaussianBlur(size: 9, sigma: 2).apply(Self.noise([1, 3, 32, 40], seed: 1))
        let still = try picture.expanded([9, -1, -1, -1]).contiguous()
        let noisy = try still + Self.noise([9, 3, 32, 40], seed: 2) * 0.05
        let steady = try SteadyingFilter(strength: 0.05).apply(noisy)
        func error(_ X: Tensor, _ frame: Int) throws -> Double { try (X.rows(frame..<frame + 1) - picture).norm() }
        #expect(try error(steady, 4) < 0.45 * error(noisy, 4))
        // The ends have neighbours on one side.
        #expect(try error(steady, 0) < 0.6 * error(noisy, 0))
        #expect(try (SteadyingFilter(strength: 0.05).apply(still) - still).norm() < 1e-5 * still.norm())
    }

    @Test func whatMovesIsLeftAlone() throws {
        let moving = try Self.noise([5, 3, 24, 24], seed: 3)
        #expect(try (SteadyingFilter(strength: 0.02).apply(moving) - moving).norm() == 0)
        // A still half beside a moving one.
        let still = try moving.rows(0..<1).expanded([5, -1, -1, -1]) + Self.noise([5, 3, 24, 24], seed: 4) * 0.02
        let both = try Tensor.concatenate([moving, still], along: 3)
        let steady = try SteadyingFilter(strength: 0.02).apply(both)
        let change = try (steady - both).absolute().mean(along: [0, 1, 2]).array() as [Float]
        #expect(change[0..<16].allSatisfy { $0 == 0 })
        #expect(change[32...].allSatisfy { $0 > 0.002 })
    }

    @Test func oneFrameIsItself() throws {
        let frame = try Self.noise([1, 3, 16, 16], seed: 5)
        #expect(try (SteadyingFilter(strength: 0.1).apply(frame) - frame).norm() == 0)
    }

    /// A still scene from a noisy measurement comes out steadier, and no further from the truth.
    @Test func restorationsOfNoisyMeasurementsAreSteadier() throws {
        let picture = try GaussianBlur(size: 9, sigma: 2).apply(Self.noise([1, 3, 32, 40], seed: 1)).clamped(to: -1...1)
        let truth = try picture.expanded([7, -1, -1, -1]).contiguous()
        let A = try AveragePooling(factor: 2)
        let Y = try addNoise(to: A.apply(truth), sigma: 0.05, seed: 6)
        func restored(_ steadiness: Double) throws -> Tensor {
            var solver = Solver(prior: BlurPrior())
            solver.options.steadiness = steadiness
            return try solver.restore(measured(Y, A, noise: 0.05)).frames
        }
        func flicker(_ X: Tensor) throws -> Double { try (X.rows(1..<7) - X.rows(0..<6)).norm() }
        let (plain, steady) = (try restored(0), try restored(1))
        #expect(try flicker(steady) < 0.7 * flicker(plain))
        #expect(try (steady - truth).norm() <= (plain - truth).norm())
    }

    /// Without noise and the prior's error there is nothing to average; the paper's strength averages nothing whatever
    /// there is.
    @Test func withoutNoiseNothingIsAveraged() throws {
        let frames = try Self.flickering(0.05)
        func change(_ strength: Double, measurement: Double = 0, passed: Double = 0, prior: Double = 0) throws -> Double
        {
            let steady = try Steadying(strength: strength).apply(
                frames, measurementNoise: measurement, passedNoise: passed, noiseToSignal: prior)
            return try (steady - frames).norm()
        }
        #expect(try change(1) == 0)
        #expect(try change(0, measurement: 0.1, passed: 0.1, prior: 1) == 0)
        #expect(try (Steadying(strength: 0).applyToResult(frames, passedNoise: 0.1) - frames).norm() == 0)
        for changed in try [change(1, measurement: 0.1), change(1, passed: 0.1), change(1, prior: 2)] {
            #expect(changed > 0)
        }
    }

    /// h as the documents have it, and no more of the noise that was let through than is good.
    @Test func theStrengthFollowsTheNoise() throws {
        let frames = try Self.flickering(0.03)
        func expectFilter(_ h: Double, reach: Int = 3, _ steady: Tensor) throws {
            let expected = try SteadyingFilter(strength: h, reach: reach).apply(frames)
            #expect(try (steady - expected).norm() < 1e-6 * frames.norm())
        }
        let steadying = Steadying(strength: 1.5)
        try expectFilter(0.03, steadying.apply(frames, measurementNoise: 0.04, passedNoise: 0.01, noiseToSignal: 0))
        try expectFilter(0.036, steadying.apply(frames, measurementNoise: 0.04, passedNoise: 0.024, noiseToSignal: 0))
        try expectFilter(0.0375, steadying.apply(frames, measurementNoise: 0.04, passedNoise: 9, noiseToSignal: 0))
        try expectFilter(0.075, steadying.apply(frames, measurementNoise: 0.08, passedNoise: 0, noiseToSignal: 1.5))
        try expectFilter(0.0075, steadying.applyToResult(frames, passedNoise: 0.003))
        try expectFilter(
            1.5 * (0.004 * 0.004 + 0.025 * 0.025).squareRoot(), steadying.applyToResult(frames, passedNoise: 9))
        // What a network is given and makes, over all frames.
        try expectFilter(0.03, steadying.applyToMeasurement(frames, noise: 0.02))
        try expectFilter(0.012, reach: 24, steadying.applyToStill(frames))
        try expectFilter(0.0375, reach: 24, steadying.applyToEstimate(frames, factor: 2))
        try expectFilter(0.075, reach: 24, steadying.applyToEstimate(frames, factor: 4))
        try expectFilter(0.075, reach: 24, steadying.applyToEstimate(frames, factor: 8))
    }

    /// A still picture with noise in each frame.
    private static func flickering(_ sigma: Double) throws -> Tensor {
        let picture = try GaussianBlur(size: 9, sigma: 2).apply(Self.noise([1, 3, 32, 40], seed: 1))
        return try picture.expanded([7, -1, -1, -1]) + Self.noise([7, 3, 32, 40], seed: 2) * sigma
    }

    /// Undoing an average makes the rounding to 8 bits larger: it is known by how much, and a still scene stays still.
    @Test func roundingIsSteadied() throws {
        let picture = try GaussianBlur(size: 9, sigma: 2).apply(Self.noise([1, 3, 32, 40], seed: 1)).clamped(
            to: -0.9...0.9)
        let truth = try picture.expanded([9, -1, -1, -1]).contiguous() + Self.noise([9, 3, 32, 40], seed: 2) * 0.004
        let A = try TemporalAverage(window: 7)
        let Y = try A.apply(truth).rounded(toBits: 8)
        func restored(noise: Double) throws -> Tensor {
            try Solver(prior: BlurPrior()).restore(measured(Y, A, noise: noise)).frames
        }
        func flicker(_ X: Tensor) throws -> Double { try (X.rows(1..<9) - X.rows(0..<8)).norm() }
        let rounding = NoiseLevel.rounding(toBits: 8)
        #expect(try flicker(restored(noise: rounding)) < 2 * flicker(truth))
    }

    /// A flicker of less than 8 bits show goes after the last data step where an operator mixed pixels; pixels that
    /// were measured stay exact.
    @Test func theFinalStepIsSteadied() throws {
        let picture = try GaussianBlur(size: 9, sigma: 2).apply(Self.noise([1, 3, 32, 40], seed: 1)).clamped(
            to: -0.9...0.9)
        let truth = try picture.expanded([7, -1, -1, -1]).contiguous() + Self.noise([7, 3, 32, 40], seed: 2) * 0.001
        func restored(_ A: some LinearOperator, _ steadiness: Double) throws -> Tensor {
            var solver = Solver(prior: BlurPrior())
            solver.options.steadiness = steadiness
            return try solver.restore(measured(A.apply(truth), A)).frames
        }
        func flicker(_ X: Tensor) throws -> Double { try (X.rows(1..<7) - X.rows(0..<6)).norm() }
        let blur = try GaussianBlur(size: 5, sigma: 0.6)
        #expect(try flicker(restored(blur, 1)) < 0.7 * flicker(restored(blur, 0)))
        let mask = try Mask.random(ratio: 0.5, seed: 3, height: 32, width: 40)
        #expect(try relativeError(mask.apply(restored(mask, 1)), mask.apply(truth)) < 1e-5)
    }

    /// What an average over time does not see is found, unless nothing is to be steadied or frames that were brought along tell it.
    @Test func whatNoAverageSeesIsFound() throws {
        // What comes again after three frames and has no mean there.
        let swing = try Tensor([0.2, -0.2, 0, 0.2, -0.2, 0, 0.2, -0.2, 0] as [Float], shape: [9, 1, 1, 1])
        let picture = try GaussianBlur(size: 9, sigma: 2).apply(Self.noise([1, 3, 32, 40], seed: 1)).clamped(
            to: -0.7...0.7)
        let still = try picture.expanded([9, -1, -1, -1]).contiguous()
        let swinging = try still + swing
        let A = try TemporalAverage(window: 3, boundary: .valid)
        #expect(try relativeError(A.apply(swinging), A.apply(still)) < 1e-6)
        func restored(_ change: (inout Solver<BlurPrior>) -> Void) throws -> Tensor {
            var solver = Solver(prior: BlurPrior(seesNoise: false))
            change(&solver)
            return try solver.restore(measured(A.apply(still), A, noise: 0.001)).frames
        }
        func swings(_ X: Tensor) throws -> Double { try abs((X * swing).mean().item()) }
        let told = try swings(swinging)
        #expect(try swings(restored { $0.ownEstimate = swinging }) > 0.3 * told)
        #expect(try swings(restored { _ in }) < 0.01 * told)
    }

    /// Only what the noise would hide counts as not seen in the start, a tenth at most, but for what a blur weakens beside it.
    @Test func theLeastThatIsSeenFollowsTheNoise() throws {
        func leastSeen(_ problem: Problem, noise: Double) throws -> Double {
            let A = try problem.operator(height: 16, width: 24)
            let Y = try A.apply(Self.noise([9, 3, 16, 24], seed: 1))
            return try FirstEstimate.leastSeen(of: VideoMeasurement(Y, operator: A, noise: .sigma(noise)))
        }
        let average = Average(frames: 3, boundary: .open)
        #expect(try abs(leastSeen(Problem(average), noise: 0.002) - 0.02) < 1e-9)
        #expect(try leastSeen(Problem(average, Holes(ratio: 0.5)), noise: 0.05) == 0.1)
        #expect(try leastSeen(Problem(average, Blur(sigma: 1)), noise: 0.002) == 0.1)
    }
}
