import Diffusion
import InverseProblems
import LatentDiffusion
import PixelPriors
import VisionXL

/// What is known of a file and a model before a frame is decoded or a weight is read.
struct FileFacts: Facts {
    private let form: SeparatedForm?
    /// Whether a learned first estimate could be made, if there were its networks.
    let suitsEnlargement: Bool
    private let enlarges: Bool
    private let isSmaller: Bool
    private let isGivenEstimate: Bool
    private var known: NoiseFigure?
    private let guess: NoiseFigure
    private let model: (schedule: DDIMSchedule, decoderGain: Double?)

    /// - Parameters:
    ///   - frames: of the longest window.
    ///   - noise: nil where only the frames tell.
    init(
        _ video: MeasuredVideo, frames: Int, noise: NoiseFigure?, hasOwnEstimate: Bool = false,
        model: (schedule: DDIMSchedule, decoderGain: Double?)
    ) throws {
        isGivenEstimate = hasOwnEstimate
        form = try video.form(frames: frames)
        suitsEnlargement = try video.suitsEnlargement(frames: frames)
        enlarges = suitsEnlargement && PictureEnlargement.isAvailable
        isSmaller = video.info.height * video.info.width < video.height * video.width
        (known, self.model) = (noise, model)
        guess = Policy.noise(nil, of: video.problem, recorded: nil, file: video.info, quantizerStep: nil) { nil }
    }

    /// The same for reckoning how much a run does: where only frames tell the noise, it is what the file's bits and its coding make.
    func guessingNoise() -> FileFacts {
        var copy = self
        copy.known = known ?? guess
        return copy
    }

    func noise() throws -> Double {
        guard let known else { throw PendingFact("the noise") }
        return known.sigma
    }
    func mixesPixels() -> Bool { form?.mixesPixels ?? true }
    func mixesFrames() -> Bool { form?.frames != nil }
    func keepsPixelsInBlocks() -> Bool { form?.keepsPixelsInBlocks ?? false }
    func shrinks() -> Bool { isSmaller }
    func roundedBits() throws -> Int? { throw PendingFact("the values in the frames") }
    func canEnlarge() -> Bool { enlarges }
    func hasOwnEstimate() -> Bool { isGivenEstimate }
    func schedule() -> DDIMSchedule { model.schedule }
    func decoderGain() -> Double? { model.decoderGain }
}
