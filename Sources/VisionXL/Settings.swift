import InverseProblems

/// What a run of Algorithm 1 follows: every number of it, chosen. `Policy.settle` makes them of what was asked.
public struct Settings: Sendable {
    /// What is sampled, from noise to data; never empty.
    public var timesteps: [Int]
    /// Step 3.
    public var dataStep: any DataStep
    /// Data steps after the last decode; none in the paper.
    public var finalSteps: [any DataStep]
    /// lambda of step 4, in pixels.
    public var lambda: Double
    public var lowPassTaps: LowPassTaps
    /// eta of step 5.
    public var eta: Double
    public var renoising: Renoising
    /// What averages over time before each data step.
    public var steadying: Steadying
    /// Whether the result is steadied, too.
    public var steadiesResult: Bool
    /// Step 1.
    public var start: Start
    /// Where no frames are given to begin from.
    public var firstEstimate: FirstEstimate
    public var upsampling: Upsampling
    public var samplesEncoder: Bool
    /// The last timesteps that have the full autoencoder; all of them without a draft.
    public var exactCodecSteps: Int
    /// The part of what the autoencoder lost of the frames before, X - D(E(X)), that is added to those that it decodes; 0 to 1.
    public var codecResidual: Double
    public var seed: UInt64

    /// Taps of the low-pass filter.
    public enum LowPassTaps: Sendable, Equatable {
        /// As many as matter.
        case enough
        /// Odd.
        case exactly(Int)

        var count: Int? {
            switch self {
            case .enough: nil
            case .exactly(let count): count
            }
        }
    }

    /// How many frames the start makes a first estimate of.
    func estimatedFrames(of measurement: VideoMeasurement) -> Int {
        let wanted =
            switch start {
            case .firstFrameInversion, .sharedNoise: 1
            case .sharedInversion, .everyFrameInversion, .independentNoise: measurement.videoShape[0]
            case .pureNoise, .independentPureNoise: 0
            }
        return firstEstimate.count(wanted, of: measurement)
    }

    /// What was asked, with what was left open filled in (but for taps that are as many as matter): for logs.
    public let options: RestorationOptions
    /// Each value with its reason.
    public let choices: [Policy.Row]
}
