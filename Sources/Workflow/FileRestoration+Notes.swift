import LatentDiffusion
import PixelPriors
import TensorKit
import VideoIO
import VisionXL

extension FileRestoration {
    /// What a person should know before the work.
    func notes(_ network: LatentDiffusionModel, _ log: RestorationLog) throws -> [String] {
        var notes: [String] = []
        // Hours instead of minutes, for a reason that can be mended.
        if execution.device == nil, session.device == .cpu, let reason = Engine.unusedDriver {
            notes.append("There is an NVIDIA driver, and yet the CPU computes: \(reason).")
        }
        if let sentence = video.saysNothing { notes.append(sentence) }
        notes += network.text.removed.map { "CLIP's text encoders take 77 tokens; left out of the prompt: \($0)" }
        notes.append(
            "\(video.info.width)x\(video.info.height) -> \(video.width)x\(video.height), \(network.url.lastPathComponent) in "
                + "\(network.dtype.rawValue) on \(session.device), PyTorch \(log.engine)")
        let wouldEnlarge = try video.suitsEnlargement(frames: together)
        if wouldEnlarge, options.firstEstimate == nil, estimate == nil, !PictureEnlargement.isAvailable {
            notes.append(ModelSession.lacksEnlargement)
        }
        return notes + video.masks.notes + output.notes + session.notes(on: memory, frames: together)
    }
}
