import Foundation
import TensorKit
import Workflow

/// Where, when and how numbers were measured.
struct Circumstances: Encodable {
    var machine: Machine
    var device: String
    var threads: Int
    /// OMP_WAIT_POLICY, where it was set: `passive` costs small operators time.
    var waitPolicy: String?
    /// Processes that wanted to compute when the run began: more than about 0.5 means that the numbers are somebody else's, too.
    var loadBefore: Double
    var loadAfter: Double?
    var date: String
    /// Of the source, as git describes it.
    var revision: String?
    var command: String

    init(device: Device, revision: String?) throws {
        machine = .current
        self.device = device.description
        threads = try Engine.threadCount()
        waitPolicy = UserEnvironment.atStart["OMP_WAIT_POLICY"]
        loadBefore = Self.load
        date = Date.now.ISO8601Format()
        self.revision = revision
        command = "make bench" + (CommandLine.arguments.count > 1 ? " ARGS=\"\(Self.arguments)\"" : "")
    }

    var description: String {
        var lines = [
            "- Machine: \(machine.processor), \(machine.cores) cores (\(machine.features.joined(separator: ", "))), "
                + String(format: "%.0f GB", Double(machine.memoryBytes) / 1e9),
            "- Engine: \(machine.engine) on \(device), \(threads) threads"
                + (waitPolicy.map { ", OMP_WAIT_POLICY=\($0)" } ?? ""),
            "- Date: \(date)" + (revision.map { ", revision \($0)" } ?? ""),
            String(format: "- Load average: %.1f before", loadBefore)
                + (loadAfter.map { String(format: ", %.1f after", $0) } ?? ""),
            "- Command: `\(command)`",
        ]
        if machine.cores < threads { lines.append("- More threads than cores.") }
        return lines.joined(separator: "\n")
    }

    static var load: Double {
        var averages = [0.0]
        return getloadavg(&averages, 1) == 1 ? averages[0] : .nan
    }

    /// The arguments as one would type them: without what bench.sh adds, and without this machine's folders.
    private static var arguments: String {
        var words = Array(CommandLine.arguments.dropFirst())
        if let index = words.firstIndex(of: "--revision") { words.removeSubrange(index..<min(index + 2, words.count)) }
        return words.map { $0.hasPrefix("/") ? URL(fileURLWithPath: $0).lastPathComponent : $0 }.joined(separator: " ")
    }
}

/// Lets the threads of the side that ran last go to sleep: after its work an OpenMP thread spins for some milliseconds.
func rest() { usleep(20_000) }
