import Foundation
import InverseProblems
import Metrics
import Workflow

/// The Markdown tables of an evaluation.
struct Tables {
    let results: EvaluationResults

    init(_ results: EvaluationResults) { self.results = results }

    private var plan: EvaluationPlan { results.plan }
    /// As the paper's Table 1 has them.
    private static let tableOrder: [Metric] = [.fvd, .lpips, .lpipsVGG, .psnr, .ssim]
    private static let temporal: [Metric] = [.flicker, .temporalError]

    var markdown: String {
        var parts = ["# Evaluation", summary]
        for storage in plan.storages {
            for (title, tasks) in groups {
                parts.append("## \(title), \(Self.describe(storage))")
                parts.append(quality(tasks, storage, Self.tableOrder))
            }
        }
        if plan.metrics.contains(where: Self.temporal.contains) {
            parts.append("## Steadiness in time")
            for storage in plan.storages {
                parts.append("\(Self.describe(storage).capitalizedFirst):")
                parts.append(quality(plan.tasks.map(\.name), storage, Self.temporal))
            }
        }
        parts.append("## Time and memory")
        parts.append(costs)
        if !notes.isEmpty { parts.append("## Notes\n\n" + notes.map { "- \($0)" }.joined(separator: "\n")) }
        return parts.joined(separator: "\n\n") + "\n"
    }

    var summary: String {
        let clips = results.truths.map { "\($0.clip) (\($0.frames) frames of \($0.width)x\($0.height))" }.joined(
            separator: ", ")
        var lines = ["- Clips: \(clips).", "- Machine: \(Machine.current.description), on \(plan.device)."]
        if plan.noise > 0 {
            lines.append(
                "- Gaussian noise of standard deviation \(plan.noise) (pixels in [-1, 1]) on every measurement, seed \(plan.seed)."
            )
        }
        lines.append(
            "- Every number is the mean over frames, then over clips; bold is the best of its column, underlined the second."
        )
        return lines.joined(separator: "\n")
    }

    static func describe(_ storage: MeasurementStorage) -> String {
        switch storage {
        case .float: "measurement in float"
        case .eightBit: "measurement rounded to 8 bits"
        case .h264(let quality): "measurement through H.264, CRF \(quality)"
        }
    }

    /// Tasks in space, and in space and time.
    var groups: [(title: String, tasks: [String])] {
        let inTime = plan.tasks.filter { $0.problem.stage(Average.self)?.frames != nil }.map(\.name)
        let inSpace = plan.tasks.filter { $0.problem.stage(Average.self)?.frames == nil }.map(\.name)
        return [("Degraded in space", inSpace), ("Degraded in space and time", inTime)].filter { !$0.1.isEmpty }
    }

    /// Rows are methods; columns are the metrics of one task after the other.
    func quality(_ tasks: [String], _ storage: MeasurementStorage, _ order: [Metric]) -> String {
        let metrics = order.filter(plan.metrics.contains)
        // A column of nothing says nothing; why is in the notes.
        let columns = tasks.flatMap { task in metrics.map { (task, $0) } }.filter { task, metric in
            plan.contenders.contains { results.entry(metric, task, storage, $0.name) != .missing }
        }
        guard !columns.isEmpty else { return "Nothing could be measured; the notes say why." }
        let marks = columns.map { task, metric in
            ranks(plan.contenders.map { results.entry(metric, task, storage, $0.name) }, metric)
        }
        let rows = plan.contenders.enumerated().map { index, contender in
            [contender.name]
                + columns.enumerated().map { column, key in
                    Self.text(results.entry(key.1, key.0, storage, contender.name), key.1, marks[column][index])
                }
        }
        return Self.table(["method"] + columns.map { "\($0.0) \($0.1.title)" }, rows)
    }

    /// Time and memory, as the paper's Table 2.
    var costs: String {
        let rows = plan.contenders.map { contender -> [String] in
            let cells = results.cells.filter { $0.settings.method == contender.name && $0.failure == nil }
            let times = cells.compactMap { cell in cell.seconds.map { $0 / Double(cell.settings.frames) } }.sorted()
            let megapixels = cells.compactMap { cell in
                cell.seconds.map {
                    $0 / (Double(cell.settings.frames * cell.settings.height * cell.settings.width) / 1e6)
                }
            }.sorted()
            let totals = cells.compactMap(\.seconds).sorted()
            let memory = cells.compactMap(\.peakMemory).max()
            let device = cells.compactMap(\.peakDeviceMemory).max()
            return [contender.name]
                + [totals, times, megapixels].map { $0.isEmpty ? "–" : String(format: "%.2f", $0[$0.count / 2]) }
                + [memory, device].map { $0.map { String(format: "%.2f", Double($0) / 1e9) } ?? "–" }
        }
        return Self.table(
            [
                "method", "seconds a clip", "seconds a frame", "seconds a megapixel", "peak memory, GB",
                "device memory, GB",
            ], rows)
            + "\n\nTimes are medians over the cells, without loading networks; memory is the largest of a cell, everything the process holds included."
    }

    /// What a reader could be misled by.
    var notes: [String] {
        var notes: [String] = []
        let counts = Set(results.truths.map(\.frames)).sorted()
        for count in counts {
            let tasks = plan.tasks.filter { $0.isInvertibleInTime(frames: count) }
            guard let window = tasks.first?.problem.stage(Average.self)?.frames else { continue }
            notes.append(
                "\(tasks.map(\.name).joined(separator: ", ")): the circular average over \(window) of \(count) frames can be undone exactly, since "
                    + "\(window) and \(count) have no common factor. From float measurements these tasks look easier than they are; "
                    + (plan.storages.contains(.eightBit)
                        ? "the 8-bit tables show it." : "`--measurement 8bit` shows it."))
        }
        for truth in results.truths where truth.scale > 1.001 {
            notes.append(
                "\(truth.clip) was enlarged \(String(format: "%.2f", truth.scale)) times to reach its size: its finest detail is interpolated."
            )
        }
        if let clips = results.videoDistances.first?.clips {
            notes.append(
                "FVD rests on \(clips) clips. Its Gaussians have 400 dimensions: below several hundred clips it compares methods on these "
                    + "clips only.")
        }
        if plan.metrics.contains(.fvd), let missingDistance = results.missingDistance {
            notes.append("No FVD: \(missingDistance).")
        }
        for metric in plan.metrics {
            if let reason = results.cells.lazy.compactMap({ $0.unavailable[metric] }).first {
                notes.append("No \(metric.rawValue): \(reason)")
            }
            let unmeasurable = results.clips(without: metric)
            if let cell = results.cells.first(where: { $0.missing[metric] != nil }), let reason = cell.missing[metric] {
                let clips = unmeasurable.isEmpty ? [cell.settings.clip] : unmeasurable
                // FVD wants every clip.
                let isMeanOfOthers = metric != .fvd && (1..<results.truths.count).contains(unmeasurable.count)
                notes.append(
                    "No \(metric.rawValue) of \(clips.joined(separator: ", ")): \(reason)"
                        + (isMeanOfOthers ? " The tables' mean is over the other clips." : ""))
            }
        }
        for cell in results.cells {
            guard let failure = cell.failure else { continue }
            let settings = cell.settings
            notes.append(
                "\(settings.method) failed on \(settings.clip), \(settings.task), \(settings.storage): \(failure)")
        }
        return notes
    }

    // MARK: Formatting

    enum Rank { case first, second, other }

    /// The best two of a column, as they are shown: equal numbers share a rank.
    private func ranks(_ entries: [EvaluationResults.Entry], _ metric: Metric) -> [Rank] {
        let shown = entries.map { entry -> Double? in
            guard case .number(let value) = entry, !value.isNaN else { return nil }
            return value.isInfinite ? value : Double(String(format: "%.\(metric.digits)f", value))
        }
        let distance = { (value: Double) in metric.isBetterWhenLarger ? -value : value }
        let order = Set(shown.compactMap { $0.map(distance) }).sorted()
        guard order.count > 1 else { return entries.map { _ in .other } }
        return shown.map { value in
            guard let value else { return .other }
            return distance(value) == order[0] ? .first : distance(value) == order[1] ? .second : .other
        }
    }

    private static func text(_ entry: EvaluationResults.Entry, _ metric: Metric, _ rank: Rank) -> String {
        switch entry {
        case .failed: return "failed"
        case .missing: return "–"
        case .number(let value):
            let text = Self.format(value, metric)
            return rank == .first ? "**\(text)**" : rank == .second ? "<u>\(text)</u>" : text
        }
    }

    static func format(_ value: Double, _ metric: Metric) -> String {
        guard value.isFinite else { return "\(value)" }
        let text = String(format: "%.\(metric.digits)f", value)
        // .752 and not 0.752, as the field writes it.
        guard metric != .psnr, metric != .fvd else { return text }
        return text.hasPrefix("0.") ? String(text.dropFirst()) : text.hasPrefix("-0.") ? "-" + text.dropFirst(2) : text
    }

    private static func table(_ header: [String], _ rows: [[String]]) -> String {
        let line = { (cells: [String]) in
            "| " + cells.map { $0.replacingOccurrences(of: "|", with: "\\|") }.joined(separator: " | ") + " |"
        }
        let rule = "|" + header.indices.map { $0 == 0 ? " --- |" : " ---: |" }.joined()
        return ([line(header), rule] + rows.map(line)).joined(separator: "\n")
    }
}

extension String {
    var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
