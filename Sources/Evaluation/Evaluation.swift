import Foundation
import InverseProblems
import Metrics
import Synchronization
import TensorKit
import VideoIO
import VisionXL
import Workflow

/// What an evaluation tells of its progress.
public enum EvaluationEvent: Sendable {
    /// A clip was read; `scale` as its frames were resized.
    case opened(clip: String, frames: Int, width: Int, height: Int, scale: Double)
    case started(cell: Cell.Settings, number: Int)
    case progress(RestorationProgress, number: Int)
    /// Restored and measured; `isNew` is false for a cell of an earlier run.
    case finished(cell: Cell, number: Int, isNew: Bool)
}

/// Runs a plan, cell by cell, and keeps each cell's numbers and pictures in a folder as soon as they are known: an evaluation that was
/// stopped goes on where it was.
///
/// The folder: `cells/CLIP/TASK/MEASUREMENT/METHOD/cell.json` with `detail.png`, `difference.png` and `slice.png`,
/// `cells/CLIP/truth.json`, and what `EvaluationResults.write` makes of it all. Memory: the clip, its measurement and what the method needs.
public struct Evaluation: Sendable {
    public let plan: EvaluationPlan
    public let folder: URL
    public typealias EventHandler = @Sendable (EvaluationEvent) -> Void

    /// - Parameter folder: a new folder, or that of an earlier evaluation, whose cells are taken over where they were made in the same way.
    public init(_ plan: EvaluationPlan, folder: String) {
        self.plan = plan
        self.folder = URL(fileURLWithPath: folder)
    }

    /// Everything that is missing is computed.
    ///
    /// A method that fails on a cell fails that cell alone, which holds the reason and is tried again by the next run.
    /// - Throws: `EvaluationError`, `VideoError` for clips, `ProblemError` for tasks that do not fit them, `CancellationError`.
    public func run(_ tell: @escaping EventHandler = { _ in }) async throws -> EvaluationResults {
        try await check()
        try claimFolder()
        let contenders = plan.contenders.map(Ready.init)
        let scorer = Scorer(metrics: plan.metrics, device: plan.device)
        var results = EvaluationResults(plan: plan)
        var number = 0
        for clip in plan.clips {
            let truth = try await Truth(clip, frameCount: plan.frameCount, size: plan.size)
            tell(
                .opened(
                    clip: clip.name, frames: truth.frames.size(0), width: truth.frames.size(3),
                    height: truth.frames.size(2),
                    scale: truth.scale))
            let record = try await self.record(of: truth, clip, scorer)
            results.truths.append(record)
            for task in plan.tasks {
                for storage in plan.storages {
                    let trial = try Trial(task, storage, truth, plan)
                    for contender in contenders {
                        number += 1
                        let settings = settings(clip, record, task, storage, contender.contender)
                        let place = self.place(settings)
                        if let earlier = try await completed(settings, at: place, truth, scorer) {
                            results.cells.append(earlier)
                            tell(.finished(cell: earlier, number: number, isNew: false))
                            continue
                        }
                        tell(.started(cell: settings, number: number))
                        let current = number
                        let cell = try await compute(settings, trial, contender, truth, record, scorer, at: place) {
                            tell(.progress($0, number: current))
                        }
                        results.cells.append(cell)
                        tell(.finished(cell: cell, number: number, isNew: true))
                    }
                }
            }
        }
        try results.compareFeatures(isAvailable: scorer.unavailable(.fvd) == nil)
        return results
    }

    /// Refuses clips that cannot be read and tasks that do not fit them, before hours of work on the others.
    private func check() async throws {
        for clip in plan.clips {
            let info = try await VideoReader(clip.path).info
            let (width, height) = plan.size.size(forWidth: info.width, height: info.height)
            for task in plan.tasks {
                let A = try task.problem.operator(height: height, width: width)
                _ = try A.outputShape(for: [plan.frameCount, 3, height, width])
            }
        }
    }

    // MARK: One cell

    private func settings(
        _ clip: Clip, _ record: TruthRecord, _ task: EvaluationTask, _ storage: MeasurementStorage,
        _ contender: Contender
    )
        -> Cell.Settings
    {
        Cell.Settings(
            clip: clip.name, clipBytes: record.clipBytes, frames: record.frames, height: record.height,
            width: record.width, task: task.name,
            problem: task.problem, storage: storage, noise: plan.noise, seed: plan.seed, method: contender.name,
            methodSettings: contender.settings)
    }

    /// A cell of an earlier run, with metrics added to it where its frames were kept; nil when it has to be computed.
    private func completed(
        _ settings: Cell.Settings, at place: URL, _ truth: Truth, _ scorer: Scorer
    ) async throws -> Cell? {
        guard let data = FileManager.default.contents(atPath: place.appendingPathComponent("cell.json").path),
            var cell = try? JSONDecoder().decode(Cell.self, from: data), cell.settings == settings, cell.failure == nil
        else { return nil }
        let lacking = scorer.lacking(in: cell)
        if lacking.isEmpty { return cell }
        let kept = place.appendingPathComponent("frames.mkv").path
        guard FileManager.default.fileExists(atPath: kept) else { return nil }
        var frames: [Tensor] = []
        for try await frame in try await VideoReader(kept).frames() { frames.append(try frame.tensor) }
        let video = try Tensor.stack(frames)
        guard video.shape == truth.frames.shape else { return nil }
        let found = cell
        cell = try await onThread(of: plan.device) { check in
            var cell = found
            try scorer.score(video, truth.frames, lacking, into: &cell, check)
            return cell
        }
        try write(cell, to: place.appendingPathComponent("cell.json"))
        return cell
    }

    private func compute(
        _ settings: Cell.Settings, _ trial: Trial, _ contender: Ready, _ truth: Truth, _ record: TruthRecord,
        _ scorer: Scorer,
        at place: URL, _ tell: @escaping @Sendable (RestorationProgress) -> Void
    ) async throws -> Cell {
        let device = plan.device
        let measurement = try await trial.measurement()
        let (cell, restored) = try await onThread(of: device) { check -> (Cell, Tensor?) in
            var cell = Cell(settings: settings)
            do {
                let restorer = try contender.restorer()
                PeakMemory.reset()
                let gauge = MemoryGauge(device)
                let began = ContinuousClock.now
                let result = try restorer.restore(measurement) { progress in
                    try check()
                    gauge.read()
                    tell(progress)
                }
                device.synchronize()
                cell.seconds = (ContinuousClock.now - began) / .seconds(1)
                gauge.read(atOnce: true)
                cell.peakMemory = PeakMemory.bytes
                cell.peakDeviceMemory = gauge.peak
                guard result.frames.shape == truth.frames.shape else {
                    throw EvaluationError.wrongShape(
                        method: settings.method, result.frames.shape, expected: truth.frames.shape)
                }
                cell.residual = try measurement.residual(of: result.frames)
                if cell.residual?.isFinite == false { cell.residual = nil }
                let shown = try result.frames.clamped(to: -1...1).to(.cpu)
                try scorer.score(shown, truth.frames, plan.metrics, into: &cell, check)
                return (cell, shown)
            } catch let error as CancellationError {
                throw error
            } catch {
                cell.failure = "\(error)"
                return (cell, nil)
            }
        }
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        if let restored {
            let pictures = Pictures(crop: record.crop)
            for (name, frame) in [
                ("detail", try pictures.detail(of: restored)), ("slice", try pictures.slice(of: restored)),
                ("difference", try pictures.difference(of: restored, from: truth.frames)),
            ] {
                try await frame.writePNG(to: place.appendingPathComponent("\(name).png").path, overwrite: true)
            }
            if plan.keepsFrames { try await keep(restored, at: place.appendingPathComponent("frames.mkv").path) }
        }
        // Last: a cell that has its numbers has everything.
        try write(cell, to: place.appendingPathComponent("cell.json"))
        return cell
    }

    private func keep(_ video: Tensor, at path: String) async throws {
        let writer = try await VideoWriter(
            to: path, width: video.size(3), height: video.size(2), bitDepth: 16, frameRate: .fps25, encoding: .ffv1,
            overwrite: true)
        do {
            for index in 0..<video.size(0) {
                try await writer.append(VideoFrame(tensor: video.select(0, index), bitDepth: 16))
            }
            try await writer.finish()
        } catch {
            await writer.cancel()
            throw error
        }
    }

    // MARK: The truth

    private func record(of truth: Truth, _ clip: Clip, _ scorer: Scorer) async throws -> TruthRecord {
        let place = folder.appendingPathComponent("cells/\(Self.fileName(clip.name))")
        let file = place.appendingPathComponent("truth.json")
        var record = TruthRecord(
            clip: clip.name, clipBytes: Self.bytes(of: clip.path), frames: truth.frames.size(0),
            height: truth.frames.size(2),
            width: truth.frames.size(3), scale: truth.scale, crop: [], features: nil)
        if let data = FileManager.default.contents(atPath: file.path),
            let old = try? JSONDecoder().decode(TruthRecord.self, from: data)
        {
            record.crop = old.crop
            record.features = old.features
            if record == old && (old.features != nil || !scorer.wants(.fvd) || scorer.unavailable(.fvd) != nil) {
                return old
            }
        }
        let pictures = try Pictures(of: truth.frames)
        record.crop = pictures.crop
        record.features = try await onThread(of: plan.device) { _ in try? scorer.features(of: truth.frames) }
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        try await pictures.detail(of: truth.frames).writePNG(
            to: place.appendingPathComponent("detail.png").path, overwrite: true)
        try await pictures.slice(of: truth.frames).writePNG(
            to: place.appendingPathComponent("slice.png").path, overwrite: true)
        try write(record, to: file)
        return record
    }

    private static func bytes(of path: String) -> Int {
        func size(_ path: String) -> Int {
            ((try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? Int) ?? 0
        }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
            return size(path)
        }
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return entries.reduce(0) { $0 + size((path as NSString).appendingPathComponent($1)) }
    }

    // MARK: The folder

    /// What says that a folder is an evaluation's.
    static let marker = "results.json"

    private func claimFolder() throws {
        let files = FileManager.default
        var isFolder: ObjCBool = false
        if files.fileExists(atPath: folder.path, isDirectory: &isFolder) {
            let entries = isFolder.boolValue ? try files.contentsOfDirectory(atPath: folder.path) : ["a file"]
            let isOurs = entries.contains(Self.marker) || entries.contains("cells")
            guard entries.isEmpty || isOurs else { throw EvaluationError.foreignFolder(folder.path) }
        }
        do {
            try files.createDirectory(at: folder.appendingPathComponent("cells"), withIntermediateDirectories: true)
        } catch {
            throw EvaluationError.cannotWrite(folder.path, reason: error.localizedDescription)
        }
    }

    private func place(_ settings: Cell.Settings) -> URL { folder.appendingPathComponent(Self.path(settings)) }

    /// Where a cell's files are, below the folder.
    static func path(_ settings: Cell.Settings) -> String {
        (["cells"] + [settings.clip, settings.task, settings.storage.description, settings.method].map(fileName))
            .joined(separator: "/")
    }

    /// Letters, digits and a few signs; everything else becomes its number, so that different names stay different.
    static func fileName(_ name: String) -> String {
        name.unicodeScalars.map { scalar in
            let isPlain =
                scalar.isASCII
                && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil
                    || "-_.+ ".unicodeScalars.contains(scalar))
            return isPlain && !(scalar == "." && name.hasPrefix("."))
                ? String(scalar) : "_\(String(scalar.value, radix: 16))_"
        }.joined()
    }

    private func write(_ value: some Encodable, to file: URL) throws { try JSONFile.write(value, to: file.path) }
}

/// A contender and its restorer, made once.
private final class Ready: Sendable {
    let contender: Contender
    private let made = Mutex<Result<any Restorer, any Error>?>(nil)

    init(_ contender: Contender) { self.contender = contender }

    func restorer() throws -> any Restorer {
        try made.withLock { made in
            let result = made ?? Result { try contender.make() }
            made = result
            return result
        }.get()
    }
}
