import Foundation
import ModelHub
import TensorKit

/// What the program says: results on standard output, everything else on standard error.
enum Console {
    static let isTerminal = isatty(STDERR_FILENO) == 1

    /// A result. A closed pipe is not an error: nobody reads any more.
    static func print(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }

    /// "1 frame", "25 frames".
    static func count(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

    static func note(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

    /// What is wrong, on one line whatever lines it comes in.
    static func error(_ text: String) {
        let line = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }.joined(
            separator: " ")
        write((isTerminal ? "\r\u{1B}[K" : "") + "visionxl: \(line)\n", to: STDERR_FILENO)
    }

    /// Columns of the terminal, where there is one that says so.
    static var terminalWidth: Int? {
        var size = winsize()
        return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : nil
    }

    static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}

/// Memory and time of this process.
enum Usage {
    /// The largest resident size so far, in bytes.
    static var peakMemory: Int { PeakMemory.bytes ?? 0 }

    static func describe(bytes: Int) -> String { sizeText(bytes) }

    /// "peak memory 2.1 GB", and on a GPU ", of the GPU 11.9 GB".
    static func peaks(memory: Int, deviceMemory: Int?) -> String {
        "peak memory " + describe(bytes: memory) + (deviceMemory.map { ", of the GPU " + describe(bytes: $0) } ?? "")
    }
}
