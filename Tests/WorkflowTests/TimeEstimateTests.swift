import Diffusion
import InverseProblems
import TensorKit
import TestSupport
import Testing

@testable import VisionXL
@testable import Workflow

/// What is told of a run's time follows the work. How near it comes is measured, not tested (Benchmarks/RESULTS.md).
@Suite struct TimeEstimateTests {
    private static let rates = Rates(
        prediction: 3e-6, codec: 3e-6, draftCodec: 1e-6, decoding: 2e-6, draftDecoding: 0.5e-6, machine: 1)

    private static func work(
        frames: Int = 8, window: Int = 8, timesteps: Int = 4, start: Start = .sharedInversion,
        firstEstimate: FirstEstimate = .measurement, form: SeparatedForm? = SeparatedForm(),
        exactCodecSteps: Int? = nil, conjugateGradientSteps: Int? = nil, addsCodecResidual: Bool = false,
        completesTime: Bool = false
    ) -> TimeEstimate.Work {
        TimeEstimate.Work(
            frames: frames, height: 100, width: 200, window: window,
            extent: Policy.Extent(
                timesteps: timesteps, exactCodecSteps: exactCodecSteps ?? timesteps,
                conjugateGradientSteps: conjugateGradientSteps, start: start, firstEstimate: firstEstimate,
                addsCodecResidual: addsCodecResidual),
            form: form, completesTime: completesTime)
    }

    private static func seconds(_ work: TimeEstimate.Work, machine: Double = 1) -> Double {
        var rates = rates
        rates.machine = machine
        return TimeEstimate(work, rates).seconds
    }

    @Test func networksPassAsOftenAsTheAlgorithmSays() {
        let frame = 20_000.0
        // Each timestep: 8 predictions, decodes and encodes; and one prediction of the one inversion.
        let expected = 4 * (8 * frame * 6e-6 + frame * 3e-6)
        #expect(abs(TimeEstimate(Self.work(), Self.rates).networkSeconds - expected) < 1e-9)
        let everyFrame = TimeEstimate(Self.work(start: .everyFrameInversion), Self.rates).networkSeconds
        #expect(abs(everyFrame - 4 * 8 * frame * 9e-6) < 1e-9)
        // Two windows have an inversion each.
        let windows = TimeEstimate(Self.work(window: 4), Self.rates).networkSeconds
        #expect(abs(windows - expected - 4 * frame * 3e-6) < 1e-9)
        #expect(TimeEstimate(Self.work(start: .pureNoise), Self.rates).networkSeconds < expected)
        // All timesteps but the last decode and encode with a draft.
        let drafted = TimeEstimate(Self.work(exactCodecSteps: 1), Self.rates).networkSeconds
        #expect(abs(expected - drafted - 3 * 8 * frame * 2e-6) < 1e-9)
        // A decode more of each but the last.
        let residual = TimeEstimate(Self.work(addsCodecResidual: true), Self.rates).networkSeconds
        #expect(abs(residual - expected - 3 * 8 * frame * 2e-6) < 1e-9)
        // By the autoencoder of the timestep behind: of the last two that is the full one.
        let draftedResidual = TimeEstimate(Self.work(exactCodecSteps: 2, addsCodecResidual: true), Self.rates)
        let alone = TimeEstimate(Self.work(exactCodecSteps: 2), Self.rates)
        #expect(
            abs(draftedResidual.networkSeconds - alone.networkSeconds - 8 * frame * (2 * 2e-6 + 0.5e-6)) < 1e-9)
    }

    @Test func moreWorkTakesLonger() throws {
        let base = Self.seconds(Self.work())
        #expect(Self.seconds(Self.work(frames: 16)) > base)
        #expect(Self.seconds(Self.work(timesteps: 8)) > base)
        #expect(Self.seconds(Self.work(firstEstimate: .smooth)) > base)
        // A blur's dense products, and what has no closed form.
        let blur = try SeparatedForm(rows: .matrix(AxisMatrix(rows: [[1]])))
        #expect(Self.seconds(Self.work(form: blur)) > base)
        #expect(Self.seconds(Self.work(form: nil)) > base)
        #expect(Self.seconds(Self.work(), machine: 2) > base)
        // What averages over time do not see is found once more than there are timesteps.
        let (four, eight) = (
            Self.seconds(Self.work(completesTime: true)) - base,
            Self.seconds(Self.work(timesteps: 8, completesTime: true)) - Self.seconds(Self.work(timesteps: 8))
        )
        #expect(four > 0 && abs(eight / four - 9.0 / 5) < 1e-6)
        let few = Self.seconds(Self.work(conjugateGradientSteps: 5))
        #expect(Self.seconds(Self.work(conjugateGradientSteps: 10)) > few)
    }

    /// What iterates until it has converged may take longer than is told.
    @Test func whatNobodyKnowsIsALowerBound() throws {
        let holes = try SeparatedForm(
            rows: .matrix(AxisMatrix(rows: [[1]])), mask: .ones([1, 1]))
        for (form, isKnown) in [(SeparatedForm(), true), (holes, false), (nil, false)] {
            let estimate = TimeEstimate(Self.work(form: form), Self.rates)
            #expect(estimate.isLowerBound == !isKnown)
            let words = estimate.line(frames: 8)
            #expect(words.hasPrefix(isKnown ? "about " : "at least ") && words.hasSuffix(" s for 8 frames"))
        }
        // Conjugate gradients take the steps that they are given.
        #expect(!TimeEstimate(Self.work(form: nil, conjugateGradientSteps: 10), Self.rates).isLowerBound)
    }

    /// A film takes a hundred times what a hundredth of it takes, but for what is done once.
    @Test func filmsTakeTheirLength() {
        let (short, long) = (Self.seconds(Self.work(frames: 100)), Self.seconds(Self.work(frames: 10000)))
        #expect(long < 100 * short && long > 90 * short)
    }

    @Test(arguments: [(0.4, "0 s"), (75, "75 s"), (725, "12:05"), (3723, "1:02:03"), (.infinity, "?")])
    func durations(_ seconds: Double, _ text: String) { #expect(durationText(seconds: seconds) == text) }

    /// Every rate is of a pixel, whatever a pass takes.
    @Test func ratesArePositive() throws {
        #expect(throws: CancellationError.self) {
            try Rates.probed(TinyPrior(), PassSizes(frames: 2), height: 48, width: 64) { throw CancellationError() }
        }
        let rates = try Rates.probed(TinyPrior(), PassSizes(frames: 2), height: 48, width: 64)
        for rate in [rates.prediction, rates.codec, rates.draftCodec, rates.machine] {
            #expect(rate > 0 && rate < 1e3)
        }
    }
}

/// The identity.
private struct TinyPrior: DiffusionPrior {
    let schedule = DDIMSchedule()
    var device: Device { .cpu }
    var frameMultiple: Int { 8 }
    func latentShape(frames: Int, height: Int, width: Int) -> [Int] { [frames, 3, height, width] }
    func encode(_ frames: Tensor, samplingWith noise: Tensor?) throws -> Tensor { frames }
    func decode(_ latents: Tensor) throws -> Tensor { latents }
    func predictNoise(_ latents: Tensor, timestep: Int) throws -> Tensor { try latents * 0.5 }
}
