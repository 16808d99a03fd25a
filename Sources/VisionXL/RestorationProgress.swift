import Diffusion
import InverseProblems

/// Where a restoration is.
public struct RestorationProgress: Sendable, Equatable {
    /// Is told where the work is, and stops it by throwing.
    public typealias Handler = (RestorationProgress) throws -> Void

    public enum Phase: String, Sendable, Codable {
        /// Making what the start encodes.
        case estimating
        /// Encoding and inverting it.
        case inverting
        /// Predicting noise.
        case denoising
        /// Decoding latents.
        case decoding
        /// Conjugate gradients.
        case consistency
        /// Encoding the filtered frames.
        case encoding
        /// The last data step.
        case finishing
        /// An iteration over all frames at once, of a method without a network.
        case optimizing
    }

    public var phase: Phase
    /// The timestep's (or iteration's) number, 1 ... stepCount; 0 during the inversion.
    public var step: Int
    public var stepCount: Int
    /// The schedule's timestep; 0 where there is none.
    public var timestep: Int
    /// Frames of this phase that are done, of all.
    public var frame: Int
    public var frameCount: Int
    /// The part of the whole work that is done, 0 ... 1, by the prior's relative costs.
    public var fraction: Double
    /// |Y - A(X)| / |Y| before and after this step's conjugate gradients, once they are done.
    public var residual: Residual?

    public init(
        phase: Phase, step: Int, stepCount: Int, timestep: Int = 0, frame: Int, frameCount: Int, fraction: Double,
        residual: Residual? = nil
    ) {
        self.phase = phase
        self.step = step
        self.stepCount = stepCount
        self.timestep = timestep
        self.frame = frame
        self.frameCount = frameCount
        self.fraction = fraction
        self.residual = residual
    }
}

/// Counts the work that is done.
struct WorkMeter {
    let total: Double
    private(set) var done = 0.0

    /// - Parameters:
    ///   - hasStart: whether the scene's inversion is there already.
    ///   - estimated: frames that a first estimate is made of.
    ///   - decodesTwice: whether frames are decoded as they were encoded, to see what that lost.
    init(
        cost: PriorCost, frames: Int, timesteps: Int, start: Start, hasStart: Bool = false, estimated: Int,
        decodesTwice: Bool = false
    ) {
        let n = Double(frames)
        let steps = Double(timesteps)
        let estimating = Double(estimated) * cost.estimating
        let starting: Double =
            switch start {
            case .firstFrameInversion: hasStart ? 0 : cost.encoding + steps * cost.prediction
            case .sharedInversion: n * cost.encoding + (hasStart ? 0 : steps * cost.prediction)
            case .everyFrameInversion: n * (cost.encoding + steps * cost.prediction)
            case .sharedNoise: cost.encoding
            case .independentNoise: n * cost.encoding
            case .pureNoise, .independentPureNoise: 0
            }
        total =
            estimating + starting + n * (steps * (cost.prediction + cost.decoding) + (steps - 1) * cost.encoding)
            + (decodesTwice ? n * (steps - 1) * cost.decoding : 0)
    }

    mutating func add(_ work: Double) { done += work }
    var fraction: Double { min(done / total, 1) }
}
