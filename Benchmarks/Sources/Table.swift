import Foundation

/// One line of the table: ours against one alternative, measured in the same run.
struct Row: Encodable {
    /// The name of a `SpeedCommand.Group`.
    var group: String
    var what: String
    var size: String
    var ours: Timing?
    /// What it is compared with.
    var alternative: String
    var theirs: Timing?
    /// How many times as fast as the alternative: its median over ours.
    var ratio: Double? {
        guard let ours, let theirs else { return nil }
        return theirs.median / ours.median
    }
    /// Agreement of the results, memory, or why something was not measured.
    var note = ""

    private enum CodingKeys: String, CodingKey { case group, what, size, ours, alternative, theirs, ratio, note }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(group, forKey: .group)
        try container.encode(what, forKey: .what)
        try container.encode(size, forKey: .size)
        try container.encode(ours, forKey: .ours)
        try container.encode(alternative, forKey: .alternative)
        try container.encode(theirs, forKey: .theirs)
        try container.encode(ratio, forKey: .ratio)
        try container.encode(note, forKey: .note)
    }
}

/// Collects rows and prints them as one Markdown table.
struct Table {
    private(set) var rows: [Row] = []
    /// Where rows are kept as soon as they are there.
    var journal: Journal?
    /// Says on standard error what has been measured: a run takes minutes.
    mutating func add(_ row: Row) {
        rows.append(row)
        let cells = [
            row.what, row.size, row.ours.map(describe) ?? "", row.alternative, row.theirs.map(describe) ?? "", row.note,
        ]
        note("  " + cells.filter { !$0.isEmpty }.joined(separator: "; "))
        journal?.append(row)
    }

    var markdown: String {
        markdownTable(
            ["what", "size", "runs", "median (min to max)", "against", "median (min to max)", "ratio", "note"],
            rows.map { row in
                [
                    row.what, row.size, row.ours.map { "\($0.samples.count)" } ?? "",
                    row.ours.map(describe) ?? "not measured",
                    row.alternative, row.theirs.map(describe) ?? "not measured",
                    row.ratio.map { String(format: "%.2f", $0) } ?? "",
                    row.note,
                ]
            })
    }
}

/// Rows as lines of JSON in a file, which a run that is cut off leaves behind.
struct Journal {
    private let file: FileHandle

    init(at path: String) throws {
        if !FileManager.default.fileExists(atPath: path) {
            try Data().write(to: URL(fileURLWithPath: path))
        }
        file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try file.seekToEnd()
    }

    func append(_ row: Row) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            try file.write(contentsOf: encoder.encode(row) + Data("\n".utf8))
        } catch {
            // The row is in the table all the same.
            note("The row could not be kept: \(error)")
        }
    }
}

func markdownTable(_ header: [String], _ rows: [[String]]) -> String {
    func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |" }
    return ([line(header), line(header.map { _ in "---" })] + rows.map(line)).joined(separator: "\n")
}

private func describe(_ timing: Timing) -> String {
    let (unit, factor) = timing.median < 1 ? ("ms", 1000.0) : ("s", 1.0)
    func number(_ seconds: Double) -> String {
        let value = seconds * factor
        return String(format: value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value)
    }
    return "\(number(timing.median)) \(unit) (\(number(timing.least)) to \(number(timing.most)))"
}

/// A line on standard error.
func note(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

func writeJSON(_ value: some Encodable, to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try encoder.encode(value).write(to: URL(fileURLWithPath: path))
}
