import Foundation
import InverseProblems
import LatentDiffusion
import Synchronization
import TensorKit
import Testing

@testable import VisionXL

/// A prior that needs no weights: latents are 2 x 2 patches, and the noise in them is taken to be what a blur removes.
struct BlurPrior: DiffusionPrior {
    let schedule = DDIMSchedule()
    let device = Device.cpu
    let frameMultiple = 2
    var relativeCost = PriorCost()
    /// Adds something random to every encoded frame when it is asked to sample.
    var spread = 0.0
    /// Its decoder's gain is 1, which it does not say unless asked.
    var decoderGain: Double?

    func latentShape(frames: Int, height: Int, width: Int) -> [Int] { [frames, 12, height / 2, width / 2] }

    func encode(_ frames: Tensor, samplingWith noise: Tensor?) throws -> Tensor {
        guard frames.size(2) % 2 == 0, frames.size(3) % 2 == 0 else { throw ModelError.mismatch("frames must be padded") }
        let latents = try frames.pixelUnshuffled(2)
        return try noise.map { try latents.adding($0, times: spread) } ?? latents
    }

    func decode(_ latents: Tensor) throws -> Tensor { try latents.pixelShuffled(2) }

    func predictNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        let smooth = try GaussianBlur(size: 7, sigma: 1).apply(latents)
        return try latents - smooth
    }
}

/// Notes what it is asked for.
final class WatchedPrior: DiffusionPrior {
    /// Timesteps on the way up and on the way down, and whether a draft would do for each encoding and decoding.
    struct Asked {
        var up = [Int](), down = [Int](), draftEncodings = [Bool](), draftDecodings = [Bool]()
        /// The largest absolute value of what was encoded.
        var extremes = [Double]()
    }

    private let base = BlurPrior()
    let asked = Mutex(Asked())

    var schedule: DDIMSchedule { base.schedule }
    var device: Device { base.device }
    var frameMultiple: Int { base.frameMultiple }
    var relativeCost: PriorCost { base.relativeCost }
    func latentShape(frames: Int, height: Int, width: Int) -> [Int] { base.latentShape(frames: frames, height: height, width: width) }
    func encode(_ frames: Tensor, samplingWith noise: Tensor?) throws -> Tensor { try base.encode(frames, samplingWith: noise) }
    func decode(_ latents: Tensor) throws -> Tensor { try base.decode(latents) }

    func predictNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        asked.withLock { $0.down.append(timestep) }
        return try base.predictNoise(latents, timestep: timestep)
    }

    func predictInversionNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        asked.withLock { $0.up.append(timestep) }
        return try base.predictNoise(latents, timestep: timestep)
    }

    func encode(_ frames: Tensor, samplingWith noise: Tensor?, _ pass: CodecPass) throws -> Tensor {
        let extreme = try frames.absolute().maximum().item()
        asked.withLock {
            $0.draftEncodings.append(pass.isDraft)
            $0.extremes.append(extreme)
        }
        return try encode(frames, samplingWith: noise)
    }

    func decode(_ latents: Tensor, _ pass: CodecPass) throws -> Tensor {
        asked.withLock { $0.draftDecodings.append(pass.isDraft) }
        return try decode(latents)
    }
}

@Suite struct SolverTests {
    static func video(_ frames: Int, _ height: Int, _ width: Int, seed: UInt64 = 3) throws -> Tensor {
        var random = RandomGenerator(seed: seed)
        return try GaussianBlur(size: 9, sigma: 2).apply(random.normal([frames, 3, height, width])).clamped(to: -1...1)
    }

    static let prior = BlurPrior()

    /// A prior may predict otherwise for the inversion, as one under guidance does.
    @Test func theInversionHasItsOwnPrediction() throws {
        let prior = WatchedPrior()
        var options = RestorationOptions()
        options.framesPerPass = 2
        _ = try Solver(prior: prior, options: options).restore(Self.video(2, 16, 16), operator: AveragePooling(factor: 1))
        let asked = prior.asked.withLock { $0 }
        #expect(asked.down == [281, 241, 201, 161, 121, 81, 41, 1])
        #expect(asked.up == asked.down.reversed())
    }

    /// Beside a proximal step frames are kept within [-1, 1]; the paper's goes where the measurement leads.
    @Test(arguments: RestorationOptions.DataStep.allCases) func framesStayWithinTheirRange(step: RestorationOptions.DataStep) throws {
        let prior = WatchedPrior()
        var options = RestorationOptions()
        options.dataStep = step
        _ = try Solver(prior: prior, options: options).restore(Self.video(2, 16, 16) * 20, operator: AveragePooling(factor: 1))
        // The start encodes both frames as they were measured.
        let beyond = prior.asked.withLock { $0.extremes.dropFirst(2).contains { $0 > 1.000_01 } }
        #expect(beyond == (step == .conjugateGradients))
    }

    @Test(arguments: Start.allCases) func everyStartGivesFramesOfTheRightSize(start: Start) throws {
        let truth = try Self.video(4, 16, 24)
        let A = try AveragePooling(factor: 2)
        var solver = Solver(prior: Self.prior)
        solver.options.start = start
        if [.pureNoise, .independentPureNoise].contains(start) { solver.options.tau = 1 }
        let result = try solver.restore(A.apply(truth), operator: A)
        #expect(result.frames.shape == truth.shape)
        #expect(result.frames.dtype == .float32)
        #expect(try result.frames.isFinite().all())
    }

    @Test func theSameSeedGivesTheSameFramesBitForBit() throws {
        let Y = try Self.video(3, 12, 16)
        var solver = Solver(prior: Self.prior)
        func frames() throws -> [Float] { try solver.restore(Y, operator: Identity()).frames.array() }
        solver.options.finalConsistencySteps = 0
        let first = try frames()
        #expect(try frames() == first)
        solver.options.seed = 1
        #expect(try frames() != first)
    }

    @Test func framesInOnePassDoNotChangeTheResult() throws {
        let Y = try Self.video(5, 12, 16)
        let A = try GaussianBlur(size: 5, sigma: 1)
        var solver = Solver(prior: Self.prior)
        solver.options.framesPerPass = 1
        let alone = try solver.restore(Y, operator: A).frames
        solver.options.framesPerPass = 3
        let together = try solver.restore(Y, operator: A).frames
        #expect(try (alone - together).absolute().maximum().item() < 1e-4)
    }

    @Test func oddSizesAndSingleFramesWork() throws {
        let truth = try Self.video(1, 15, 23)
        let A = try GaussianBlur(size: 5, sigma: 1)
        let result = try Solver(prior: Self.prior).restore(A.apply(truth), operator: A)
        #expect(result.frames.shape == [1, 3, 15, 23])
    }

    @Test func theFinalStepBringsTheResultCloserToTheMeasurement() throws {
        let truth = try Self.video(7, 16, 16)
        let A = try TemporalAverage(window: 3).then(AveragePooling(factor: 4))
        let Y = try A.apply(truth)
        func distance(_ options: RestorationOptions) throws -> Double {
            let frames = try Solver(prior: Self.prior, options: options).restore(Y, operator: A).frames
            return try (Y - A.apply(frames)).norm() / Y.norm()
        }
        let (paper, ours) = (try distance(.paper), try distance(RestorationOptions()))
        #expect(ours < 0.1 * paper)
    }

    @Test func residualsFallInEveryDataStep() throws {
        let truth = try Self.video(4, 16, 16)
        let A = try GaussianBlur(size: 9, sigma: 2)
        let result = try Solver(prior: Self.prior).restore(A.apply(truth), operator: A)
        #expect(result.residuals.count == 8)
        for residual in result.residuals { #expect(residual.after <= residual.before) }
    }

    /// The noisier the measurement is said to be, the less it is followed; one without noise is reached.
    @Test func aProximalStepGoesAsFarAsTheNoiseAllows() throws {
        let truth = try Self.video(3, 24, 32)
        let A = try TemporalAverage(window: 3).then(Mask.random(ratio: 0.3, seed: 1, height: 24, width: 32))
        let Y = try A.apply(truth)
        var solver = Solver(prior: Self.prior)
        solver.options.dataStep = .proximal
        let residuals = try [0, 0.01, 0.1, 1].map { noise in
            try #require(try solver.restore(Y, operator: A, measurementNoise: noise).residuals.last?.after)
        }
        #expect(residuals[0] < 1e-4)
        #expect(residuals == residuals.sorted())
        #expect(residuals[3] > 0.05)
        #expect(throws: RestorationError.self) { try solver.restore(Y, operator: A, measurementNoise: -1) }
    }

    /// A start from the measurement has its holes; the smooth one has them filled, and says what was measured all the same.
    @Test(arguments: [false, true]) func theSmoothEstimateFillsHoles(mixing: Bool) throws {
        let truth = try Self.video(5, 40, 48)
        let mask = try Mask.random(ratio: 0.5, seed: 1, height: 40, width: 48)
        let A: any LinearOperator = mixing ? try TemporalAverage(window: 3).then(mask) : mask
        let Y = try A.apply(truth)
        var solver = Solver(prior: Self.prior)
        func estimate(noise: Double, _ wanted: Range<Int>) throws -> Tensor {
            var run = try Solver<BlurPrior>.Run(solver, Y, A, measurementNoise: noise) { _ in }
            return try run.firstEstimate(frames: wanted)
        }
        let all = try estimate(noise: 0, 0..<5)
        #expect(try (A.apply(all) - Y).norm() < 1e-4 * Y.norm())
        #expect(try (all - truth).norm() < 0.5 * (Y - truth).norm())
        // Noise is not followed.
        #expect(try (A.apply(estimate(noise: 0.1, 0..<5)) - Y).norm() > 0.01 * Y.norm())
        // One frame of it is what all give, to how far it is filled.
        #expect(try (estimate(noise: 0, 0..<1) - all.rows(0..<1)).norm() < 0.01 * all.rows(0..<1).norm())
        solver.options.firstEstimate = .measurement
        #expect(try (estimate(noise: 0, 0..<5) - Y).norm() == 0)
    }

    /// The paper's low-pass filter, but less of it where pixels are measured one by one and exactly.
    @Test func lambdaFollowsTheMeasurement() throws {
        let (Y, mask) = (try Self.video(2, 16, 24), try Mask.random(ratio: 0.5, seed: 1, height: 16, width: 24))
        func lambda(_ A: any LinearOperator, noise: Double = 0, _ options: RestorationOptions = RestorationOptions()) throws -> Double {
            try Solver<BlurPrior>.Run(Solver(prior: Self.prior, options: options), A.apply(Y), A, measurementNoise: noise) { _ in }.lambda
        }
        for A in try [mask, Identity(), TemporalAverage(window: 3), TemporalAverage(window: 3).then(mask)] as [any LinearOperator] {
            #expect(try lambda(A) == 1)
            #expect(try lambda(A, noise: 0.005) == 1.25.squareRoot())
            #expect(try lambda(A, noise: 0.05) == 2.0.squareRoot())
            #expect(try lambda(A, .paper) == 2.0.squareRoot())
        }
        for A in [try GaussianBlur(size: 5, sigma: 1), try AveragePooling(factor: 2).then(Identity())] as [any LinearOperator] {
            #expect(try lambda(A) == 2.0.squareRoot())
        }
    }

    /// All noise is new where the prior says that its noise is light; the paper's numbers elsewhere, with the paper's data step, and where asked for.
    @Test func etaFollowsThePrior() throws {
        let Y = try Self.video(2, 16, 24)
        let (mask, blur) = (try Mask.random(ratio: 0.5, seed: 1, height: 16, width: 24), try GaussianBlur(size: 5, sigma: 1))
        let pooling = try AveragePooling(factor: 2)
        func chosen(
            _ A: any LinearOperator, gain: Double?, noise: Double = 0, _ change: (inout RestorationOptions) -> Void = { _ in }
        ) throws -> [Double] {
            var options = RestorationOptions()
            change(&options)
            var prior = Self.prior
            prior.decoderGain = gain
            let run = try Solver<BlurPrior>.Run(Solver(prior: prior, options: options), A.apply(Y), A, measurementNoise: noise) { _ in }
            return [run.eta, run.lambda]
        }
        let paper = [0.2, 2.0.squareRoot()]
        for A in [mask, blur] as [any LinearOperator] {
            #expect(try chosen(A, gain: 0.1) == [1, 0.7])
            #expect(try chosen(A, gain: 0.1, noise: 0.05) == [1, 0.7])
            #expect(try chosen(A, gain: 0.1) { $0.dataStep = .conjugateGradients }[0] == 0.2)
            #expect(try chosen(A, gain: 0.1) { $0 = .paper } == paper)
            // One of the two by hand.
            #expect(try chosen(A, gain: 0.1) { $0.eta = 0.5 }[0] == 0.5)
            #expect(try chosen(A, gain: 0.1) { $0.lowPass = 0 } == [1, 0])
        }
        for gain in [nil, 1] as [Double?] { #expect(try chosen(blur, gain: gain, noise: 0.05) == paper) }
        #expect(try chosen(pooling, gain: 0.1) == [0.2, 0.5])
        #expect(try chosen(pooling, gain: 0.1) { $0.firstEstimate = .smooth } == paper)
        #expect(try chosen(pooling, gain: 1) == paper)
        func estimate(_ A: any LinearOperator, gain: Double?, noise: Double = 0, _ asked: RestorationOptions.FirstEstimate? = nil) throws
            -> RestorationOptions.FirstEstimate?
        {
            var (prior, options) = (Self.prior, RestorationOptions())
            (prior.decoderGain, options.firstEstimate) = (gain, asked)
            return try Solver<BlurPrior>.Run(Solver(prior: prior, options: options), A.apply(Y), A, measurementNoise: noise) { _ in }.options.firstEstimate
        }
        #expect(try estimate(pooling, gain: 0.1) == .selfSimilar)
        #expect(try estimate(pooling, gain: 0.1, noise: 0.05) == .smooth)
        #expect(try estimate(pooling, gain: 1) == .smooth)
        #expect(try estimate(blur, gain: 0.1) == .smooth)
        for asked in RestorationOptions.FirstEstimate.allCases { #expect(try estimate(pooling, gain: nil, noise: 0.05, asked) == asked) }
        #expect(try chosen(pooling, gain: 0.1, noise: 0.05) == [1, 0.7])
    }

    /// One noise for all frames, each frame's own content: what differs between the latents at tau is what differs between the frames'.
    @Test func theSharedInversionKeepsWhatMoves() throws {
        let Y = try Self.video(3, 12, 16)
        func start(_ start: Start) throws -> Tensor {
            var solver = Solver(prior: Self.prior)
            solver.options.start = start
            var run = try Solver<BlurPrior>.Run(solver, Y, Identity()) { _ in }
            return try run.start()
        }
        let (shared, first) = (try start(.sharedInversion), try start(.firstFrameInversion))
        #expect(try (shared.rows(0..<1) - first.rows(0..<1)).norm() == 0)
        let latents = try Self.prior.encode(Y, samplingWith: nil)
        let solver = Solver(prior: Self.prior)
        let root = Self.prior.schedule.alphaBar(solver.timesteps[0]).squareRoot()
        let (moved, expected) = try (shared.rows(2..<3) - shared.rows(0..<1), (latents.rows(2..<3) - latents.rows(0..<1)) * root)
        #expect(try (moved - expected).norm() < 1e-5 * expected.norm())
    }

    /// What nothing is missing of is not smoothed.
    @Test func theSmoothEstimateOfAWholeMeasurementIsTheMeasurement() throws {
        let Y = try Self.video(2, 16, 24)
        var run = try Solver<BlurPrior>.Run(Solver(prior: Self.prior), Y, Identity()) { _ in }
        #expect(try (run.firstEstimate(frames: 0..<2) - Y).norm() < 1e-5 * Y.norm())
    }

    /// Ten steps of conjugate gradients fit a blurred measurement's noise; a step that knows of it does not.
    @Test func aProximalStepDoesNotFitNoise() throws {
        let truth = try Self.video(4, 48, 64)
        let A = try GaussianBlur(size: 15, sigma: 2)
        let noise = 0.1
        let Y = try addNoise(to: A.apply(truth), sigma: noise, seed: 5)
        func error(_ dataStep: RestorationOptions.DataStep) throws -> Double {
            var solver = Solver(prior: Self.prior)
            solver.options.dataStep = dataStep
            return try (solver.restore(Y, operator: A, measurementNoise: noise).frames - truth).norm()
        }
        #expect(try error(.proximal) < 0.7 * error(.conjugateGradients))
    }

    /// Rounding leaves bands in a sky, of which deblurring would make waves. Off the grid by a hundredth of a step it is not seen.
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
            try (Solver(prior: Self.prior).restore(Y, operator: A, measurementNoise: NoiseLevel.rounding(toBits: 8)).frames - truth).norm()
        }
        let (seen, unseen, exact) = (try error(Y), try error(Y + 1e-4), try error(A.apply(truth)))
        #expect(seen < 0.5 * unseen && seen < 1.1 * exact, "\(seen), \(unseen), \(exact)")
    }

    @Test func progressRisesToTheEnd() throws {
        let Y = try Self.video(3, 12, 16)
        final class Log: @unchecked Sendable { var entries: [RestorationProgress] = [] }
        let log = Log()
        _ = try Solver(prior: Self.prior).restore(Y, operator: Identity()) { log.entries.append($0) }
        for (earlier, later) in zip(log.entries, log.entries.dropFirst()) {
            #expect(earlier.fraction <= later.fraction)
            #expect(earlier.step <= later.step)
        }
        let last = try #require(log.entries.last)
        #expect(last.phase == .finishing && last.step == 8 && last.stepCount == 8)
        #expect(abs(last.fraction - 1) < 1e-9)
        #expect(Set(log.entries.map(\.phase)) == [.inverting, .denoising, .decoding, .consistency, .encoding, .finishing])
    }

    /// The estimate that shrunk frames begin with is part of the work, also where nothing is missing and it is left out.
    @Test(arguments: Start.allCases, [false, true]) func progressCountsTheEstimate(start: Start, isFlat: Bool) throws {
        let truth = try isFlat ? Tensor.full([3, 3, 24, 32], 0.3) : Self.video(3, 24, 32)
        let A = try AveragePooling(factor: 2)
        final class Log: @unchecked Sendable { var entries: [RestorationProgress] = [] }
        let log = Log()
        var prior = Self.prior
        prior.relativeCost.estimation = 0.5
        var solver = Solver(prior: prior)
        (solver.options.start, solver.options.firstEstimate) = (start, .selfSimilar)
        if [.pureNoise, .independentPureNoise].contains(start) { solver.options.tau = 1 }
        _ = try solver.restore(A.apply(truth), operator: A) { log.entries.append($0) }
        for (earlier, later) in zip(log.entries, log.entries.dropFirst()) { #expect(earlier.fraction <= later.fraction) }
        #expect(abs(try #require(log.entries.last).fraction - 1) < 1e-9)
        let asked = ![.pureNoise, .independentPureNoise].contains(start)
        #expect(log.entries.contains { $0.phase == .estimating && $0.fraction > 0 } == (asked && !isFlat))
    }

    /// Lines that repeat tell together where in the measured pixels they are.
    @Test func theSelfSimilarEstimateKnowsMore() throws {
        let (height, width) = (64, 96)
        func line(_ x: Double) -> Double { exp(-pow(x - (x / 15.3).rounded() * 15.3, 2)) }
        var values: [Double] = []
        for i in 0..<height {
            for j in 0..<width {
                let (y, x) = (Double(i), Double(j))
                values.append(1.4 * max(line(y + 0.05 * x), line(x - 0.05 * y)) - 0.8)
            }
        }
        let truth = try Tensor(values, shape: [1, 1, height, width]).to(.float32).expanded([2, 3, height, width]).contiguous()
        let A = try AveragePooling(factor: 4)
        let Y = try A.apply(truth)
        func error(_ estimate: RestorationOptions.FirstEstimate) throws -> Double {
            var solver = Solver(prior: Self.prior)
            solver.options.firstEstimate = estimate
            var run = try Solver<BlurPrior>.Run(solver, Y, A) { _ in }
            return try (run.firstEstimate(frames: 0..<2) - truth).norm()
        }
        #expect(try error(.selfSimilar) < 0.9 * error(.smooth))
    }

    @Test func whatProgressThrowsEndsTheRestoration() throws {
        let Y = try Self.video(3, 12, 16)
        #expect(throws: CancellationError.self) {
            try Solver(prior: Self.prior).restore(Y, operator: Identity()) { progress in
                if progress.step == 2 { throw CancellationError() }
            }
        }
    }

    @Test func batchConsistentStartsAreTheSameForAllFrames() throws {
        let Y = try Self.video(3, 12, 16)
        for (start, isShared) in [
            (Start.firstFrameInversion, true), (.sharedNoise, true), (.everyFrameInversion, false), (.sharedInversion, false),
            (.independentNoise, false), (.pureNoise, true), (.independentPureNoise, false),
        ] {
            var solver = Solver(prior: Self.prior)
            solver.options.start = start
            if [.pureNoise, .independentPureNoise].contains(start) { solver.options.tau = 1 }
            var run = try Solver<BlurPrior>.Run(solver, Y, Identity()) { _ in }
            let Z = try run.start()
            let difference = try (Z.rows(0..<1) - Z.rows(1..<2)).absolute().maximum().item()
            #expect((difference == 0) == isShared)
        }
    }

    /// DDIM inversion is undone by DDIM sampling without new noise when the noise prediction does not depend on the latent's place on
    /// the way: with the noise fixed, both walk the same line.
    @Test func renoisingWithoutNewNoiseMovesAlongTheSchedule() throws {
        var solver = Solver(prior: Self.prior)
        solver.options.eta = 0
        let Y = try Self.video(2, 12, 16)
        let run = try Solver<BlurPrior>.Run(solver, Y, Identity()) { _ in }
        let Z = try Self.prior.encode(Y, samplingWith: nil)
        let noise = try Self.video(2, 12, 16, seed: 9).pixelUnshuffled(2)
        let (t, next) = (run.timesteps[0], run.timesteps[1])
        let clean = try run.tweedie(Z, noise, t)
        let moved = try run.renoise(clean, noise, to: next, with: Tensor.zeros(Z.shape))
        // Tweedie at the new place finds the same clean latent.
        #expect(try (run.tweedie(moved, noise, next) - clean).absolute().maximum().item() < 1e-5)
    }

    @Test func samplingTheEncoderIsSeeded() throws {
        var prior = Self.prior
        prior.spread = 0.01
        var solver = Solver(prior: prior)
        solver.options.samplesEncoder = true
        solver.options.finalConsistencySteps = 0
        let Y = try Self.video(2, 12, 16)
        let first = try solver.restore(Y, operator: Identity()).frames
        #expect(try (solver.restore(Y, operator: Identity()).frames - first).absolute().maximum().item() == 0)
        solver.options.samplesEncoder = false
        #expect(try (solver.restore(Y, operator: Identity()).frames - first).absolute().maximum().item() > 0)
    }

    @Test func tauChoosesTheTimesteps() {
        var solver = Solver(prior: Self.prior)
        #expect(solver.timesteps == [281, 241, 201, 161, 121, 81, 41, 1])
        solver.options.tau = 1
        #expect(solver.timesteps.count == 25)
        solver.options.tau = 0.0001
        #expect(solver.timesteps == [1])
    }

    @Test(arguments: [
        { (o: inout RestorationOptions) in o.steps = 0 }, { o in o.tau = 0 }, { o in o.tau = 1.5 }, { o in o.eta = -0.1 },
        { o in o.conjugateGradientSteps = -1 }, { o in o.lowPass = -.infinity }, { o in o.lowPassTaps = 4 },
        { o in o.framesPerPass = 0 }, { o in o.start = .pureNoise }, { o in o.start = .independentPureNoise },
    ] as [@Sendable (inout RestorationOptions) -> Void])
    func optionsOutOfRangeAreSentences(change: @Sendable (inout RestorationOptions) -> Void) throws {
        var options = RestorationOptions()
        change(&options)
        #expect(throws: RestorationError.self) {
            try Solver(prior: Self.prior, options: options).restore(Self.video(1, 8, 8), operator: Identity())
        }
    }

    @Test func aMeasurementThatIsNoVideoIsRefused() throws {
        #expect(throws: RestorationError.self) { try Solver(prior: Self.prior).restore(Tensor.zeros([3, 8, 8]), operator: Identity()) }
    }

    @Test func aMeasurementOfFewerFramesIsRestoredToAll() throws {
        let truth = try Self.video(7, 12, 12)
        let A = try TemporalAverage(window: 3, boundary: .valid)
        let Y = try A.apply(truth)
        #expect(Y.size(0) == 5)
        #expect(try Solver(prior: Self.prior).restore(Y, operator: A).frames.shape == truth.shape)
    }
}
