import Foundation
import InverseProblems
import LatentDiffusion
import ModelHub
import TensorKit
import VideoIO
import VisionXL

/// What a restoration would do, and why: every number with its reason, and how long it would take. No frame of the input is decoded; the model is opened,
/// for its passes are tried.
public struct Explanation: Sendable, Encodable {
    public var rows: [Policy.Row]
    /// About how long it would take; nil where nobody knows how many frames there are.
    public var seconds: Double?

    /// - Throws: as `Workflow.restore`, for what can be refused this early.
    public init(_ recipe: Recipe, _ execution: Execution = Execution()) async throws {
        try recipe.validate()
        _ = try Container(path: recipe.output)
        try ModelSession.check(recipe.options)
        let session = try ModelSession(recipe.model, text: recipe.text, execution)
        let video = try await MeasuredVideo(recipe)
        try OutputSettlement.checkFields(recipe, video.info)
        // Where scenes begin is not looked for: that is to read all of the video.
        let frameCount = try video.frameCount()
        let windows = video.plan(frameCount: frameCount ?? video.window, cuts: try video.listedCuts())
        let encoding = try Policy.encoding(
            recipe.encoding, bits: recipe.bits, to: recipe.output, storedBits: video.info.bitDepth)
        let noise = try await NoiseFigure.known(recipe, video)
        let own = try await OwnEstimate(recipe, video)
        if frameCount != nil, video.reader.countIsCertain { try own?.check(windows) }
        let plan = try session.settledPlan(recipe, windows, video)
        rows = [
            .init(
                "problem", "--task", "\(video.problem)",
                video.saysNothing ?? (recipe.problem == nil ? "The measurement's .json says so." : "As said.")),
            .init(
                "frames", "--frames",
                "\(frameCount.map(String.init) ?? "all") of \(video.info.width)x\(video.info.height) to "
                    + "\(video.width)x\(video.height)", "The problem says how large they were."),
            try Policy.Choice.row("window", "--window", { "\($0) frames" }) {
                Policy.window(recipe.window, recorded: video.recordedWindow)
            },
            try Policy.Choice.row("context", "--context", { "\($0) frames" }) { video.context },
            try Policy.Choice.row("fade", "", { "\($0) frames" }) { Policy.fade(context: video.context.value) },
            try Policy.Choice.row("scenes", "--scenes", \.text) { video.scenes },
            .init(
                "noise", "--noise", noise.map { String(format: "%.2g", $0.sigma) },
                noise.map { $0.source == .said ? "As said." : "It is known \($0.source.rawValue)." }
                    ?? "After the first frame: it depends on what the frames show."),
            .init(
                "model", "--model", session.url.lastPathComponent,
                recipe.model.name == nil ? "The one that comes along." : "As said."),
            try Policy.Choice.row("device", "--device", { "\($0)" }) { Policy.device(execution.device) },
            try Policy.Choice.row("type", "--dtype", \.rawValue) {
                Policy.type(recipe.model.dtype, on: session.device)
            },
            .init(
                "passes", "--memory", "\(plan.passes)",
                execution.framesPerPass != nil
                    ? "As said; the run needs about \(sizeText(plan.total))."
                    : "As many as keep the device busy and fit \(execution.memory == nil ? "what is free" : "what was allowed"); "
                        + "the run needs about \(sizeText(plan.total))."),
            try Policy.Choice.row("codec", "--codec", \.codec.title) { encoding },
            try Policy.Choice.row("bits", "--bits", { "\($0)" }) {
                Policy.bits(recipe.bits, codec: encoding.value.codec, storedBits: video.info.bitDepth)
            },
        ]
        let facts = try FileFacts(
            video, frames: windows.longest, noise: noise, hasOwnEstimate: recipe.firstEstimateFrom != nil,
            model: session.outline())
        let estimate = try await session.estimate(
            video, windows, plan.passes, Policy.extent(session.completed(recipe.options), facts.guessingNoise()))
        seconds = frameCount == nil ? nil : estimate?.seconds
        rows.append(
            .init(
                "time", "",
                estimate.map { durationText(seconds: $0.seconds) + (frameCount == nil ? " a window" : "") },
                estimate.map {
                    "\($0.isLowerBound ? "At least: data steps iterate as long as they must" : "About"); passes of the networks were "
                        + "tried on small frames."
                } ?? "Memory did not suffice to try the networks."))
        rows += try Policy.table(session.completed(recipe.options), facts).map { row in
            if row.name == Policy.firstEstimateRow, recipe.firstEstimateFrom == nil,
                recipe.options.firstEstimate == nil, facts.suitsEnlargement, !facts.canEnlarge()
            {
                return .init(row.name, row.option, row.value, ModelSession.lacksEnlargement)
            }
            guard row.name == Policy.fullCodecRow, recipe.options.exactCodecSteps == nil, recipe.model.draft != nil
            else { return row }
            return .init(
                row.name, row.option, row.value, "The last timesteps decide what is seen; those before do with a draft."
            )
        }
    }
}
