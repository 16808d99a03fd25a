import Foundation
import Subprocess
import TestSupport
import Testing

@testable import VideoIO

@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg), .enabled(if: procIsThere, needsProc))
struct StoppingTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    @Test(arguments: ["clip.mp4", "pictures/"]) func cancelLeavesNothing(name: String) async throws {
        let writer = try await begin(name)
        #expect(try await eventually { !ffmpegProcesses(mentioning: folder.path).isEmpty })
        #expect(folder.contents.count == 1 && folder.contents[0].hasPrefix("."))
        await writer.cancel()
        #expect(ffmpegProcesses(mentioning: folder.path).isEmpty)
        #expect(folder.contents.isEmpty)
        let late = try patternFrame(width: 64, height: 64, bitDepth: 8)
        #expect(await videoError { try await writer.append(late) } == .writerClosed(writer.path))
    }

    @Test func lettingGoLeavesNothing() async throws {
        _ = try await begin("clip.mp4")
        #expect(try await eventually { ffmpegProcesses(mentioning: folder.path).isEmpty && folder.contents.isEmpty })
    }

    @Test func cancelledTaskLeavesNothing() async throws {
        let writer = try await begin("clip.mp4")
        let frame = try patternFrame(width: 64, height: 64, bitDepth: 8)
        let task = Task {
            while true { try await writer.append(frame) }
        }
        try await Task.sleep(for: .milliseconds(300))
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(ffmpegProcesses(mentioning: folder.path).isEmpty)
        #expect(folder.contents.isEmpty)
    }

    @Test func killedFFmpegIsAnError() async throws {
        let writer = try await begin("clip.mp4")
        #expect(try await eventually { !ffmpegProcesses(mentioning: folder.path).isEmpty })
        for pid in ffmpegProcesses(mentioning: folder.path) { kill(pid, SIGKILL) }
        let frame = try patternFrame(width: 64, height: 64, bitDepth: 8)
        let error = await videoError {
            for _ in 0..<1000 { try await writer.append(frame) }
        }
        guard case .ffmpegFailed = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(folder.contents.isEmpty)
    }

    /// Runs this test binary once more as a process that reads and writes, kills it, and looks for survivors.
    @Test func killedProcessLeavesNoFFmpeg() async throws {
        try await makeClip(folder.file("long.mp4"), frames: 400, size: "640x360", extra: ["-preset", "ultrafast"])
        let executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let victims = ["--testing-library", "swift-testing", "--filter", "readsAndWritesUntilKilled"]
        // Under `swift test` the binary is one of its own; a debugger or Xcode would need other words.
        try #require(executable.hasSuffix(".xctest"), "this test runs under `swift test` only")
        let result = try await run(
            .path(.init(executable)), arguments: Arguments(victims),
            environment: .inherit.updating(["VIDEOIO_VICTIM": folder.path]),
            input: .none, output: .discarded, error: .discarded
        ) { execution in
            let running = try await eventually { ffmpegProcesses(mentioning: folder.path).count == 2 }
            try execution.send(signal: .kill)
            return running
        }
        #expect(result.closureResult, "the other process did not start its reader and writer")
        #expect(try await eventually { ffmpegProcesses(mentioning: folder.path).isEmpty })
        // The half-written file keeps its hidden name.
        #expect(!FileManager.default.fileExists(atPath: folder.file("clip.mp4")))
    }

    private func begin(_ name: String) async throws -> VideoWriter {
        let writer = try await VideoWriter(
            to: folder.file(name), width: 64, height: 64, bitDepth: 8, frameRate: .fps25)
        for i in 0..<3 { try await writer.append(patternFrame(width: 64, height: 64, bitDepth: 8, seed: i)) }
        return writer
    }
}

/// The other half of `killedProcessLeavesNoFFmpeg`, in a suite without a folder of its own, which nobody would remove.
struct VictimTests {
    @Test(.enabled(if: ProcessInfo.processInfo.environment["VIDEOIO_VICTIM"] != nil, "the other half of a test"))
    func readsAndWritesUntilKilled() async throws {
        let path = try #require(ProcessInfo.processInfo.environment["VIDEOIO_VICTIM"])
        let writer = try await VideoWriter(
            to: path + "/clip.mp4", width: 64, height: 64, bitDepth: 8, frameRate: .fps25)
        try await writer.append(patternFrame(width: 64, height: 64, bitDepth: 8))
        for try await _ in try await VideoReader(path + "/long.mp4").frames() {
            try await Task.sleep(for: .seconds(60))
        }
        await writer.cancel()
    }
}
