import Foundation
import Subprocess
import Testing

/// A temporary folder that goes away with the value.
public final class TemporaryFolder: Sendable {
    public let path: String

    public init(_ name: String = "visionxl") throws {
        path =
            URL(fileURLWithPath: NSTemporaryDirectory()).resolvingSymlinksInPath().path
            + "/\(name)-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    public func file(_ name: String) -> String { path + "/" + name }

    /// Everything in the folder, hidden files included.
    public var contents: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }
}

/// Where a program is on PATH.
public func program(_ name: String) -> String? {
    (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(name)" }
        .first { FileManager.default.isExecutableFile(atPath: $0) }
}

public let ffmpegIsInstalled = program("ffmpeg") != nil

/// For `.enabled(if:)`: these tests run the real ffmpeg.
public let needsFFmpeg: Comment = "ffmpeg is not installed; run `apt-get install ffmpeg`"

/// Whether other processes, and this one's memory, can be looked at as Linux shows them.
public let procIsThere = FileManager.default.fileExists(atPath: "/proc/self/statm")

/// For `.enabled(if:)`: these tests look into /proc, and would see nothing without it.
public let needsProc: Comment = "there is no /proc"

/// The ffmpeg processes whose command line or working folder contains `text`.
public func ffmpegProcesses(mentioning text: String) -> [Int32] {
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return entries.compactMap { Int32($0) }.filter { pid in
        guard let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline"), !line.isEmpty else {
            return false
        }
        let words = String(decoding: line, as: UTF8.self)
        let folder = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd")) ?? ""
        return words.prefix { $0 != "\0" }.hasSuffix("ffmpeg") && (words.contains(text) || folder.contains(text))
    }
}

/// Waits for a condition, ten minutes at least: two cores run hundreds of tests at once, and a machine may have other work.
public func eventually(_ condition: () -> Bool) async throws -> Bool {
    for _ in 0..<12_000 {
        if condition() { return true }
        try await Task.sleep(for: .milliseconds(50))
    }
    return condition()
}

/// What a program writes to its standard output.
public func output(of name: String, _ arguments: [String]) async throws -> String {
    try await run(
        .name(name), arguments: Arguments(arguments), input: .none, output: .string(limit: 1 << 20), error: .discarded
    ).standardOutput
}
