import InverseProblems

/// What is asked of Algorithm 1. What is nil is left to `Policy`, which says why it chose what it chose; `paper` has the paper's numbers, as
/// its main tables have them.
public struct RestorationOptions: Sendable, Equatable, Codable {
    /// What is sampled, one by one: falling whole numbers of 1 to 1000, in place of `steps`, `tau` and `speed`.
    public var timesteps: [Int]?
    /// How much time the sampling may take, where neither `steps` nor `tau` is said.
    public var speed: Speed?
    /// T: DDIM steps of the whole schedule.
    public var steps: Int?
    /// tau / T: the sampling begins at the first timestep that is at most this part of the schedule.
    public var tau: Double?
    /// How the frames are held to the measurement at each timestep.
    public var dataStep: DataStepKind?
    /// l: conjugate-gradient steps of each data step.
    public var conjugateGradientSteps: Int?
    /// Bounds for c of a proximal data step: the error of the prior's frames is s_t = c sqrt((1 - abar) / abar), with the c that the
    /// measurement shows, for each range of frequencies (or part of the picture) and frame on its own. The same value twice fixes it.
    public var priorError: ClosedRange<Double>?
    /// lambda: sigma of the low-pass filter over sqrt(1 - abar), in pixels; 0 switches it off.
    public var lowPass: Double?
    /// Taps of the low-pass filter, odd.
    public var lowPassTaps: Int?
    /// How strongly pixels that stand still are averaged over time (`Steadying`); 0 switches it off, and `TemporalCompletion` with it.
    public var steadiness: Double?
    /// eta: the part of the renoising that is new noise.
    public var eta: Double?
    /// Whose the new noise of the renoising is.
    public var renoising: Renoising?
    /// Whether conjugate gradients may solve each frame on its own where the operator does not mix frames.
    public var solvesFramesAlone: Bool?
    /// Seed of all noise.
    public var seed: UInt64?
    /// Whether latents are samples of the encoder's distribution instead of its mean.
    public var samplesEncoder: Bool?
    /// How the latents at tau are found.
    public var start: Start?
    /// What of the measurement the start encodes.
    public var firstEstimate: FirstEstimate?
    /// How a measurement of smaller frames is brought to full size for the start.
    public var upsampling: Upsampling?
    /// Conjugate-gradient steps from the last decode, beyond the paper; 0 for no data step there. A proximal data step is taken once for any
    /// other number.
    public var finalConsistencySteps: Int?
    /// How many of the last timesteps encode and decode with the prior's own autoencoder, 1 or more; those before them do it by the prior's
    /// draft where it has one, which is quicker and changes the result.
    public var exactCodecSteps: Int?
    /// The part of what the autoencoder lost of a timestep's frames, X - D(E(X)), that is added to those of the next; 0 to 1. Cost where it is
    /// not 0: a decode of each frame and timestep but the last.
    public var codecResidual: Double?

    public init() {}

    /// Algorithm 1 and nothing else.
    public static var paper: RestorationOptions {
        var options = RestorationOptions()
        options.steps = 25
        options.tau = Policy.tau
        options.dataStep = .conjugateGradients
        options.conjugateGradientSteps = Policy.iterations
        options.finalConsistencySteps = 0
        options.steadiness = 0
        options.start = .firstFrameInversion
        options.firstEstimate = .measurement
        options.upsampling = .nearest
        options.samplesEncoder = false
        options.lowPass = 2.0.squareRoot()
        options.eta = 0.2
        options.codecResidual = 0
        options.renoising = .shared
        options.solvesFramesAlone = false
        return options
    }

    /// Throws a sentence when a number is outside its range.
    public func validate() throws {
        func check<Value>(_ value: Value?, _ holds: (Value) -> Bool, _ message: (Value) -> String) throws {
            if let value, !holds(value) { throw RestorationError.invalidOption(message(value)) }
        }
        try check(steps, { (1...1000).contains($0) }, { "The number of steps must be 1 to 1000, and is \($0)." })
        try check(
            timesteps,
            { timesteps in
                !timesteps.isEmpty && timesteps.allSatisfy { (1...1000).contains($0) }
                    && zip(timesteps, timesteps.dropFirst()).allSatisfy(>)
            }, { _ in "The timesteps must be falling whole numbers of 1 to 1000, such as 281,121,1." })
        try check(
            timesteps, { _ in steps == nil && tau == nil && speed == nil },
            { _ in "Timesteps are said one by one, or by steps, tau or a speed; leave one of the ways out." })
        try check(tau, { $0 > 0 && $0 <= 1 }, { "tau must be above 0 and at most 1, and is \($0)." })
        try check(
            conjugateGradientSteps, { $0 >= 0 }, { _ in "The number of conjugate-gradient steps must not be negative." }
        )
        try check(
            finalConsistencySteps, { $0 >= 0 },
            { _ in "The number of final conjugate-gradient steps must not be negative." })
        try check(
            priorError, { $0.lowerBound > 0 && $0.upperBound.isFinite },
            { "The prior's error must be above 0, and is \($0.lowerBound) to \($0.upperBound)." })
        try check(steadiness, { $0 >= 0 && $0.isFinite }, { "The steadiness must be 0 or more, and is \($0)." })
        try check(lowPass, { $0 >= 0 && $0.isFinite }, { "lambda must be 0 or more, and is \($0)." })
        try check(
            lowPassTaps, { (1...9999).contains($0) && $0 % 2 == 1 },
            { _ in "The low-pass filter's taps must be an odd number up to 9999." })
        try check(eta, { $0 >= 0 && $0 <= 1 }, { "eta must be 0 to 1, and is \($0)." })
        try check(
            codecResidual, { $0 >= 0 && $0 <= 1 },
            { "The part of the autoencoder's residual that is added must be 0 to 1, and is \($0)." })
        try check(exactCodecSteps, { $0 >= 1 }, { _ in "The last timestep at least must have the full autoencoder." })
        let isWhole = tau == 1 || (timesteps?.first ?? 0) > 900
        try check(
            start, { isWhole || ![.pureNoise, .independentPureNoise].contains($0) },
            { _ in "A start from pure noise walks the whole schedule: tau must be 1, and is \(tau ?? Policy.tau)." })
    }
}

/// How much of the schedule is walked, in words. One timestep is sampled at each of them where a small prior begins from a learned estimate, unless
/// frames were averaged and are noisy.
public enum Speed: String, Sendable, Codable, CaseIterable {
    /// The paper's 25 steps, of which eight timesteps are sampled.
    case best
    /// 12 steps, of which four are.
    case balanced
    /// 8 steps, of which three are.
    case fast

    /// T.
    var steps: Int {
        switch self {
        case .best: 25
        case .balanced: 12
        case .fast: 8
        }
    }
}

/// Whose the new noise of the renoising is.
public enum Renoising: String, Sendable, Codable, CaseIterable {
    /// One noise for all frames ("batch-consistent").
    case shared
    /// A noise of its own for every frame.
    case independent
}

/// The data steps that options name.
public enum DataStepKind: String, Sendable, Codable, CaseIterable {
    /// `ConjugateGradientStep`, the paper's.
    case conjugateGradients = "cg"
    /// `ProximalStep` (Docs/DataStep.md).
    case proximal
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
