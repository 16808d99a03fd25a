import Diffusion
import Foundation
import InverseProblems
import Synchronization
import TensorKit
import Testing

@testable import VisionXL

/// The whole of a restoration, with a prior that needs no weights.
@Suite struct SolverTests {
    /// A prior may predict otherwise for the inversion, as one under guidance does.
    @Test func theInversionHasItsOwnPrediction() throws {
        let prior = WatchedPrior()
        var solver = Solver(prior: prior)
        solver.passes = PassSizes(frames: 2)
        _ = try solver.restore(measured(video(2, 16, 16), AveragePooling(factor: 1)))
        let asked = prior.asked.withLock { $0 }
        #expect(asked.down == [281, 241, 201, 161, 121, 81, 41, 1])
        #expect(asked.up == asked.down.reversed())
    }

    /// Beside a proximal step frames are kept within [-1, 1]; the paper's goes where the measurement leads.
    @Test(arguments: DataStepKind.allCases) func framesStayWithinTheirRange(step: DataStepKind) throws {
        let prior = WatchedPrior()
        var options = RestorationOptions()
        options.dataStep = step
        let Y = try measured(video(2, 16, 16) * 20, AveragePooling(factor: 1))
        _ = try Solver(prior: prior, options: options).restore(Y)
        // The start encodes both frames as they were measured.
        let beyond = prior.asked.withLock { $0.extremes.dropFirst(2).contains { $0 > 1.000_01 } }
        #expect(beyond == (step == .conjugateGradients))
    }

    @Test(arguments: Start.allCases) func everyStartGivesFramesOfTheRightSize(start: Start) throws {
        let truth = try video(4, 16, 24)
        let A = try AveragePooling(factor: 2)
        let result = try Solver(prior: BlurPrior(), options: .from(start)).restore(measured(A.apply(truth), A))
        #expect(result.frames.shape == truth.shape)
        #expect(result.frames.dtype == .float32)
        #expect(try result.frames.isFinite().all())
    }

    @Test func theSameSeedGivesTheSameFramesBitForBit() throws {
        let Y = try measured(video(3, 12, 16))
        var solver = Solver(prior: BlurPrior())
        func frames() throws -> [Float] { try solver.restore(Y).frames.array() }
        solver.options.finalConsistencySteps = 0
        let first = try frames()
        #expect(try frames() == first)
        solver.options.seed = 1
        #expect(try frames() != first)
    }

    @Test func framesInOnePassDoNotChangeTheResult() throws {
        let Y = try measured(video(5, 12, 16), GaussianBlur(size: 5, sigma: 1))
        var solver = Solver(prior: BlurPrior())
        solver.passes = PassSizes(frames: 1)
        let alone = try solver.restore(Y)
        solver.passes = PassSizes(frames: 3)
        let together = try solver.restore(Y)
        #expect(try (alone.frames - together.frames).absolute().maximum().item() < 1e-4)
        #expect(alone.passes == PassSizes(frames: 1) && together.passes == PassSizes(frames: 3))
    }

    @Test func oddSizesAndSingleFramesWork() throws {
        let truth = try video(1, 15, 23)
        let A = try GaussianBlur(size: 5, sigma: 1)
        let result = try Solver(prior: BlurPrior()).restore(measured(A.apply(truth), A))
        #expect(result.frames.shape == [1, 3, 15, 23])
    }

    @Test func theFinalStepBringsTheResultCloserToTheMeasurement() throws {
        let truth = try video(7, 16, 16)
        let A = try TemporalAverage(window: 3).then(AveragePooling(factor: 4))
        let Y = try measured(A.apply(truth), A)
        func distance(_ options: RestorationOptions) throws -> Double {
            try Y.residual(of: Solver(prior: BlurPrior(), options: options).restore(Y).frames)
        }
        let (paper, ours) = (try distance(.paper), try distance(RestorationOptions()))
        #expect(ours < 0.1 * paper)
    }

    @Test func residualsFallInEveryDataStep() throws {
        let truth = try video(4, 16, 16)
        let A = try GaussianBlur(size: 9, sigma: 2)
        let result = try Solver(prior: BlurPrior()).restore(measured(A.apply(truth), A))
        #expect(result.residuals.count == 8)
        for residual in result.residuals { #expect(residual.after <= residual.before) }
    }

    /// The noisier the measurement is said to be, the less it is followed; one without noise is reached.
    @Test func aProximalStepGoesAsFarAsTheNoiseAllows() throws {
        let truth = try video(3, 24, 32)
        let A = try TemporalAverage(window: 3).then(Mask.random(ratio: 0.3, seed: 1, height: 24, width: 32))
        let Y = try A.apply(truth)
        var solver = Solver(prior: BlurPrior())
        solver.options.dataStep = .proximal
        let residuals = try [0, 0.01, 0.1, 1].map { noise in
            try #require(try solver.restore(measured(Y, A, noise: noise)).residuals.last?.after)
        }
        #expect(residuals[0] < 1e-4)
        #expect(residuals == residuals.sorted())
        #expect(residuals[3] > 0.05)
        for noise in [-1, .nan, .infinity] {
            #expect(throws: ProblemError.self) { try solver.restore(measured(Y, A, noise: noise)) }
        }
    }

    /// Ten steps of conjugate gradients fit a blurred measurement's noise; a step that knows of it does not.
    @Test func aProximalStepDoesNotFitNoise() throws {
        let truth = try video(4, 48, 64)
        let A = try GaussianBlur(size: 15, sigma: 2)
        let Y = try measured(addNoise(to: A.apply(truth), sigma: 0.1, seed: 5), A, noise: 0.1)
        func error(_ dataStep: DataStepKind) throws -> Double {
            var solver = Solver(prior: BlurPrior())
            solver.options.dataStep = dataStep
            return try (solver.restore(Y).frames - truth).norm()
        }
        #expect(try error(.proximal) < 0.7 * error(.conjugateGradients))
    }

    /// Rounding leaves bands in a sky, of which deblurring would make waves. Off the grid by a hundredth of a step it
    /// is not seen.
    @Test func bandsOfRoundingMakeNoWaves() throws {
        let (height, width) = (64, 96)
        let pixels = (0..<5).flatMap { frame in
            (0..<3 * height * width).map { i in
                let (x, y) = (Float(i % width + 2 * frame), Float(i / width % height + frame))
                return 0.2 * sin(y / 150 + Float(i / width / height)) + 0.1 * cos(x / 120 - y / 200)
            }
        }
        let truth = try Tensor(pixels, shape: [5, 3, height, width])
        let A = try Problem(task: "deblur").operator(height: height, width: width)
        let Y = try A.apply(truth).rounded(toBits: 8)
        func error(_ Y: Tensor) throws -> Double {
            let measurement = try measured(Y, A, noise: NoiseLevel.rounding(toBits: 8))
            return try (Solver(prior: BlurPrior()).restore(measurement).frames - truth).norm()
        }
        let (seen, unseen, exact) = (try error(Y), try error(Y + 1e-4), try error(A.apply(truth)))
        #expect(seen < 0.5 * unseen && seen < 1.1 * exact, "\(seen), \(unseen), \(exact)")
    }

    @Test func samplingTheEncoderIsSeeded() throws {
        var prior = BlurPrior()
        prior.spread = 0.01
        var solver = Solver(prior: prior)
        solver.options.samplesEncoder = true
        solver.options.finalConsistencySteps = 0
        let Y = try measured(video(2, 12, 16))
        let first = try solver.restore(Y).frames
        #expect(try (solver.restore(Y).frames - first).absolute().maximum().item() == 0)
        solver.options.samplesEncoder = false
        #expect(try (solver.restore(Y).frames - first).absolute().maximum().item() > 0)
    }

    @Test func aMeasurementOfFewerFramesIsRestoredToAll() throws {
        let truth = try video(7, 12, 12)
        let A = try TemporalAverage(window: 3, boundary: .valid)
        let Y = try A.apply(truth)
        #expect(Y.size(0) == 5)
        #expect(try Solver(prior: BlurPrior()).restore(measured(Y, A)).frames.shape == truth.shape)
    }

    // MARK: Windows

    /// The windows of a video are alike when they follow what was settled for the first, whatever the others hold.
    @Test func settingsThatAreSettledOnceServeEveryWindow() throws {
        let truth = try video(6, 24, 32) * 0.9
        let A = try GaussianBlur(size: 9, sigma: 1.5)
        let noise = NoiseLevel.rounding(toBits: 8)
        let first = try measured(A.apply(truth.rows(0..<3)).rounded(toBits: 8), A, noise: noise)
        let second = try measured(A.apply(truth.rows(3..<6)), A, noise: noise)
        let solver = Solver(prior: BlurPrior())
        func frames(_ settings: Settings) throws -> [Float] {
            try solver.restore(second, following: settings) { _ in }.frames.array()
        }
        let result = try solver.restore(first)
        let followed = try frames(#require(result.settings))
        #expect(try followed == frames(solver.settle(first)))
        #expect(
            try result.frames.array(of: Float.self)
                == solver.restore(first, following: solver.settle(first)) { _ in }.frames.array())
        // The second window was not rounded, and settles otherwise by itself.
        #expect(try followed != frames(solver.settle(second)))
        #expect(try frames(solver.settle(second)) == solver.restore(second).frames.array())
    }

    // MARK: Grey

    static let greyProblems = [
        Problem(Grey(.bt709)), Problem(Shrink(factor: 2), Grey(.bt601)), Problem(Blur(sigma: 1), Grey(.bt709)),
        Problem(Average(frames: 3), Grey(.bt709), Holes(ratio: 0.3)),
    ]

    /// A grey film gets three channels, whose grey is the one that was measured.
    @Test(arguments: greyProblems) func aGreyMeasurementIsRestoredInColour(problem: Problem) throws {
        let truth = try video(4, 16, 24) * 0.9
        let A = try problem.operator(height: 16, width: 24)
        let Y = try A.apply(truth)
        #expect(Y.size(1) == 1)
        let result = try Solver(prior: BlurPrior()).restore(measured(Y, A))
        #expect(result.frames.shape == truth.shape)
        // What undoing a blur flickers by is averaged over time after the last step, for one.
        let residual = try (A.apply(result.frames) - Y).norm() / Y.norm()
        #expect(residual < 2e-3)
        #expect(try #require(result.residuals.last).after < 1e-3)
    }

    @Test(arguments: FirstEstimate.allCases, Start.allCases)
    func everyStartTakesAGreyMeasurement(estimate: FirstEstimate, start: Start) throws {
        let truth = try video(2, 12, 16)
        let A = Greyscale(.bt601)
        var options = RestorationOptions.from(start)
        options.firstEstimate = estimate
        let Y = try measured(A.apply(truth), A)
        let result = try Solver(prior: BlurPrior(), options: options).restore(Y)
        #expect(result.frames.shape == truth.shape)
        #expect(try Y.residual(of: result.frames) < 1e-4)
    }

    // MARK: Progress

    final class Log: @unchecked Sendable { var entries: [RestorationProgress] = [] }

    @Test func progressRisesToTheEnd() throws {
        let log = Log()
        _ = try Solver(prior: BlurPrior()).restore(measured(video(3, 12, 16))) { log.entries.append($0) }
        for (earlier, later) in zip(log.entries, log.entries.dropFirst()) {
            #expect(earlier.fraction <= later.fraction)
            #expect(earlier.step <= later.step)
        }
        let last = try #require(log.entries.last)
        #expect(last.phase == .finishing && last.step == 8 && last.stepCount == 8)
        #expect(abs(last.fraction - 1) < 1e-9)
        #expect(
            Set(log.entries.map(\.phase)) == [
                .estimating, .inverting, .denoising, .decoding, .consistency, .encoding, .finishing,
            ])
    }

    /// Whatever the start asks of the networks is part of the work, at what it costs.
    @Test(arguments: Start.allCases) func progressCountsTheStart(start: Start) throws {
        let A = try AveragePooling(factor: 2)
        let log = Log()
        var prior = BlurPrior()
        prior.relativeCost = PriorCost(prediction: 3, decoding: 0.25, encoding: 2, estimating: 1.5)
        var solver = Solver(prior: prior, options: .from(start))
        // A last piece of work that is smaller than whatever could be left out.
        solver.passes = PassSizes(frames: 1)
        _ = try solver.restore(measured(A.apply(video(3, 24, 32)), A)) { log.entries.append($0) }
        for (earlier, later) in zip(log.entries, log.entries.dropFirst()) {
            #expect(earlier.fraction <= later.fraction)
        }
        #expect(abs(try #require(log.entries.last).fraction - 1) < 1e-9)
        // It arrives there with the last decode and not before.
        let full = log.entries.firstIndex { $0.fraction > 1 - 1e-9 }
        #expect(full == log.entries.lastIndex { $0.phase == .decoding })
    }

    @Test func whatProgressThrowsEndsTheRestoration() throws {
        let Y = try measured(video(3, 12, 16))
        #expect(throws: CancellationError.self) {
            try Solver(prior: BlurPrior()).restore(Y) { progress in
                if progress.step == 2 { throw CancellationError() }
            }
        }
    }

    // MARK: What is refused

    @Test(
        arguments: [
            { $0.steps = 0 }, { $0.steps = 1001 }, { $0.tau = 0 }, { $0.tau = 1.5 }, { $0.tau = .nan },
            { $0.eta = -0.1 }, { $0.eta = .nan },
            { $0.conjugateGradientSteps = -1 }, { $0.finalConsistencySteps = -1 }, { $0.lowPass = -.infinity },
            { $0.lowPassTaps = 4 },
            { $0.steadiness = -1 }, { $0.priorError = 0...1 }, { $0.exactCodecSteps = 0 }, { $0.start = .pureNoise },
            { $0.start = .independentPureNoise },
        ] as [@Sendable (inout RestorationOptions) -> Void])
    func optionsOutOfRangeAreSentences(change: @Sendable (inout RestorationOptions) -> Void) throws {
        var options = RestorationOptions()
        change(&options)
        let error = #expect(throws: RestorationError.self) {
            try Solver(prior: BlurPrior(), options: options).restore(measured(video(1, 8, 8)))
        }
        #expect(error.map(isSentence) == true)
    }

    /// Nobody waits for a pass without a frame, and settings of one's own may be anything.
    @Test func passesAndTimestepsOfNothingAreSentences() throws {
        let Y = try measured(video(1, 8, 8))
        var solver = Solver(prior: BlurPrior())
        var settings = try solver.settle(Y)
        settings.timesteps = []
        var error = #expect(throws: RestorationError.self) { try solver.restore(Y, following: settings) { _ in } }
        #expect(error.map(isSentence) == true)
        for frames in [0, -1] {
            solver.passes = PassSizes(frames: frames)
            error = #expect(throws: RestorationError.self) { try solver.restore(Y) }
            #expect(error.map(isSentence) == true)
        }
        solver.passes = nil
        solver.plan = { _, _, _ in PassSizes(frames: 0) }
        #expect(throws: RestorationError.self) { try solver.restore(Y) }
    }

    @Test func aMeasurementThatIsNoVideoIsRefused() throws {
        #expect(throws: ProblemError.self) { try Solver(prior: BlurPrior()).restore(measured(.zeros([3, 8, 8]))) }
        for channels in [1, 4] {
            let error = #expect(throws: RestorationError.self) {
                try Solver(prior: BlurPrior()).restore(measured(.zeros([2, channels, 8, 8])))
            }
            #expect(error.map(isSentence) == true)
        }
    }
}

/// Whether a description begins as a sentence does, or with a number's name, and ends as one.
func isSentence(_ text: any CustomStringConvertible) -> Bool {
    let words = text.description.split(separator: " ")
    guard words.count > 1, let first = words.first else { return false }
    return text.description.last == "."
        && (first.first?.isUppercase == true || ["tau", "lambda", "eta"].contains(first))
}

extension RestorationOptions {
    /// A start, with the tau that it needs.
    static func from(_ start: Start) -> RestorationOptions {
        var options = RestorationOptions()
        options.start = start
        if [.pureNoise, .independentPureNoise].contains(start) { options.tau = 1 }
        return options
    }
}
