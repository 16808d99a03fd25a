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
    private let output: OutputSettlement
    private let execution: Execution
    private var together: Int { windows.plan.longest }

    /// Refuses all that can be refused early.
    init(_ recipe: Recipe, _ execution: Execution) async throws {
        try recipe.validate()
        try OutputCheck.output(
            recipe.output, inputs: [recipe.input] + (recipe.problem?.files ?? []), overwrites: execution.overwrites)
        if let log = recipe.log {
            let others = [recipe.input, recipe.output, MeasurementRecord.path(beside: recipe.input)]
            try OutputCheck.json(log, others: others, overwrites: execution.overwrites)
        }
        try ModelSession.check(recipe.options)
        (self.recipe, self.execution) = (recipe, execution)
        _ = try Container(path: recipe.output)
        // All of LibTorch's work on a CPU on threads that end: while another one keeps workers, OpenMP's wait in the kernel, and small operators
        // take longer.
        session = try await onThread { _ in try ModelSession(recipe.model, text: recipe.text, execution) }
        video = try await MeasuredVideo(recipe)
        windows = try video.windows()
        output = try await OutputSettlement(
            recipe, video.reader, frames: windows.range, height: video.height, width: video.width)
        options = session.completed(recipe.options)
        plan = try session.settledPlan(frames: windows.plan.longest, height: video.height, width: video.width)
    }

    func run(_ tell: @escaping @Sendable (RestorationEvent) -> Void) async throws -> RestorationLog {
        let info = video.info
        let writer = try await VideoWriter(
            to: recipe.output, width: video.width, height: video.height, bitDepth: output.frameBits,
            frameRate: info.frameRate, encoding: output.encoding, tags: info.tagsForCopies, keeping: output.plan,
            overwrite: execution.overwrites)
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
        var windows = windows
        var (index, noise, settings) = (0, NoiseFigure?.none, Settings?.none)
        let (frames, plan, depth) = (windows.plan, plan, writer.bitDepth)
        let finishing = recipe.finishing
        let gauge = MemoryGauge(session.device)
        log.phases.add(.preparing, laps.next())
        var place = windows.range?.lowerBound ?? 0
        while let decoded = try await windows.next() {
            let A = try await video.operator(for: place..<place + decoded.count)
            place += decoded.count
            let Y = try await onThread { _ in try video.measured(decoded) }
            // One level for all windows, or seams would show.
            let sigma: NoiseFigure
            if let noise { sigma = noise } else { sigma = try await video.noise(of: Y, measuredBy: A) }
            if index == 0, options.dataStep != .conjugateGradients || options.steadiness != 0 {
                tell(.note("measurement noise \(sigma)"))
            }
            let (number, current, known, isFirst) = (index, solver, settings, index == 0)
            log.phases.add(.reading, laps.next())
            let (result, restored, around, estimate) = try await onThread(of: session.device) { checkCancellation in
                let clock = PhaseClock()
                let (measurement, settings) = try clock.time(.reading) {
                    let measurement = try VideoMeasurement(Y.to(session.device), operator: A, noise: sigma)
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
                    try VideoFrame.frames(of: finishing.applied(to: result.frames, measurement), bitDepth: depth)
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
        if let sentence = windows.damage.sentence(of: recipe.input) { tell(.note(sentence)) }
        gauge.read(atOnce: true)
        log.peakDeviceMemoryBytes = gauge.peak
    }

    /// Some frames, as measured and as the whole run would give them, in 8 bits; and how long that would take. The noise
    /// and what is settled by it come from the first window, as in a whole run.
    func look(
        at chosen: [Int], _ tell: @escaping @Sendable (RestorationEvent) -> Void
    ) async throws -> (measured: [VideoFrame], restored: [VideoFrame], estimate: TimeEstimate?) {
        let (session, video, finishing, plan, frames) = (session, video, recipe.finishing, plan, windows.plan)
        let network = try await onThread(of: session.device) { _ in try session.load() }
        var solver = try await onThread { [options] _ in try session.solver(network, options: options) }
        solver.passes = plan.passes
        var (windows, place) = (windows, windows.range?.lowerBound ?? 0)
        var (known, estimate) = (((noise: NoiseFigure, settings: Settings)?).none, TimeEstimate?.none)
        var (measured, restored) = ([Int: VideoFrame](), [Int: VideoFrame]())
        while restored.count < chosen.count, let decoded = try await windows.next() {
            let range = place..<place + decoded.count
            place = range.upperBound
            let wanted = chosen.filter { range.contains($0) }
            guard known == nil || !wanted.isEmpty else { continue }
            let A = try await video.operator(for: range)
            let Y = try await onThread { _ in try video.measured(decoded) }
            let noise: NoiseFigure
            if let known { noise = known.noise } else { noise = try await video.noise(of: Y, measuredBy: A) }
            let (current, before) = (solver, known)
            let found = try await onThread(of: session.device) { check in
                let measurement = try VideoMeasurement(Y.to(session.device), operator: A, noise: noise)
                let settings = try before?.settings ?? current.settle(measurement)
                var estimate: TimeEstimate?
                if before == nil {
                    estimate = try TimeEstimate.found(
                        video, frames, plan.passes, current.prior, Policy.Extent(settings), check)
                }
                guard !wanted.isEmpty else { return (settings, estimate, [VideoFrame](), [VideoFrame]()) }
                let result = try current.restore(measurement, following: settings) { progress in
                    try check()
                    tell(.progress(progress, window: 0, windows: 1, deviceMemory: nil))
                }
                let X = try finishing.applied(to: result.frames, measurement)
                let enlarged = try measurement.enlarged(.bicubic)
                // An average without a border leaves fewer frames than there were.
                let first = (X.size(0) - range.count) / 2 - range.lowerBound
                return (
                    settings, estimate,
                    try wanted.map { try VideoFrame(tensor: enlarged.select(0, first + $0), bitDepth: 8) },
                    try wanted.map { try VideoFrame(tensor: X.select(0, first + $0), bitDepth: 8) }
                )
            }
            known = (noise, found.0)
            estimate = estimate ?? found.1
            for (index, frame) in wanted.enumerated() {
                (measured[frame], restored[frame]) = (found.2[index], found.3[index])
            }
        }
        return (chosen.compactMap { measured[$0] }, chosen.compactMap { restored[$0] }, estimate)
    }

    private func notes(_ network: LatentDiffusionModel, _ log: RestorationLog) throws -> [String] {
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
        if wouldEnlarge, options.firstEstimate == nil, !PictureEnlargement.isAvailable {
            notes.append(ModelSession.lacksEnlargement)
        }
        return notes + video.masks.notes + output.notes + session.notes(on: plan, frames: together)
    }
}
