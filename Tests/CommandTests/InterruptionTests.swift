import Foundation
import Subprocess
import Synchronization
import TestSupport
import Testing

/// Ctrl-C and the like in the middle of the work, and what is shown while it goes on.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct InterruptionTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    /// Long enough to be interrupted on any machine.
    private let endless = [
        "restore", "clip.mp4", "--model", "tiny", "--task", "deblur", "--steps", "1000", "--tau", "1", "-o",
    ]

    @Test(
        .enabled(if: procIsThere, needsProc),
        arguments: [("out.mkv", SIGINT), ("out.mp4", SIGTERM), ("frames/", SIGINT), ("out.mkv", SIGHUP)]
    )
    func restoring(output: String, signal: Int32) async throws {
        try await place.clip("clip.mp4", frames: 8)
        let before = try place.snapshot()
        let outcome = try await place.visionxl(endless + [output], onceItSays: "step 2/") { kill($0.value, signal) }
        #expect(outcome.status == .exited(130), "\(outcome)")
        #expect(
            outcome.messages.split(separator: "\n").last
                == "visionxl: interrupted; nothing was left under the output's name")
        #expect(try place.snapshot() == before)
        #expect(try await eventually { ffmpegProcesses(mentioning: place.folder.path).isEmpty })
        // It stops where it is, long before its end.
        #expect(!outcome.messages.contains("step 500/"))
    }

    /// In a later window, when frames have been written already.
    @Test(
        .enabled(if: procIsThere, needsProc),
        arguments: [([], "the same command"), (["--restart"], "the same command without --restart")])
    func inTheThirdWindow(options: [String], how: String) async throws {
        try await place.clip("clip.mp4", frames: 12)
        let before = try place.snapshot()
        let outcome = try await place.visionxl(
            [
                "restore", "clip.mp4", "--model", "tiny", "--task", "deblur", "--window", "2", "-o", "out.mp4",
                "--json", "log.json",
            ] + options,
            onceItSays: "window 3/6"
        ) { kill($0.value, SIGINT) }
        #expect(outcome.status == .exited(130), "\(outcome)")
        #expect(
            outcome.messages.split(separator: "\n").last
                == "visionxl: interrupted; nothing was left under the output's name, and \(how) goes on")
        // What is done stays, under a name of its own.
        #expect(try place.snapshot().filter { !$0.key.hasPrefix("out.mp4.work") } == before)
        #expect(
            place.exists("out.mp4.work/windows/000000.safetensors") || place.exists("out.mp4.work/segments/0000.mp4"))
        #expect(try await eventually { ffmpegProcesses(mentioning: place.folder.path).isEmpty })
    }

    /// What came from standard input does not come again, and what was on its way to standard output is gone: nothing is kept, and none is
    /// promised.
    @Test(arguments: [
        (["clip.mp4", "-o", "-"], "the video on standard output is not whole, and nothing was kept"),
        (["-", "-o", "out.mkv"], "nothing was left under the output's name"),
    ])
    func throughStandardStreams(streams: [String], said: String) async throws {
        try await place.clip("clip.mp4", frames: 12)
        let before = try place.snapshot()
        try FileManager.default.createDirectory(atPath: place.file("tmp"), withIntermediateDirectories: false)
        let options = ["--model", "tiny", "--task", "deblur", "--window", "2", "--scenes", "off"]
        let outcome = try await place.visionxl(
            ["restore"] + streams + options, environment: ["TMPDIR": place.file("tmp")], reading: "clip.mp4",
            onceItSays: "window 3/6"
        ) { kill($0.value, SIGINT) }
        #expect(outcome.status == .exited(130), "\(outcome)")
        #expect(outcome.messages.split(separator: "\n").last == "visionxl: interrupted; \(said)")
        #expect(outcome.messages.contains("of disk") && !outcome.messages.contains("goes on"), "\(outcome)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.file("tmp")).isEmpty)
        #expect(try place.snapshot().filter { $0.key != "tmp" } == before)
    }

    /// An impatient second Ctrl-C takes away what lies in the system's place for temporary files, too: what goes through -, and covers.
    @Test(arguments: ["-", "out.mkv"]) func twiceWithTemporaryFiles(output: String) async throws {
        try await place.clip("film.mkv", frames: 8)
        try await place.tool("ffmpeg", ["-v", "error", "-nostdin", "-i", "film.mkv", "-frames:v", "1", "cover.jpg"])
        try await place.tool(
            "ffmpeg",
            ["-v", "error", "-nostdin", "-i", "film.mkv", "-c", "copy", "-attach", "cover.jpg"]
                + ["-metadata:s:t", "mimetype=image/jpeg", "clip.mkv"])
        let temporary = place.file("tmp")
        try FileManager.default.createDirectory(atPath: temporary, withIntermediateDirectories: false)
        let before = Mutex<[String]>([])
        var command = endless
        command[1] = "clip.mkv"
        let outcome = try await place.visionxl(
            command + [output], environment: ["TMPDIR": temporary], onceItSays: "step 2/"
        ) { process in
            let names = try FileManager.default.contentsOfDirectory(atPath: temporary)
            before.withLock { $0 = names }
            kill(process.value, SIGINT)
            kill(process.value, SIGTERM)
        }
        #expect(outcome.status == .exited(130), "\(outcome)")
        #expect(before.withLock { $0.count } == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: temporary).isEmpty)
    }

    /// An evaluation keeps the cells that are done, and says so.
    @Test func evaluating() async throws {
        try await place.clip("clip.mp4", frames: 8)
        let evaluation = [
            "evaluate", "clip.mp4", "-o", "out", "--size", "original", "--tasks", "inpaint", "--metrics", "psnr",
            "--model", "tiny", "--steps", "1000",
            "--tau", "1", "--methods",
        ]
        let outcome = try await place.visionxl(evaluation + ["upsampling,visionxl"], onceItSays: "1/2") {
            kill($0.value, SIGINT)
        }
        #expect(outcome.status == .exited(130), "\(outcome)")
        #expect(
            outcome.messages.split(separator: "\n").last
                == "visionxl: interrupted; what was measured is kept, and the same command goes on")
        let again = try await place.visionxl(evaluation + ["upsampling"])
        #expect(again.succeeded && again.messages.contains("from an earlier run"), "\(again)")
    }

    /// An impatient second Ctrl-C ends the program at once, and still nothing is left.
    @Test(.enabled(if: procIsThere, needsProc)) func twice() async throws {
        try await place.clip("clip.mp4", frames: 8)
        let before = try place.snapshot()
        let outcome = try await place.visionxl(endless + ["out.mkv"], onceItSays: "step 2/") {
            kill($0.value, SIGINT)
            kill($0.value, SIGTERM)
        }
        #expect(outcome.status == .exited(130), "\(outcome)")
        #expect(try place.snapshot() == before)
        #expect(try await eventually { ffmpegProcesses(mentioning: place.folder.path).isEmpty })
    }

    @Test(.enabled(if: procIsThere, needsProc)) func degrading() async throws {
        try await place.clip("clip.mp4", frames: 400, size: "320x240")
        let before = try place.snapshot()
        // It says nothing before its end: wait for the file it writes.
        let folder = place.folder
        let outcome = try await place.visionxl(
            ["degrade", "clip.mp4", "-o", "out.mkv", "--task", "deblur", "--window", "1"],
            once: { folder.contents.contains { $0.hasPrefix(".out") } }
        ) { kill($0.value, SIGINT) }
        #expect(outcome.status == .exited(130), "\(outcome)")
        #expect(try place.snapshot() == before)
        #expect(try await eventually { ffmpegProcesses(mentioning: folder.path).isEmpty })
    }

    // MARK: Progress

    private let short = [
        "restore", "clip.mp4", "--model", "tiny", "--task", "deblur", "--steps", "10", "-o", "out.mkv",
    ]

    @Test func linesWithoutATerminal() async throws {
        try await place.clip("clip.mp4", frames: 3)
        let outcome = try await place.visionxl(short)
        #expect(outcome.output.isEmpty)
        #expect(!outcome.messages.contains("\r") && !outcome.messages.contains("\u{1B}"))
        let lines = outcome.messages.split(separator: "\n").map(String.init)
        #expect(lines.first?.hasPrefix("64x48 -> 64x48, tiny in ") == true, "\(lines)")
        #expect(lines.last?.hasPrefix("out.mkv: 3 frames in ") == true, "\(lines)")
        #expect(lines.dropFirst().first?.hasPrefix("needs about ") == true, "\(lines)")
        #expect(lines.dropFirst(2).first?.hasPrefix("measurement noise ") == true, "\(lines)")
        #expect(lines.dropFirst(3).first?.hasSuffix(" s for 3 frames") == true, "\(lines)")
        // One for each of the timesteps 201, 101, 1.
        let steps = lines.dropFirst(4).dropLast()
        #expect(steps.map { String($0.prefix(8)) } == ["step 1/3", "step 2/3", "step 3/3"])
        for step in steps {
            #expect(step.contains("residual") && step.contains("peak memory") && step.contains(" left"))
        }
    }

    @Test(.enabled(if: program("script") != nil, "there is no program `script`")) func aLineThatIsRedrawnOnATerminal()
        async throws
    {
        try await place.clip("clip.mp4", frames: 3)
        // script runs a command on a terminal of its own, 60 columns wide here, and copies what it shows.
        let text = try await place.onATerminal(short, columns: 60)
        #expect(text.contains("\r\u{1B}[K"))
        let drawn = text.components(separatedBy: "\r\u{1B}[K").dropFirst()
        #expect(drawn.count > 3)
        #expect(drawn.contains { $0.hasPrefix("step 3/3") })
        for line in drawn.dropLast() { #expect(line.count < 60 && !line.contains("\n"), "\(line)") }
        // The line goes away at the end.
        #expect(drawn.last?.hasPrefix("out.mkv: 3 frames in ") == true, "\(text)")
    }

    @Test(.enabled(if: program("script") != nil, "there is no program `script`")) func anErrorOnATerminal() async throws
    {
        let text = try await place.onATerminal(
            ["restore", "nothing.mp4", "-o", "out.mkv", "--task", "deblur"], columns: 80)
        #expect(text.contains("visionxl: there is no file"))
    }
}
