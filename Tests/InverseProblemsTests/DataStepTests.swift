import TensorKit
import TestSupport
import Testing

@testable import InverseProblems

@Suite struct ConjugateGradientStepTests {
    @Test(arguments: Registered.all) func isTheFunction(registered: Registered) throws {
        for (problem, shape) in try registered.cases() where shape.reduce(1, *) < 1500 {
            let measurement = try VideoMeasurement(
                random(problem.outputShape(for: shape), seed: 1), operator: problem, noise: .sigma(0.3))
            let start = try random(shape, seed: 2)
            let (x, report) = try conjugateGradients(
                problem, measurement: measurement.frames, start: start, iterations: 4)
            let step = ConjugateGradientStep(iterations: 4)
            for unit in [0.01, 10] {
                let result = try step.apply(start, measurement, noiseToSignal: unit)
                #expect(try relativeDistance(result.frames, x) == 0, "\(problem) \(shape)")
                #expect(result.residual == Residual(before: report.residualBefore, after: report.residualAfter))
                #expect(result.passedNoise == nil)
            }
        }
    }

    @Test func ordinaryNumbers() throws {
        let step = ConjugateGradientStep()
        #expect(step.iterations == 10 && !step.solvesFramesAlone && step.range == nil)
        // Nothing is prepared, and no start is asked for.
        let measurement = try VideoMeasurement(random([2, 3, 4, 5], seed: 1), operator: Identity(), noise: .none)
        let prepared = try step.prepared(measurement) { throw ProblemError.invalidParameter("No start is needed.") }
        #expect(prepared.dequantized == nil)
        #expect(try (prepared.frames - measurement.frames).norm() == 0)
    }

    /// Each frame as if it were the only one; the residual is the whole video's.
    @Test(arguments: ["blur 5 1.0 reflect", "pooling 3", "grey, then blur", "blur, grey, then mask", "mask"])
    func framesAloneWhereTheyAreNotMixed(name: String) throws {
        let registered = try #require(Registered.all.named(name).first)
        for (problem, shape) in try registered.cases() where shape[0] > 1 {
            var Y = try random(problem.outputShape(for: shape), seed: 1)
            // One frame that is louder, and one that is black.
            try Y.add(Y.rows(0..<1), times: 4, at: [0, 0, 0, 0])
            try Y.replace(along: 0, from: 1, with: .zeros([1] + Y.shape[1...]))
            let measurement = try VideoMeasurement(Y, operator: problem, noise: .none)
            let start = try random(shape, seed: 2)
            let alone = try ConjugateGradientStep(iterations: 3, solvesFramesAlone: true).apply(
                start, measurement, noiseToSignal: 1)
            for frame in 0..<shape[0] {
                let rows = frame..<frame + 1
                let x = try conjugateGradients(
                    problem, measurement: measurement.frames.rows(rows), start: start.rows(rows), iterations: 3
                ).solution
                #expect(try relativeDistance(alone.frames.rows(rows), x) == 0, "\(problem) \(shape) \(frame)")
            }
            #expect(
                try abs(alone.residual.before - measurement.residual(of: start)) < 1e-5 * (1 + alone.residual.before))
            #expect(
                try abs(alone.residual.after - measurement.residual(of: alone.frames)) < 1e-5
                    * (1 + alone.residual.before))
            let together = try ConjugateGradientStep(iterations: 3).apply(start, measurement, noiseToSignal: 1)
            #expect(alone.residual.after <= together.residual.after * (1 + 1e-5))
        }
    }

    @Test(arguments: ["average 3 circular", "mask of each frame", "task deblur+"]) func framesTogetherWhereTheyAreMixed(
        name: String
    ) throws {
        let registered = try #require(Registered.all.named(name).first)
        for (problem, shape) in try registered.cases() where shape.reduce(1, *) < 1500 {
            let measurement = try VideoMeasurement(
                random(problem.outputShape(for: shape), seed: 1), operator: problem, noise: .none)
            let start = try random(shape, seed: 2)
            let alone = try ConjugateGradientStep(iterations: 3, solvesFramesAlone: true).apply(
                start, measurement, noiseToSignal: 1)
            let together = try ConjugateGradientStep(iterations: 3).apply(start, measurement, noiseToSignal: 1)
            #expect(try relativeDistance(alone.frames, together.frames) == 0 && alone.residual == together.residual)
        }
    }

    @Test func badNumbersAreRefused() throws {
        let measurement = try VideoMeasurement(random([2, 3, 4, 5], seed: 1), operator: Identity(), noise: .none)
        #expect(throws: ProblemError.self) {
            try ConjugateGradientStep(iterations: -1).apply(measurement.frames, measurement, noiseToSignal: 1)
        }
        #expect(throws: ProblemError.self) {
            try ConjugateGradientStep().apply(.zeros([2, 3, 4, 4]), measurement, noiseToSignal: 1)
        }
    }
}

@Suite struct ProximalStepTests {
    @Test func ordinaryNumbers() {
        let step = ProximalStep()
        #expect(step.error == 0.4...2 && step.roundedBits == nil && step.range == -1...1)
    }

    /// The bounds grow with the noise of the latents.
    @Test(arguments: Registered.all) func isTheFunction(registered: Registered) throws {
        for (problem, shape) in try registered.cases() where shape.reduce(1, *) < 1500 {
            let measurement = try VideoMeasurement(
                random(problem.outputShape(for: shape), seed: 1), operator: problem, noise: .sigma(0.3))
            let start = try random(shape, seed: 2)
            for (error, unit) in [(0.4...2, 0.25), (0.5...0.5, 2)] as [(ClosedRange<Double>, Double)] {
                let (x, passed) = try problem.solveProximal(
                    measurement.frames, around: start, noise: 0.3,
                    error: error.lowerBound * unit...error.upperBound * unit)
                let result = try ProximalStep(error: error).apply(start, measurement, noiseToSignal: unit)
                #expect(try relativeDistance(result.frames, x) == 0, "\(problem) \(shape)")
                #expect(result.passedNoise == passed)
                #expect(
                    try result.residual
                        == Residual(before: measurement.residual(of: start), after: measurement.residual(of: x)))
            }
        }
    }

    /// An exact measurement is one with float32's rounding.
    @Test func noNoiseIsRounding() throws {
        let problem = try AveragePooling(factor: 2)
        let Y = try problem.apply(random([2, 3, 8, 12], seed: 1))
        let start = try random([2, 3, 8, 12], seed: 2)
        let result = try ProximalStep().apply(
            start, VideoMeasurement(Y, operator: problem, noise: .none), noiseToSignal: 1)
        let expected = try problem.proximal(Y, around: start, noise: 1e-6, error: 0.4...2)
        #expect(try relativeDistance(result.frames, expected) == 0)
        #expect(result.residual.after < 1e-5)
    }

    /// Bands are taken away once, before the first step, and what is left is what the steps hold to.
    @Test func roundedBitsAreDequantized() throws {
        let problem = try GaussianBlur(size: 13, sigma: 2)
        let clean = try problem.apply(DequantizationTests.sky(frames: 2))
        let Y = try clean.rounded(toBits: 8)
        let measurement = try VideoMeasurement(Y, operator: problem, noise: .rounding(toBits: 8))
        let prepared = try ProximalStep(roundedBits: 8).prepared(measurement) { Y }
        let found = try #require(prepared.dequantized)
        #expect(try relativeDistance(found, dequantize(measurement, bits: 8, start: Y)) == 0)
        #expect(try (found - clean).norm() < 0.9 * (Y - clean).norm())
        #expect(try (prepared.frames - Y).norm() == 0)

        let start = try random(Y.shape, seed: 2) * 0.1
        let result = try ProximalStep(roundedBits: 8).apply(start, prepared, noiseToSignal: 0.1)
        let expected = try problem.proximal(found, around: start, noise: measurement.noise.sigma, error: 0.04...0.2)
        #expect(try relativeDistance(result.frames, expected) == 0)
        // The residual is that of what was measured.
        #expect(try result.residual.after == measurement.residual(of: result.frames))

        let plain = try ProximalStep().prepared(measurement) {
            throw ProblemError.invalidParameter("No start is needed.")
        }
        #expect(plain.dequantized == nil)
    }

    @Test func badNumbersAreRefused() throws {
        let measurement = try VideoMeasurement(random([2, 3, 4, 5], seed: 1), operator: Identity(), noise: .sigma(0.1))
        let exact = try VideoMeasurement(measurement.frames, operator: Identity(), noise: .none)
        for (step, unit) in [(ProximalStep(error: 0...1), 1), (ProximalStep(), 0), (ProximalStep(error: -1...1), 1)]
            as [(ProximalStep, Double)]
        {
            #expect(throws: ProblemError.self) { try step.apply(measurement.frames, measurement, noiseToSignal: unit) }
        }
        #expect(throws: ProblemError.self) {
            try ProximalStep(roundedBits: 0).prepared(measurement) { measurement.frames }
        }
        // What is exact was not rounded.
        #expect(throws: ProblemError.self) { try ProximalStep(roundedBits: 8).prepared(exact) { measurement.frames } }
        #expect(throws: ProblemError.self) {
            try ProximalStep().apply(.zeros([2, 3, 4, 4]), measurement, noiseToSignal: 1)
        }
    }
}
