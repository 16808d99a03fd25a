import VideoIO
import VisionXL

extension FileRestoration {
    /// Measured frames of some windows, in order.
    func batches(of windows: [Int]) throws -> FrameBatches {
        let range = try video.range()
        let offset = range?.lowerBound ?? 0
        let ranges = windows.map { index in
            let batch = plan.windows[index].batch
            return batch.lowerBound + offset..<batch.upperBound + offset
        }
        return FrameBatches(video.reader, ranges, of: range)
    }

    /// What was wrong with frames that were read, in sentences.
    func damage(_ batches: FrameBatches, _ own: OwnEstimate.Frames?) -> [String] {
        let files = [(batches.damage, recipe.input), (own?.damage ?? Damage(), estimate?.path ?? "")]
        return files.compactMap { damage, path in damage.sentence(of: path) }
    }

    /// How long it would take; nil where memory did not suffice to try the networks. Opens the model.
    func time() async throws -> TimeEstimate? {
        let facts = try await FileFacts(
            video, frames: plan.longest, noise: .known(recipe, video), hasOwnEstimate: estimate != nil,
            model: session.outline())
        return try await session.estimate(video, plan, memory.passes, Policy.extent(options, facts.guessingNoise()))
    }
}
