import Foundation
import InverseProblems
import LatentDiffusion
import PixelPriors
import TensorKit
import VideoIO
import VisionXL

/// From a file to a file.
public enum Workflow {
    /// Restores a video as a recipe says.
    ///
    /// Everything that can be refused is refused before the model's weights are read. Nothing stands under the output's name before the result
    /// is whole; a cancelled task leaves nothing.
    /// - Parameter tell: called from whatever thread the work is on.
    /// - Returns: what was done, which is in the recipe's `log`, too, if it names one.
    /// - Throws: `WorkflowError`, `VideoError`, `RestorationError`, `ProblemError`, `ModelError`, `TensorError`, `CancellationError`.
    @discardableResult
    public static func restore(
        _ recipe: Recipe, _ execution: Execution = Execution(),
        tell: @escaping @Sendable (RestorationEvent) -> Void = { _ in }
    ) async throws -> RestorationLog {
        let restoring = try await FileRestoration(recipe, execution)
        return try await restoring.run(tell)
    }
}

/// What a restoration tells of itself.
public enum RestorationEvent: Sendable {
    /// A sentence for people.
    case note(String)
    /// - Parameters:
    ///   - window: its number, from 0.
    ///   - windows: how many there are; nil where nobody knows.
    ///   - deviceMemory: the most of a GPU's own memory that was seen in use, by whatever program; nil on a CPU.
    case progress(RestorationProgress, window: Int, windows: Int?, deviceMemory: Int?)
}

/// One file's restoration: prepared, then run once.
struct FileRestoration {
    private let began = ContinuousClock.now
    private let recipe: Recipe
    private let session: ModelSession
    private let video: MeasuredVideo
    private let options: RestorationOptions
    private let plan: MemoryPlan
    private let windows: FrameWindows
    private let estimate: OwnEstimate?
    private let encoding: VideoEncoding
    private let execution: Execution
    private var together: Int { windows.plan.longest }

    /// Refuses all that can be refused early.
    init(_ recipe: Recipe, _ execution: Execution) async throws {
        try recipe.validate()
        try OutputCheck.output(
            recipe.output,
            inputs: [recipe.input] + (recipe.problem?.files ?? []) + (recipe.firstEstimateFrom.map { [$0] } ?? []),
            overwrites: execution.overwrites)
        if let log = recipe.log {
            let others =
                [recipe.input, recipe.output, MeasurementRecord.path(beside: recipe.input)]
                + (recipe.firstEstimateFrom.map { [$0] } ?? [])
            try OutputCheck.json(log, others: others, overwrites: execution.overwrites)
        }
        try ModelSession.check(recipe.options)
        (self.recipe, self.execution) = (recipe, execution)
        encoding = try VideoEncoding(forPath: recipe.output)
        // All of LibTorch's work on a CPU on threads that end: while another one keeps workers, OpenMP's wait in the kernel, and small operators
        // take longer.
        session = try await onThread { _ in try ModelSession(recipe.model, text: recipe.text, execution) }
        video = try await MeasuredVideo(recipe)
        windows = try video.windows()
        estimate = try await OwnEstimate(recipe, video, windows.plan)
        options = session.completed(recipe.options)
        plan = try session.settledPlan(recipe, video, frames: windows.plan.longest)
    }

    func run(_ tell: @escaping @Sendable (RestorationEvent) -> Void) async throws -> RestorationLog {
        let info = video.info
        let isWhole = recipe.frames == nil && (info.hasAudio || info.hasSubtitles)
        let writer = try await VideoWriter(
            to: recipe.output, width: video.width, height: video.height, bitDepth: Policy.bits(recipe.bits).value,
            frameRate: info.frameRate, encoding: encoding, tags: info.colour,
            copyStreams: isWhole && encoding != .png ? recipe.input : nil, overwrite: execution.overwrites)
        var log = RestorationLog(recipe, video, options: options, memory: plan)
        var laps = Laps(since: began)
        do {
            try await restore(into: writer, &log, &laps, tell)
            try await writer.finish()
            log.phases.add(.writing, laps.next())
        } catch {
            await writer.cancel()
            throw error
        }
        log.finish(began: began)
        if let path = recipe.log { try JSONFile.write(log, to: path) }
        return log
    }

    private func restore(
        into writer: VideoWriter, _ log: inout RestorationLog, _ laps: inout Laps,
        _ tell: @escaping @Sendable (RestorationEvent) -> Void
    ) async throws {
        let (session, video) = (session, video)
        let network = try await onThread(of: session.device) { _ in try session.load() }
        log.describe(network, recipe.text)
        for note in try notes(network, log) { tell(.note(note)) }
        var solver = try await onThread { [options] _ in try session.solver(network, options: options) }
        solver.passes = plan.passes
        solver.onSmallerPasses = { tell(.note($0)) }
        var (windows, own) = (windows, estimate)
        var (index, noise, settings) = (0, NoiseFigure?.none, Settings?.none)
        let (frames, plan, depth) = (windows.plan, plan, writer.bitDepth)
        let gauge = MemoryGauge(session.device)
        log.phases.add(.preparing, laps.next())
        while let decoded = try await windows.next() {
            let Y = try await onThread { _ in try video.measured(decoded) }
            // One level for all windows, or seams would show.
            let sigma: NoiseFigure
            if let noise { sigma = noise } else { sigma = try await video.noise(of: Y) }
            if index == 0, options.dataStep != .conjugateGradients || options.steadiness != 0 {
                tell(.note("measurement noise \(sigma)"))
            }
            if own != nil {
                solver.ownEstimate = try await own?.next(video.restoredFrames(ofMeasured: decoded.count))
            }
            let (number, current, known, isFirst) = (index, solver, settings, index == 0)
            log.phases.add(.reading, laps.next())
            let (result, restored, around, estimate) = try await onThread(of: session.device) { checkCancellation in
                let clock = PhaseClock()
                let (measurement, settings) = try clock.time(.reading) {
                    let measurement = try VideoMeasurement(Y.to(session.device), operator: video.operator, noise: sigma)
                    return (measurement, try known ?? current.settle(measurement))
                }
                var estimate: TimeEstimate?
                if isFirst {
                    estimate = try clock.time(.preparing) {
                        try TimeEstimate.found(
                            video, frames, plan.passes, current.prior, Policy.Extent(settings), checkCancellation)
                    }
                    if let estimate { tell(.note(estimate.line(frames))) }
                }
                let result = try current.restore(measurement, following: settings) { progress in
                    try checkCancellation()
                    gauge.read()
                    tell(.progress(progress, window: number, windows: frames.count, deviceMemory: gauge.peak))
                }
                let restored = try clock.time(.writing) {
                    try VideoFrame.frames(of: result.frames, bitDepth: depth)
                }
                return (result, restored, clock.times, estimate)
            }
            log.add(result, around, seconds: laps.next())
            if let estimate { log.estimate = estimate }
            // What did not fit once will not the next time.
            if let passes = result.passes, passes != solver.passes {
                (solver.passes, solver.onSmallerPasses) = (passes, nil)
            }
            (noise, settings, log.noise) = (sigma, result.settings, sigma)
            for frame in restored { try await writer.append(frame) }
            log.phases.add(.writing, laps.next())
            index += 1
        }
        gauge.read(atOnce: true)
        log.peakDeviceMemoryBytes = gauge.peak
    }

    private func notes(_ network: LatentDiffusionModel, _ log: RestorationLog) throws -> [String] {
        var notes: [String] = []
        // Hours instead of minutes, for a reason that can be mended.
        if execution.device == nil, session.device == .cpu, let reason = Engine.unusedDriver {
            notes.append("There is an NVIDIA driver, and yet the CPU computes: \(reason).")
        }
        notes += network.text.removed.map { "CLIP's text encoders take 77 tokens; left out of the prompt: \($0)" }
        notes.append(
            "\(video.info.width)x\(video.info.height) -> \(video.width)x\(video.height), \(network.url.lastPathComponent) in "
                + "\(network.dtype.rawValue) on \(session.device), PyTorch \(log.engine)")
        let wouldEnlarge = try video.suitsEnlargement(frames: together)
        if wouldEnlarge, options.firstEstimate == nil, estimate == nil, !PictureEnlargement.isAvailable {
            notes.append(ModelSession.lacksEnlargement)
        }
        return notes + session.notes(on: plan, frames: together)
    }
}
