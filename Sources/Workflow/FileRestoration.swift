import Foundation
import InverseProblems
import LatentDiffusion
import PixelPriors
import TensorKit
import VideoIO
import VisionXL

/// One file's restoration: prepared, then run once.
struct FileRestoration {
    private let began = ContinuousClock.now
    let recipe: Recipe
    let session: ModelSession
    let video: MeasuredVideo
    let options: RestorationOptions
    let memory: MemoryPlan
    let plan: WindowPlan
    let disk: DiskPlan
    let output: OutputSettlement
    let execution: Execution
    let estimate: OwnEstimate?
    /// What lies between the measurement and the result; nil for a single window.
    private let folder: WorkFolder?
    /// What is to be said of the folder before the work.
    private let folderNotes: [String]
    var together: Int { plan.longest }

    /// Refuses all that can be refused early.
    /// - Parameter isTrial: whether nothing is going to be written, a work folder included.
    init(
        _ recipe: Recipe, _ execution: Execution, isTrial: Bool = false,
        tell: @escaping @Sendable (RestorationEvent) -> Void = { _ in }
    ) async throws {
        try recipe.validate()
        try OutputCheck.output(recipe.output, inputs: recipe.inputs, overwrites: execution.overwrites)
        if let log = recipe.log {
            let others = recipe.inputs + [recipe.output, MeasurementRecord.path(beside: recipe.input)]
            try OutputCheck.json(log, others: others, overwrites: execution.overwrites)
        }
        try ModelSession.check(recipe.options)
        let work = execution.workFolder ?? WorkFolder.path(for: recipe.output)
        for other in recipe.inputs + [recipe.output] + (recipe.log.map { [$0] } ?? [])
        where OutputCheck.isSame(work, other) {
            throw WorkflowError.message("\(work) is read or written here already; choose another folder with --work.")
        }
        // A run goes on as it began, as far as this machine can.
        let settled = execution.restarts ? nil : WorkFolder.settled(in: work)
        var execution = execution
        // Not asking the engine, which reads the number of threads when it is opened.
        if let settled, execution.threads == nil, settled.threads != ProcessInfo.processInfo.activeProcessorCount {
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
        estimate = try await OwnEstimate(recipe, video)
        output = try await OutputSettlement(
            recipe, video.reader, frames: video.range(), height: video.height, width: video.width)
        options = session.completed(recipe.options)

        let (record, problem, model) = (video.record, video.problem, session.url)
        func identity() throws -> RunIdentity {
            try RunIdentity(recipe, record: record, problem: problem, model: model)
        }
        let found = isTrial ? .nothing(nil) : try WorkFolder.open(work, identity, restarts: execution.restarts)
        let plan: WindowPlan
        var (folder, lock) = (WorkFolder?.none, FileLock?.none)
        switch found {
        case .goesOn(let known):
            (folder, plan) = (known, known.plan)
            video.count(plan.frameCount)
        case .nothing(let held):
            lock = held
            plan = try await Self.plan(&video, tell)
        }
        (self.video, self.plan) = (video, plan)
        try estimate?.check(plan)
        var memory = try session.settledPlan(recipe, plan, video)
        // Smaller passes than memory has room for are as good; larger ones are not.
        if let settled, folder != nil, execution.framesPerPass == nil, settled.passes.isWithin(memory.passes) {
            memory.passes = settled.passes
        }
        self.memory = memory

        // What lies in a work folder has 16 bits.
        if output.encoding.codec == .float32, plan.windows.count > 1 {
            throw WorkflowError.message(
                "Numbers in float32 are written of one window alone, and \(recipe.input) would be restored in \(plan.windows.count); take "
                    + "--window \(plan.frameCount) with --scenes off, or a part of it (--frames).")
        }
        let segments = plan.segments(frameBytes: video.height * video.width * 6)
        if plan.windows.count > 1 {
            let joining = try output.segments(
                SegmentEncoder.frames(plan, segments), of: video, to: recipe.output, overwrite: execution.overwrites)
            if !isTrial { try await joining.checkPlace() }
            try await joining.rehearse()
        }
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
            folder = try WorkFolder.make(work, lock, identity(), plan: plan, segments: segments, settled: numbers)
            notes.append(disk.note(work: execution.forgetsWork ? nil : work))
        }
        (self.folder, folderNotes) = (folder, notes)
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
        let segments = try output.segments(
            SegmentEncoder.frames(plan, folder.segments), of: video, to: recipe.output, overwrite: execution.overwrites)
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
        let hasOwn = estimate != nil
        var solver = try await onThread { [options] _ in
            try session.solver(network, options: options, hasOwnEstimate: hasOwn)
        }
        solver.passes = memory.passes
        solver.onSmallerPasses = { tell(.note($0)) }
        var restorer = try WindowRestorer(session, video, plan, options, solver: solver)
        let finishing = recipe.finishing
        let gauge = MemoryGauge(session.device)
        // The first window of a scene tells what the others start from.
        let unprepared = Set(wanted.map { plan.windows[$0].scene }).filter { folder?.hasScene($0) != true }
        let all = Set(wanted).union(unprepared.map(plan.firstWindow(ofScene:))).sorted()
        let batches = try batches(of: all)
        var own = estimate?.frames(of: all, video, plan)
        log.phases.add(.preparing, laps.next())
        var isFirst = true
        for index in all {
            guard let batch = try await batches.next() else { break }
            try Task.checkCancellation()
            let Y = try await restorer.measured(batch)
            restorer.solver.ownEstimate = try await own?.next(to: session.device)
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
                let heap = HeapKeeper(plan, session.device)
                let result = try current.restore(
                    measurement, following: preparation.settings, from: preparation.start
                ) { progress in
                    try checkCancellation()
                    heap.began(progress.phase)
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
        for sentence in damage(batches, own) { tell(.note(sentence)) }
        gauge.read(atOnce: true)
        log.peakDeviceMemoryBytes = gauge.peak
    }
}
