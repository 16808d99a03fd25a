import Foundation
import Metrics

/// The report of an evaluation as one HTML page beside its pictures: tables, and for every clip, task and measurement the same detail from
/// every method, its difference to the truth, a slice through time, and curves over the frames.
struct Report {
    let results: EvaluationResults

    init(_ results: EvaluationResults) { self.results = results }

    private var plan: EvaluationPlan { results.plan }

    var html: String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Evaluation</title>
        <style>\(Self.style)</style>
        </head>
        <body>
        <h1>Evaluation</h1>
        \(Self.html(markdown: Tables(results).markdown.components(separatedBy: "\n").dropFirst().joined(separator: "\n")))
        <h2>Pictures</h2>
        <p>Detail: the middle frame where the truth has the most detail. Difference: |result − truth|, \(Int(Pictures.differenceGain)) times enlarged, black is
        none. Slice: one row of pixels over time, which runs downwards; a steady video has smooth lines, a flickering one has combs.</p>
        \(results.truths.map(section).joined(separator: "\n"))
        </body>
        </html>

        """
    }

    private func section(_ truth: TruthRecord) -> String {
        let place = "cells/\(Evaluation.fileName(truth.clip))"
        let parts = plan.tasks.flatMap { task in
            plan.storages.map { storage -> String in
                let cells = results.cells.filter {
                    $0.settings.clip == truth.clip && $0.settings.task == task.name && $0.settings.storage == storage
                }
                return """
                    <h4>\(Self.escape(task.name)), \(Self.escape(Tables.describe(storage)))</h4>
                    <div class="row">
                    \(figure("truth", detail: "\(place)/detail.png", difference: nil, slice: "\(place)/slice.png", note: ""))
                    \(cells.map(figure).joined(separator: "\n"))
                    </div>
                    <div class="row">\([Metric.psnr, .ssim, .lpips, .temporalError].compactMap { curves($0, cells) }.joined(separator: "\n"))</div>
                    """
            }
        }
        return "<h3>\(Self.escape(truth.clip))</h3>\n" + parts.joined(separator: "\n")
    }

    private func figure(_ cell: Cell) -> String {
        let name = cell.settings.method
        if let failure = cell.failure {
            return
                "<figure><figcaption>\(Self.escape(name))</figcaption><p class=\"failed\">\(Self.escape(failure))</p></figure>"
        }
        let numbers = [Metric.psnr, .ssim, .lpips, .flicker, .temporalError].compactMap { metric in
            cell.scores[metric].map { "\(metric.name) \(Tables.format($0.mean, metric))" }
        }
        let place = Evaluation.path(cell.settings)
        return figure(
            name, detail: "\(place)/detail.png", difference: "\(place)/difference.png", slice: "\(place)/slice.png",
            note: numbers.joined(separator: ", "))
    }

    private func figure(_ name: String, detail: String, difference: String?, slice: String, note: String) -> String {
        let picture = { (path: String, what: String) in
            "<img loading=\"lazy\" src=\"\(Self.escape(Self.link(path)))\" alt=\"\(Self.escape("\(name), \(what)"))\" title=\"\(Self.escape(what))\">"
        }
        return """
            <figure><figcaption><b>\(Self.escape(name))</b><br>\(Self.escape(note))</figcaption>
            \(picture(detail, "detail"))\(difference.map { picture($0, "difference to the truth") } ?? "<div class=\"empty\"></div>")\(picture(slice, "slice through time"))</figure>
            """
    }

    // MARK: Curves

    private static let colours = [
        "#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f", "#bcbd22", "#e377c2",
    ]

    /// One metric of every method over the frames, as a drawing; nil where nobody has it.
    private func curves(_ metric: Metric, _ cells: [Cell]) -> String? {
        let lines = cells.compactMap { cell in cell.scores[metric].map { (cell.settings.method, $0.perFrame) } }
        let finite = lines.flatMap { $0.1 }.filter(\.isFinite)
        guard let low = finite.min(), let high = finite.max(), lines.contains(where: { $0.1.count > 1 }) else {
            return nil
        }
        let (width, height, left, top) = (360.0, 200.0, 52.0, 26.0)
        let span = max(high - low, 1e-9)
        let longest = Double(max(lines.map(\.1.count).max() ?? 2, 2))
        func x(_ index: Int) -> Double { left + Double(index) / (longest - 1) * width }
        func y(_ value: Double) -> Double { top + (high - value) / span * height }
        let paths = lines.enumerated().map { index, line in
            // Equal frames have an infinite PSNR: the line breaks there.
            var path = ""
            var isDown = false
            for (frame, value) in line.1.enumerated() {
                if value.isFinite { path += String(format: "%@%.1f %.1f", isDown ? "L" : "M", x(frame), y(value)) }
                isDown = value.isFinite
            }
            return "<path d=\"\(path)\" stroke=\"\(Self.colours[index % Self.colours.count])\"/>"
        }
        let legend = lines.enumerated().map { index, line in
            "<tspan fill=\"\(Self.colours[index % Self.colours.count])\">\(Self.escape(line.0))</tspan>"
        }
        let ticks = [low, (low + high) / 2, high].map { value in
            String(
                format: "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%@</text>", left - 6, y(value) + 4,
                Tables.format(value, metric))
        }
        return """
            <svg width="\(Int(width + left + 10))" height="\(Int(height + top + 44))" role="img" aria-label="\(Self.escape(metric.title)) over the frames">
            <text x="\(Int(left))" y="14"><tspan font-weight="bold">\(Self.escape(metric.title))</tspan></text>
            <rect x="\(Int(left))" y="\(Int(top))" width="\(Int(width))" height="\(Int(height))" fill="none" stroke="#ccc"/>
            <g fill="none" stroke-width="1.5">\(paths.joined())</g>\(ticks.joined())
            <text x="\(Int(left))" y="\(Int(top + height + 18))">\(legend.joined(separator: " · "))</text>
            <text x="\(Int(left + width))" y="\(Int(top + height + 36))" text-anchor="end">frame</text>
            </svg>
            """
    }

    // MARK: HTML

    private static let style = """
        body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:1500px;padding:0 1em;color:#222}
        table{border-collapse:collapse;margin:1em 0;font-size:13px}td,th{border-bottom:1px solid #ddd;padding:3px 9px;text-align:right}
        td:first-child,th:first-child{text-align:left}.scroll{overflow-x:auto}
        .row{display:flex;gap:10px;overflow-x:auto;padding-bottom:8px}figure{margin:0;flex:0 0 256px;font-size:12px}
        figcaption{height:5em;overflow:hidden}figure img,.empty{display:block;width:256px;margin-bottom:6px}.empty{height:256px}
        img{image-rendering:pixelated}svg{flex:none;font-size:11px}.failed{color:#a00}
        """

    static func escape(_ text: some StringProtocol) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
            .replacingOccurrences(of: ">", with: "&gt;").replacingOccurrences(of: "\"", with: "&quot;")
    }

    private static func link(_ path: String) -> String {
        path.addingPercentEncoding(withAllowedCharacters: .urlPathAllowed) ?? path
    }

    /// The few forms that `Tables` writes: headings, lists, tables and paragraphs.
    static func html(markdown: String) -> String {
        var parts: [String] = []
        for block in markdown.components(separatedBy: "\n\n") {
            let lines = block.components(separatedBy: "\n").filter { !$0.isEmpty }
            guard let first = lines.first else { continue }
            if first.hasPrefix("## ") { parts.append("<h2>\(inline(first.dropFirst(3)))</h2>") }
            let rest = first.hasPrefix("## ") ? Array(lines.dropFirst()) : lines
            if rest.isEmpty { continue }
            if rest[0].hasPrefix("- ") {
                parts.append("<ul>" + rest.map { "<li>\(inline($0.dropFirst(2)))</li>" }.joined() + "</ul>")
            } else if rest[0].hasPrefix("| ") {
                let cells = { (line: String) in
                    line.dropFirst(2).dropLast(2).replacingOccurrences(of: "\\|", with: "\u{1}").components(
                        separatedBy: " | "
                    )
                    .map { $0.replacingOccurrences(of: "\u{1}", with: "|") }
                }
                let rows = rest.dropFirst(2).map {
                    "<tr>" + cells($0).map { "<td>\(inline($0))</td>" }.joined() + "</tr>"
                }
                parts.append(
                    "<div class=\"scroll\"><table><tr>" + cells(rest[0]).map { "<th>\(inline($0))</th>" }.joined()
                        + "</tr>" + rows.joined()
                        + "</table></div>")
            } else {
                parts.append("<p>\(rest.map { inline($0) }.joined(separator: " "))</p>")
            }
        }
        return parts.joined(separator: "\n")
    }

    private static func inline(_ text: some StringProtocol) -> String {
        escape(text).replacingOccurrences(of: "&lt;u&gt;", with: "<u>").replacingOccurrences(
            of: "&lt;/u&gt;", with: "</u>"
        )
        .replacingOccurrences(of: #"\*\*(.+?)\*\*"#, with: "<b>$1</b>", options: .regularExpression)
        .replacingOccurrences(of: #"`(.+?)`"#, with: "<code>$1</code>", options: .regularExpression)
    }
}
