import Foundation
import Subprocess
import Synchronization

#if canImport(System)
import System
#else
import SystemPackage
#endif

/// How `ffmpeg` and `ffprobe` are started: never through a shell, in a process group of their own, killed when the
/// task that runs them is cancelled. Those that hand frames over end when this process dies in whatever way, because their
/// pipe closes; others would go on without us (`running`).
enum FFmpeg {
    /// Only errors on standard error, no reading of the terminal, no progress lines.
    static let quietly = ["-hide_banner", "-v", "error", "-nostdin", "-nostats"]

    /// Exact rounding, full chroma in both directions, the same result on every processor.
    static let scalerFlags = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"

    static func configuration(
        _ tool: String, _ arguments: [String], workingDirectory: String? = nil
    ) -> Configuration {
        ignoreBrokenPipes()
        var options = PlatformOptions()
        // A group of its own keeps the terminal's Ctrl-C from ffmpeg: we decide what becomes of an unfinished file.
        options.processGroupID = 0
        return Configuration(
            executable: .name(tool), arguments: Arguments(arguments),
            environment: .inherit.updating(["AV_LOG_FORCE_NOCOLOR": "1"]),
            workingDirectory: workingDirectory.map { FilePath($0) }, platformOptions: options)
    }

    /// A path as an ffmpeg argument that is neither an option nor another protocol, whatever its characters.
    static func url(_ path: String) -> String { "file:" + path }

    /// Runs a tool to its end and returns its whole output, at most `limit` bytes, and the end of its messages.
    static func collect(
        _ tool: String, _ arguments: [String], limit: Int
    ) async throws -> (output: [UInt8], messages: String, succeeded: Bool) {
        try await translatingErrors(tool) {
            let result = try await run(
                configuration(tool, arguments), input: .none, output: .bytes(limit: limit), error: .sequence
            ) { execution in
                let process = execution.processIdentifier.value
                running.withLock { _ = $0.insert(process) }
                defer { running.withLock { _ = $0.remove(process) } }
                return await lastLines(of: execution.standardError)
            }
            return (result.standardOutput, result.closureResult, result.terminationStatus.isSuccess)
        }
    }

    /// Children that would go on without us: those that wait for frames, and those that read and write files by themselves.
    static let running = Mutex<Set<pid_t>>([])

    /// Runs a tool to its end, whatever that is, and gives every line of its messages to `body`.
    static func eachMessage(_ tool: String, _ arguments: [String], _ body: (String) -> Void) async throws {
        try await translatingErrors(tool) {
            _ = try await run(configuration(tool, arguments), input: .none, output: .discarded, error: .sequence) {
                execution in
                do {
                    for try await line in execution.standardError.strings() { body(line) }
                } catch {
                    // The child was killed while we read; what arrived so far is all there is.
                }
            }
        }
    }

    private static func translatingErrors<Result>(
        _ tool: String, _ body: () async throws -> Result
    ) async throws -> Result {
        do {
            let result = try await body()
            // A cancelled run ends like a killed one; do not take it for a bad file.
            try Task.checkCancellation()
            return result
        } catch let error as SubprocessError {
            try Task.checkCancellation()
            throw translate(error, tool: tool)
        }
    }

    static func translate(_ error: SubprocessError, tool: String) -> VideoError {
        error.code == .executableNotFound
            ? .toolMissing(tool) : .ffmpegFailed("starting \(tool)", details: "\(error)")
    }

    /// Reads messages to their end, so that the child never blocks on them, and keeps the last few lines.
    static func lastLines(of sequence: SubprocessOutputSequence) async -> String {
        var tail: [UInt8] = []
        do {
            for try await buffer in sequence {
                buffer.withUnsafeBytes { tail.append(contentsOf: $0) }
                if tail.count > 65536 { tail.removeFirst(tail.count - 4096) }
            }
        } catch {
            // The child was killed while we read; what arrived so far is all there is.
        }
        let lines = String(decoding: tail, as: UTF8.self).split(whereSeparator: \.isNewline)
        return lines.suffix(6).map { $0.trimmingCharacters(in: .whitespaces) }.joined(separator: "; ")
    }

    /// Writing to an ffmpeg that has died must be an error here, not the end of this process.
    private static func ignoreBrokenPipes() { _ = brokenPipesIgnored }
    private static let brokenPipesIgnored: Bool = {
        var current = sigaction()
        sigaction(SIGPIPE, nil, &current)
        // A handler that somebody else installed already keeps the process alive.
        #if canImport(Darwin)
        let isDefault = current.__sigaction_u.__sa_handler == nil
        #else
        let isDefault = current.__sigaction_handler.sa_handler == nil
        #endif
        if isDefault { signal(SIGPIPE, SIG_IGN) }
        return true
    }()
}
