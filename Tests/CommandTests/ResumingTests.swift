import Foundation
import TestSupport
import Testing

/// Long videos in windows: what lies between, how a run goes on, and what it refuses.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct ResumingTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    /// Five windows of four frames.
    private func command(_ output: String, _ more: String...) -> [String] {
        [
            "restore", "clip.mkv", "-o", output, "--model", "tiny", "--blur-sigma", "1", "--window", "4", "--context",
            "2",
            "--steps", "20", "--tau", "0.5", "--threads", "1", "--dtype", "float32",
        ] + more
    }

    private func clip(_ name: String = "clip.mkv", frames: Int = 20, size: String = "64x48") async throws {
        try await place.tool(
            "ffmpeg",
            ["-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=\(size):rate=30000/1001"]
                + ["-frames:v", "\(frames)", "-c:v", "ffv1", "-pix_fmt", "bgr0", "file:" + place.file(name)])
    }

    private func whole(_ arguments: [String]) async throws -> Outcome {
        let outcome = try await place.visionxl(arguments)
        try #require(outcome.succeeded, "\(outcome)")
        return outcome
    }

    /// What is written beside pictures is none of them, and a recipe names its files by whole paths.
    @Test func beforeItsOwnInput() async throws {
        try FileManager.default.createDirectory(atPath: place.file("p"), withIntermediateDirectories: false)
        try await clip()
        try await place.tool("ffmpeg", ["-v", "error", "-nostdin", "-i", "clip.mkv", "p/%03d.png"])
        try await place.tool(
            "ffmpeg",
            ["-v", "error", "-nostdin", "-f", "lavfi", "-i", "color=white:size=64x48", "-frames:v", "1"]
                + ["-vf", "drawbox=20:10:16:16:black:fill", "hole.png"])
        var command = self.command("p/out.mkv", "--mask", "hole.png")
        command[1] = "p"
        let first = try await place.visionxl(command, onceItSays: "window 2/5") { kill($0.value, SIGINT) }
        #expect(first.status == .exited(130), "\(first)")
        let second = try await place.visionxl(command, onceItSays: "window 4/5") { kill($0.value, SIGINT) }
        #expect(second.status == .exited(130) && second.messages.contains("Going on in p/out.mkv.work"), "\(second)")
        let third = try await place.visionxl(
            "restore", "--recipe", "p/out.mkv.work/recipe.json", "--threads", "1")
        #expect(third.succeeded && third.messages.contains("Going on in"), "\(third)")
        #expect(try await place.frames("p/out.mkv").count == 20)
    }

    /// What would fail when all windows are done is refused before the first one.
    @Test func wherePicturesCannotLie() async throws {
        try await clip()
        try FileManager.default.createDirectory(atPath: place.file("out"), withIntermediateDirectories: false)
        try place.write("mine", to: "out/notes.txt")
        let outcome = try await place.visionxl(command("out/", "--force"))
        expectOneSentence(outcome, containing: ["the folder holds other files"])
        #expect(!place.exists("out.work") && place.folder.contents == ["clip.mkv", "out"])
    }

    /// A percentage is no factor.
    @Test func whatWouldBeTooLarge() async throws {
        try await clip()
        let outcome = try await place.visionxl("restore", "clip.mkv", "-o", "out.mkv", "--scale", "1024")
        expectOneSentence(outcome, containing: ["65536x49152", "--scale is the factor"])
        #expect(place.folder.contents == ["clip.mkv"])
    }

    /// The first frames of a recording that was cut may refer to others that are gone: they are packets, and never come.
    @Test(arguments: [([], 36), (["--frames", "5:"], 31)]) func ofARecordingThatWasCut(
        options: [String], count: Int
    ) async throws {
        let picture = ["-c:v", "mpeg2video", "-bf", "2", "-g", "12", "-b:v", "500k"]
        try await place.tool(
            "ffmpeg",
            ["-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25", "-frames:v", "60"] + picture
                + ["all.ts"])
        try await place.tool(
            "ffmpeg", ["-v", "error", "-nostdin", "-ss", "0.7", "-i", "all.ts", "-c", "copy", "cut.ts"])
        let packets = try await place.tool(
            "ffprobe",
            ["-v", "error", "-select_streams", "v:0", "-count_packets", "-show_entries", "stream=nb_read_packets"]
                + ["-of", "default=nk=1:nw=1", "cut.ts"])
        try #require(packets.hasPrefix("38"))
        var command = self.command("out.mkv", "--scenes", "off") + options
        command[1] = "cut.ts"
        _ = try await whole(command)
        #expect(try await place.frames("out.mkv").count == count)
    }

    /// The frames of a run that nobody disturbs.
    private func undisturbed(_ name: String = "whole.mkv") async throws -> [String] {
        _ = try await whole(command(name))
        #expect(!place.exists(name + ".work"))
        return try await place.frames(name)
    }

    /// Nothing under the output's name or beside it but the work folder, and no process.
    private func expectNothingPartial(_ output: String) async throws {
        #expect(try await eventually { ffmpegProcesses(mentioning: place.folder.path).isEmpty })
        #expect(!place.exists(output))
        #expect(place.exists(output + ".work"))
    }

    @Test(arguments: ["out.mkv", "out.mp4", "out.mov", "frames"]) func afterAnInterruption(output: String) async throws
    {
        try await clip()
        _ = try await whole(command("whole" + output))
        let first = try await place.visionxl(command(output), onceItSays: "window 4/5") { kill($0.value, SIGINT) }
        #expect(first.status == .exited(130), "\(first)")
        #expect(first.messages.contains("the same command goes on"), "\(first)")
        try await expectNothingPartial(output)
        let second = try await whole(command(output, "--json", "log.json"))
        #expect(second.messages.contains("Going on in \(output).work"), "\(second)")
        #expect(!second.messages.contains("window 1/5") && second.messages.contains("window 5/5"))
        #expect(try await place.frames(output) == place.frames("whole" + output))
        #expect(!place.exists(output + ".work"))
        // What was done before is in the log, too.
        let log = try #require(JSONSerialization.jsonObject(with: place.data("log.json")) as? [String: Any])
        #expect(log["frameCount"] as? Int == 20 && (log["residuals"] as? [Any])?.count == 5)
    }

    /// Killed without a chance to tidy up, wherever it is, and again where it went on.
    @Test(.enabled(if: procIsThere, needsProc)) func afterKilling() async throws {
        let windows = 25
        try await clip(frames: 8 * windows)
        let golden = [
            "restore", "clip.mkv", "--model", projectRoot.path + "/Tests/Golden/tiny-sdxl", "--blur-sigma", "1",
            "--noise",
            "0.02", "--window", "8", "--context", "2", "--timesteps", "121,1", "--threads", "1", "--dtype", "float32",
            "-o",
        ]
        _ = try await whole(golden + ["whole.mp4"])
        var random = SeededGenerator(seed: 7)
        for number in 1...10 {
            // A moment after the first line of a window that was not done, so that it may be anywhere: within it, behind it, while a segment is
            // encoded. The last time in the last window.
            let (more, delay) = (Int.random(in: 1...2, using: &random), UInt32.random(in: 0...40, using: &random))
            let outcome = try await place.visionxl(golden + ["out.mp4"]) { said in
                let begun = (1...windows).filter { said.contains("window \($0)/\(windows), ") }
                return number < 10 ? begun.count >= more : begun.contains(windows)
            } _: { process in
                if number < 10 { usleep(delay * 1000) }
                kill(process.value, SIGKILL)
            }
            try #require(outcome.status == .signaled(SIGKILL), "\(number): \(outcome)")
            try await expectNothingPartial("out.mp4")
        }
        let last = try await whole(golden + ["out.mp4"])
        #expect(last.messages.contains("Going on in out.mp4.work"), "\(last)")
        #expect(try await place.frames("out.mp4") == place.frames("whole.mp4"))
        #expect(!place.exists("out.mp4.work"))
        // Nor anything that was being written beside it.
        #expect(place.folder.contents == ["clip.mkv", "out.mp4", "whole.mp4"])
    }

    /// A disk that runs full in the middle costs nothing but the time until there is room.
    @Test(.enabled("a small disk cannot be mounted here") { try await SmallDisk.mayMount() })
    func afterAFullDisk() async throws {
        try await clip()
        let frames = try await undisturbed()
        let disk = try await SmallDisk(at: place.file("disk"), size: "4m")
        let (full, rest) = (place.file("disk/rest"), Data(count: 4 << 20))
        let first = try await place.visionxl(command("disk/out.mkv"), onceItSays: "window 3/5") { _ in
            // As much as there is room for.
            try? rest.write(to: URL(fileURLWithPath: full))
        }
        #expect(!first.succeeded && first.messages.contains("disk ran full"), "\(first)")
        #expect(!place.exists("disk/out.mkv"))
        try FileManager.default.removeItem(atPath: full)
        let second = try await whole(command("disk/out.mkv"))
        #expect(second.messages.contains("Going on in"), "\(second)")
        #expect(try await place.frames("disk/out.mkv") == frames)
        // One that could never hold it is refused before the work.
        try rest.prefix(3 << 20).write(to: URL(fileURLWithPath: full))
        let refused = try await place.visionxl(command("disk/other.mkv"))
        expectOneSentence(refused, containing: ["are needed on the disk of", "--work"])
        #expect(!place.exists("disk/other.mkv.work"))
        try await disk.unmount()
    }

    /// Another recipe, input or model is refused with what differs.
    @Test func whatIsOfAnotherRun() async throws {
        try await clip()
        func begin() async throws {
            let outcome = try await place.visionxl(command("out.mkv"), onceItSays: "window 2/5") {
                kill($0.value, SIGINT)
            }
            #expect(outcome.status == .exited(130), "\(outcome)")
        }
        try await begin()
        expectOneSentence(
            try await place.visionxl(command("out.mkv", "--seed", "3")),
            containing: ["options.seed", "3 here", "--restart"])
        expectOneSentence(
            try await place.visionxl(command("out.mkv", "--noise", "0.1")), containing: ["noise", "--restart"])
        try await clip("other.mkv", frames: 21)
        try FileManager.default.moveItem(atPath: place.file("clip.mkv"), toPath: place.file("kept.mkv"))
        try FileManager.default.moveItem(atPath: place.file("other.mkv"), toPath: place.file("clip.mkv"))
        expectOneSentence(
            try await place.visionxl(command("out.mkv")), containing: ["the input's content", "--restart"])
        let anew = try await whole(command("out.mkv", "--restart"))
        #expect(!anew.messages.contains("Going on"), "\(anew)")
        #expect(try await place.frames("out.mkv").count == 21)

        // The model, wherever it lies.
        try FileManager.default.removeItem(atPath: place.file("out.mkv"))
        try FileManager.default.copyItem(atPath: Workplace.models + "/tiny", toPath: place.file("mine"))
        var mine = command("out.mkv")
        mine[mine.firstIndex(of: "tiny") ?? 0] = "./mine"
        let outcome = try await place.visionxl(mine, onceItSays: "window 2/") { kill($0.value, SIGINT) }
        #expect(outcome.status == .exited(130), "\(outcome)")
        let weights = place.file("mine/unet/diffusion_pytorch_model.safetensors")
        var data = try Data(contentsOf: URL(fileURLWithPath: weights))
        data[data.count - 2] ^= 1
        try data.write(to: URL(fileURLWithPath: weights))
        expectOneSentence(try await place.visionxl(mine), containing: ["the model", "--restart"])
    }

    /// The folder is where it is asked for, holds nobody else's files, and belongs to one run at a time.
    @Test func theFolder() async throws {
        try await clip()
        let frames = try await undisturbed()
        let kept = try await whole(command("a.mkv", "--work", "there", "--keep-work"))
        #expect(kept.messages.contains("kept in there"), "\(kept)")
        let inside = Set(try FileManager.default.contentsOfDirectory(atPath: place.file("there")))
        #expect(
            inside.isSuperset(of: ["recipe.json", "plan.json", "settled.json", "journal.jsonl", "scenes", "segments"]))
        // Its recipe says it all again; what is encoded is joined.
        let again = try await whole(command("a.mkv", "--work", "there", "--force"))
        #expect(!again.messages.contains("window 1/5"), "\(again)")
        #expect(try await place.frames("a.mkv") == frames && !place.exists("there"))

        try FileManager.default.createDirectory(atPath: place.file("mine"), withIntermediateDirectories: false)
        try place.write("mine", to: "mine/notes.txt")
        expectOneSentence(
            try await place.visionxl(command("b.mkv", "--work", "mine")), containing: ["notes.txt", "--work"])
        #expect(place.exists("mine/notes.txt"))

        let (place, second) = (place, command("c.mkv"))
        let refused = Mailbox()
        let first = try await place.visionxl(command("c.mkv"), onceItSays: "window 2/5") { process in
            kill(process.value, SIGSTOP)
            Task {
                refused.outcome = try? await place.visionxl(second)
                kill(process.value, SIGCONT)
            }
        }
        #expect(first.succeeded, "\(first)")
        expectOneSentence(try #require(refused.outcome), containing: ["Another run is at work", "c.mkv.work"])
    }

    private final class Mailbox: @unchecked Sendable {
        private let lock = NSLock()
        private var value: Outcome?
        var outcome: Outcome? {
            get { lock.withLock { value } }
            set { lock.withLock { value = newValue } }
        }
    }

    /// What it would come to is said, and nothing is written.
    @Test func dryRuns() async throws {
        try await clip()
        let before = try place.snapshot()
        let outcome = try await place.visionxl(command("out.mkv", "--dry-run"))
        #expect(outcome.succeeded, "\(outcome)")
        let lines = outcome.output.split(separator: "\n").map(String.init)
        #expect(lines.map { String($0.prefix { $0 != " " }) } == ["windows", "memory", "disk", "time"], "\(outcome)")
        #expect(lines[0].contains("5 windows of up to 8 frames in 1 scene; 20 frames of 64x48"), "\(outcome)")
        #expect(lines[1].contains("needs about") && lines[2].contains("for windows") && lines[3].contains(" s"))
        #expect(try place.snapshot() == before)
        // It refuses what the run would refuse.
        expectOneSentence(
            try await place.visionxl(command("out.mkv", "--dry-run", "--scenes", "none.txt")), containing: ["none.txt"])
    }

    /// What does not fit is refused with a window that does.
    @Test func memory() async throws {
        try await clip(frames: 40, size: "640x480")
        var arguments = command("out.mkv", "--memory", "560M")
        arguments[arguments.firstIndex(of: "4") ?? 0] = "30"
        let outcome = try await place.visionxl(arguments)
        expectOneSentence(outcome, containing: ["together need about", "--window "])
        let advice = try #require(
            outcome.messages.split(separator: " ").last.flatMap { Int($0.prefix { $0.isNumber }) })
        #expect((1..<20).contains(advice))
        arguments[arguments.firstIndex(of: "30") ?? 0] = "\(advice)"
        #expect(try await place.visionxl(arguments + ["--dry-run"]).succeeded)
    }
}

/// A disk that is soon full, mounted for a test.
struct SmallDisk {
    let path: String

    init(at path: String, size: String) async throws {
        self.path = path
        try #require(try await Self.mount(at: path, size: size))
    }

    func unmount() async throws { #expect(try await succeeds("umount", [path])) }

    /// False where that is not allowed, as to most users and in some containers.
    private static func mount(at disk: String, size: String) async throws -> Bool {
        try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
        return try await succeeds("mount", ["-t", "tmpfs", "-o", "size=\(size)", "none", disk])
    }

    static func mayMount() async throws -> Bool {
        guard program("mount") != nil else { return false }
        let disk = try TemporaryFolder("disk")
        guard try await mount(at: disk.path, size: "64k") else { return false }
        return try await succeeds("umount", [disk.path])
    }
}
