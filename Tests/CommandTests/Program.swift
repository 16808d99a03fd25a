import Dispatch
import Foundation
import Subprocess
import Synchronization
import TestSupport
import Testing

#if canImport(System)
import System
#else
import SystemPackage
#endif

/// The program that was built beside this test bundle.
private let binary: String = {
    let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
    // On macOS the bundle is a folder and its binary lies deeper.
    var folder = URL(fileURLWithPath: bundle).deletingLastPathComponent()
    while folder.path.contains(".xctest") { folder = folder.deletingLastPathComponent() }
    return folder.appendingPathComponent("visionxl").path
}()

/// How a run of a program ended and what it said.
struct Outcome: Sendable {
    var status: TerminationStatus
    var output: String
    var messages: String

    var succeeded: Bool { status.isSuccess }
}

extension Outcome: CustomTestStringConvertible {
    var testDescription: String { "\(status), output \"\(output.suffix(400))\", messages \"\(messages.suffix(1200))\"" }
}

/// Keeps the programs that run at the same time down to what the processor can take: each loads LibTorch.
private actor Turns {
    static let shared = Turns(max(1, min(4, ProcessInfo.processInfo.activeProcessorCount)))
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { free = count }

    func take() async {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    func giveBack() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }

    static func during<Value>(_ body: () async throws -> Value) async rethrows -> Value {
        await shared.take()
        do {
            let value = try await withTaskExecutorPreference(OwnThread()) { try await body() }
            await shared.giveBack()
            return value
        } catch {
            await shared.giveBack()
            throw error
        }
    }
}

/// Where a running program is watched: other tests' computations hold the shared threads for minutes, and a signal has to come in time.
private final class OwnThread: TaskExecutor {
    // A serial queue always gets a thread, however many are busy.
    private let queue = DispatchQueue(label: "a running program")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// A folder to work in, with a tiny model and a way to run the program there.
struct Workplace: Sendable {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder("command")
        try TinyModel.write(to: URL(fileURLWithPath: Self.models + "/tiny"), once: Self.modelIsWritten)
    }

    /// One folder of models for all tests; a test that spoils a model copies it first.
    static let models = NSTemporaryDirectory() + "visionxl-models-\(getpid())"
    private static let modelIsWritten = Mutex(false)

    func file(_ name: String) -> String { folder.file(name) }
    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: file(name)) }
    func data(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: file(name))) }

    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: file(name)))
    }

    /// Everything below the folder with its content's hash, hidden files included: equal only if nothing was touched.
    func snapshot() throws -> [String: Int] {
        var result: [String: Int] = [:]
        let names = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
        for name in names { result[name] = FileManager.default.contents(atPath: file(name))?.hashValue ?? 0 }
        return result
    }

    /// Runs `visionxl` in the folder; `--model tiny` is the tiny model.
    func visionxl(_ arguments: String..., environment: [String: String] = [:]) async throws -> Outcome {
        try await visionxl(arguments, environment: environment)
    }

    /// - Parameters:
    ///   - folder: where the program lies; beside the tests unless said.
    ///   - wrapper: a command that runs the program, with the program's path and arguments behind its own.
    func visionxl(
        _ arguments: [String], environment: [String: String] = [:], from folder: String? = nil,
        through wrapper: [String] = []
    ) async throws -> Outcome {
        try await Turns.during {
            let words = wrapper + [folder.map { $0 + "/visionxl" } ?? binary] + arguments
            let result = try await run(
                wrapper.isEmpty ? .path(FilePath(words[0])) : .name(words[0]),
                arguments: Arguments(Array(words.dropFirst())),
                environment: Self.environment(environment),
                workingDirectory: FilePath(self.folder.path), input: .none, output: .string(limit: 1 << 20),
                error: .string(limit: 1 << 20))
            return Outcome(
                status: result.terminationStatus, output: result.standardOutput, messages: result.standardError)
        }
    }

    /// Puts the program into a folder, where it finds nothing of the project above itself.
    func copyProgram(to folder: String) throws {
        try FileManager.default.copyItem(atPath: binary, toPath: folder + "/visionxl")
    }

    /// Starts `visionxl`, calls `body` once its messages contain `text`, and waits for its end.
    /// - Parameter input: the file that is its standard input.
    func visionxl(
        _ arguments: [String], environment: [String: String] = [:], reading input: String? = nil,
        onceItSays text: String, _ body: @escaping @Sendable (ProcessIdentifier) throws -> Void
    ) async throws -> Outcome {
        try await visionxl(
            arguments, environment: environment, reading: input, onceItSays: { $0.contains(text) }, body)
    }

    /// Starts `visionxl`, calls `body` once a condition holds for all that it has said, and waits for its end.
    func visionxl(
        _ arguments: [String], environment: [String: String] = [:], reading input: String? = nil,
        onceItSays condition: @escaping @Sendable (String) -> Bool,
        _ body: @escaping @Sendable (ProcessIdentifier) throws -> Void
    ) async throws -> Outcome {
        try await Turns.during {
            let file = try FileDescriptor.open(
                FilePath(input.map(file) ?? "/dev/null"), .readOnly, options: .closeOnExec)
            let result = try await run(
                .path(FilePath(binary)), arguments: Arguments(arguments), environment: Self.environment(environment),
                workingDirectory: FilePath(folder.path), input: .fileDescriptor(file, closeAfterSpawningProcess: true),
                output: .discarded, error: .sequence
            ) { execution in
                var messages: [UInt8] = []
                var isDone = false
                for try await buffer in execution.standardError {
                    buffer.withUnsafeBytes { messages.append(contentsOf: $0) }
                    if !isDone, condition(String(decoding: messages, as: UTF8.self)) {
                        isDone = true
                        try body(execution.processIdentifier)
                    }
                }
                return String(decoding: messages, as: UTF8.self)
            }
            return Outcome(status: result.terminationStatus, output: "", messages: result.closureResult)
        }
    }

    /// Starts `visionxl`, calls `body` once a condition holds, and waits for its end.
    func visionxl(
        _ arguments: [String], environment: [String: String] = [:], once condition: @escaping @Sendable () -> Bool,
        _ body: @escaping @Sendable (ProcessIdentifier) throws -> Void
    ) async throws -> Outcome {
        try await Turns.during {
            let result = try await run(
                .path(FilePath(binary)), arguments: Arguments(arguments), environment: Self.environment(environment),
                workingDirectory: FilePath(folder.path), input: .none, output: .discarded,
                error: .string(limit: 1 << 20)
            ) { execution in
                #expect(try await eventually(condition))
                try body(execution.processIdentifier)
            }
            return Outcome(status: result.terminationStatus, output: "", messages: result.standardError)
        }
    }

    /// What `visionxl` shows on a terminal of that width.
    func onATerminal(_ arguments: [String], columns: Int) async throws -> String {
        try await Turns.during {
            let words = ([binary] + arguments).map { "'\($0)'" }.joined(separator: " ")
            let result = try await run(
                .name("script"), arguments: ["-qec", "stty cols \(columns); \(words)", "/dev/null"],
                environment: Self.environment([:]),
                workingDirectory: FilePath(folder.path), input: .none, output: .string(limit: 1 << 20),
                error: .discarded)
            return result.standardOutput
        }
    }

    /// What the tests' own surroundings must not decide: models, engine threads.
    private static func environment(_ changes: [String: String]) -> Environment {
        var values = [
            "VISIONXL_MODELS": models, "XDG_DATA_HOME": models + "-data", "XDG_CACHE_HOME": models + "-cache",
            "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive",
        ]
        values.merge(changes) { $1 }
        return .inherit.updating(
            Dictionary(uniqueKeysWithValues: values.map { (Environment.Key(stringLiteral: $0), $1) }))
    }

    /// Runs another program and insists that it succeeds; its output.
    @discardableResult
    func tool(
        _ name: String, _ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> String {
        let result = try await run(
            .name(name), arguments: Arguments(arguments), workingDirectory: FilePath(folder.path), input: .none,
            output: .string(limit: 1 << 20), error: .string(limit: 1 << 20))
        try #require(
            result.terminationStatus.isSuccess, "\(name): \(result.standardError)", sourceLocation: sourceLocation)
        return result.standardOutput
    }

    /// A moving test picture as H.264.
    func clip(
        _ name: String, frames: Int = 5, size: String = "64x48", rate: String = "25", extra: [String] = []
    ) async throws {
        try await tool(
            "ffmpeg",
            ["-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=128x96:rate=\(rate)"] + extra
                // testsrc2 itself makes even sizes only.
                + ["-vf", "format=gbrp,scale=\(size.replacingOccurrences(of: "x", with: ":"))"] + [
                    "-frames:v", "\(frames)", "-c:v", "libx264", "-pix_fmt", "yuv444p", "-crf", "10",
                ]
                + ["file:" + file(name)])
    }

    /// A hash for each decoded frame.
    func frames(_ name: String) async throws -> [String] {
        let path = file(name)
        var isFolder: ObjCBool = false
        _ = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        let input = isFolder.boolValue ? path + "/%06d.png" : "file:" + path
        let text = try await tool(
            "ffmpeg", ["-v", "error", "-nostdin", "-i", input, "-map", "0:v", "-f", "framemd5", "-"])
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap {
            $0.split(separator: ",").last?.trimmingCharacters(in: .whitespaces)
        }
    }

    /// The hash of a part of a picture.
    func part(_ name: String, _ crop: String) async throws -> String {
        let text = try await tool(
            "ffmpeg",
            [
                "-v", "error", "-nostdin", "-i", file(name), "-vf", "crop=\(crop),format=rgb24", "-f", "framemd5",
                "-",
            ])
        return try #require(text.split(separator: "\n").last?.split(separator: ",").last).trimmingCharacters(
            in: .whitespaces)
    }

    /// One of a stream's values, as ffprobe gives them.
    func probe(_ name: String, _ entry: String, stream: String = "v:0") async throws -> String {
        try await tool(
            "ffprobe",
            [
                "-v", "error", "-select_streams", stream, "-show_entries", "stream=\(entry)", "-of", "csv=p=0",
                "file:" + file(name),
            ]
        ).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The mean PSNR that `compare` prints.
    func psnr(_ a: String, _ b: String) async throws -> Double {
        let outcome = try await visionxl("compare", a, b, "--quiet")
        try #require(outcome.succeeded, "\(outcome.messages)")
        let words = outcome.output.split(whereSeparator: \.isWhitespace)
        return try #require(words.count > 2 ? Double(words[2]) : nil, "\(outcome.output)")
    }
}

/// Whether this ffmpeg encodes H.265, which HDR comes in.
let x265IsInstalled = isInstalled(encoder: "libx265")

func isInstalled(encoder: String) -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["ffmpeg", "-v", "quiet", "-h", "encoder=\(encoder)"]
    let output = Pipe()
    process.standardOutput = output
    guard (try? process.run()) != nil else { return false }
    let said = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: said, as: UTF8.self).hasPrefix("Encoder \(encoder)")
}

/// Whether a program succeeds.
func succeeds(_ name: String, _ arguments: [String]) async throws -> Bool {
    try await run(.name(name), arguments: Arguments(arguments), input: .none, output: .discarded, error: .discarded)
        .terminationStatus.isSuccess
}

extension TinyModel {
    fileprivate static func write(to folder: URL, once isWritten: borrowing Mutex<Bool>) throws {
        try isWritten.withLock { isWritten in
            if !isWritten {
                try write(to: folder)
                atexit { try? FileManager.default.removeItem(atPath: Workplace.models) }
            }
            isWritten = true
        }
    }
}

/// Whether a refusal is what a user should see: one line that begins with the program's name.
/// - Parameter late: found in the middle of the work, so that lines of progress come before it.
func expectOneSentence(
    _ outcome: Outcome, containing words: [String] = [], late: Bool = false,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    var outcome = outcome
    if late, let last = outcome.messages.range(of: "\nvisionxl: ") {
        let progress = outcome.messages[..<last.lowerBound]
        #expect(
            progress.split(separator: "\n").allSatisfy {
                $0.contains(" -> ") || $0.hasPrefix("measurement noise ") || $0.hasPrefix("needs about ")
                    || $0.hasPrefix("about ")
            }, "\(outcome.messages)", sourceLocation: sourceLocation)
        outcome.messages = String(outcome.messages[last.lowerBound...].dropFirst())
    }
    let lines = outcome.messages.split(separator: "\n")
    #expect(!outcome.succeeded, sourceLocation: sourceLocation)
    if case .signaled(let signal) = outcome.status {
        Issue.record("ended by signal \(signal)", sourceLocation: sourceLocation)
    }
    #expect(lines.count == 1, "\(outcome.messages)", sourceLocation: sourceLocation)
    #expect(outcome.messages.hasPrefix("visionxl: "), "\(outcome.messages)", sourceLocation: sourceLocation)
    #expect(outcome.messages.count < 500, "\(outcome.messages)", sourceLocation: sourceLocation)
    for word in words {
        #expect(outcome.messages.contains(word), "\(outcome.messages)", sourceLocation: sourceLocation)
    }
    for trace in ["Fatal error", "Stack dump", "Error Domain", "Optional(", ".swift"] {
        #expect(!outcome.messages.contains(trace), "\(outcome.messages)", sourceLocation: sourceLocation)
    }
}
