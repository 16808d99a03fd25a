import ArgumentParser
import Foundation
import InverseProblems
import LatentDiffusion
import Metrics
import TensorKit
import VisionXL
import Workflow

struct EdgesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "edges", abstract: "Measure what is seen where two windows of a long video meet.",
        discussion: """
            A clip is degraded as a whole and restored in one batch, and in windows by several rules: side by side, with context that is thrown
            away, with context that is faded into the next window's frames, and with the last window's frames held fixed in the data step.
            PSNR is of all frames. Beside it stands the mean of |change of the result - change of the truth| from one frame to the next,
            across the edges of windows and over all other pairs of frames.
            """)

    @OptionGroup var common: CommonOptions

    @Option(help: "Frames of the clip.")
    var frames = 64

    @Option(help: "Frames that are kept of a window.")
    var window = 16

    @Option(help: "Rows of a frame.")
    var height = 180

    @Option(help: "Columns of a frame.")
    var width = 320

    @Option(help: "Frames that are averaged; 1 for none.")
    var average = 7

    @Option(help: "The blur, in pixels.")
    var blur = 3.0

    @Option(help: "What is sampled.", transform: { $0.split(separator: ",").compactMap { Int($0) } })
    var timesteps = [281, 121, 1]

    @Option(help: "Frames of context.", transform: { $0.split(separator: ",").compactMap { Int($0) } })
    var contexts = [2, 4, 8]

    mutating func run() async throws {
        let device = try common.prepareEngine()
        guard let clip = common.clip, let model = common.modelFolder else {
            throw BenchmarkError.message(
                "Name a film with --clip, and a model with --model where there is no Models/builtin.")
        }
        let truth = try await Film.frames(
            of: clip, first: common.first ?? 0, count: frames, height: height, width: width)
        let asked = self
        let rows = try await onThread(of: device) { _ in
            var solver = Solver(prior: LatentDiffusionPrior(try LatentDiffusionModel(at: model, device: device)))
            solver.options.timesteps = asked.timesteps
            let trial = try EdgeTrial(asked, solver, truth: truth)
            return try trial.rows(contexts: asked.contexts)
        }
        var machine = try Circumstances(device: device, revision: common.revision)
        machine.loadAfter = Circumstances.load
        print(machine.description + "\n")
        print(markdownTable(["rule", "PSNR", "edges", "other pairs", "ratio", "worst edge"], rows.map(\.cells)))
        if let json = common.json { try writeJSON(rows, to: json) }
    }
}

/// A clip, its measurement, and ways to restore it.
private struct EdgeTrial {
    let solver: Solver<LatentDiffusionPrior>
    let problem: Problem
    let truth: Tensor
    let measured: Tensor
    let noise = NoiseFigure.rounding(toBits: 8)
    let settings: Settings
    let window: Int

    init(_ asked: EdgesCommand, _ solver: Solver<LatentDiffusionPrior>, truth: Tensor) throws {
        (self.solver, self.truth, window) = (solver, truth, asked.window)
        var problem = Problem(Blur(sigma: asked.blur))
        if asked.average > 1 { problem.set(Average(frames: asked.average, boundary: .replicate)) }
        self.problem = problem
        let A = try problem.operator(height: asked.height, width: asked.width)
        measured = try A.apply(truth).rounded(toBits: 8)
        settings = try solver.settle(VideoMeasurement(measured, operator: A, noise: noise))
    }

    private func plan(context: Int, fade: Int, window: Int? = nil) -> WindowPlan {
        WindowPlan(
            frameCount: truth.size(0), rules: .init(window: window ?? self.window, context: context, fade: fade))
    }

    private func part(_ window: WindowPlan.Window) throws -> (VideoMeasurement, first: Int) {
        let A = try problem.operator(height: truth.size(2), width: truth.size(3), openEnds: window.openEnds)
        let first = window.openEnds.contains(.before) ? problem.reach : 0
        return (try VideoMeasurement(measured.rows(window.batch), operator: A, noise: noise), first)
    }

    /// Frames of all windows, each window's faded ends blended.
    private func restored(_ plan: WindowPlan, sharesStart: Bool) throws -> Tensor {
        var start: SceneStart?
        var (sum, weights) = (try Tensor.zeros(truth.shape), [Double](repeating: 0, count: truth.size(0)))
        for window in plan.windows {
            let (measurement, first) = try part(window)
            if sharesStart, start == nil {
                start = try solver.sceneStart(measurement, following: settings)
            }
            let X = try solver.restore(measurement, following: settings, from: start) { _ in }.frames
            for frame in window.kept.lowerBound - window.fadeBefore..<window.kept.upperBound + window.fadeAfter {
                // 0 to 1 over the frames around an edge.
                func share(_ edge: Int, _ fade: Int) -> Double {
                    let way = fade == 0 ? 1 : (Double(frame - edge + fade) + 0.5) / Double(2 * fade)
                    return WindowPlan.blend(min(max(way, 0), 1))
                }
                let weight =
                    min(1, share(window.kept.lowerBound, window.fadeBefore))
                    * (window.fadeAfter == 0 ? 1 : 1 - max(0, share(window.kept.upperBound, window.fadeAfter)))
                guard weight > 0 else { continue }
                let place = frame - window.batch.lowerBound + first
                try sum.add(X.rows(place..<place + 1) * weight, at: [frame, 0, 0, 0])
                weights[frame] += weight
            }
        }
        guard weights.allSatisfy({ abs($0 - 1) < 1e-9 }) else {
            throw BenchmarkError.message("Windows do not add up to whole frames: \(weights).")
        }
        return sum
    }

    /// The last frames of the window before are known in the data step, and their share is taken off the measurement.
    private func heldFixed(context: Int) throws -> Tensor {
        let plan = plan(context: context, fade: 0)
        var start: SceneStart?
        var result: [Tensor] = []
        for window in plan.windows {
            let (measurement, first) = try part(window)
            if start == nil { start = try solver.sceneStart(measurement, following: settings) }
            let count = measurement.videoShape[0]
            // Frames before the kept ones that were restored already; those that nothing was measured of stay free.
            let fixed = window.kept.lowerBound - window.batch.lowerBound + first
            var (free, solver) = (measurement, solver)
            if fixed > 0 {
                // What is left of the measurement is no picture to begin from.
                solver.ownEstimate = try measurement.enlarged(.bicubic).rows(fixed..<count)
                let known = try Tensor.concatenate(result, along: 0)
                let before = try known.rows(known.size(0) - fixed..<known.size(0))
                let rest = try Tensor.zeros([count - fixed] + measurement.videoShape[1...])
                let share = try measurement.operator.apply(Tensor.concatenate([before, rest], along: 0))
                free = try VideoMeasurement(
                    measurement.frames - share, operator: LastFrames(base: measurement.operator, fixed: fixed),
                    noise: noise)
            }
            let X = try solver.restore(free, following: settings, from: start) { _ in }.frames
            let kept = fixed > 0 ? 0 : first
            result.append(try X.rows(kept..<kept + window.kept.count))
        }
        return try Tensor.concatenate(result, along: 0)
    }

    func rows(contexts: [Int]) throws -> [EdgeRow] {
        let edges = plan(context: 0, fade: 0).windows.dropFirst().map(\.kept.lowerBound)
        func row(_ name: String, _ frames: () throws -> Tensor) throws -> EdgeRow {
            let began = ContinuousClock.now
            let frames = try frames().clamped(to: -1...1)
            let row = try EdgeRow(name, frames, truth, edges: edges)
            note("  " + row.cells.joined(separator: "; ") + "; \((ContinuousClock.now - began) / .seconds(1)) s")
            return row
        }
        var rows = [
            try row("one batch") { try restored(plan(context: 0, fade: 0, window: truth.size(0)), sharesStart: false) },
            try row("side by side, each its own start") { try restored(plan(context: 0, fade: 0), sharesStart: false) },
            try row("side by side") { try restored(plan(context: 0, fade: 0), sharesStart: true) },
        ]
        for context in contexts {
            rows.append(
                try row("\(context) frames of context, thrown away") {
                    try restored(plan(context: context, fade: 0), sharesStart: true)
                })
            rows.append(
                try row("\(context) frames of context, faded") {
                    try restored(plan(context: context, fade: context), sharesStart: true)
                })
        }
        if problem.reach > 0 {
            rows.append(
                try row("the window before held fixed, \(problem.reach) frames of context behind") {
                    try heldFixed(context: problem.reach)
                })
        }
        return rows
    }
}

/// An operator on the last frames of a video, the first ones being zero.
private struct LastFrames: LinearOperator {
    let base: any LinearOperator
    let fixed: Int

    func outputShape(for input: [Int]) throws(ProblemError) -> [Int] {
        try base.outputShape(for: [input[0] + fixed] + input[1...])
    }
    func inputShape(for output: [Int]) throws(ProblemError) -> [Int] {
        let shape = try base.inputShape(for: output)
        return [shape[0] - fixed] + shape[1...]
    }
    func apply(_ video: Tensor) throws -> Tensor {
        let zeros = try Tensor.zeros([fixed] + video.shape[1...], dtype: video.dtype, device: video.device)
        return try base.apply(Tensor.concatenate([zeros, video], along: 0))
    }
    func adjoint(_ measurement: Tensor) throws -> Tensor {
        let video = try base.adjoint(measurement)
        return try video.rows(fixed..<video.size(0)).contiguous()
    }
}

private struct EdgeRow: Encodable {
    var rule: String
    var decibels: Double
    /// Mean errors of the change from one frame to the next, in units of [-1, 1].
    var edges: Double
    var others: Double
    var worstEdge: Double

    init(_ rule: String, _ frames: Tensor, _ truth: Tensor, edges places: [Int]) throws {
        self.rule = rule
        decibels = 10 * log10(4 / (try (frames - truth).squared().mean().item()))
        let changes = try temporalError(frames, truth).perFrame
        func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(values.count, 1)) }
        let across = places.map { changes[$0 - 1] }
        edges = mean(across)
        others = mean(changes.indices.filter { !places.contains($0 + 1) }.map { changes[$0] })
        worstEdge = across.max() ?? 0
    }

    var cells: [String] {
        [
            rule, String(format: "%.2f dB", decibels), String(format: "%.4f", edges), String(format: "%.4f", others),
            String(format: "%.2f", edges / others), String(format: "%.4f", worstEdge),
        ]
    }
}
