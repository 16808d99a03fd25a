import TensorKit
import TestSupport
import Testing

@testable import InverseProblems

@Suite struct VideoMeasurementTests {
    static let shape = [4, 3, 6, 8]

    static func masks() throws -> [Mask] { try [Registered.mask(shape), Registered.maskOfEachFrame(shape)] }

    /// Whatever stands in a hole, no number at all included.
    @Test(arguments: [0.25, -7, .nan, .infinity, -.infinity]) func holesAreZero(value: Double) throws {
        for mask in try Self.masks() {
            for dtype in [DType.float32, .float64] {
                let y = try random(Self.shape, seed: 1, dtype: dtype)
                let known = try mask.mask.to(dtype)
                let hole = try Tensor.full([], value, dtype: dtype)
                let stored = try y.selected(where: mask.mask.isGreater(than: 0.5), otherwise: hole)
                for problem in [mask, try GaussianBlur(size: 5, sigma: 1).then(mask)] as [any LinearOperator] {
                    let measurement = try VideoMeasurement(stored, operator: problem, noise: .none)
                    #expect(try (measurement.frames - y * known).norm() == 0)
                    #expect(try (#require(measurement.known) - known).norm() == 0)
                    #expect(measurement.frames.dtype == dtype && measurement.known?.dtype == dtype)
                }
            }
        }
        // What is measured is as it was.
        let y = try Tensor.full(Self.shape, value)
        let whole = try VideoMeasurement(y, operator: Identity(), noise: .none)
        #expect(whole.known == nil)
        #expect(try whole.frames.array(of: Float.self).map(\.bitPattern) == y.array(of: Float.self).map(\.bitPattern))
    }

    /// What stood in the holes changes no solution.
    @Test func holesTellNothing() throws {
        for mask in try Self.masks() {
            let y = try random(Self.shape, seed: 1)
            let hole = try Tensor.full([], Double.nan)
            let stored = try y.selected(where: mask.mask.isGreater(than: 0.5), otherwise: hole)
            let (a, b) = try (
                VideoMeasurement(y, operator: mask, noise: .sigma(0.1)),
                VideoMeasurement(stored, operator: mask, noise: .sigma(0.1))
            )
            let start = try random(Self.shape, seed: 2)
            for step in [ConjugateGradientStep(iterations: 3), ProximalStep()] as [any DataStep] {
                let (first, second) = try (
                    step.apply(start, a, noiseToSignal: 0.5), step.apply(start, b, noiseToSignal: 0.5)
                )
                #expect(try (first.frames - second.frames).norm() == 0)
                #expect(first.residual == second.residual)
            }
        }
    }

    @Test(arguments: [-1e-9, -1, .nan, .infinity, -.infinity]) func noiseIsANumberFromZeroOn(sigma: Double) throws {
        let error = #expect(throws: ProblemError.self) {
            try VideoMeasurement(.zeros(Self.shape), operator: Identity(), noise: .sigma(sigma))
        }
        #expect(ProblemTests.isSentence(try #require(error).description))
    }

    @Test func whatTheOperatorCannotMakeIsRefused() throws {
        func refused(_ shape: [Int], _ problem: any LinearOperator) {
            #expect(throws: ProblemError.self) { try VideoMeasurement(.zeros(shape), operator: problem, noise: .none) }
        }
        refused([3, 6, 8], Identity())
        refused([0, 3, 6, 8], Identity())
        refused([4, 3, 6, 9], try Registered.mask(Self.shape))
        refused([5, 3, 6, 8], try Registered.maskOfEachFrame(Self.shape))
        refused([4, 3, 6, 8], Greyscale(.bt601))
        refused([4, 3, 6, 9], try AveragePooling(factor: 2).transposed)
    }

    @Test(arguments: [DType.float64, .float32, .float16, .bfloat16, .uint8]) func otherTypesBecomeFloat32(
        dtype: DType
    ) throws {
        let mask = try Registered.mask(Self.shape)
        let y = try (random(Self.shape, seed: 1) * 40).clamped(to: 0...255).rounded().to(dtype)
        let measurement = try VideoMeasurement(y, operator: mask, noise: .none)
        let expected = dtype == .float64 ? DType.float64 : .float32
        #expect(measurement.frames.dtype == expected && measurement.known?.dtype == expected)
        #expect(try (measurement.frames - mask.apply(y.to(expected))).norm() == 0)
    }

    @Test func conversionsKeepEverything() throws {
        let mask = try Registered.maskOfEachFrame(Self.shape)
        var measurement = try VideoMeasurement(random(Self.shape, seed: 1), operator: mask, noise: .rounding(toBits: 8))
        measurement.dequantized = try measurement.frames * 0.5
        let wide = try measurement.to(.float64)
        #expect([wide.frames, wide.known, wide.dequantized].allSatisfy { $0?.dtype == .float64 })
        #expect(wide.noise == measurement.noise && wide.videoShape == Self.shape)
        let back = try wide.to(.float32)
        #expect(try (back.frames - measurement.frames).norm() == 0)
        let here = try measurement.to(.cpu)
        #expect(try (here.best - measurement.frames * 0.5).norm() == 0)
        #expect(here.frames.device == .cpu && here.known?.device == .cpu)
    }

    @Test func theBestIsWhatWasDequantized() throws {
        var measurement = try VideoMeasurement(random(Self.shape, seed: 1), operator: Identity(), noise: .none)
        #expect(try (measurement.best - measurement.frames).norm() == 0)
        measurement.dequantized = try random(Self.shape, seed: 2)
        #expect(try (measurement.best - random(Self.shape, seed: 2)).norm() == 0)
    }

    /// |Y - A X| / |Y|, by hand and at its ends.
    @Test func theResidualIsRelative() throws {
        for registered in Registered.all.named(
            "blur 5 1.0 reflect", "task sr4+", "grey, then mask of each frame", "mask")
        {
            for (problem, shape) in try registered.cases() {
                let (x, y) = (try random(shape, seed: 1), try random(problem.outputShape(for: shape), seed: 2))
                let measurement = try VideoMeasurement(y, operator: problem, noise: .none)
                #expect(measurement.videoShape == shape)
                let Y = measurement.frames
                guard try Y.norm() > 0 else { continue }
                #expect(try abs(measurement.residual(of: .zeros(shape)) - 1) < 1e-6)
                #expect(try abs(measurement.residual(of: x) - (Y - problem.apply(x)).norm() / Y.norm()) < 1e-6)
                let exact = try VideoMeasurement(problem.apply(x), operator: problem, noise: .none)
                #expect(try exact.residual(of: x) == 0)
            }
        }
        let black = try VideoMeasurement(.zeros(Self.shape), operator: Identity(), noise: .none)
        #expect(try abs(black.residual(of: .ones(Self.shape)) - Double(4 * 3 * 6 * 8).squareRoot()) < 1e-4)
    }

    /// A part of the frames is a measurement of its own, for every operator that does not mix them.
    @Test(arguments: Registered.all) func rowsAreAMeasurement(registered: Registered) throws {
        for (problem, shape) in try registered.cases() where !problem.mixesFrames && shape[0] > 1 {
            var whole = try VideoMeasurement(
                random(problem.outputShape(for: shape), seed: 1), operator: problem, noise: .sigma(0.1))
            whole.dequantized = try whole.frames * 0.5
            let range = 1..<shape[0]
            let part = try whole.rows(range)
            #expect(part.videoShape == [range.count] + shape[1...] && part.noise == whole.noise)
            #expect(try (part.frames - whole.frames.rows(range)).norm() == 0)
            #expect(try (part.best - whole.best.rows(range)).norm() == 0)
            let again = try VideoMeasurement(whole.frames.rows(range), operator: problem, noise: .sigma(0.1))
            #expect(again.videoShape == part.videoShape && again.known?.shape == part.known?.shape)
            #expect(try (again.frames - part.frames).norm() == 0)
        }
    }

    @Test func whatWasMixedAndShrunk() throws {
        func measurement(_ problem: any LinearOperator) throws -> VideoMeasurement {
            try VideoMeasurement(.zeros(problem.outputShape(for: Self.shape)), operator: problem, noise: .none)
        }
        func mixesPixels(_ problem: any LinearOperator) throws -> Bool {
            let measurement = try measurement(problem)
            return try measurement.operator.separated(for: measurement.videoShape)?.mixesPixels ?? true
        }
        let (blur, pooling, average) = try (GaussianBlur(), AveragePooling(factor: 2), TemporalAverage())
        for problem in [blur, pooling, average.then(blur), blur.then(Greyscale(.bt601))] as [any LinearOperator] {
            #expect(try mixesPixels(problem), "\(problem)")
        }
        for problem in try [Identity(), average, Greyscale(.bt601), average.then(Self.masks()[0]), Self.masks()[1]]
            as [any LinearOperator]
        {
            #expect(try !mixesPixels(problem), "\(problem)")
        }
        // Nothing is known of an operator without a form.
        #expect(try mixesPixels(Veiled(Identity())))
        #expect(try measurement(pooling).shrinks && measurement(average.then(pooling)).shrinks)
        for problem in [blur, average, Greyscale(.bt601), Identity()] as [any LinearOperator] {
            #expect(try !measurement(problem).shrinks, "\(problem)")
        }
    }
}
