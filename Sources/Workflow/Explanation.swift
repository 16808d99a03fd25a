import Foundation
import InverseProblems
import LatentDiffusion
import ModelHub
import TensorKit
import VideoIO
import VisionXL

/// What a restoration would do, and why: every number with its reason, without a frame decoded or a weight read.
public struct Explanation: Sendable, Encodable {
    public var rows: [Policy.Row]

    /// - Throws: as `Workflow.restore`, for what can be refused this early.
    public init(_ recipe: Recipe, _ execution: Execution = Execution()) async throws {
        try recipe.validate()
        let session = try ModelSession(recipe.model, text: recipe.text, execution)
        let video = try await MeasuredVideo(recipe)
        let windows = try video.windows().plan
        let noise = try await Self.noise(recipe, video)
        let plan = session.plan(frames: windows.longest, height: video.height, width: video.width)
        let outline = try LatentDiffusionModel.outline(
            at: session.url, variant: recipe.model.variant, autoencoder: recipe.model.autoencoderURL(of: session.url))
        rows = [
            .init(
                "problem", "--task", "\(video.problem)",
                recipe.problem == nil ? "The measurement's .json says so." : "As said."),
            .init(
                "frames", "--frames",
                "\(windows.frameCount.map(String.init) ?? "all") of \(video.info.width)x\(video.info.height) to "
                    + "\(video.width)x\(video.height)", "The problem says how large they were."),
            try .row("window", "--window", { "\($0) frames" }) {
                Policy.window(recipe.window, recorded: video.record?.window)
            },
            .init(
                "noise", "--noise", noise.map { String(format: "%.2g", $0.sigma) },
                noise.map { "As it is known: \($0.source.rawValue)." }
                    ?? "After the first frame: it depends on what the frames show."),
            .init(
                "model", "--model", session.url.lastPathComponent,
                recipe.model.name == nil ? "The one that comes along." : "As said."),
            try .row("device", "--device", { "\($0)" }) { Policy.device(execution.device) },
            try .row("type", "--dtype", \.rawValue) { Policy.type(recipe.model.dtype, on: session.device) },
            .init(
                "passes", "--memory", "\(plan.passes)",
                "As many as keep the device busy and fit; the run needs about \(sizeText(plan.total))."),
            try .row("bits", "--bits", { "\($0)" }) { Policy.bits(recipe.bits) },
        ]
        rows += try Policy.table(session.completed(recipe.options), FileFacts(video, noise: noise, model: outline))
    }

    /// The noise where no frame has to be looked at.
    private static func noise(_ recipe: Recipe, _ video: MeasuredVideo) async throws -> NoiseFigure? {
        if case .sigma(let sigma) = recipe.noise { return NoiseFigure(sigma) }
        guard let recorded = video.record?.noise else { return nil }
        let step = try await video.reader.quantizerStep(firstFrames: video.window)
        return Policy.noise(recipe.noise, recorded: recorded, file: video.info, quantizerStep: step) { nil }
    }
}

extension Policy.Row {
    fileprivate static func row<Value>(
        _ name: String, _ option: String, _ text: (Value) -> String, _ choose: () -> Policy.Choice<Value>
    ) throws -> Policy.Row { try Policy.Choice.row(name, option, text, choose) }
}
