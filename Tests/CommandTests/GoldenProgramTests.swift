import Foundation
import TestSupport
import Testing

/// The real program and Benchmarks/reference/visionxl.py on the same measurement file, with the built-in prior.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct GoldenProgramTests {
    /// `VISIONXL_PYTHON`, or python3.
    static let python = ProcessInfo.processInfo.environment["VISIONXL_PYTHON"] ?? "python3"
    static let absence: Comment =
        "no Python with torch and diffusers; install Benchmarks/reference/requirements.txt, and set VISIONXL_PYTHON if it is not python3"

    static func pythonIsComplete() -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        let search =
            "import sys, importlib.util as u; sys.exit(not all(map(u.find_spec, ['torch', 'diffusers', 'safetensors', 'numpy'])))"
        process.arguments = [python, "-c", search]
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }

    /// What the reference has where it is not the paper's algorithm to the letter.
    static let ofTheReference = [
        "--data-step", "cg", "--start", "inversion", "--first-estimate", "measurement", "--steadiness", "0", "--lambda",
        "\(2.0.squareRoot())",
    ]

    @Test(
        .enabled(absence) { pythonIsComplete() },
        arguments: [["--task", "sr4+"], ["--task", "inpaint", "--paper", "--mask-seed", "5"]])
    func theSameFrames(arguments: [String]) async throws {
        let place = try Workplace()
        let model = projectRoot.appendingPathComponent("Models/builtin").path
        try await place.clip("clip.mp4", frames: 4)
        let task = arguments.filter { $0 != "--paper" }
        let degraded = try await place.visionxl(["degrade", "clip.mp4", "-o", "measurement.mkv"] + task)
        try #require(degraded.succeeded, "\(degraded.messages)")

        let common = arguments + ["--model", model, "--seed", "7"]
        let restored = try await place.visionxl(
            ["restore", "measurement.mkv", "-o", "ours.mkv", "--bits", "16", "--dtype", "float32"] + common
                + (arguments.contains("--paper") ? [] : Self.ofTheReference))
        try #require(restored.succeeded, "\(restored.messages)")
        let script = projectRoot.appendingPathComponent("Benchmarks/reference/visionxl.py").path
        try await place.tool("env", [Self.python, script, "--input", "measurement.mkv", "--output", "theirs"] + common)

        // Results that differ in nothing but independent roundings to 16 bits are 104 dB apart.
        #expect(try await place.psnr("ours.mkv", "theirs") > 90)
    }
}
