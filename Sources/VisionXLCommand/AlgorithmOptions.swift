import ArgumentParser
import VisionXL

extension Start: ExpressibleByArgument {}
extension Upsampling: ExpressibleByArgument {}
extension DataStepKind: ExpressibleByArgument {}
extension FirstEstimate: ExpressibleByArgument {}
extension Speed: ExpressibleByArgument {}

/// Every number of Algorithm 1. What is not said is chosen by the policy, which `explain` shows.
struct AlgorithmOptions: ParsableArguments {
    @Option(help: "How much time the sampling may take: the number of timesteps, and nothing else, follows from it.")
    var speed: Speed?

    @Option(
        help: ArgumentHelp(
            "What is sampled, one by one: falling whole numbers of 1 to 1000, such as 281,121,1.", valueName: "list"),
        transform: { text in
            let words = text.split(separator: ",", omittingEmptySubsequences: false)
            let numbers = words.compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
            guard numbers.count == words.count else {
                throw ValidationError(
                    "--timesteps takes falling whole numbers, such as 281,121,1; \"\(text)\" is none.")
            }
            return numbers
        })
    var timesteps: [Int]?

    /// Whether what is sampled is said, in whatever way.
    var saysTimesteps: Bool { speed != nil || timesteps != nil || steps != nil || tau != nil }

    @Option(help: "T: DDIM steps of the whole schedule, in place of --speed.")
    var steps: Int?

    @Option(help: "tau / T: the part of the schedule that is sampled.")
    var tau: Double?

    @Option(
        help:
            "What holds the frames to the measurement: cg (the paper's steps) or proximal, which weighs the measurement by its noise."
    )
    var dataStep: DataStepKind?

    @Option(
        help: ArgumentHelp(
            "c: a proximal data step takes the prior's frames to be c sqrt((1 - abar) / abar) wrong, in pixels of [-1, 1]; what the measurement shows between two bounds, or a number.",
            valueName: "low:high"))
    var priorError: PriorErrorArgument?

    @Option(help: "l: conjugate-gradient steps at each timestep, for --data-step cg.")
    var cgSteps: Int?

    @Option(
        name: .customLong("lambda"),
        help: "The low-pass filter's sigma over sqrt(1 - abar), in pixels; 0 switches it off.")
    var lowPass: Double?

    @Option(help: "The low-pass filter's taps, odd.")
    var lowPassTaps: Int?

    @Option(
        help:
            "How strongly pixels that stand still are averaged over time, once what an average does not see is found; 0 for neither, as in the paper."
    )
    var steadiness: Double?

    @Option(help: "The part of the renoising that is new noise.")
    var eta: Double?

    @Option(help: "The seed of all noise: the same seed gives the same frames, on a GPU but for rounding.")
    var seed: UInt64?

    @Option(
        help:
            "How the sampling starts: each frame with the noise that an inversion of the first one finds, as in the paper from the first frame's inversion for all, or otherwise."
    )
    var start: Start?

    @Option(
        help:
            "What the start encodes: the measurement, as in the paper, the smoothest frames that fit it, or for frames that shrank what a network makes of them (default: learned where its weights were fetched, else smooth)."
    )
    var firstEstimate: FirstEstimate?

    @Option(help: "How small frames are enlarged for the start; the paper repeats pixels.")
    var upsampling: Upsampling?

    @Flag(help: "Sample the encoder's distribution instead of taking its mean.")
    var sampleEncoder = false

    @Option(
        help:
            "The part, 0 to 1, of what the autoencoder lost of a timestep's frames that is added to the next one's; a decode more for each (default: see `explain`)."
    )
    var vaeResidual: Double?

    @Option(
        help: "Conjugate-gradient steps after the last decode, beyond the paper; 0 for no data step of any kind there.")
    var finalCgSteps: Int?

    @Flag(
        help:
            "The paper's algorithm exactly: conjugate gradients, a start from the measurement, no data step after the last decode."
    )
    var paper = false

    mutating func validate() throws {
        if timesteps != nil, steps != nil || tau != nil || speed != nil {
            throw ValidationError(
                "--timesteps says each of them; leave out \(speed != nil ? "--speed" : steps != nil ? "--steps" : "--tau")."
            )
        }
        if paper {
            if speed != nil { throw ValidationError("--paper has 25 steps; leave out --speed.") }
            if dataStep == .proximal {
                throw ValidationError("--paper has conjugate gradients; leave out --data-step proximal.")
            }
            if let firstEstimate, firstEstimate != .measurement {
                throw ValidationError(
                    "--paper starts from the measurement; leave out --first-estimate \(firstEstimate.rawValue).")
            }
            if start == .sharedInversion {
                throw ValidationError(
                    "--paper starts from the first frame's inversion; leave out --start \(Start.sharedInversion.rawValue)."
                )
            }
            if let steadiness, steadiness > 0 {
                throw ValidationError("--paper averages nothing over time; leave out --steadiness.")
            }
            if let vaeResidual, vaeResidual > 0 {
                throw ValidationError("--paper takes frames as they are decoded; leave out --vae-residual.")
            }
            if let finalCgSteps, finalCgSteps > 0 {
                throw ValidationError("--paper has no final steps; leave out --final-cg-steps.")
            }
        }
        do { try options.validate() } catch { throw ValidationError("\(error)") }
    }

    /// What was said alone.
    var options: RestorationOptions {
        var options = RestorationOptions()
        apply(to: &options)
        return options
    }

    /// Puts what was said over what a recipe has.
    func apply(to options: inout RestorationOptions) {
        if paper {
            let seed = options.seed
            options = .paper
            options.seed = seed
        }
        // What is said now takes the place of every earlier way of saying it.
        if timesteps != nil || speed != nil { (options.steps, options.tau, options.speed) = (nil, nil, nil) }
        if steps != nil || tau != nil || speed != nil { options.timesteps = nil }
        if let timesteps { options.timesteps = timesteps }
        if let speed { options.speed = speed }
        if let steps { options.steps = steps }
        if let tau { options.tau = tau }
        if let dataStep { options.dataStep = dataStep }
        if let priorError { options.priorError = priorError.bounds }
        if let cgSteps { options.conjugateGradientSteps = cgSteps }
        if let lowPass { options.lowPass = lowPass }
        if let lowPassTaps { options.lowPassTaps = lowPassTaps }
        if let steadiness { options.steadiness = steadiness }
        if let eta { options.eta = eta }
        if let seed { options.seed = seed }
        if let start { options.start = start }
        if sampleEncoder { options.samplesEncoder = true }
        if let firstEstimate { options.firstEstimate = firstEstimate }
        if let upsampling { options.upsampling = upsampling }
        if let vaeResidual { options.codecResidual = vaeResidual }
        if let finalCgSteps { options.finalConsistencySteps = finalCgSteps }
    }

    /// Refuses numbers of a data step that is not taken.
    func check(_ options: RestorationOptions) throws {
        if options.dataStep != .conjugateGradients, cgSteps != nil {
            throw ValidationError("--cg-steps is for conjugate gradients; add --data-step cg.")
        }
        do { try options.validate() } catch { throw ValidationError("\(error)") }
    }
}

/// Bounds of the prior's error: "0.4:2", or "0.4" for the same value twice.
struct PriorErrorArgument: ExpressibleByArgument, Equatable {
    var bounds: ClosedRange<Double>

    init?(argument: String) {
        let values = argument.split(separator: ":", omittingEmptySubsequences: false).map { Double($0) }
        guard 1...2 ~= values.count, let lower = values[0], let upper = values[values.count - 1], lower <= upper else {
            return nil
        }
        bounds = lower...upper
    }
}
