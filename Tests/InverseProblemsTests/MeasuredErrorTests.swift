import TensorKit
import TestSupport
import Testing

@testable import InverseProblems

/// Laws of `proximal` with an error that the measurement shows.
@Suite struct MeasuredErrorTests {
    /// A truth, a measurement of it with white noise, and a start with a white error or one of low frequencies.
    struct Case {
        var truth, measurement, start: Tensor

        init(_ problem: any LinearOperator, shape: [Int], noise: Double, error: Double, isSmooth: Bool = false) throws {
            truth = try random(shape, seed: 1)
            measurement = try problem.apply(truth)
            try measurement.add(random(measurement.shape, seed: 2), times: noise)
            var wrong = try random(shape, seed: 3)
            if isSmooth { wrong = try GaussianBlur(size: 13, sigma: 2, boundary: .circular).apply(wrong) }
            start = try truth.adding(wrong, times: error)
        }

        func error(_ x: Tensor) throws -> Double { try (x - truth).norm() }
    }

    static let height = 64, width = 80

    /// Frames that are as many blocks of components: those of a single channel are larger.
    static func shape(_ frames: Int, of registered: Registered) -> [Int] {
        let scale = registered.channels == nil ? 1 : 2
        return [frames, 3, scale * height, scale * width]
    }

    /// The paper's tasks, and what mixes channels or is another operator for every frame, with a closed form.
    static let problems =
        Registered.all.filter { $0.testDescription.hasPrefix("task ") }
        + Registered.all.named(
            "grey bt709", "grey, then blur", "pooling, then grey", "valid average, then grey",
            "average, grey, then mask",
            "mask of each frame", "grey, then mask of each frame", "mask, then mask of each frame")

    @Test(arguments: problems) func findsAWhiteError(registered: Registered) throws {
        let shape = Self.shape(5, of: registered)
        let problem = try registered.make(shape)
        for (noise, error) in [(0.1, 0.3), (0.01, 0.05), (0.3, 0.6)] {
            let sample = try Case(problem, shape: shape, noise: noise, error: error)
            func fixed(_ error: Double) throws -> Double {
                try sample.error(
                    problem.proximal(sample.measurement, around: sample.start, ratio: error * error / (noise * noise)))
            }
            let bounds = error / 10...error * 5
            let found = try sample.error(
                problem.proximal(sample.measurement, around: sample.start, noise: noise, error: bounds))
            let (known, low, high) = (try fixed(error), try fixed(bounds.lowerBound), try fixed(bounds.upperBound))
            #expect(
                found < 1.02 * known && found < low && found < high, "\(noise): \(found), \(known), \(low), \(high)")
        }
    }

    /// Where the error is another one at every frequency no single ratio does as well.
    @Test(arguments: [1.0, 2]) func findsAnErrorOfLowFrequencies(sigma: Double) throws {
        let problem = try GaussianBlur(size: 13, sigma: sigma)
        let sample = try Case(problem, shape: [2, 3, 120, 160], noise: 0.02, error: 1, isSmooth: true)
        let found = try sample.error(
            problem.proximal(sample.measurement, around: sample.start, noise: 0.02, error: 1e-3...1))
        for error in [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2] {
            let fixed = try sample.error(
                problem.proximal(sample.measurement, around: sample.start, ratio: error * error / 4e-4))
            #expect(found < 0.99 * fixed, "\(error): \(found), \(fixed)")
        }
    }

    /// What is said to have passed is by how much solutions differ whose measurements have different noise, over the root of two. With equal
    /// bounds they are linear in Y.
    @Test(arguments: problems) func saysWhatNoisePasses(registered: Registered) throws {
        let shape = Self.shape(9, of: registered)
        let problem = try registered.make(shape)
        let sample = try Case(problem, shape: shape, noise: 0, error: 0.15)
        for (bounds, tolerance) in [(0.1...0.1, 0.03), (0.1...0.2, 0.1)] {
            func solve(seed: UInt64) throws -> (solution: Tensor, noise: Double) {
                let y = try sample.measurement + random(sample.measurement.shape, seed: seed) * 0.02
                let (x, noise) = try problem.solveProximal(y, around: sample.start, noise: 0.02, error: bounds)
                #expect(
                    try relativeDistance(x, problem.proximal(y, around: sample.start, noise: 0.02, error: bounds)) == 0)
                return try (x, #require(noise))
            }
            let (a, b) = try (solve(seed: 4), solve(seed: 5))
            let seen = try (a.solution - b.solution).norm() / (2 * Double(a.solution.count)).squareRoot()
            #expect(abs(a.noise / seen - 1) < tolerance, "\(bounds): \(a.noise) said, \(seen) seen")
        }
    }

    /// Without a closed form nothing is said.
    @Test func whatNoisePassesIsNotGuessed() throws {
        let problem = try GaussianBlur(size: 5, sigma: 1).then(Mask.random(ratio: 0.5, seed: 1, height: 24, width: 32))
        let sample = try Case(problem, shape: [2, 3, 24, 32], noise: 0.02, error: 0.1)
        let (x, noise) = try problem.solveProximal(
            sample.measurement, around: sample.start, noise: 0.02, error: 0.1...0.2)
        #expect(try noise == nil && x.isFinite().all())
    }

    /// The error is believed within the bounds only.
    @Test func keepsToTheBounds() throws {
        let problem = try Mask.random(ratio: 0.5, seed: 1, height: 40, width: 60)
        let sample = try Case(problem, shape: [2, 3, 40, 60], noise: 0.1, error: 0.3)
        for (bounds, ratio) in [(0.01...0.1, 1), (0.6...2, 36)] as [(ClosedRange<Double>, Double)] {
            let x = try problem.proximal(sample.measurement, around: sample.start, noise: 0.1, error: bounds)
            #expect(
                try relativeDistance(x, problem.proximal(sample.measurement, around: sample.start, ratio: ratio)) < 1e-6
            )
        }
    }

    /// The lower bound is that of pixels' errors; means of 4 x 4 pixels have twice the square of it.
    @Test func meansHaveMoreOfTheError() throws {
        let problem = try AveragePooling(factor: 4)
        let sample = try Case(problem, shape: [2, 3, 80, 80], noise: 0.1, error: 1e-3)
        for (bounds, ratio) in [(0.05...1, 0.5), (0.05...0.06, 0.36)] as [(ClosedRange<Double>, Double)] {
            let x = try problem.proximal(sample.measurement, around: sample.start, noise: 0.11, error: bounds)
            let expected = try problem.proximal(sample.measurement, around: sample.start, ratio: ratio / 1.21)
            #expect(try relativeDistance(x, expected) < 1e-6)
        }
    }

    /// Five times the noise that was said: what a blur does not let through tells.
    @Test func noiseShowsWhereABlurLetsNothingThrough() throws {
        for problem in [
            try GaussianBlur(size: 13, sigma: 2), try Problem(task: "deblur+").operator(height: 64, width: 80),
        ] as [any LinearOperator] {
            let sample = try Case(problem, shape: [7, 3, 64, 80], noise: 0.05, error: 0.2)
            func error(_ noise: Double) throws -> Double {
                try sample.error(
                    problem.proximal(sample.measurement, around: sample.start, noise: noise, error: 0.1...0.4))
            }
            let (found, known) = (try error(0.01), try error(0.05))
            let fixed = try sample.error(problem.proximal(sample.measurement, around: sample.start, ratio: 400))
            #expect(fixed > 1.01 * known && found < known + 0.1 * (fixed - known), "\(found), \(known), \(fixed)")
        }
    }

    @Test func equalBoundsAreARatio() throws {
        for registered in Self.problems {
            let problem = try registered.make([3, 3, 16, 24])
            let sample = try Case(problem, shape: [3, 3, 16, 24], noise: 0.1, error: 0.3)
            let expected = try problem.proximal(sample.measurement, around: sample.start, ratio: 25)
            let x = try problem.proximal(sample.measurement, around: sample.start, noise: 0.1, error: 0.5...0.5)
            #expect(try relativeDistance(x, expected) == 0)
            // Nor can an operator of unknown singular vectors tell errors apart.
            let veiled = try Veiled(problem).proximal(
                sample.measurement, around: sample.start, noise: 0.1, error: 0.5...2)
            #expect(try relativeDistance(veiled, expected) < 2e-5)
        }
    }

    /// A frame has the same solution alone and among others, however these went wrong, where the operator does not mix them.
    @Test(
        arguments: Registered.all.named(
            "task deblur", "task sr4", "task inpaint", "grey bt709", "grey, then blur", "pooling, then grey"))
    func framesStandAlone(registered: Registered) throws {
        let problem = try registered.make([3, 3, Self.height, Self.width])
        let sample = try Case(problem, shape: [3, 3, Self.height, Self.width], noise: 0.1, error: 0.3)
        var start = sample.start
        try start.replace(along: 0, from: 0, with: start.rows(0..<1) * 3)
        let x = try problem.proximal(sample.measurement, around: start, noise: 0.1, error: 0.1...1)
        let alone = try problem.proximal(
            sample.measurement.rows(2..<3), around: start.rows(2..<3), noise: 0.1, error: 0.1...1)
        #expect(try relativeDistance(x.rows(2..<3), alone) < 1e-6)
    }

    /// Nor does it matter what masks the other frames have.
    @Test(arguments: [false, true]) func framesStandAloneUnderTheirMasks(isGrey: Bool) throws {
        let shape = [3, 3, Self.height, Self.width]
        let masks = try Registered.maskOfEachFrame(shape)
        func problem(_ mask: Mask) -> any LinearOperator { isGrey ? Greyscale(.bt709).then(mask) : mask }
        let sample = try Case(problem(masks), shape: shape, noise: 0.1, error: 0.3)
        let (x, whole) = try problem(masks).solveProximal(
            sample.measurement, around: sample.start, noise: 0.1, error: 0.1...1)
        var passed = 0.0
        for frame in 0..<3 {
            let rows = frame..<frame + 1
            let mask = try Mask(masks.mask.rows(rows).reshaped([Self.height, Self.width]))
            let (alone, noise) = try problem(mask).solveProximal(
                sample.measurement.rows(rows), around: sample.start.rows(rows), noise: 0.1, error: 0.1...1)
            #expect(try relativeDistance(x.rows(rows), alone) < 1e-6, "\(frame)")
            passed += try #require(noise) * #require(noise)
        }
        #expect(try abs(#require(whole) / (passed / 3).squareRoot() - 1) < 1e-6)
    }

    /// Channels that are weakened differently, and whose errors differ, are told apart: no single ratio does as well, and
    /// the right one for each channel not much better.
    @Test func channelsWithSingularValuesOfTheirOwnAreKeptApart() throws {
        let shape = [2, 3, 120, 160]
        let (noise, errors) = (0.05, [0.5, 0.05, 0.005])
        let problem = try ChannelProduct([[1, 0, 0], [0, 0.9, 0], [0, 0, 0.8]])
        let truth = try random(shape, seed: 1)
        let y = try problem.apply(truth).adding(random(shape, seed: 2), times: noise)
        let start = try truth.adding(random(shape, seed: 3) * Tensor(errors, shape: [1, 3, 1, 1]).to(.float32))
        let (x, passed) = try problem.solveProximal(y, around: start, noise: noise, error: 1e-3...1)
        let found = try (x - truth).norm()
        for error in [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1] {
            let fixed = try (problem.proximal(y, around: start, ratio: error * error / (noise * noise)) - truth).norm()
            #expect(found < 0.99 * fixed, "\(error): \(found), \(fixed)")
        }
        var known = 0.0
        for (channel, (error, s)) in zip(errors, [1, 0.9, 0.8]).enumerated() {
            func part(_ x: Tensor) throws -> Tensor { try x.narrow(1, from: channel, count: 1) }
            let weight = s * error * error / (s * s * error * error + noise * noise)
            let best = try part(start).adding(part(y).adding(part(start), times: -s), times: weight)
            let distance = try (best - part(truth)).norm()
            known += distance * distance
        }
        #expect(found < 1.02 * known.squareRoot(), "\(found), \(known.squareRoot())")
        // What is said to have passed, against the weights that these errors deserve.
        let weights = zip(errors, [1, 0.9, 0.8]).map { error, s in
            s * error * error / (s * s * error * error + noise * noise)
        }
        let expected = noise * (weights.reduce(0) { $0 + $1 * $1 } / 3).squareRoot()
        #expect(try abs(#require(passed) / expected - 1) < 0.05, "\(passed ?? 0), \(expected)")
    }

    @Test(arguments: problems) func bothTypesAgree(registered: Registered) throws {
        let problem = try registered.make([5, 3, Self.height, Self.width])
        for noise in [1e-3, 0.1] {
            let sample = try Case(problem, shape: [5, 3, Self.height, Self.width], noise: noise, error: 0.3)
            let x = try problem.proximal(sample.measurement, around: sample.start, noise: noise, error: 0.1...1)
            let exact = try problem.proximal(
                sample.measurement.to(.float64), around: sample.start.to(.float64), noise: noise, error: 0.1...1)
            #expect(try relativeDistance(x.to(.float64), exact) < 1e-4, "\(noise)")
        }
    }

    /// No noise worth the name: the measurement is reached as far as float32 goes.
    @Test(
        arguments: Registered.all.named(
            "task sr4", "task inpaint", "task sr4+", "task inpaint+", "grey bt709", "pooling, then grey",
            "average, grey, then mask",
            "mask of each frame", "grey, then mask of each frame"))
    func anExactMeasurementIsMet(registered: Registered) throws {
        let problem = try registered.make([5, 3, Self.height, Self.width])
        let sample = try Case(problem, shape: [5, 3, Self.height, Self.width], noise: 0, error: 0.3)
        let x = try problem.proximal(sample.measurement, around: sample.start, noise: 1e-9, error: 0.1...1)
        #expect(try relativeDistance(problem.apply(x), sample.measurement) < 1e-3)
    }

    @Test func badArgumentsAreRefused() throws {
        let (x, y) = (try random([1, 3, 8, 8], seed: 1), try random([1, 3, 2, 2], seed: 1))
        let problem = try AveragePooling(factor: 4)
        for noise in [0, -1, .nan, .infinity] {
            #expect(throws: ProblemError.self) { try problem.proximal(y, around: x, noise: noise, error: 0.1...1) }
        }
        for error in [0...1, -1...1, 1...Double.infinity] {
            #expect(throws: ProblemError.self) { try problem.proximal(y, around: x, noise: 0.1, error: error) }
        }
        #expect(throws: ProblemError.shapeMismatch(what: "start", shape: [1, 3, 2, 2], expected: [1, 3, 8, 8])) {
            try problem.proximal(y, around: y, noise: 0.1, error: 0.1...1)
        }
        #expect(throws: ProblemError.notFinite("measurement")) {
            try problem.proximal(.full([1, 3, 2, 2], .nan), around: x, noise: 0.1, error: 0.1...1)
        }
    }
}
