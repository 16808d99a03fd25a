import Foundation

// How long the program takes to say something.
extension Bench {
    func startup(into report: inout Report) throws {
        let python = ProcessInfo.processInfo.environment["VISIONXL_PYTHON"] ?? "python3"
        let hasDiffusers = (try? Child.time([python, "-c", "import torch, diffusers"])) != nil
        let (any, anyWords) = ("/bin/sh -c true, any process at all", ["/bin/sh", "-c", "true"])
        let rows: [(what: String, words: [String], alternative: String, other: [String])] = [
            ("visionxl --version", ["--version"], any, anyWords),
            ("visionxl --help", ["--help"], any, anyWords),
            (
                "visionxl doctor", ["doctor"], "python -c 'import torch, diffusers'",
                [python, "-c", "import torch, diffusers"]
            ),
        ]
        for row in rows {
            // `doctor` ends with an error where something is missing, after the same work.
            var sides: [Side] = [{ try Child.time([Child.program] + row.words, mayFail: row.words == ["doctor"]) }]
            let isThere = row.other[0] != python || hasDiffusers
            if isThere { sides.append { try Child.time(row.other) } }
            let timings = try repetitions.alternate(sides)
            report.table.add(
                Row(
                    group: SpeedCommand.Group.startup.rawValue, what: row.what, size: "", ours: timings[0],
                    alternative: row.alternative,
                    theirs: isThere ? timings[1] : nil, note: isThere ? "" : "not measured: \(PythonServer.absence)"))
        }
    }
}
