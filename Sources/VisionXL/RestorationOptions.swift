/// The numbers of Algorithm 1. `paper` has the paper's, as its main tables have them; the defaults differ in what measured better: the
/// data step, the start and the final step.
public struct RestorationOptions: Sendable, Equatable, Codable {
    /// T: DDIM steps of the whole schedule.
    public var steps = 25
    /// tau / T: the sampling begins at the first timestep that is at most this part of the schedule.
    public var tau = 0.3
    /// How the frames are held to the measurement at each timestep.
    public var dataStep = DataStep.proximal
    /// l: conjugate-gradient steps of each data step.
    public var conjugateGradientSteps = 10
    /// Bounds for c of a proximal data step: the error of the prior's frames is s_t = c sqrt((1 - abar) / abar), with the c that the
    /// measurement shows, for each range of frequencies (or part of the picture) and frame on its own. The same value twice fixes it.
    public var priorError = 0.4...2
    /// lambda: sigma of the low-pass filter over sqrt(1 - abar), in pixels; 0 switches it off. nil takes, where
    /// data step and prior are as for an eta of 1, 0.7 beside that and 0.5 where frames shrank and begin with `FirstEstimate.selfSimilar`;
    /// else sqrt(1 + (sigma_y / 0.01)^2) and at most sqrt 2 where the operator leaves pixels apart, and the paper's sqrt 2 where it mixes
    /// them (Docs/DataStep.md).
    public var lowPass: Double?
    /// Taps of the low-pass filter; nil cuts it where it has fallen to nothing.
    public var lowPassTaps: Int?
    /// How strongly pixels that stand still are averaged over time before each data step: h is this times
    /// sqrt((0.02 n_t)^2 + max(sigma_y / 2, nu)^2), n_t = sqrt((1 - abar) / abar), sigma_y the measurement's noise and nu what the proximal data
    /// step before made of it, at most 0.025. Where pixels were mixed, once more after the final data step with h = sqrt(0.004^2 + nu^2)
    /// times this. 0 switches it off.
    public var steadiness = 1.0
    /// eta: the part of the renoising that is new noise. nil takes 1 where three things hold: the data step is proximal; the prior's noise at
    /// the first timestep is at most 0.2 in pixels of [-1, 1], by `DiffusionPrior.decoderGain`; and the operator keeps the frames' size or
    /// sigma_y is 0.01 or more. Elsewhere the paper's 0.2 (Docs/DataStep.md).
    public var eta: Double?
    /// Whose the new noise of the renoising is.
    public var renoising = Renoising.shared
    /// Whether the data steps may solve each frame on its own where the operator does not mix frames, instead of all with the same
    /// conjugate-gradient steps.
    public var solvesFramesAlone = false
    /// Seed of all noise.
    public var seed: UInt64 = 0
    /// Whether latents are samples of the encoder's distribution instead of its mean.
    public var samplesEncoder = false
    /// How the latents at tau are found.
    public var start = Start.sharedInversion
    /// What of the measurement the start encodes. nil takes `selfSimilar` where frames shrank and sigma_y is below 0.01, with data step and prior
    /// as for an eta of 1, and `smooth` elsewhere.
    public var firstEstimate: FirstEstimate?
    /// How a measurement of smaller frames is brought to full size for the start.
    public var upsampling = Upsampling.bicubic
    /// Conjugate-gradient steps from the last decode, beyond the paper; 0 gives the paper's result. A proximal data step is taken once for
    /// any other number.
    public var finalConsistencySteps = 10
    /// Whether conjugate gradients use the operator's symmetrizer where it has one (the authors' code does for blurs). It gets
    /// further in as many steps on exact measurements and diverges on measurements with noise, rounding to 8 bits included.
    public var usesSymmetrizer = false
    /// How many of the last timesteps encode and decode with the prior's own autoencoder; those before them do it by the prior's draft where it
    /// has one, which is quicker and changes the result. All of them when nil.
    public var exactCodecSteps: Int?
    /// Frames that go through a network together; nil leaves it to the program. Memory grows with it, the result does not change.
    public var framesPerPass: Int?

    public init() {}

    /// Algorithm 1 and nothing else.
    public static var paper: RestorationOptions {
        var options = RestorationOptions()
        options.dataStep = .conjugateGradients
        options.finalConsistencySteps = 0
        options.steadiness = 0
        options.start = .firstFrameInversion
        options.firstEstimate = .measurement
        options.lowPass = 2.0.squareRoot()
        options.eta = 0.2
        options.upsampling = .nearest
        return options
    }

    /// SVI (Kwon & Ye, "Solving Video Inverse Problems Using Image Diffusion Models", 2024): the whole schedule in 100 steps from one
    /// noise for all frames, 5 conjugate-gradient steps over all of them, eta 0.8 with one noise, no low-pass. Its prior lives in
    /// pixels: `ADMPrior`, or `PixelSpacePrior` over a denoiser, either in a `PatchedPrior` for frames larger than 256 x 256.
    public static var svi: RestorationOptions {
        var options = RestorationOptions()
        options.dataStep = .conjugateGradients
        options.steps = 100
        options.tau = 1
        options.start = .pureNoise
        options.conjugateGradientSteps = 5
        options.finalConsistencySteps = 5
        options.eta = 0.8
        options.lowPass = 0
        options.steadiness = 0
        return options
    }

    /// DDS (Chung, Lee & Ye, "Decomposed Diffusion Sampler for Accelerating Large-Scale Inverse Problems", 2024) frame by frame: SVI's
    /// numbers without its batch consistency. Every frame has a noise of its own at the start and at each renoising, and conjugate
    /// gradients of its own unless the operator mixes frames.
    public static var dds: RestorationOptions {
        var options = RestorationOptions.svi
        options.start = .independentPureNoise
        options.renoising = .independent
        options.solvesFramesAlone = true
        return options
    }

    /// Whose the new noise of the renoising is.
    public enum Renoising: String, Sendable, Codable, CaseIterable {
        /// One noise for all frames ("batch-consistent").
        case shared
        /// A noise of its own for every frame.
        case independent
    }

    /// How the frames are held to the measurement.
    public enum DataStep: String, Sendable, Codable, CaseIterable {
        /// Conjugate gradients from the prior's frames, as many steps as are asked for (the paper's step 3).
        case conjugateGradients = "cg"
        /// argmin |Y - A X|^2 / sigma_y^2 + |X - Xhat|^2 / s_t^2, with the measurement's noise sigma_y and the error s_t of the prior's
        /// frames: as far towards the measurement as that deserves (Docs/DataStep.md).
        case proximal
    }

    /// What the start encodes.
    public enum FirstEstimate: String, Sendable, Codable, CaseIterable {
        /// The measurement, enlarged where it is smaller (the paper's).
        case measurement
        /// The frames of least variation that the measurement allows, found without a network; where frames shrank, their mean with the
        /// bicubic enlargement that fits (Docs/DataStep.md).
        case smooth
        /// The same, but where frames shrank four parts of frames whose similar patches agree (`enforceSelfSimilarity`) and one of least
        /// variation. For frames of 640x352 on two cores it takes four times as long as the built-in model's eight timesteps.
        case selfSimilar = "self-similar"
    }

    /// Iterations of `enforceSelfSimilarity` for the start.
    static let selfSimilarIterations = 12

    /// `selfSimilarIterations` times the frames, of `count` shrunk ones, that it makes for the start; frames that were mixed can only be made
    /// together.
    func estimations(ofFrames count: Int, mixed: Bool) -> Int {
        guard firstEstimate == .selfSimilar else { return 0 }
        return switch start {
        case .pureNoise, .independentPureNoise: 0
        case .firstFrameInversion, .sharedNoise: (mixed ? count : 1) * Self.selfSimilarIterations
        case .sharedInversion, .everyFrameInversion, .independentNoise: count * Self.selfSimilarIterations
        }
    }

    /// How small frames are enlarged for the start.
    public enum Upsampling: String, Sendable, Codable, CaseIterable {
        /// Every pixel repeated, as in the paper. An inversion keeps the blocks.
        case nearest
        /// Bicubic interpolation.
        case bicubic
    }

    /// How the latents at tau are found.
    public enum Start: String, Sendable, Codable, CaseIterable {
        /// Batch-consistent inversion: DDIM inversion of the first measured frame, for all frames (the paper's).
        case firstFrameInversion = "inversion"
        /// Each measured frame with the noise that DDIM inversion finds in the first one: Z_n = z_tau + sqrt(abar) (E(X_n) - E(X_1)). One
        /// noise for all frames as in batch-consistent inversion, and as many noise predictions, but what has moved is where it belongs.
        case sharedInversion = "shared-inversion"
        /// Pseudo-batch inversion: DDIM inversion of each measured frame on its own.
        case everyFrameInversion = "frame-inversion"
        /// The first measured frame with one random noise, for all frames.
        case sharedNoise = "noise"
        /// Each measured frame with a noise of its own: the ablation.
        case independentNoise = "independent-noise"
        /// One random noise for all frames and nothing of the measurement; tau must be 1.
        case pureNoise = "pure-noise"
        /// The same with a noise of its own for every frame.
        case independentPureNoise = "independent-pure-noise"
    }

    /// h of the steadying filter; 0 for none.
    /// - Parameter passedNoise: standard deviation of the noise that the data step before let through into the frames.
    func steadyingStrength(measurementNoise: Double, passedNoise: Double, noiseToSignal: Double) -> Double {
        let ofPrior = 0.02 * noiseToSignal
        let ofMeasurement = max(measurementNoise / 2, min(passedNoise, Self.mostPassedNoise))
        return steadiness * (ofPrior * ofPrior + ofMeasurement * ofMeasurement).squareRoot()
    }

    /// h after the final data step: half a step of 8 bits, so that nothing is averaged that could be seen to differ, and the noise.
    func finalSteadyingStrength(passedNoise: Double) -> Double {
        let noise = min(passedNoise, Self.mostPassedNoise)
        return steadiness * (0.004 * 0.004 + noise * noise).squareRoot()
    }

    /// What averages more noise than this takes what moves for noise: without a bound `inpaint+` of a landscape at noise 0.05 loses 2.1 dB.
    private static let mostPassedNoise = 0.025

    /// What a measurement without noise is taken to have, since it went through float32.
    static let leastMeasurementNoise = 1e-6

    /// Throws a sentence when a number is outside its range.
    public func validate() throws {
        func check(_ condition: Bool, _ message: String) throws {
            guard condition else { throw RestorationError.invalidOption(message) }
        }
        try check(steps >= 1 && steps <= 1000, "The number of steps must be 1 to 1000, and is \(steps).")
        try check(tau > 0 && tau <= 1, "tau must be above 0 and at most 1, and is \(tau).")
        try check(
            tau == 1 || ![.pureNoise, .independentPureNoise].contains(start),
            "A start from pure noise walks the whole schedule: tau must be 1, and is \(tau).")
        try check(conjugateGradientSteps >= 0, "The number of conjugate-gradient steps must not be negative.")
        try check(finalConsistencySteps >= 0, "The number of final conjugate-gradient steps must not be negative.")
        try check(
            priorError.lowerBound > 0 && priorError.upperBound.isFinite,
            "The prior's error must be above 0, and is \(priorError.lowerBound) to \(priorError.upperBound).")
        try check(steadiness >= 0 && steadiness.isFinite, "The steadiness must be 0 or more, and is \(steadiness).")
        try check(lowPass.map { $0 >= 0 && $0.isFinite } ?? true, "lambda must be 0 or more, and is \(lowPass ?? 0).")
        try check(lowPassTaps.map { $0 >= 1 && $0 % 2 == 1 } ?? true, "The low-pass filter's taps must be an odd number.")
        try check(eta.map { $0 >= 0 && $0 <= 1 } ?? true, "eta must be 0 to 1, and is \(eta ?? 0).")
        try check(exactCodecSteps.map { $0 >= 1 } ?? true, "The last timestep at least must have the full autoencoder.")
        try check(framesPerPass.map { $0 >= 1 } ?? true, "At least one frame must go through a network at a time.")
    }
}

/// What can go wrong in a restoration, beside the errors of the rooms below. Each description is a sentence for the user.
public enum RestorationError: Error, Equatable, Sendable, CustomStringConvertible {
    case invalidOption(String)
    /// The measurement is not a video that the operator can have produced.
    case invalidMeasurement(String)
    /// A value that is not a number came out of a network or of the data step.
    case notFinite(step: Int)
    /// The smallest pass of a network did not fit into a device's memory.
    case outOfMemory(device: String, reason: String)

    public var description: String {
        switch self {
        case .invalidOption(let message), .invalidMeasurement(let message): message
        case .notFinite(let step):
            "Step \(step) gave values that are not numbers: run with --dtype float32, and without the symmetrizer on measurements with noise."
        case .outOfMemory(let device, let reason):
            "The memory of \(device) does not suffice for one frame at a time; make the frames smaller, close other programs or choose another "
                + "--device. (\(reason))"
        }
    }
}
