import Diffusion
import InverseProblems
import Synchronization
import TensorKit
import Testing

@testable import VisionXL

/// The steps of Algorithm 1 one by one, and a data step of one's own among them.
@Suite struct Algorithm1Tests {
    // MARK: The start

    @Test func batchConsistentStartsAreTheSameForAllFrames() throws {
        let Y = try measured(video(3, 12, 16))
        for (start, isShared) in [
            (Start.firstFrameInversion, true), (.sharedNoise, true), (.everyFrameInversion, false),
            (.sharedInversion, false),
            (.independentNoise, false), (.pureNoise, true), (.independentPureNoise, false),
        ] {
            var algorithm = try Solver(prior: BlurPrior(), options: .from(start)).algorithm(Y)
            let Z = try algorithm.start()
            let difference = try (Z.rows(0..<1) - Z.rows(1..<2)).absolute().maximum().item()
            #expect((difference == 0) == isShared)
        }
    }

    /// One noise for all frames, each frame's own content: what differs between the latents at tau is what differs
    /// between the frames'.
    @Test func theSharedInversionKeepsWhatMoves() throws {
        let Y = try video(3, 12, 16)
        func start(_ start: Start) throws -> Tensor {
            var algorithm = try Solver(prior: BlurPrior(), options: .from(start)).algorithm(measured(Y))
            return try algorithm.start()
        }
        let (shared, first) = (try start(.sharedInversion), try start(.firstFrameInversion))
        #expect(try (shared.rows(0..<1) - first.rows(0..<1)).norm() == 0)
        let prior = BlurPrior()
        let latents = try prior.encode(Y, samplingWith: nil)
        let root = prior.schedule.alphaBar(281).squareRoot()
        let (moved, expected) = try (
            shared.rows(2..<3) - shared.rows(0..<1), (latents.rows(2..<3) - latents.rows(0..<1)) * root
        )
        #expect(try (moved - expected).norm() < 1e-5 * expected.norm())
    }

    // MARK: The sampling

    @Test func tauChoosesTheTimesteps() throws {
        let Y = try measured(video(1, 8, 8))
        var solver = Solver(prior: BlurPrior())
        #expect(try solver.settle(Y).timesteps == [281, 241, 201, 161, 121, 81, 41, 1])
        solver.options.tau = 1
        #expect(try solver.settle(Y).timesteps.count == 25)
        solver.options.tau = 0.0001
        #expect(try solver.settle(Y).timesteps == [1])
    }

    /// DDIM inversion is undone by DDIM sampling without new noise when the noise prediction does not depend on the
    /// latent's place on the way: with the noise fixed, both walk the same line.
    @Test func renoisingWithoutNewNoiseMovesAlongTheSchedule() throws {
        var solver = Solver(prior: BlurPrior())
        solver.options.eta = 0
        let Y = try video(2, 12, 16)
        let algorithm = try solver.algorithm(measured(Y))
        let Z = try BlurPrior().encode(Y, samplingWith: nil)
        let noise = try video(2, 12, 16, seed: 9).pixelUnshuffled(2)
        let (t, next) = (algorithm.settings.timesteps[0], algorithm.settings.timesteps[1])
        let clean = try algorithm.tweedie(Z, noise, t)
        let moved = try algorithm.renoise(clean, noise, to: next, with: Tensor.zeros(Z.shape))
        // Tweedie at the new place finds the same clean latent.
        #expect(try (algorithm.tweedie(moved, noise, next) - clean).absolute().maximum().item() < 1e-5)
    }

    /// sigma falls with the noise: the last timesteps are hardly filtered, and 0 filters nothing.
    @Test func theLowPassFollowsTheSchedule() throws {
        let Y = try video(1, 24, 32)
        var solver = Solver(prior: BlurPrior())
        solver.options.lowPass = 2
        let algorithm = try solver.algorithm(measured(Y))
        let changes = try algorithm.settings.timesteps.map { try (algorithm.lowPass(Y, $0) - Y).norm() }
        #expect(try changes == changes.sorted(by: >) && changes[0] > 0.02 * Y.norm() && changes[7] < 0.1 * changes[0])
        solver.options.lowPass = 0
        #expect(try (solver.algorithm(measured(Y)).lowPass(Y, 281) - Y).norm() == 0)
    }

    /// A caller's noise takes the place of the seeded one: one for all frames, or one for each, once after each
    /// timestep.
    @Test(arguments: Renoising.allCases) func theRenoisingsNoiseCanBeGiven(renoising: Renoising) throws {
        let Y = try measured(video(3, 8, 8))
        let asked = Mutex([Int]())
        var solver = Solver(prior: BlurPrior())
        solver.options.renoising = renoising
        let seeded = try (0...7).map(solver.algorithm(Y).noise)
        #expect(seeded[0].size(0) == (renoising == .shared ? 1 : 3))
        let expected = try solver.restore(Y).frames
        solver.noise = { index in
            asked.withLock { $0.append(index) }
            return seeded[index]
        }
        #expect(try (solver.restore(Y).frames - expected).norm() == 0)
        #expect(asked.withLock { $0 } == Array(0..<7))
        solver.noise = { seeded[$0 + 1] }
        #expect(try (solver.restore(Y).frames - expected).norm() > 0)
    }

    // MARK: A data step of one's own

    /// Makes the same frames every time, and notes what it was given.
    final class FixedStep: DataStep {
        struct Call {
            var noiseToSignal: Double
            var estimate: Tensor
        }

        let frames: Tensor
        /// What it says that it let through, for each call.
        let passedNoise: @Sendable (Int) -> Double?
        /// Of every call.
        let residual: Double
        let calls = Mutex([Call]())
        let preparations = Mutex(0)

        init(_ frames: Tensor, residual: Double = 0.5, passedNoise: @escaping @Sendable (Int) -> Double? = { _ in nil })
        {
            (self.frames, self.residual, self.passedNoise) = (frames, residual, passedNoise)
        }

        func prepared(_ measurement: VideoMeasurement, start: () throws -> Tensor) throws -> VideoMeasurement {
            preparations.withLock { $0 += 1 }
            return measurement
        }

        func apply(_ estimate: Tensor, _ measurement: VideoMeasurement, noiseToSignal: Double) throws -> DataStepResult
        {
            let index = calls.withLock {
                $0.append(Call(noiseToSignal: noiseToSignal, estimate: estimate))
                return $0.count - 1
            }
            return DataStepResult(
                frames: frames, residual: Residual(before: 1, after: residual), passedNoise: passedNoise(index))
        }
    }

    /// A still picture whose frames flicker, through an operator that mixes pixels.
    static func flickering() throws -> (frames: Tensor, measurement: VideoMeasurement) {
        let picture = try video(1, 16, 24).expanded([5, -1, -1, -1]).contiguous()
        var random = RandomGenerator(seed: 8)
        let frames = try (picture * 0.8 + random.normal(picture.shape) * 0.01).clamped(to: -1...1)
        let A = try GaussianBlur(size: 5, sigma: 1)
        return (frames, try measured(A.apply(frames), A))
    }

    /// At each timestep but the last, whose frames get the final step instead.
    @Test func aDataStepOfOnesOwnIsCalledAtEachTimestepAndOnceMoreAtTheEnd() throws {
        let (frames, Y) = try Self.flickering()
        let step = FixedStep(frames)
        var solver = Solver(prior: BlurPrior())
        solver.dataStep = step
        let phases = Mutex([RestorationProgress.Phase: Int]())
        let result = try solver.restore(Y) { progress in
            if progress.residual != nil { phases.withLock { $0[progress.phase, default: 0] += 1 } }
        }
        let schedule = BlurPrior().schedule
        #expect(
            step.calls.withLock { $0.map(\.noiseToSignal) }
                == [281, 241, 201, 161, 121, 81, 41, 1].map(schedule.noiseToSignal))
        #expect(step.preparations.withLock { $0 } == 1)
        #expect(phases.withLock { $0 } == [.consistency: 7, .finishing: 1])
        #expect(result.residuals == [Residual](repeating: Residual(before: 1, after: 0.5), count: 8))
        // Without a final step the result is the last decode's.
        solver.options.finalConsistencySteps = 0
        #expect(try solver.restore(Y).residuals.count == 7)
        #expect(step.calls.withLock { $0.count } == 15)
    }

    /// The table names it, and nothing is found out for a step that it replaces.
    @Test func theTableNamesADataStepOfOnesOwn() throws {
        let (frames, _) = try Self.flickering()
        for conditions in Conditions.all where conditions.gain == nil && conditions.mixesPixels {
            let facts = NotedFacts(conditions, pending: [.noise, .roundedBits])
            let settings = try Policy.settle(conditions.asked, facts, dataStep: FixedStep(frames))
            #expect(
                settings.dataStep is FixedStep && settings.finalSteps.count == 1 && settings.finalSteps[0] is FixedStep)
            let rows = Dictionary(uniqueKeysWithValues: settings.choices.map { ($0.name, $0) })
            #expect(rows["data step"] == Policy.Row("data step", "", "FixedStep", "As said."))
            #expect(rows["final data step"]?.value == "once")
            #expect(["c", "rounding's bands", "l", "frames alone"].allSatisfy { rows[$0] == nil })
        }
    }

    /// The step's own range and no other: without one frames go where it leads.
    @Test func aDataStepsRangeIsKept() throws {
        struct Loud: DataStep {
            var range: ClosedRange<Double>?
            func apply(
                _ estimate: Tensor, _ measurement: VideoMeasurement, noiseToSignal: Double
            ) throws -> DataStepResult {
                DataStepResult(frames: try estimate + 5, residual: Residual(before: 1, after: 1))
            }
        }
        for (range, expected) in [(nil, true), (-0.5...0.5, false)] as [(ClosedRange<Double>?, Bool)] {
            let prior = WatchedPrior()
            var solver = Solver(prior: prior)
            solver.dataStep = Loud(range: range)
            _ = try solver.restore(measured(video(2, 8, 8) * 0.4))
            #expect(prior.asked.withLock { $0.extremes.contains { $0 > 0.500_01 } } == expected)
        }
    }

    /// What a step says that it let through of the noise is averaged over time at the next timestep, and in the result.
    @Test func whatADataStepLetsThroughReachesTheSteadying() throws {
        let (frames, Y) = try Self.flickering()
        func run(_ passed: @escaping @Sendable (Int) -> Double?) throws -> (estimates: [Tensor], result: Tensor) {
            let step = FixedStep(frames, passedNoise: passed)
            var solver = Solver(prior: BlurPrior())
            solver.dataStep = step
            let result = try solver.restore(Y).frames
            return (step.calls.withLock { $0.map(\.estimate) }, result)
        }
        func flicker(_ X: Tensor) throws -> Double { try (X.rows(1..<5) - X.rows(0..<4)).norm() }
        let silent = try run { _ in nil }
        let loud = try run { _ in 0.02 }
        #expect(loud.estimates.count == 8)
        #expect(try (loud.estimates[0] - silent.estimates[0]).norm() == 0)
        // At the last timestep the prior's own part is small.
        #expect(try flicker(loud.estimates[7]) < 0.7 * flicker(silent.estimates[7]))
        let steadying = Steadying(strength: 1)
        func steadied(_ passed: Double) throws -> Tensor { try steadying.applyToResult(frames, passedNoise: passed) }
        #expect(try (silent.result - steadied(0)).norm() == 0)
        #expect(try (loud.result - steadied(0.02)).norm() == 0)
        #expect(try flicker(loud.result) < 0.7 * flicker(silent.result))
        // A step that cannot tell leaves what the one before said; what the last one lets through is its own affair.
        #expect(try (run { $0 == 2 ? 0.02 : nil }.result - loud.result).norm() == 0)
        #expect(try (run { $0 == 7 ? 0.02 : nil }.result - silent.result).norm() == 0)
    }

    @Test func whatIsNotANumberIsASentence() throws {
        let (frames, Y) = try Self.flickering()
        var solver = Solver(prior: BlurPrior())
        func error(_ step: FixedStep) -> RestorationError? {
            solver.dataStep = step
            return #expect(throws: RestorationError.self) { try solver.restore(Y) }
        }
        // Said by its residual at once, and by the frames at the end.
        for residual in [Double.nan, .infinity] {
            #expect(error(FixedStep(frames, residual: residual)) == .notFinite(step: 1))
        }
        let broken = error(FixedStep(try frames * Double.nan))
        #expect(broken == .notFinite(step: 8))
        #expect(broken.map(isSentence) == true)
    }
}
