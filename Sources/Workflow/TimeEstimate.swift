import Diffusion
import Foundation
import InverseProblems
import LatentDiffusion
import TensorKit
import VisionXL

/// How long a restoration will take, told before it begins: the networks' passes from a probe of this model on this device, the rest from what
/// it took on a machine that was measured, scaled by a probe of this one.
///
/// On a CPU it was within a third of what runs took then (Benchmarks/RESULTS.md). For GPUs nothing was measured.
public struct TimeEstimate: Sendable, Encodable, Equatable {
    /// All of a run.
    public var seconds: Double
    /// Of these, passes of networks.
    public var networkSeconds: Double
    /// Whether data steps iterate until they have converged, which nobody knows before.
    public var isLowerBound: Bool

    /// What there is to do.
    struct Work {
        /// Of all batches.
        var frames: Int
        /// Of a restored frame, padded.
        var height: Int
        var width: Int
        /// Frames of the longest window; others have the same rate.
        var window: Int
        var extent: Policy.Extent
        var form: SeparatedForm?
        /// Whether what an average over time does not see is found at each timestep.
        var completesTime = false

        var pixels: Double { Double(frames * height * width) }
    }

    /// Nil where a probe's pass found no room, which the run itself knows how to find. Cost: as `Rates.probed`.
    /// - Parameter check: throws where the work is to stop.
    /// - Throws: what `check` throws, and what a pass of a network does.
    static func found(
        _ video: MeasuredVideo, _ plan: WindowPlan, _ passes: PassSizes, _ prior: some DiffusionPrior,
        _ extent: Policy.Extent, _ check: () throws -> Void
    ) throws -> TimeEstimate? {
        let padding = Padding([plan.longest, 3, video.height, video.width], multiple: prior.frameMultiple)
        let form = try video.form(frames: plan.longest)
        // Windows of a film have open ends, which the operator of the whole need not have.
        let isOpen = form?.frames != nil && plan.windows.contains { !$0.openEnds.isEmpty }
        let work = Work(
            frames: max(plan.windows.map(video.restoredCount).reduce(0, +), 1), height: padding.paddedHeight,
            width: padding.paddedWidth, window: plan.windows.map(video.restoredCount).max() ?? 1, extent: extent,
            form: form, completesTime: try isOpen || form.map(TemporalCompletion.isNeeded) ?? false)
        do {
            let rates = try Rates.probed(
                prior, passes, height: padding.paddedHeight, width: padding.paddedWidth,
                hasDraft: extent.exactCodecSteps < extent.timesteps, check)
            return TimeEstimate(work, rates)
        } catch let error as TensorError where error.isOutOfMemory {
            return nil
        }
    }

    init(_ work: Work, _ rates: Rates) {
        let steps = Double(work.extent.timesteps)
        let windows = Double((work.frames + work.window - 1) / work.window)
        // One inversion for each window, or for each frame.
        let inverted =
            switch work.extent.start {
            case .everyFrameInversion: work.pixels
            case .firstFrameInversion, .sharedInversion: work.pixels / Double(work.frames) * windows
            default: 0.0
            }
        let exact = Double(work.extent.exactCodecSteps)
        // What was encoded is decoded at once as it will be at the next timestep.
        let exactAgain = min(exact, steps - 1)
        let again = exactAgain * rates.decoding + (steps - 1 - exactAgain) * rates.draftDecoding
        networkSeconds =
            steps * (work.pixels + inverted) * rates.prediction
            + work.pixels * (exact * rates.codec + (steps - exact) * rates.draftCodec)
            + (work.extent.addsCodecResidual ? work.pixels * again : 0)
        let isBlurred = work.form.map { !$0.keepsPixelsInBlocks } ?? true
        let first =
            switch work.extent.firstEstimate {
            case .measurement, nil: 0.0
            case .smooth: isBlurred ? Rest.blurredStart : Rest.start
            case .learned: Rest.learnedStart
            }
        let iterations = work.extent.conjugateGradientSteps.map(Double.init)
        let step =
            iterations.map { Rest.sampling + $0 * (isBlurred ? Rest.blurredIteration : Rest.iteration) }
            ?? (isBlurred ? Rest.blurredStep : Rest.step)
        isLowerBound = iterations == nil && !(work.form?.isExact ?? false)
        let completion = work.completesTime && iterations == nil ? Rest.completion : 0
        let perPixel = Rest.frame + first + completion + steps * (step + completion)
        seconds = networkSeconds + rates.machine * (Rest.preparing + work.pixels * perPixel)
    }

    /// The line before a run.
    func line(frames count: Int) -> String {
        "\(isLowerBound ? "at least" : "about") \(durationText(seconds: seconds)) for \(count) "
            + (count == 1 ? "frame" : "frames")
    }

    /// What everything but networks took on the machine that was measured: seconds, and seconds for each pixel of a frame.
    private enum Rest {
        static let preparing = 0.9
        /// Reading and writing.
        static let frame = 0.3e-6
        static let start = 0.4e-6
        /// With what is told of the rounding's bands.
        static let blurredStart = 0.55e-6
        static let learnedStart = 1.0e-6
        /// A timestep's data step, steadying and sampling.
        static let step = 0.075e-6
        static let blurredStep = 0.14e-6
        /// What an average over time does not see, found once.
        static let completion = 0.3e-6
        /// The same with conjugate gradients: without their iterations, and each of these.
        static let sampling = 0.02e-6
        static let iteration = 0.005e-6
        static let blurredIteration = 0.037e-6
    }
}

/// What was probed.
struct Rates: Sendable {
    /// Seconds for each pixel of a frame.
    var prediction: Double
    /// Of a decode and an encode.
    var codec: Double
    /// The same of a draft.
    var draftCodec: Double
    /// Of a decode alone, and of a draft's.
    var decoding: Double
    var draftDecoding: Double
    /// How many times as long as the measured machine this one takes for what is not a network.
    var machine: Double

    /// Cost: a pass or two of each network over frames of at most 512 x 512, and a tenth of a second.
    /// - Parameter passes: of the run; a pass of several frames is quicker than as many passes.
    static func probed(
        _ prior: some DiffusionPrior, _ passes: PassSizes, height: Int, width: Int, hasDraft: Bool = false,
        _ check: () throws -> Void = {}
    ) throws -> Rates {
        func side(_ length: Int) -> Int {
            let multiple = prior.frameMultiple
            return max(length / multiple, 1) * multiple
        }
        // As many pixels as keep a device busy, and never more than the plan has room for.
        let shrink = min((Double(1 << 18) / Double(height * width)).squareRoot(), 1)
        let (height, width) = (side(Int(Double(height) * shrink)), side(Int(Double(width) * shrink)))
        func rate(_ frames: Int, _ pass: () throws -> Tensor) throws -> Double {
            func seconds() throws -> Double {
                try check()
                let began = ContinuousClock.now
                _ = try pass().select(0, 0).mean().item()
                return (ContinuousClock.now - began) / .seconds(1)
            }
            // The first one makes what later ones find ready, which is little of a long one.
            let first = try seconds()
            return try (first > 1 ? first : min(first, seconds())) / Double(frames * height * width)
        }
        func latents(_ frames: Int) throws -> Tensor {
            var random = RandomGenerator(seed: 0)
            return try random.normal(
                prior.latentShape(frames: frames, height: height, width: width), device: prior.device)
        }
        let (some, coded) = (try latents(passes.prediction), try latents(passes.decoding))
        let video = try Tensor.zeros([passes.encoding, 3, height, width], device: prior.device)
        func decoding(isDraft: Bool) throws -> Double {
            let pass = CodecPass(tile: passes.decodingTile, isDraft: isDraft)
            return try rate(passes.decoding) { try prior.decode(coded, pass) }
        }
        func encoding(isDraft: Bool) throws -> Double {
            let pass = CodecPass(tile: passes.encodingTile, isDraft: isDraft)
            return try rate(passes.encoding) { try prior.encode(video, samplingWith: nil, pass) }
        }
        let (decoded, encoded) = (try decoding(isDraft: false), try encoding(isDraft: false))
        let (draft, draftEncoded) =
            hasDraft ? (try decoding(isDraft: true), try encoding(isDraft: true)) : (decoded, encoded)
        return try Rates(
            prediction: rate(passes.prediction) {
                try prior.predictNoise(some, timestep: prior.schedule.trainingSteps / 4)
            },
            codec: decoded + encoded,
            draftCodec: draft + draftEncoded, decoding: decoded, draftDecoding: draft,
            machine: machine(on: prior.device))
    }

    /// A product of matrices and a sum, as data steps are made of.
    private static func machine(on device: Device) throws -> Double {
        let matrix = try Tensor.ones([384, 384], device: device)
        var x = try Tensor.ones([384, 8192], device: device)
        let seconds = try (0..<6).map { _ in
            let began = ContinuousClock.now
            let y = try matrix.multiplied(by: x)
            try x.add(y, times: 1e-9)
            _ = try x.select(0, 0).mean().item()
            return (ContinuousClock.now - began) / .seconds(1)
        }.sorted()
        return seconds[seconds.count / 2] / measured
    }

    /// The same on two cores of an AMD EPYC with AVX512.
    private static let measured = 0.0172
}
