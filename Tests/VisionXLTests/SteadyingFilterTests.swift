import InverseProblems
import TensorKit
import TestSupport
import Testing

@testable import VisionXL

@Suite struct SteadyingFilterTests {
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

    /// A still scene from a noisy measurement comes out steadier, and no further from the truth; without noise and prior error h is 0.
    @Test func restorationsOfNoisyMeasurementsAreSteadier() throws {
        let picture = try GaussianBlur(size: 9, sigma: 2).apply(Self.noise([1, 3, 32, 40], seed: 1)).clamped(to: -1...1)
        let truth = try picture.expanded([7, -1, -1, -1]).contiguous()
        let A = try AveragePooling(factor: 2)
        let Y = try addNoise(to: A.apply(truth), sigma: 0.05, seed: 6)
        func restored(_ steadiness: Double) throws -> Tensor {
            var solver = Solver(prior: SolverTests.prior)
            solver.options.steadiness = steadiness
            return try solver.restore(Y, operator: A, measurementNoise: 0.05).frames
        }
        func flicker(_ X: Tensor) throws -> Double { try (X.rows(1..<7) - X.rows(0..<6)).norm() }
        let (plain, steady) = (try restored(0), try restored(1))
        #expect(try flicker(steady) < 0.7 * flicker(plain))
        #expect(try (steady - truth).norm() <= (plain - truth).norm())
        #expect(RestorationOptions().steadyingStrength(measurementNoise: 0, passedNoise: 0, noiseToSignal: 0) == 0)
        #expect(RestorationOptions.paper.finalSteadyingStrength(passedNoise: 0.1) == 0)
        #expect(RestorationOptions.paper.steadyingStrength(measurementNoise: 0.1, passedNoise: 0.1, noiseToSignal: 1) == 0)
    }

    /// Undoing an average makes the rounding to 8 bits larger: it is known by how much, and a still scene stays still.
    @Test func roundingIsSteadied() throws {
        let picture = try GaussianBlur(size: 9, sigma: 2).apply(Self.noise([1, 3, 32, 40], seed: 1)).clamped(to: -0.9...0.9)
        let truth = try picture.expanded([9, -1, -1, -1]).contiguous() + Self.noise([9, 3, 32, 40], seed: 2) * 0.004
        let A = try TemporalAverage(window: 7)
        let Y = try A.apply(truth).rounded(toBits: 8)
        func restored(noise: Double) throws -> Tensor {
            try Solver(prior: SolverTests.prior).restore(Y, operator: A, measurementNoise: noise).frames
        }
        func flicker(_ X: Tensor) throws -> Double { try (X.rows(1..<9) - X.rows(0..<8)).norm() }
        let rounding = NoiseLevel.rounding(toBits: 8)
        #expect(try flicker(restored(noise: rounding)) < 2 * flicker(truth))
    }

    /// A flicker of less than 8 bits show goes after the last data step where an operator mixed pixels; pixels that were measured stay exact.
    @Test func theFinalStepIsSteadied() throws {
        let picture = try GaussianBlur(size: 9, sigma: 2).apply(Self.noise([1, 3, 32, 40], seed: 1)).clamped(to: -0.9...0.9)
        let truth = try picture.expanded([7, -1, -1, -1]).contiguous() + Self.noise([7, 3, 32, 40], seed: 2) * 0.001
        func restored(_ A: some LinearOperator, _ steadiness: Double) throws -> Tensor {
            var solver = Solver(prior: SolverTests.prior)
            solver.options.steadiness = steadiness
            return try solver.restore(A.apply(truth), operator: A).frames
        }
        func flicker(_ X: Tensor) throws -> Double { try (X.rows(1..<7) - X.rows(0..<6)).norm() }
        let blur = try GaussianBlur(size: 5, sigma: 0.6)
        #expect(try flicker(restored(blur, 1)) < 0.7 * flicker(restored(blur, 0)))
        let mask = try Mask.random(ratio: 0.5, seed: 3, height: 32, width: 40)
        #expect(try relativeError(mask.apply(restored(mask, 1)), mask.apply(truth)) < 1e-5)
    }
}
