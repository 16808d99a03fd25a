import Foundation
import InverseProblems
import LatentDiffusion
import TensorKit
import VideoIO
import VisionXL

/// Restores windows of a video, one after the other. What it makes of a window depends on the recipe, the input and the scene's preparation alone.
struct WindowRestorer {
    let session: ModelSession
    let video: MeasuredVideo
    let plan: WindowPlan
    let options: RestorationOptions
    var solver: Solver<LatentDiffusionPrior>
    /// The scene that was worked on last.
    private var scene: (number: Int, preparation: ScenePreparation)?
    private var quantizerStep: Double??
    /// The end of the last batch, which the next one may need again.
    private var last: (range: Range<Int>, Y: Tensor)?
    /// Where the frames are counted from in the file.
    private let offset: Int

    init(
        _ session: ModelSession, _ video: MeasuredVideo, _ plan: WindowPlan, _ options: RestorationOptions,
        solver: Solver<LatentDiffusionPrior>
    ) throws {
        (self.session, self.video, self.plan) = (session, video, plan)
        (self.options, self.solver) = (options, solver)
        offset = try video.range()?.lowerBound ?? 0
    }

    /// A batch as it was measured; frames that were in the one before are not brought to tensors again.
    mutating func measured(_ batch: FrameBatches.Batch) async throws -> Tensor {
        // What was freed in pieces would add up from window to window.
        Heap.trim()
        let known = last
        let video = video
        let Y = try await onThread { _ in
            guard let known, known.range.upperBound > batch.range.lowerBound,
                known.range.lowerBound <= batch.range.lowerBound
            else { return try video.measured(batch.frames) }
            let again = known.range.upperBound - batch.range.lowerBound
            let old = try known.Y.rows(known.range.count - again..<known.range.count)
            guard again < batch.frames.count else { return try old.rows(0..<batch.frames.count).copied() }
            let new = try video.measured(Array(batch.frames.dropFirst(again)))
            return try Tensor.concatenate([old, new], along: 0)
        }
        let (count, end) = (batch.range.count, min(2 * plan.rules.context, batch.range.count))
        last =
            end == 0 ? nil : (batch.range.suffix(end), try Y.rows(count - end..<count).copied())
        return Y
    }

    /// A window's measurement, on the device, and what it has in common with the others of its scene: known, read from a folder, or made of this
    /// window, which must then be the first of its scene.
    mutating func prepared(
        _ index: Int, _ Y: Tensor, folder: WorkFolder?
    ) async throws -> (measurement: VideoMeasurement, scene: ScenePreparation, isNew: Bool) {
        let window = plan.windows[index]
        let A = try await video.operator(of: window)
        if let scene, scene.number == window.scene {
            let session = session
            let measurement = try await onThread(of: session.device) { _ in
                try VideoMeasurement(Y.to(session.device), operator: A, noise: scene.preparation.record.noise)
            }
            return (measurement, scene.preparation, false)
        }
        if quantizerStep == nil {
            quantizerStep = .some(try await video.quantizerStep(firstFrames: plan.windows[0].batch.count))
        }
        let step = quantizerStep ?? nil
        let (session, video, plan, options, solver) = (session, video, plan, options, solver)
        let (measurement, preparation, isNew) = try await onThread(of: session.device) { checkCancellation in
            let kept = try folder?.scene(window.scene, device: session.device)
            let noise = try kept?.record.noise ?? video.noise(of: Y, measuredBy: A, quantizerStep: step)
            let measurement = try VideoMeasurement(Y.to(session.device), operator: A, noise: noise)
            let facts = SceneFacts(
                try MeasurementFacts(
                    measurement, solver.prior, enlargement: solver.enlargement,
                    hasOwnEstimate: solver.ownEstimate != nil),
                bits: kept.map(\.record.roundedBits))
            var settings = try Policy.settle(options, facts)
            if plan.rules.sharesStart {
                settings.seed = ScenePreparation.seed(settings.seed, scene: window.scene)
            }
            var start = kept?.start
            if kept == nil, plan.rules.sharesStart, plan.isDivided(window.scene) {
                start = try solver.sceneStart(
                    measurement, from: video.kept(of: window).lowerBound, following: settings
                ) { _ in try checkCancellation() }
            }
            let preparation = ScenePreparation(
                record: .init(noise: noise, roundedBits: facts.bits), settings: settings, start: start)
            if kept == nil { try folder?.write(preparation, scene: window.scene) }
            return (measurement, preparation, kept == nil)
        }
        scene = (window.scene, preparation)
        return (measurement, preparation, isNew)
    }
}
