import Foundation
import InverseProblems
import TensorKit
import VideoIO
import VisionXL

// Defaults that depend on a file or on the machine.
extension Policy {
    /// Where it runs.
    static func device(_ asked: Device?) -> Choice<Device> {
        Choice(asked) {
            let best = Engine.bestDevice
            guard best == .cpu else { return Choice(best, "The first GPU.") }
            return Choice(
                best,
                Engine.unusedDriver.map { "CUDA cannot be used: \($0)." } ?? "There is no GPU that the engine can use.")
        }
    }

    /// What networks compute in.
    static func type(_ asked: DType?, on device: Device) -> Choice<DType> {
        Choice(asked, else: device.runningType, "What \(device == .cpu ? "this processor" : "\(device)") is quick in.")
    }

    /// Frames that are kept of what is restored together, at most.
    static func window(_ asked: Int?, recorded: Int?) -> Choice<Int> {
        Choice(asked) {
            recorded.map { Choice($0, "The measurement's .json says so.") }
                ?? Choice(25, "As many as the paper restores together.")
        }
    }

    /// Frames beside them, on each side within the scene.
    /// - Parameters:
    ///   - reach: frames on either side that a measured frame depends on.
    ///   - reason: why there is none; nil where there may be.
    static func context(_ asked: Int?, reach: Int, without reason: String?) -> Choice<Int> {
        if let reason { return Choice(0, reason) }
        return Choice(asked) {
            Choice(
                max(4, 2 * reach),
                reach > 2
                    ? "Twice as far as a measured frame reaches in time: what an average does not see is found there."
                    : "Frames at the end of a batch are worse than others.")
        }
    }

    /// How it is told where scenes begin.
    /// - Parameter reason: why windows are as they are, whatever they show; nil where scenes may decide.
    static func scenes(_ asked: SceneChoice?, without reason: String?) -> Choice<SceneChoice> {
        if let reason, asked ?? .auto == .auto { return Choice(.off, reason) }
        return Choice(asked, else: .auto, "A window that holds two scenes would mix them.")
    }

    /// Frames on each side of an edge between windows that are faded into each other, where both keep twice as many.
    static func fade(context: Int) -> Choice<Int> {
        context > 0
            ? Choice(context, "All that both windows have, up to half of what each keeps.")
            : Choice(0, "Windows have no frames in common.")
    }

    /// Bits of each component in the file.
    /// - Parameter storedBits: of what came in.
    static func bits(
        _ asked: Int?, codec: VideoEncoding.Codec = .ffv1, storedBits: Int = 8
    ) -> Choice<Int> {
        Choice(asked) {
            if codec == .float32 { return Choice(32, "Numbers as they are.") }
            guard storedBits > 8 else {
                // These bands show less, and every player of them shows ten bits.
                return codec.depths.contains(8) && codec != .h265 && codec != .av1
                    ? Choice(8, "What players show.") : Choice(10, "What \(codec.title) is good for.")
            }
            return Choice(codec.depths.last ?? 8, "\(storedBits) bits came in, and none is to be lost.")
        }
    }

    /// How the result is stored.
    /// - Parameter storedBits: of what came in.
    /// - Throws: `VideoError.unsupportedTarget` for an extension that is not known.
    static func encoding(
        _ asked: EncodingChoice, bits: Int?, to path: String, storedBits: Int
    ) throws -> Choice<VideoEncoding> {
        // Eight bits that are asked for are what H.264 is for, whatever came in.
        let usual = try VideoEncoding(forPath: path, storedBits: bits ?? storedBits).codec
        let codec = Choice(asked.codec, else: usual, "What the output's name stands for.")
        var encoding = VideoEncoding(codec.value, quality: asked.crf, pixelFormat: asked.pixelFormat)
        if asked.pixelFormat == nil || bits != nil {
            encoding.bits = Self.bits(bits, codec: codec.value, storedBits: storedBits).value
        }
        return Choice(encoding, codec.reason)
    }

    /// The last timesteps that have the full autoencoder, beside a draft.
    static func exactCodecSteps(_ asked: Int?, hasDraft: Bool) -> Int? { asked ?? (hasDraft ? 2 : nil) }

    // MARK: Noise

    /// The noise of a stored measurement.
    /// - Parameters:
    ///   - problem: what was done to the video.
    ///   - recorded: what is known of how it was made.
    ///   - info: of the file; nil for one that is in no file.
    ///   - quantizerStep: of a lossy coding, as `VideoReader.quantizerStep` reads it.
    ///   - estimate: what the frames show.
    static func noise(
        _ asked: NoiseChoice?, of problem: Problem, recorded: MeasurementRecord.Noise?, file info: VideoInfo?,
        quantizerStep: Double?,
        estimate: () throws -> Double?
    ) rethrows -> NoiseFigure {
        if case .sigma(let sigma) = asked { return NoiseFigure(sigma, source: .said) }
        var figure: NoiseFigure
        if let recorded {
            figure = NoiseFigure(NoiseLevel.combined(recorded.added, recorded.rounding), source: .record)
        } else {
            let rounding =
                info.map {
                    $0.isRGB
                        ? NoiseLevel.rounding(toBits: $0.bitDepth)
                        : NoiseLevel.roundingOfLumaAndChroma(toBits: $0.bitDepth)
                } ?? 0
            let estimate = try estimate() ?? 0
            figure = NoiseFigure(max(estimate, rounding), source: estimate > rounding ? .frames : .bits)
        }
        guard let info, !info.isLossless else { return figure }
        let guess = lightCodecs.contains(info.codec) ? lightCoding : ordinaryCoding
        let coding = quantizerStep.map(NoiseLevel.coding(quantizerStep:)) ?? guess
        return figure.with(
            .init(
                codec: info.codec, sigma: isBlurredAverage(problem) ? averagedCoding * coding : coding,
                isMeasured: quantizerStep != nil))
    }

    /// How averages differ from frame to frame is little, and a coding keeps less of it than of the rest: in what undoing average and blur makes
    /// most of, it errs by more than on the whole (Docs/DataStep.md). Without the blur the rest decides.
    private static let averagedCoding = 1.5

    private static func isBlurredAverage(_ problem: Problem) -> Bool {
        guard let average = problem.stage(Average.self), let blur = problem.stage(Blur.self) else { return false }
        return average.frames > 1 && blur.sigma > 0 && problem.stage(Holes.self) == nil
    }

    /// Where the quantizer cannot be read: what a film has at x264's usual quality (crf 23).
    private static let ordinaryCoding = 0.035
    /// The same for codings that are made for editing.
    private static let lightCoding = 0.018
    private static let lightCodecs: Set = ["prores", "dnxhd", "cfhd", "jpeg2000", "jpegxl"]
}

extension NoiseFigure {
    /// How noisy a measurement in a file is.
    /// - Parameters:
    ///   - problem: what was done to the video.
    ///   - frames: the first window of it, (N, C, h, w).
    ///   - known: 0 in holes; nil where every pixel was measured.
    public static func found(
        _ asked: NoiseChoice?, of problem: Problem, recorded: MeasurementRecord.Noise?, in reader: VideoReader?,
        frames: Tensor, known: Tensor?
    ) async throws -> NoiseFigure {
        let step = try await quantizerStep(asked, in: reader, firstFrames: frames.size(0))
        return try await onThread { _ in
            try found(
                asked, of: problem, recorded: recorded, in: reader, quantizerStep: step, frames: frames, known: known)
        }
    }

    /// The same where no frame has to be looked at; nil where only they tell.
    static func known(_ recipe: Recipe, _ video: MeasuredVideo) async throws -> NoiseFigure? {
        if case .sigma(let sigma) = recipe.noise { return NoiseFigure(sigma) }
        guard let recorded = video.record?.noise else { return nil }
        let step = try await video.reader.quantizerStep(firstFrames: video.window)
        return Policy.noise(
            recipe.noise, of: video.problem, recorded: recorded, file: video.info, quantizerStep: step
        ) { nil }
    }

    /// What a lossy file's coding rounds to, where anybody wants to know.
    static func quantizerStep(_ asked: NoiseChoice?, in reader: VideoReader?, firstFrames: Int) async throws -> Double?
    {
        if case .sigma = asked { return nil }
        guard let reader, !reader.info.isLossless else { return nil }
        return try await reader.quantizerStep(firstFrames: firstFrames)
    }

    /// The same with that step.
    static func found(
        _ asked: NoiseChoice?, of problem: Problem, recorded: MeasurementRecord.Noise?, in reader: VideoReader?,
        quantizerStep: Double?, frames: Tensor, known: Tensor?
    ) throws -> NoiseFigure {
        try Policy.noise(asked, of: problem, recorded: recorded, file: reader?.info, quantizerStep: quantizerStep) {
            try NoiseLevel.estimated(in: frames, known: known)
        }
    }
}
