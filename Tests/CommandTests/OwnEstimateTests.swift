import Foundation
import TestSupport
import Testing

/// `--first-estimate-from` by the real program: where it counts, and what is refused.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct OwnEstimateTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    private func succeed(_ arguments: [String]) async throws -> Outcome {
        let outcome = try await place.visionxl(arguments)
        try #require(outcome.succeeded, "\(arguments): \(outcome.messages)")
        return outcome
    }

    private func degraded(_ task: String, frames: Int) async throws {
        try await place.clip("clip.mkv", frames: frames)
        _ = try await succeed(["degrade", "clip.mkv", "-o", "m.mkv", "--task", task])
        // Without its .json, which says that there is one window.
        try FileManager.default.removeItem(atPath: place.file("m.json"))
    }

    /// A better start makes a better result, window by window; each frame is decoded once; a recipe has it, and `explain` says it.
    @Test(arguments: ["sr4", "inpaint"]) func framesToBeginFrom(task: String) async throws {
        try await degraded(task, frames: 10)
        func command(_ output: String, _ more: [String]) -> [String] {
            ["restore", "--model", "builtin", "m.mkv", "-o", output, "--task", task, "--window", "4"] + more
        }
        let own = ["--first-estimate-from", "clip.mkv"]
        _ = try await succeed(command("own.mkv", own + ["--json", "own.json"]))
        _ = try await succeed(command("smooth.mkv", ["--first-estimate", "smooth"]))
        let better = try await place.psnr("clip.mkv", "own.mkv")
        #expect(try await better > place.psnr("clip.mkv", "smooth.mkv") + 3)
        let log = try #require(try JSONSerialization.jsonObject(with: place.data("own.json")) as? [String: Any])
        #expect(log["firstEstimateFrom"] as? String == "clip.mkv")
        #expect(log["framesDecoded"] as? Int == 20 && (log["residuals"] as? [Any])?.count == 3)
        let options = try #require(log["options"] as? [String: Any])
        #expect(options["firstEstimate"] == nil && options["timesteps"] as? [Int] == [1])

        let recipe = try await succeed(command("again.mkv", own + ["--print-recipe"]))
        try place.write(recipe.output, to: "recipe.json")
        _ = try await succeed(["restore", "--recipe", "recipe.json"])
        #expect(try await place.frames("again.mkv") == place.frames("own.mkv"))
        // What is said beside a recipe wins.
        _ = try await succeed(
            ["restore", "--recipe", "recipe.json", "-o", "other.mkv", "--first-estimate", "smooth"])
        #expect(try await place.frames("other.mkv") == place.frames("smooth.mkv"))

        let explained = try await succeed(["explain", "m.mkv", "--task", task] + own).output
        #expect(explained.contains("--first-estimate-from") && explained.contains("given"), "\(explained)")
        let dry = try await succeed(command("dry.mkv", own + ["--dry-run"])).output
        #expect(dry.contains("3 windows") && !place.exists("dry.mkv"), "\(dry)")
    }

    /// What cannot be begun from is refused before anything is written.
    @Test func whatNothingCanBeginFrom() async throws {
        try await degraded("sr4", frames: 3)
        try await place.clip("long.mkv", frames: 4)
        // A film that breaks off.
        try await place.clip("cut.mp4", frames: 3, extra: ["-movflags", "faststart"])
        let whole = try place.data("cut.mp4")
        try whole.prefix(whole.count * 3 / 4).write(to: URL(fileURLWithPath: place.file("cut.mp4")))
        let cases: [([String], [String])] = [
            (["--first-estimate-from", "m.mkv"], ["16x12 pixels and the result 64x48", "bring it to"]),
            (["--first-estimate-from", "long.mkv"], ["4 frames and the result 3", "one picture for all"]),
            (["--first-estimate-from", "cut.mp4"], ["cut.mp4 breaks off", "make it again"]),
            (["--first-estimate-from", "absent.mkv"], ["absent.mkv", "check the path"]),
            (["--first-estimate-from", "clip.mkv", "--first-estimate", "smooth"], ["leave out --first-estimate"]),
            (["--first-estimate-from", "clip.mkv", "--paper"], ["leave out --paper"]),
            (["--first-estimate-from", ""], ["name a video"]),
        ]
        let before = try place.snapshot()
        for (options, words) in cases {
            for command in [["restore", "-o", "r.mkv"], ["explain"], ["preview", "-o", "look.png"]] {
                let outcome = try await place.visionxl(
                    command + ["m.mkv", "--model", "tiny", "--scale", "4"] + options)
                #expect(!outcome.succeeded, "\(command + options)")
                for word in words { #expect(outcome.messages.contains(word), "\(command + options): \(outcome)") }
            }
        }
        let part = try await place.visionxl(
            "restore", "long.mkv", "-o", "r.mkv", "--model", "tiny", "--frames", "1:4", "--blur-sigma", "1",
            "--first-estimate-from", "clip.mkv")
        expectOneSentence(part, containing: ["has 3 frames", "ends with number 4", "whatever --frames says"])
        for output in ["clip.mkv", "m.mkv"] {
            let outcome = try await place.visionxl(
                "restore", "m.mkv", "-o", output, "--scale", "4", "--first-estimate-from", "clip.mkv", "--force")
            expectOneSentence(outcome, containing: ["is the input"])
        }
        let log = try await place.visionxl(
            "restore", "m.mkv", "-o", "r.mkv", "--scale", "4", "--first-estimate-from", "clip.mkv", "--json",
            "clip.mkv", "--force")
        expectOneSentence(log, containing: ["clip.mkv is read or written here already"])
        let several = try await place.visionxl(
            "restore", "m.mkv", "long.mkv", "-o", "out", "--first-estimate-from", "clip.mkv")
        expectOneSentence(several, containing: ["--first-estimate-from is for one file"])
        #expect(try place.snapshot() == before)
    }

    /// A run goes on with the frames that it began with, and no others.
    @Test func anInterruptedRun() async throws {
        try await degraded("sr4", frames: 20)
        let command = [
            "restore", "m.mkv", "--scale", "4", "--noise", "0.01", "--model", "tiny", "--window", "4", "--context", "2",
            "--steps", "20", "--tau", "0.5", "--threads", "1", "--dtype", "float32", "--first-estimate-from",
            "clip.mkv", "-o",
        ]
        _ = try await succeed(command + ["whole.mkv"])
        let first = try await place.visionxl(command + ["out.mkv"], onceItSays: "window 3/5") { kill($0.value, SIGINT) }
        #expect(first.status == .exited(130), "\(first)")
        try FileManager.default.moveItem(atPath: place.file("clip.mkv"), toPath: place.file("kept.mkv"))
        try await place.clip("clip.mkv", frames: 20, extra: ["-ss", "1"])
        let other = try await place.visionxl(command + ["out.mkv"])
        expectOneSentence(other, containing: ["the first estimate's frames", "--restart"])
        try FileManager.default.removeItem(atPath: place.file("clip.mkv"))
        try FileManager.default.moveItem(atPath: place.file("kept.mkv"), toPath: place.file("clip.mkv"))
        let second = try await succeed(command + ["out.mkv"])
        #expect(second.messages.contains("Going on in") && !second.messages.contains("window 1/5"), "\(second)")
        #expect(try await place.frames("out.mkv") == place.frames("whole.mkv"))
    }

    /// Each column shows the frames that the whole run gives, in windows behind the first, too.
    @Test func aPreview() async throws {
        try await degraded("sr4", frames: 10)
        let quick = [
            "--scale", "4", "--noise", "0.02", "--model", "tiny", "--steps", "5", "--tau", "0.5", "--dtype", "float32",
            "--window", "4",
        ]
        let tries = ["--first-estimate-from clip.mkv", "--first-estimate smooth"]
        let outcome = try await succeed(
            ["preview", "m.mkv", "-o", "look.png", "--at", "0.04", "--seconds", "0.32"] + quick
                + tries.flatMap { ["--try", $0] })
        #expect(outcome.messages.contains("frame 1, 4, 8 of m.mkv"), "\(outcome)")
        for (column, options) in tries.enumerated() {
            _ = try await succeed(
                ["restore", "m.mkv", "-o", "whole\(column)/", "--bits", "8"] + quick
                    + options.split(separator: " ").map(String.init))
            for (row, frame) in [1, 4, 8].enumerated() {
                let picture = String(format: "whole\(column)/%06d.png", frame)
                let (x, y) = (4 + (column + 1) * 76, 22 + row * 52)
                #expect(
                    try await place.part("look.png", "64:48:\(x):\(y)") == place.part(picture, "64:48:0:0"),
                    "\(options), frame \(frame)")
            }
        }
    }
}
