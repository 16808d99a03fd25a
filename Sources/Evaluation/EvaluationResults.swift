import Foundation
import Metrics
import TensorKit
import Workflow

/// What an evaluation measured: every cell, and what is said of all clips together.
public struct EvaluationResults: Sendable {
    public var plan: EvaluationPlan
    /// In the plan's order: by clip, task, measurement and method.
    public var cells: [Cell] = []
    /// One for each task, measurement and method that has features of every clip.
    public var videoDistances: [VideoDistance] = []
    /// Why there is no FVD.
    public var missingDistance: String?
    var truths: [TruthRecord] = []

    init(plan: EvaluationPlan) { self.plan = plan }

    /// The FVD of one method's restorations of all clips to the clips themselves.
    public struct VideoDistance: Sendable, Codable {
        public var task: String
        public var storage: MeasurementStorage
        public var method: String
        public var value: Double
        /// Clips on either side. A Gaussian of 400 features wants many more than 400 of them; with fewer the number still ranks methods on
        /// these very clips, and says little of others.
        public var clips: Int
    }

    /// A method's cells of one task and measurement, one for each clip.
    func cells(_ task: String, _ storage: MeasurementStorage, _ method: String) -> [Cell] {
        cells.filter { $0.settings.task == task && $0.settings.storage == storage && $0.settings.method == method }
    }

    /// What a table says of one method: a number, or why there is none.
    enum Entry: Equatable {
        case number(Double)
        /// No number; a cell failed.
        case failed
        case missing
    }

    /// A metric over the clips: the mean of their means. Clips that let no method be measured so do not count; every other one must have it.
    func entry(_ metric: Metric, _ task: String, _ storage: MeasurementStorage, _ method: String) -> Entry {
        let cells = cells(task, storage, method)
        if cells.contains(where: { $0.failure != nil }) { return .failed }
        if metric == .fvd {
            let found = videoDistances.first { $0.task == task && $0.storage == storage && $0.method == method }
            return found.map { .number($0.value) } ?? .missing
        }
        let unmeasurable = Set(clips(without: metric))
        let counted = cells.filter { !unmeasurable.contains($0.settings.clip) }
        let means = counted.compactMap { $0.scores[metric]?.mean }
        guard !counted.isEmpty, means.count == counted.count else { return .missing }
        return .number(means.reduce(0, +) / Double(means.count))
    }

    /// Clips that no result could be measured on, as they are: nothing in them stands still, say, or they have one frame.
    func clips(without metric: Metric) -> [String] {
        let measured = Set(cells.lazy.filter { $0.failure == nil && $0.missing[metric] == nil }.map(\.settings.clip))
        return truths.map(\.clip).filter { clip in
            !measured.contains(clip) && cells.contains { $0.settings.clip == clip && $0.missing[metric] != nil }
        }
    }

    mutating func compareFeatures(isAvailable: Bool) throws {
        guard plan.metrics.contains(.fvd), isAvailable else { return }
        let real = truths.compactMap(\.features)
        guard real.count == truths.count, real.count > 1 else {
            missingDistance =
                truths.count > 1
                ? "a clip is too short for its network" : "it compares sets of clips, and one clip is none"
            return
        }
        for task in plan.tasks {
            for storage in plan.storages {
                for contender in plan.contenders {
                    let made = cells(task.name, storage, contender.name).compactMap(\.features)
                    guard made.count == real.count else { continue }
                    let distance = try frechetDistance(Self.matrix(made), Self.matrix(real))
                    videoDistances.append(
                        VideoDistance(
                            task: task.name, storage: storage, method: contender.name, value: distance.value,
                            clips: made.count))
                }
            }
        }
    }

    private static func matrix(_ rows: [[Double]]) throws -> Tensor {
        try Tensor(rows.flatMap { $0 }, shape: [rows.count, rows[0].count])
    }

    /// The tables and notes as Markdown.
    public var markdown: String { Tables(self).markdown }

    /// Writes `results.json` (every number), `tables.md` and `report.html` with its pictures in `cells/`.
    /// - Throws: `EvaluationError.cannotWrite`.
    public func write(to folder: String) throws {
        let folder = URL(fileURLWithPath: folder)
        try JSONFile.write(Document(self), to: folder.appendingPathComponent(Evaluation.marker).path)
        for (name, text) in [("tables.md", Tables(self).markdown), ("report.html", Report(self).html)] {
            do {
                try Data(text.utf8).write(to: folder.appendingPathComponent(name), options: .atomic)
            } catch {
                throw EvaluationError.cannotWrite(
                    folder.appendingPathComponent(name).path, reason: error.localizedDescription)
            }
        }
    }

    /// What `results.json` holds.
    private struct Document: Encodable {
        var format = 1
        var machine = Machine.current
        var cells: [Cell]
        var videoDistances: [VideoDistance]
        var notes: [String]

        init(_ results: EvaluationResults) {
            cells = results.cells.map { cell in
                var cell = cell
                // 400 numbers for each cell, kept in its own file.
                cell.features = nil
                return cell
            }
            videoDistances = results.videoDistances
            notes = Tables(results).notes
        }
    }
}
