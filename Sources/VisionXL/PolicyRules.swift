import Diffusion
import Foundation
import InverseProblems

/// A rule for each number of Algorithm 1. A rule may ask another one; none has a side effect.
struct Rules<F: Facts> {
    typealias Choice = Policy.Choice
    let asked: RestorationOptions
    let facts: F
    /// Takes the place of the one that the options name.
    var ownDataStep: (any DataStep)?

    // MARK: How much of the schedule

    func speed() -> Choice<Speed> { Choice(asked.speed, else: .best, "The paper's number of steps.") }

    func steps() -> Choice<Int> { Choice(asked.steps, else: speed().value.steps, "As the speed has it.") }

    func tau() -> Choice<Double> { Choice(asked.tau, else: Policy.tau, "The paper's 0.3 T.") }

    func timesteps() throws -> Choice<[Int]> {
        let schedule = try facts.schedule()
        if let said = asked.timesteps {
            if let first = said.first, first > schedule.trainingSteps {
                throw RestorationError.invalidOption(
                    "The model was trained on \(schedule.trainingSteps) timesteps; \(first) is none of them.")
            }
            return Choice(said, "As said.")
        }
        let kept = timesteps(of: schedule)
        let saysHowMuch = asked.steps != nil || asked.tau != nil
        // A prior of pixels, or with a linear codec. What only the decoder knows the noise of may know more.
        if !saysHowMuch, try knowsMore(), try facts.decoderGain() != nil, try !isAveragedInNoise() {
            return Choice(
                Array(kept.suffix(1)), "A small prior knows less than the first estimate, and takes texture away.")
        }
        return Choice(kept, "Those of \(steps().value) steps up to \(tau().value) of the schedule.")
    }

    /// Whether frames were averaged over time and are noisier than by rounding to eight bits: undoing an average makes much of the noise, and what a
    /// learned estimate leaves of it is more than one timestep takes away.
    private func isAveragedInNoise() throws -> Bool {
        try facts.mixesFrames() && !facts.hasOwnEstimate() && facts.noise() > 2 * NoiseLevel.rounding(toBits: 8)
    }

    /// Up to tau, or the last one.
    private func timesteps(of schedule: DDIMSchedule) -> [Int] {
        // Some spacings end at 0, where no noise is left to take away.
        let all = schedule.timesteps(steps().value).map { max($0, 1) }
        let kept = all.filter { Double($0) <= tau().value * Double(schedule.trainingSteps) }
        return kept.isEmpty ? Array(all.suffix(1)) : kept
    }

    // MARK: The data step

    func dataStepKind() -> Choice<DataStepKind> {
        Choice(
            asked.dataStep, else: .proximal,
            "It weighs the measurement by its noise: 3.3 dB over conjugate gradients on average, and it cannot diverge."
        )
    }

    var isProximal: Bool { ownDataStep.map { $0 is ProximalStep } ?? (dataStepKind().value == .proximal) }

    func priorError() -> Choice<ClosedRange<Double>> {
        Choice(
            asked.priorError, else: ProximalStep().error, "Bounds within which the measurement shows the prior's error."
        )
    }

    func iterations() -> Choice<Int> { Choice(asked.conjugateGradientSteps, else: Policy.iterations, "The paper's l.") }

    func finalIterations() -> Choice<Int> {
        Choice(
            asked.finalConsistencySteps, else: Policy.iterations,
            "The autoencoder's error shall not be in what was measured.")
    }

    /// Bits whose bands are told and taken away first; nil for none.
    func roundedBits() throws -> Choice<Int?> {
        guard isProximal else { return Choice(nil, "Conjugate gradients know nothing of rounding.") }
        guard try !facts.keepsPixelsInBlocks() else {
            return Choice(nil, "What is not weakened is not amplified: rounding stays noise where nothing was blurred.")
        }
        let noise = try facts.noise()
        // Noise of half a step, which together with the rounding's is twice that, leaves no bands.
        func isAbout(_ bits: Int) -> Bool {
            let rounding = NoiseLevel.rounding(toBits: bits)
            return (0.9 * rounding..<2 * rounding).contains(noise)
        }
        guard (8...16).contains(where: isAbout), let bits = try facts.roundedBits(), isAbout(bits) else {
            return Choice(nil, "The noise is more than rounding, or less: there are no bands to tell.")
        }
        return Choice(
            bits, "The noise is that of rounding to \(bits) bits, whose bands a blur's inverse would make waves of.")
    }

    func solvesFramesAlone() -> Choice<Bool> {
        Choice(asked.solvesFramesAlone, else: false, "Inner products run over all frames, as in the paper.")
    }

    /// - Parameter roundedBits: asked for where the step takes it away, which costs a pass over the measurement.
    private func dataStep(iterations: Int, roundedBits: () throws -> Int?) rethrows -> any DataStep {
        if let ownDataStep { return ownDataStep }
        return isProximal
            ? ProximalStep(error: priorError().value, roundedBits: try roundedBits())
            : ConjugateGradientStep(iterations: iterations, solvesFramesAlone: solvesFramesAlone().value)
    }

    // MARK: The sampling

    /// Whether the noise at a timestep, as it looks in pixels of [-1, 1], is no more than a tenth of their range. Of some priors only the decoder
    /// knows.
    private func priorIsLight(from timestep: Int) throws -> Bool {
        guard let gain = try facts.decoderGain() else { return false }
        return try gain * facts.schedule().noiseToSignal(timestep) <= 0.2
    }

    /// Whether all noise may be new: where the prior never sees more than a tenth of the pixels' range, what it has found out lies in the
    /// frames, not in its prediction of the noise. With more, as with FFDNet on SDXL's schedule, new noise costs detail.
    private func noiseIsLight() throws -> Bool { try isProximal && priorIsLight(from: timesteps().value[0]) }

    func eta() throws -> Choice<Double> {
        try Choice(asked.eta) {
            guard try noiseIsLight() else {
                return Choice(0.2, "The paper's: what the prior has found out lies in its prediction of the noise.")
            }
            guard try facts.shrinks(), try facts.noise() < 0.01 else {
                return Choice(1, "The prior's noise is light, and what it has found out lies in the frames.")
            }
            return Choice(0.2, "The paper's: what small exact frames do not tell is better kept as it was.")
        }
    }

    func lambda() throws -> Choice<Double> {
        try Choice(asked.lowPass) {
            if try knowsMore() {
                return Choice(0.5, "The paper's sqrt 2 would take away what the first estimate knows.")
            }
            if try noiseIsLight(), try eta().value == 1 {
                return Choice(
                    0.7,
                    "New noise keeps the prior's mistakes from coming back, so that half of the paper's sqrt 2 is enough."
                )
            }
            // The paper's sqrt 2 keeps the prior's mistakes from coming back. So does a measurement that leaves pixels apart.
            guard try !facts.mixesPixels() else { return Choice(2.0.squareRoot(), "The paper's sqrt 2.") }
            // An autoencoder that loses detail makes mistakes of its own.
            guard try !isProximal || facts.decoderGain() != nil else {
                return Choice(2.0.squareRoot(), "The paper's sqrt 2, which the autoencoder's mistakes need, too.")
            }
            let noise = try Swift.min(facts.noise() / 0.01, 1)
            return Choice(
                (1 + noise * noise).squareRoot(),
                "Pixels were measured one by one, which lets sqrt(1 + (noise / 0.01)^2) do, sqrt 2 at most.")
        }
    }

    func taps() -> Choice<Settings.LowPassTaps> {
        Choice(asked.lowPassTaps.map { .exactly($0) }, else: .enough, "As many as matter.")
    }

    func steadiness() -> Choice<Double> {
        Choice(
            asked.steadiness, else: 1,
            "What flickers where nothing moves is the measurement's noise and the prior's whim.")
    }

    func steadiesResult() throws -> Choice<Bool> {
        guard try facts.mixesPixels() else { return Choice(false, "Pixels that were measured one by one stay exact.") }
        return Choice(
            true, "Pixels were mixed, and parting those of one frame differs a little from parting those of the next.")
    }

    func renoising() -> Choice<Renoising> {
        Choice(asked.renoising, else: .shared, "One noise for all frames, as in the paper.")
    }

    func seed() -> Choice<UInt64> { Choice(asked.seed, else: 0, "The same frames every time.") }

    // MARK: The start

    func start() throws -> Choice<Start> {
        try Choice(asked.start) {
            guard try knowsMore(), try timesteps().value.count == 1 else {
                return Choice(
                    .sharedInversion, "One noise for all frames as in the paper, with what has moved where it belongs.")
            }
            return Choice(
                .everyFrameInversion,
                "After a single timestep the noise that each frame's inversion found is gone again."
            )
        }
    }

    func firstEstimate() throws -> Choice<FirstEstimate> {
        try Choice(asked.firstEstimate) {
            guard try facts.canEnlarge() else {
                return Choice(.smooth, "An inversion keeps what it is given, holes and blocks included.")
            }
            return Choice(.learned, "A network that enlarges knows more of small frames than interpolation.")
        }
    }

    /// Whether the start knows more than the measurement: by frames brought along, or the learned estimate where it can be made.
    private func knowsMore() throws -> Bool {
        try facts.hasOwnEstimate() || firstEstimate().value == .learned && facts.canEnlarge()
    }

    func upsampling() -> Choice<Upsampling> {
        Choice(asked.upsampling, else: .bicubic, "An inversion keeps the blocks of repeated pixels.")
    }

    // MARK: All together

    func settings() throws -> Settings {
        let final = finalIterations().value
        var followed = asked
        let chosen = try timesteps().value
        if asked.timesteps == nil {
            if try chosen == timesteps(of: facts.schedule()) {
                (followed.steps, followed.tau) = (steps().value, tau().value)
            } else {
                followed.timesteps = chosen
            }
        }
        followed.dataStep = dataStepKind().value
        followed.priorError = priorError().value
        followed.conjugateGradientSteps = iterations().value
        followed.finalConsistencySteps = final
        followed.lowPass = try lambda().value
        followed.steadiness = steadiness().value
        followed.eta = try eta().value
        followed.renoising = renoising().value
        followed.solvesFramesAlone = solvesFramesAlone().value
        followed.seed = seed().value
        followed.samplesEncoder = samplesEncoder().value
        followed.start = try start().value
        followed.firstEstimate = try facts.hasOwnEstimate() ? nil : firstEstimate().value
        followed.upsampling = upsampling().value
        followed.exactCodecSteps = try exactCodecSteps().value
        followed.codecResidual = try codecResidual().value
        return Settings(
            timesteps: chosen,
            dataStep: try dataStep(iterations: iterations().value) { try roundedBits().value },
            // Bands are taken away once, before the first step.
            finalSteps: final > 0 ? [dataStep(iterations: final) { nil }] : [],
            lambda: try lambda().value, lowPassTaps: taps().value, eta: try eta().value, renoising: renoising().value,
            steadying: Steadying(strength: steadiness().value), steadiesResult: try steadiesResult().value,
            start: try start().value,
            firstEstimate: try firstEstimate().value, upsampling: upsampling().value,
            samplesEncoder: samplesEncoder().value,
            exactCodecSteps: try exactCodecSteps().value, codecResidual: try codecResidual().value,
            seed: seed().value, options: followed, choices: try rows())
    }
}
