import Foundation
import ModelHub
import Synchronization
import Workflow

/// Shows how a pull goes, or the writing of a model: a line that is redrawn on a terminal, else a line for every file and one every ten seconds.
final class PullDisplay: Sendable {
    private struct State {
        var total = 0
        var present = 0
        var filesLeft = 0
        var lastDrawn = Date.distantPast
        /// When which bytes were there, over the last seconds.
        var history: [(time: Date, bytes: Int)] = []
    }

    private let state = Mutex(State())
    private let isQuiet: Bool
    private let verb: String
    private let isTerminal: Bool
    private let write: @Sendable (String) -> Void

    init(
        isQuiet: Bool, verb: String = "fetching", isTerminal: Bool = Console.isTerminal,
        write: @escaping @Sendable (String) -> Void = { Console.write($0, to: STDERR_FILENO) }
    ) {
        self.isQuiet = isQuiet
        self.verb = verb
        self.isTerminal = isTerminal
        self.write = write
    }

    func show(_ event: PullEvent, now: Date = Date()) {
        guard !isQuiet else { return }
        state.withLock { state in
            switch event {
            case .planned(let files, let bytes, let present):
                state.total = bytes
                state.present = present
                state.filesLeft = files
                state.history = [(now, present)]
                state.lastDrawn = now
                if files > 0 {
                    let rest = present > 0 ? ", \(sizeText(present)) of them there already" : ""
                    note("\(verb) \(files) \(files == 1 ? "file" : "files"), \(sizeText(bytes)) in all\(rest)")
                }
            case .received(let bytes):
                state.present += bytes
                let interval = isTerminal ? 0.1 : 10
                guard !state.history.isEmpty, now.timeIntervalSince(state.lastDrawn) >= interval else { return }
                state.lastDrawn = now
                state.history.append((now, state.present))
                state.history.removeAll { now.timeIntervalSince($0.time) > 30 }
                let line = Self.line(state.history, total: state.total, filesLeft: state.filesLeft)
                if isTerminal {
                    // A line that wraps could not be drawn over.
                    write("\r\u{1B}[K" + line.prefix((Console.terminalWidth ?? 200) - 1))
                } else {
                    write(line + "\n")
                }
            case .discarded(let bytes, let file, let reason):
                state.present -= bytes
                // What is fetched anew says nothing of the rate.
                state.history = [(now, state.present)]
                if bytes > 0 { note("\(file): \(sizeText(bytes)) are thrown away, \(reason)") }
            case .finished(let file, let bytes):
                state.filesLeft -= 1
                note("\(file), \(sizeText(bytes))")
            case .waiting(let subject, let reason, let seconds):
                note("\(subject): \(reason); again in \(durationText(seconds: max(seconds, 1)))")
            case .waitingForAnother(let file):
                note("\(file): another program is fetching it; waiting")
            }
        }
    }

    func finish() {
        if isTerminal, !isQuiet { write("\r\u{1B}[K") }
    }

    private func note(_ text: String) { write((isTerminal ? "\r\u{1B}[K" : "") + text + "\n") }

    /// "1.2 GB of 5.1 GB, 48.0 MB/s, 1:23 left, 3 files to go".
    static func line(_ history: [(time: Date, bytes: Int)], total: Int, filesLeft: Int) -> String {
        guard let first = history.first, let last = history.last else { return "" }
        var parts = [total > 0 ? "\(sizeText(last.bytes)) of \(sizeText(total))" : sizeText(last.bytes)]
        let seconds = last.time.timeIntervalSince(first.time)
        let bytes = Double(last.bytes - first.bytes)
        if seconds > 0.5, bytes > 0 {
            parts.append("\(sizeText(Int(bytes / seconds)))/s")
            if total > last.bytes {
                parts.append("\(durationText(seconds: Double(total - last.bytes) * seconds / bytes)) left")
            }
        }
        parts.append("\(filesLeft) \(filesLeft == 1 ? "file" : "files") to go")
        return parts.joined(separator: ", ")
    }
}
