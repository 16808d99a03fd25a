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
        let restoring = try await FileRestoration(recipe, execution, tell: tell)
        return try await restoring.run(tell)
    }
}

/// What a restoration tells of itself.
public enum RestorationEvent: Sendable {
    /// A sentence for people.
    case note(String)
    /// The video is looked at: frames that were seen, of how many where that is known.
    case scanning(frame: Int, of: Int?)
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
    let video: MeasuredVideo
    private let options: RestorationOptions
    let memory: MemoryPlan
    let plan: WindowPlan
    let disk: DiskPlan
    private let output: OutputSettlement
    private let execution: Execution
    /// What lies between the measurement and the result; nil for a single window.
    private let folder: WorkFolder?
    /// What is to be said of the folder before the work.
    private let folderNotes: [String]
    private var together: Int { plan.longest }

    /// Refuses all that can be refused early.
    /// - Parameter isTrial: whether nothing is going to be written, a work folder included.
    init(
        _ recipe: Recipe, _ execution: Execution, isTrial: Bool = false,
        tell: @escaping @Sendable (RestorationEvent) -> Void = { _ in }
    ) async throws {
        try recipe.validate()
        try OutputCheck.output(
            recipe.output, inputs: [recipe.input] + (recipe.problem?.files ?? []), overwrites: execution.overwrites)
        if let log = recipe.log {
            let others = [recipe.input, recipe.output, MeasurementRecord.path(beside: recipe.input)]
            try OutputCheck.json(log, others: others, overwrites: execution.overwrites)
        }
        try ModelSession.check(recipe.options)
        let work = execution.workFolder ?? WorkFolder.path(for: recipe.output)
        // A run goes on as it began, as far as this machine can.
        let settled = execution.restarts ? nil : WorkFolder.settled(in: work)
        var execution = execution
        if let settled, execution.threads == nil, settled.threads != Machine.current.cores {
            execution.threads = settled.threads
        }
        var choice = recipe.model
        if choice.dtype == nil { choice.dtype = settled.flatMap { DType(rawValue: $0.dtype) } }
        (self.recipe, self.execution) = (recipe, execution)
        _ = try Container(path: recipe.output)
        // All of LibTorch's work on a CPU on threads that end: while another one keeps workers, OpenMP's wait in the kernel, and small operators
        // take longer.
        session = try await onThread { [choice, execution] _ in try ModelSession(choice, text: recipe.text, execution) }
        var video = try await MeasuredVideo(recipe)
        output = try await OutputSettlement(
            recipe, video.reader, frames: video.range(), height: video.height, width: video.width)
        options = session.completed(recipe.options)

        let identity = try RunIdentity(recipe, record: video.record, problem: video.problem, model: session.url)
        var folder = isTrial ? nil : try WorkFolder.open(work, identity, restarts: execution.restarts)
        let plan: WindowPlan
        if let folder {
            plan = folder.plan
            video.count(plan.frameCount)
        } else {
            plan = try await Self.plan(&video, tell)
        }
        (self.video, self.plan) = (video, plan)
        var memory = try session.settledPlan(plan, surplus: video.surplus, height: video.height, width: video.width)
        if let settled, folder != nil, execution.framesPerPass == nil { memory.passes = settled.passes }
        self.memory = memory

        // What lies in a work folder has 16 bits.
        if output.encoding.codec == .float32, plan.windows.count > 1 {
            throw WorkflowError.message(
                "Numbers in float32 are written of one window alone, and \(recipe.input) would be restored in \(plan.windows.count); take "
                    + "--window \(plan.frameCount) with --scenes off, or a part of it (--frames).")
        }
        let segments = plan.segments(frameBytes: video.height * video.width * 6)
        disk = DiskPlan(
            frames: plan.resultCount, longest: plan.windows.count > 1 ? plan.mostStored(segments) : 0,
            height: video.height, width: video.width, encoding: output.encoding, frameBits: output.frameBits)
        if !isTrial { try disk.check(workFolder: work, output: recipe.output, present: folder?.bytes ?? 0) }
        var notes: [String] = []
        let numbers = SettledNumbers(session, passes: memory.passes)
        if let folder {
            let done = folder.entries.count
            notes.append("Going on in \(work): \(done) of \(plan.windows.count) windows are done.")
            let differences = settled.map { numbers.differences(from: $0) } ?? []
            if !differences.isEmpty {
                notes.append(
                    "This is not how the run began (\(differences.joined(separator: ", "))): frames will differ by rounding."
                )
            }
        } else if plan.windows.count > 1, !isTrial {
            folder = try WorkFolder.make(work, identity, plan: plan, segments: segments, settled: numbers)
            notes.append("\(disk); what is done lies in \(work), and the same command goes on with it.")
        }
        (self.folder, folderNotes) = (folder, notes)
    }

    /// Looks at the video as far as the windows depend on it.
    private static func plan(
        _ video: inout MeasuredVideo, _ tell: @escaping @Sendable (RestorationEvent) -> Void
    ) async throws -> WindowPlan {
        var cuts = try video.listedCuts()
        let said = try video.frameCount()
        var count = said ?? 0
        if video.looksForScenes || said == nil {
            let scan = try await video.reader.scanned(video.range()) { tell(.scanning(frame: $0, of: said)) }
            count = scan.frameCount
            if video.looksForScenes { cuts = scan.cuts }
            video.count(count)
        }
        return video.plan(frameCount: count, cuts: cuts)
    }

    /// How long it would take; nil where memory did not suffice to try the networks. Opens the model.
    func estimate() async throws -> TimeEstimate? {
        let outline = try LatentDiffusionModel.outline(
            at: session.url, variant: recipe.model.variant, autoencoder: recipe.model.autoencoderURL(of: session.url))
        let noise: NoiseFigure? = if case .sigma(let sigma) = recipe.noise { NoiseFigure(sigma) } else { nil }
        let (session, video, plan, memory, options) = (session, video, plan, memory, options)
        return try await onThread(of: session.device) { check in
            let facts = try FileFacts(video, frames: plan.longest, noise: noise, model: outline)
            return try TimeEstimate.found(
                video, plan, memory.passes, LatentDiffusionPrior(session.load()), Policy.extent(options, facts), check)
        }
    }

    func run(_ tell: @escaping @Sendable (RestorationEvent) -> Void) async throws -> RestorationLog {
        var log = RestorationLog(recipe, video, options: options, memory: memory)
        log.scenes = plan.scenes.map(\.lowerBound)
        var laps = Laps(since: began)
        for note in folderNotes { tell(.note(note)) }
        if let folder {
            try await run(in: folder, &log, &laps, tell)
        } else {
            try await runAtOnce(&log, &laps, tell)
        }
        log.finish(began: began)
        if let path = recipe.log { try JSONFile.write(log, to: path) }
        return log
    }

    /// A single window goes straight into the result.
    private func runAtOnce(
        _ log: inout RestorationLog, _ laps: inout Laps, _ tell: @escaping @Sendable (RestorationEvent) -> Void
    ) async throws {
        let info = video.info
        let writer = try await VideoWriter(
            to: recipe.output, width: video.width, height: video.height, bitDepth: output.frameBits,
            frameRate: info.frameRate, encoding: output.encoding, tags: info.tagsForCopies, keeping: output.plan,
            overwrite: execution.overwrites)
        do {
            try await restore([0], bits: output.frameBits, &log, &laps, tell) { frames, _, _ in
                for frame in frames { try await writer.append(frame) }
            }
            try await writer.finish()
            log.phases.add(.writing, laps.next())
        } catch {
            await writer.cancel()
            throw error
        }
    }

    /// Several windows go into the folder, from there in segments into the result's coding, and these are joined.
    private func run(
        in folder: WorkFolder, _ log: inout RestorationLog, _ laps: inout Laps,
        _ tell: @escaping @Sendable (RestorationEvent) -> Void
    ) async throws {
        let info = video.info
        let segments = try VideoSegments(
            to: recipe.output, frames: SegmentEncoder.frames(plan, folder.segments), width: video.width,
            height: video.height, bitDepth: output.frameBits, frameRate: info.frameRate, encoding: output.encoding,
            tags: info.tagsForCopies, keeping: output.plan, overwrite: execution.overwrites)
        let encoder = SegmentEncoder(folder, segments)
        encoder.removeSpent()
        let missing = encoder.missingWindows
        for (index, entry) in folder.entries.sorted(by: { $0.key < $1.key }) where !missing.contains(index) {
            log.add(entry)
        }
        var pipeline = EncodingPipeline(encoder)
        do {
            try await pipeline.advance()
            if !missing.isEmpty {
                try await restore(missing, bits: 16, &log, &laps, tell) { frames, index, entry in
                    try await onThread { _ in try folder.write(frames, window: index, entry) }
                    try await pipeline.advance()
                }
            }
            try await pipeline.finish()
            try await encoder.join()
            log.phases.add(.writing, laps.next())
        } catch {
            await pipeline.cancel()
            throw error
        }
        if execution.keepsWork {
            tell(.note("What the run was made of is kept in \(folder.path)."))
        } else {
            folder.remove()
        }
    }

    /// Restores windows in order and hands over the frames of each that are kept or faded.
    private func restore(
        _ wanted: [Int], bits: Int, _ log: inout RestorationLog, _ laps: inout Laps,
        _ tell: @escaping @Sendable (RestorationEvent) -> Void,
        then handOver: (_ frames: [VideoFrame], _ window: Int, _ done: WindowEntry) async throws -> Void
    ) async throws {
        let (session, video, plan, memory) = (session, video, plan, memory)
        let network = try await onThread(of: session.device) { _ in try session.load() }
        log.describe(network, recipe.text)
        for note in try notes(network, log) { tell(.note(note)) }
        var solver = try await onThread { [options] _ in try session.solver(network, options: options) }
        solver.passes = memory.passes
        solver.onSmallerPasses = { tell(.note($0)) }
        var restorer = try WindowRestorer(session, video, plan, options, solver: solver)
        let finishing = recipe.finishing
        let gauge = MemoryGauge(session.device)
        // The first window of a scene tells what the others start from.
        let unprepared = Set(wanted.map { plan.windows[$0].scene }).filter { folder?.hasScene($0) != true }
        let all = Set(wanted).union(unprepared.map(plan.firstWindow(ofScene:))).sorted()
        let offset = try video.range()?.lowerBound ?? 0
        let batches = FrameBatches(
            video.reader,
            all.map {
                let batch = plan.windows[$0].batch
                return batch.lowerBound + offset..<batch.upperBound + offset
            }, of: try video.range())
        log.phases.add(.preparing, laps.next())
        var isFirst = true
        for index in all {
            guard let batch = try await batches.next() else { break }
            try Task.checkCancellation()
            let Y = try await restorer.measured(batch)
            let (measurement, preparation, isNew) = try await restorer.prepared(index, Y, folder: folder)
            if isNew, options.dataStep != .conjugateGradients || options.steadiness != 0,
                log.noise != preparation.record.noise
            {
                tell(.note("measurement noise \(preparation.record.noise)"))
            }
            log.noise = log.noise ?? preparation.record.noise
            log.phases.add(.reading, laps.next())
            guard wanted.contains(index) else { continue }
            let (current, estimates) = (restorer.solver, isFirst && log.frameCount == 0)
            isFirst = false
            let (result, restored, around, estimate) = try await onThread(of: session.device) { checkCancellation in
                let clock = PhaseClock()
                let window = plan.windows[index]
                var estimate: TimeEstimate?
                if estimates {
                    estimate = try clock.time(.preparing) {
                        try TimeEstimate.found(
                            video, plan, memory.passes, current.prior, Policy.Extent(preparation.settings),
                            checkCancellation)
                    }
                    if let estimate { tell(.note(estimate.line(frames: plan.frameCount))) }
                }
                let result = try current.restore(
                    measurement, following: preparation.settings, from: preparation.start
                ) { progress in
                    try checkCancellation()
                    gauge.read()
                    tell(.progress(progress, window: index, windows: plan.windows.count, deviceMemory: gauge.peak))
                }
                let restored = try clock.time(.writing) {
                    let first = video.firstMeasured(of: window)
                    let X = try finishing.applied(to: result.frames, measurement, from: first)
                    return try VideoFrame.frames(of: X.rows(video.kept(of: window)), bitDepth: bits)
                }
                return (result, restored, clock.times, estimate)
            }
            let entry = WindowEntry(
                frames: plan.windows[index].kept.count + plan.rules.surplus, residuals: result.residuals,
                seconds: laps.next(), phases: result.phases.adding(around))
            log.add(entry, result)
            if let estimate { log.estimate = estimate }
            // What did not fit once will not the next time.
            if let passes = result.passes, passes != restorer.solver.passes {
                (restorer.solver.passes, restorer.solver.onSmallerPasses) = (passes, nil)
                try folder?.settle(SettledNumbers(session, passes: passes))
            }
            try await handOver(restored, index, entry)
            log.phases.add(.writing, laps.next())
        }
        if let sentence = batches.damage.sentence(of: recipe.input) { tell(.note(sentence)) }
        gauge.read(atOnce: true)
        log.peakDeviceMemoryBytes = gauge.peak
    }

    /// Some frames, as measured and as the whole run would give them, in 8 bits; and how long that would take.
    /// - Parameter chosen: counted from the first frame that is restored.
    func look(
        at chosen: [Int], _ tell: @escaping @Sendable (RestorationEvent) -> Void
    ) async throws -> (measured: [VideoFrame], restored: [VideoFrame], estimate: TimeEstimate?) {
        let (session, video, plan, memory, finishing) = (session, video, plan, memory, recipe.finishing)
        let network = try await onThread(of: session.device) { _ in try session.load() }
        var solver = try await onThread { [options] _ in try session.solver(network, options: options) }
        solver.passes = memory.passes
        var restorer = try WindowRestorer(session, video, plan, options, solver: solver)
        // Those in which the frames lie, those that are faded into them there, and what these begin with.
        let own = plan.windows.indices.filter { index in chosen.contains(where: plan.windows[index].kept.contains) }
        let wanted = Set(own.flatMap { plan.sources(of: $0..<$0 + 1) }).sorted()
        let all = Set(wanted).union(wanted.map { plan.firstWindow(ofScene: plan.windows[$0].scene) }).sorted()
        let batches = FrameBatches(video.reader, all.map { plan.windows[$0].batch })
        var (estimate, measured, windows) = (TimeEstimate?.none, [Int: VideoFrame](), [Int: [VideoFrame]]())
        for index in all {
            guard let batch = try await batches.next() else { break }
            let Y = try await restorer.measured(batch)
            let (measurement, preparation, _) = try await restorer.prepared(index, Y, folder: nil)
            let (current, estimates, window) = (restorer.solver, estimate == nil, plan.windows[index])
            let found = try await onThread(of: session.device) { check in
                let estimate =
                    estimates
                    ? try TimeEstimate.found(
                        video, plan, memory.passes, current.prior, Policy.Extent(preparation.settings), check) : nil
                guard wanted.contains(index) else { return (estimate, [Int: VideoFrame](), [VideoFrame]()) }
                let result = try current.restore(
                    measurement, following: preparation.settings, from: preparation.start
                ) { progress in
                    try check()
                    tell(.progress(progress, window: index, windows: plan.windows.count, deviceMemory: nil))
                }
                let X = try finishing.applied(
                    to: result.frames, measurement, from: video.firstMeasured(of: window))
                let enlarged = try measurement.enlarged(.bicubic)
                var measured: [Int: VideoFrame] = [:]
                for frame in chosen where window.kept.contains(frame) {
                    measured[frame] = try VideoFrame(
                        tensor: enlarged.select(0, frame - window.batch.lowerBound), bitDepth: 8)
                }
                return (estimate, measured, try VideoFrame.frames(of: X.rows(video.kept(of: window)), bitDepth: 16))
            }
            estimate = estimate ?? found.0
            measured.merge(found.1) { first, _ in first }
            windows[index] = found.2
        }
        let restored = try chosen.compactMap { frame -> VideoFrame? in
            guard let index = own.first(where: { plan.windows[$0].kept.contains(frame) }) else { return nil }
            // Of an average without a border the frames around it are results, too.
            let place = frame - plan.windows[index].kept.lowerBound + plan.rules.surplus / 2
            return try plan.faded(index, place) { windows[$0] ?? [] }.reducedTo8Bits()
        }
        return (chosen.compactMap { measured[$0] }, restored, estimate)
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
        return notes + video.masks.notes + output.notes + session.notes(on: memory, frames: together)
    }
}

/// Encodes one segment at a time beside the restoration, which waits where the encoder is the slower of the two.
private struct EncodingPipeline {
    private let encoder: SegmentEncoder
    private var next: Int
    private var current: Task<Void, any Error>?

    init(_ encoder: SegmentEncoder) {
        self.encoder = encoder
        next = encoder.firstMissing
    }

    /// Begins with the next segment if its windows are there.
    mutating func advance() async throws {
        while next < encoder.folder.segments.count {
            let segment = next
            if encoder.isDone(segment) {
                next += 1
                continue
            }
            guard encoder.isReady(segment) else { return }
            try await wait()
            current = Task { [encoder] in try await encoder.encode(segment) }
            next += 1
        }
    }

    /// Waits until everything is encoded.
    mutating func finish() async throws {
        try await advance()
        try await wait()
    }

    func cancel() async {
        current?.cancel()
        _ = await current?.result
    }

    private mutating func wait() async throws {
        guard let task = current else { return }
        current = nil
        try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }
}
