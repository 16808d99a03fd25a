import Foundation
import InverseProblems
import VisionXL

/// What is noted of a window that is done.
struct WindowEntry: Codable, Sendable, Equatable {
    var frames: Int
    var residuals: [Residual]
    var seconds: Double
    var phases: PhaseTimes
}

/// Lines of what was finished, in the order in which it was.
struct Journal {
    struct Line: Codable {
        var window: Int?
        var done: WindowEntry?
        var segment: Int?
    }

    private(set) var windows: [Int: WindowEntry] = [:]
    private let handle: FileHandle

    init(_ path: String) throws {
        if let data = FileManager.default.contents(atPath: path) {
            // A line that was cut short says nothing.
            for line in data.split(separator: UInt8(ascii: "\n")) {
                guard let read = try? JSONDecoder().decode(Line.self, from: line) else { continue }
                if let number = read.window, let done = read.done { windows[number] = done }
            }
        } else {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        guard let handle = FileHandle(forUpdatingAtPath: path) else {
            throw WorkflowError.message("\(path) cannot be written; look at who may write there.")
        }
        self.handle = handle
        let end = try handle.seekToEnd()
        if end > 0 {
            try handle.seek(toOffset: end - 1)
            // Behind a line that was cut short.
            let isWhole = try handle.read(upToCount: 1) == Data("\n".utf8)
            try handle.seekToEnd()
            if !isWhole { try handle.write(contentsOf: Data("\n".utf8)) }
        }
    }

    mutating func add(_ line: Line) throws {
        if let number = line.window, let done = line.done { windows[number] = done }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        // A journal that cannot be written loses numbers of the log, and no frame.
        try? handle.write(contentsOf: try encoder.encode(line) + Data("\n".utf8))
    }
}
