import Foundation
import TestSupport
import Testing
import Weights

/// The real program on real little videos, from a clip through its measurement to a restoration.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct RestoringTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    private func succeed(_ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let outcome = try await place.visionxl(arguments)
        try #require(outcome.succeeded, "\(arguments): \(outcome.messages)", sourceLocation: sourceLocation)
    }

    private func degrade(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await succeed(["degrade"] + arguments, sourceLocation: sourceLocation)
    }

    /// In a fifth of the steps: the tiny model restores nothing anyway.
    private func restore(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await succeed(
            ["restore", "--model", "tiny", "--steps", "5", "--tau", "0.5"] + arguments, sourceLocation: sourceLocation)
    }

    private func inspect(
        _ name: String, size: String, frames: Int, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        #expect(try await place.probe(name, "width,height") == size, sourceLocation: sourceLocation)
        #expect(try await place.frames(name).count == frames, sourceLocation: sourceLocation)
    }

    // MARK: Tasks

    /// degrade, restore with the task from the .json, compare. The last data step makes even a meaningless prior agree with the
    /// measurement.
    @Test(arguments: [
        ("sr4+", "16,12", 15.0), ("sr4", "16,12", 15), ("deblur", "64,48", 15), ("inpaint", "64,48", 7),
        ("average", "64,48", 15),
    ])
    func fromTheRecord(task: String, measured: String, bound: Double) async throws {
        try await place.clip("clip.mp4", frames: 5)
        try await degrade("clip.mp4", "-o", "measurement.mkv", "--task", task)
        try await inspect("measurement.mkv", size: measured, frames: 5)
        #expect(try await place.probe("measurement.mkv", "codec_name,pix_fmt").contains("ffv1"))
        try await restore("measurement.mkv", "-o", "restored.mkv")
        try await inspect("restored.mkv", size: "64,48", frames: 5)
        let psnr = try await place.psnr("clip.mp4", "restored.mkv")
        #expect(psnr > bound, "\(task)")
        #expect(Set(place.folder.contents) == ["clip.mp4", "measurement.json", "measurement.mkv", "restored.mkv"])
    }

    /// The need is said before, and recorded; small frames go together, one at a time gives the same.
    @Test func memoryIsPlanned() async throws {
        try await place.clip("clip.mkv", frames: 3)
        // bfloat16, where it is the default, rounds other numbers of frames otherwise, and random weights make much of that.
        let known = [
            "restore", "--model", "tiny", "--dtype", "float32", "--steps", "5", "--tau", "0.5", "clip.mkv", "--task",
            "deblur",
        ]
        let single = try await place.visionxl(known + ["-o", "a.mkv", "--json", "a.json", "--frames-per-pass", "1"])
        #expect(single.messages.contains("needs about") && single.messages.contains("; 1 frame a pass"), "\(single)")
        let planned = try await place.visionxl(known + ["-o", "b.mkv", "--json", "b.json", "--memory", "2GiB"])
        #expect(planned.succeeded && planned.messages.contains("; 3 frames a pass"), "\(planned)")
        #expect(try await place.psnr("a.mkv", "b.mkv") > 60)
        let log = try #require(try JSONSerialization.jsonObject(with: place.data("b.json")) as? [String: Any])
        let memory = try #require(log["memory"] as? [String: Any])
        #expect(memory["budget"] as? Int == 2 << 30)
        #expect((memory["weights"] as? Int ?? 0) > 0 && (memory["video"] as? Int ?? 0) == 10 * 3 * 3 * 64 * 48 * 4)
        #expect((log["passes"] as? [String: Any])?["prediction"] as? Int == 3)
    }

    /// However much memory the process has that starts the program.
    @Test func peakMemoryIsItsOwn() async throws {
        try await place.clip("clip.mkv", frames: 1)
        let size = 1 << 30
        let much = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096)
        defer { much.deallocate() }
        memset(much, 1, size)
        try await restore("clip.mkv", "-o", "out.mkv", "--task", "average", "--json", "log.json")
        let log = try #require(try JSONSerialization.jsonObject(with: place.data("log.json")) as? [String: Any])
        let peak = try #require(log["peakMemoryBytes"] as? Int)
        #expect(peak > 50_000_000 && peak < size)
    }

    /// What is said to be needed is what is taken, within a factor of 1.5 of what comes on top of the program itself: with an AutoencoderKL,
    /// in whole frames and then in the tiles that a little less memory leads to.
    @Test func theEstimateIsWhatIsTaken() async throws {
        try await place.clip("clip.mkv", frames: 2, size: "640x512")
        let made = try await place.visionxl(["models", "random", "sdxl", "random", "--size", "tiny", "--quiet"])
        try #require(made.succeeded, "\(made)")
        func bytes(_ plan: [String: Any], _ keys: String...) throws -> Double {
            try keys.reduce(0) { try $0 + #require(plan[$1] as? Double) }
        }
        /// Without the code: how much of a library Linux maps at once depends on how it came into its cache.
        func run(memory: String) async throws -> (plan: [String: Any], measured: Double) {
            try await succeed([
                "restore", "clip.mkv", "-o", "out.mkv", "--model", "./random", "--task", "deblur", "--steps", "10",
                "--tau", "0.1", "--dtype",
                "float32", "--memory", memory, "--json", "log.json", "--force",
            ])
            let log = try #require(try JSONSerialization.jsonObject(with: place.data("log.json")) as? [String: Any])
            return (
                try #require(log["memory"] as? [String: Any]),
                try bytes(log, "peakMemoryBytes") - bytes(log, "mappedCodeBytes")
            )
        }
        func check(_ found: (plan: [String: Any], measured: Double)) throws {
            let predicted = try bytes(found.plan, "weights", "video", "pass")
            // Of the program, 160 MB are for code.
            let measured = try found.measured - (bytes(found.plan, "program") - 160e6)
            #expect(
                measured < 1.5 * predicted && predicted < 1.5 * measured,
                "predicted \(predicted), measured \(measured), \(found.plan)")
        }
        let ample = try await run(memory: "700M")
        try check(ample)
        let needed = try bytes(ample.plan, "program", "weights", "video", "pass")
        let scarce = try await run(memory: "\(Int(needed / 1e6) - 20)M")
        try check(scarce)
        func tile(_ plan: [String: Any]) -> Int? { (plan["passes"] as? [String: Any])?["decodingTile"] as? Int }
        #expect(tile(ample.plan) == nil && tile(scarce.plan) != nil)
    }

    /// What is known of the noise is said: from the record, from what the user says, from the file alone.
    @Test func aProximalStepSaysWhatNoiseItTakes() async throws {
        try await place.clip("clip.mp4", frames: 3)
        try await degrade("clip.mp4", "-o", "measurement.mkv", "--task", "deblur", "--bits", "8", "--noise", "0.02")
        let known = [
            "restore", "--model", "tiny", "--steps", "5", "--tau", "0.5", "--data-step", "proximal", "measurement.mkv",
        ]
        let record = try await place.visionxl(known + ["-o", "a.mkv", "--json", "a.json"])
        // The root of 0.02^2 + (2 / 255)^2 / 12.
        #expect(record.messages.contains("measurement noise 0.02 (from the measurement's .json)"), "\(record)")
        let log = try JSONSerialization.jsonObject(with: place.data("a.json")) as? [String: Any]
        let sigma = try #require((log?["noise"] as? [String: Any])?["sigma"] as? Double)
        #expect(abs(sigma - 0.020128) < 1e-6)
        // What the options left open is recorded as it was taken: with the tiny model as in the paper.
        let options = try #require(log?["options"] as? [String: Any])
        #expect(options["eta"] as? Double == 0.2 && options["lowPass"] as? Double == 2.0.squareRoot())
        let said = try await place.visionxl(known + ["-o", "b.mkv", "--noise", "0.5"])
        #expect(said.messages.contains("measurement noise 0.5 (as said)"), "\(said)")
        try FileManager.default.removeItem(atPath: place.file("measurement.json"))
        let found = try await place.visionxl(known + ["-o", "c.mkv", "--task", "deblur"])
        #expect(found.succeeded && found.messages.contains("(estimated from the frames)"), "\(found)")
        // Another noise, another result.
        #expect(try await place.frames("a.mkv") != place.frames("b.mkv"))
    }

    /// What H.264 does to a blurred video counts as noise, or its deblurring would be worse than nothing.
    @Test func compressionCountsAsNoise() async throws {
        try await place.tool(
            "ffmpeg",
            [
                "-v", "error", "-f", "lavfi", "-i", "mandelbrot=s=160x96:start_scale=0.02", "-frames:v", "3", "-c:v",
                "ffv1", "-pix_fmt", "bgr0", "clip.mkv",
            ])
        try await degrade("clip.mkv", "-o", "m.mp4", "--task", "deblur")
        for (name, words) in [("record", []), ("file", ["--task", "deblur"])] {
            if name == "file" { try FileManager.default.removeItem(atPath: place.file("m.json")) }
            let outcome = try await place.visionxl(["restore", "m.mp4", "-o", "\(name).mkv"] + words)
            try #require(outcome.succeeded && outcome.messages.contains("for h264's quantizer)"), "\(outcome)")
            #expect(try await place.psnr("clip.mkv", "\(name).mkv") > place.psnr("clip.mkv", "m.mp4") + 0.3)
        }
        try await place.tool("ffmpeg", ["-v", "error", "-i", "m.mp4", "-c:v", "mpeg4", "-q:v", "3", "other.mkv"])
        let guessed = try await place.visionxl([
            "restore", "other.mkv", "-o", "guessed.mkv", "--task", "deblur", "--model", "tiny",
        ])
        #expect(guessed.succeeded && guessed.messages.contains("with 0.035 for mpeg4, a guess)"), "\(guessed)")
    }

    @Test func inpaintingWithAMaskFile() async throws {
        try await place.clip("clip.mp4", frames: 3)
        // A black square in white: what is missing.
        try await place.tool(
            "ffmpeg",
            [
                "-v", "error", "-f", "lavfi", "-i", "color=white:s=64x48,drawbox=20:10:16:16:black:fill", "-frames:v",
                "1", "mask.png",
            ])
        try await degrade("clip.mp4", "-o", "holes.mkv", "--mask", "mask.png")
        try await restore("holes.mkv", "-o", "whole.mkv")
        try await inspect("whole.mkv", size: "64,48", frames: 3)
        let crops = ["clip.mp4", "whole.mkv"].map { ($0, $0 + "-left.mkv") }
        for (name, crop) in crops {
            try await place.tool(
                "ffmpeg",
                [
                    "-v", "error", "-i", name, "-vf", "format=rgb24,crop=20:48:0:0:exact=1", "-c:v", "ffv1", "-pix_fmt",
                    "bgr0", crop,
                ])
        }
        // Where the mask is white the pixels are the measurement's.
        #expect(try await place.psnr(crops[0].1, crops[1].1) > 45)
    }

    /// What stands where nothing was measured must not matter.
    @Test func garbageInTheHoles() async throws {
        try await place.clip("clip.mp4", frames: 2)
        try await place.tool(
            "ffmpeg",
            [
                "-v", "error", "-f", "lavfi", "-i", "color=white:s=64x48,drawbox=20:10:16:16:black:fill", "-frames:v",
                "1", "mask.png",
            ])
        for (colour, name) in [("gray", "grey"), ("red", "garbage")] {
            try await place.tool(
                "ffmpeg",
                [
                    "-v", "error", "-i", "clip.mp4", "-vf", "format=gbrp,drawbox=20:10:16:16:\(colour):fill", "-c:v",
                    "ffv1", "-pix_fmt", "gbrp",
                ]
                    + ["\(name).mkv"])
            try await restore("\(name).mkv", "-o", "\(name)-restored.mkv", "--mask", "mask.png")
        }
        #expect(try await place.frames("grey.mkv") != place.frames("garbage.mkv"))
        #expect(try await place.frames("grey-restored.mkv") == place.frames("garbage-restored.mkv"))
    }

    // MARK: Shapes

    @Test func oddSizes() async throws {
        try await place.clip("clip.mp4", frames: 3, size: "63x41")
        try await degrade("clip.mp4", "-o", "soft.mkv", "--task", "deblur")
        try await restore("soft.mkv", "-o", "sharp.mkv")
        try await inspect("sharp.mkv", size: "63,41", frames: 3)
        try await restore("soft.mkv", "-o", "sharp.mp4")
        try await inspect("sharp.mp4", size: "63,41", frames: 3)
    }

    @Test func aSinglePicture() async throws {
        try await place.clip("clip.mp4", frames: 1)
        try await place.tool("ffmpeg", ["-v", "error", "-i", "clip.mp4", "-frames:v", "1", "picture.png"])
        try await degrade("picture.png", "-o", "small", "--task", "sr4")
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.file("small")) == ["000000.png"])
        try await restore("small", "-o", "large")
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.file("large")) == ["000000.png"])
        try await inspect("large/000000.png", size: "64,48", frames: 1)
        #expect(try await place.psnr("picture.png", "large/000000.png") > 12)
    }

    @Test func foldersOfPictures() async throws {
        try await place.clip("clip.mp4", frames: 3)
        try FileManager.default.createDirectory(atPath: place.file("frames"), withIntermediateDirectories: false)
        try await place.tool("ffmpeg", ["-v", "error", "-i", "clip.mp4", "frames/f%d.png"])
        try await degrade("frames/", "-o", "measured/", "--task", "inpaint")
        #expect(place.exists("measured.json"))
        // 16 bits, unless told otherwise.
        #expect(try await place.probe("measured/000001.png", "pix_fmt") == "rgb48be")
        try await restore("measured/", "-o", "restored/")
        #expect(place.folder.contents == ["clip.mp4", "frames", "measured", "measured.json", "restored"])
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: place.file("restored")).sorted()
                == ["000000.png", "000001.png", "000002.png"])
        #expect(try await place.psnr("frames", "restored") > 7)
        // A folder of ours may be replaced when asked.
        try await restore("measured", "-o", "restored", "--force", "--frames", "0:1")
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.file("restored")) == ["000000.png"])
    }

    /// Small frames begin from a network's enlargement where set-up fetched it, else from the smooth ones, with a word on how to fetch it.
    @Test func theFirstEstimateOfSmallFrames() async throws {
        try await place.clip("clip.mp4", frames: 2)
        try await degrade("clip.mp4", "-o", "m.mkv", "--task", "sr4")
        try await degrade("clip.mp4", "-o", "soft.mkv", "--task", "deblur")
        let none = ["VISIONXL_NETWORKS": place.folder.path]
        func run(_ input: String, _ output: String, _ more: [String] = []) async throws -> Outcome {
            let known = ["restore", "--model", "tiny", "--steps", "5", "--tau", "0.5", input, "-o", output]
            return try await place.visionxl(known + more, environment: none)
        }
        let word = "`make setup` fetches its networks"
        let smooth = try await run("m.mkv", "a.mkv", ["--json", "a.json"])
        #expect(smooth.succeeded && smooth.messages.contains(word), "\(smooth)")
        let log = try #require(try JSONSerialization.jsonObject(with: place.data("a.json")) as? [String: Any])
        #expect((log["options"] as? [String: Any])?["firstEstimate"] as? String == "smooth")
        let said = try await run("m.mkv", "b.mkv", ["--first-estimate", "smooth"])
        #expect(said.succeeded && !said.messages.contains(word), "\(said)")
        #expect(try await place.frames("a.mkv") == place.frames("b.mkv"))
        let soft = try await run("soft.mkv", "c.mkv")
        #expect(soft.succeeded && !soft.messages.contains(word), "\(soft)")
        let refused = try await run("m.mkv", "d.mkv", ["--first-estimate", "learned"])
        #expect(
            !refused.succeeded && refused.messages.contains("run `make setup`") && !place.exists("d.mkv"), "\(refused)")
        let explained = try await place.visionxl(["explain", "m.mkv", "--model", "tiny"], environment: none)
        #expect(explained.succeeded && explained.output.contains(word), "\(explained)")
    }

    static let canEnlarge = [.spanX4, .ffdnetColor].allSatisfy { NetworkLibrary.isAvailable($0) }

    @Test(.enabled(if: canEnlarge, "SPAN or FFDNet was not fetched: make setup"))
    func smallFramesAreEnlargedByANetwork() async throws {
        try await place.clip("clip.mp4", frames: 2)
        try await degrade("clip.mp4", "-o", "m.mkv", "--task", "sr4")
        let folder = try NetworkLibrary.url(of: .spanX4).deletingLastPathComponent().path
        func run(_ output: String, _ more: [String] = []) async throws {
            let known = ["restore", "--model", "builtin", "m.mkv", "-o", output, "--json", output + ".json"]
            let outcome = try await place.visionxl(known + more, environment: ["VISIONXL_NETWORKS": folder])
            try #require(outcome.succeeded, "\(outcome)")
        }
        try await run("learned.mkv")
        try await run("smooth.mkv", ["--first-estimate", "smooth"])
        let log = try #require(try JSONSerialization.jsonObject(with: place.data("learned.mkv.json")) as? [String: Any])
        let options = try #require(log["options"] as? [String: Any])
        #expect(options["firstEstimate"] as? String == "learned" && options["timesteps"] as? [Int] == [1])
        let learned = try await place.psnr("clip.mp4", "learned.mkv")
        #expect(try await learned > place.psnr("clip.mp4", "smooth.mkv"))
    }

    /// A better start makes a better result, window by window and for a part of the frames, and is read frame by frame.
    @Test(arguments: ["sr4", "inpaint"]) func framesToBeginFrom(task: String) async throws {
        try await place.clip("clip.mp4", frames: 5)
        try await degrade("clip.mp4", "-o", "m.mkv", "--task", task)
        try await place.tool("ffmpeg", ["-v", "error", "-i", "clip.mp4", "-c:v", "ffv1", "whole.mkv"])
        func run(_ output: String, _ more: [String] = []) async throws -> Outcome {
            try await place.visionxl(["restore", "--model", "builtin", "m.mkv", "-o", output] + more)
        }
        let own = try await run(
            "own.mkv", ["--first-estimate-from", "whole.mkv", "--window", "2", "--json", "own.json"])
        try #require(own.succeeded, "\(own)")
        try #require(try await run("smooth.mkv", ["--first-estimate", "smooth"]).succeeded)
        let better = try await place.psnr("clip.mp4", "own.mkv")
        #expect(try await better > place.psnr("clip.mp4", "smooth.mkv") + 3)
        let log = try #require(try JSONSerialization.jsonObject(with: place.data("own.json")) as? [String: Any])
        #expect((log["firstEstimateFrom"] as? String)?.hasSuffix("whole.mkv") == true)
        let options = try #require(log["options"] as? [String: Any])
        #expect(options["firstEstimate"] == nil && options["timesteps"] as? [Int] == [1])
        // The same frames of both.
        let part = try await run(
            "part.mkv", ["--first-estimate-from", "whole.mkv", "--window", "2", "--frames", "2:4"])
        try #require(part.succeeded, "\(part)")
        let (all, some) = (try await place.frames("own.mkv"), try await place.frames("part.mkv"))
        #expect(Array(all[2..<4]) == some)
        // A recipe has it.
        let recipe = try await run("again.mkv", ["--first-estimate-from", "whole.mkv", "--window", "2", "--print-recipe"])
        try Data(recipe.output.utf8).write(to: URL(fileURLWithPath: place.file("recipe.json")))
        try #require(try await place.visionxl("restore", "--recipe", "recipe.json").succeeded)
        #expect(try await place.frames("again.mkv") == all)
        let explained = try await place.visionxl(["explain", "m.mkv", "--first-estimate-from", "whole.mkv"])
        #expect(explained.succeeded && explained.output.contains("--first-estimate-from"), "\(explained)")
    }

    /// What cannot be begun from is refused before anything is written.
    @Test func framesThatNothingCanBeginFrom() async throws {
        try await place.clip("clip.mp4", frames: 3)
        try await place.clip("long.mp4", frames: 4)
        try await degrade("clip.mp4", "-o", "m.mkv", "--task", "sr4")
        let cases = [
            (["--first-estimate-from", "m.mkv"], "16x12 pixels and the result 64x48"),
            (["--first-estimate-from", "long.mp4"], "4 frames and the result 3"),
            (["--first-estimate-from", "absent.mkv"], "absent.mkv"),
            (["--first-estimate-from", "clip.mp4", "--first-estimate", "smooth"], "leave out --first-estimate"),
            (["--first-estimate-from", "clip.mp4", "--paper"], "leave out --paper"),
            (["--first-estimate-from", ""], "name a video"),
        ]
        for (options, word) in cases {
            for command in [["restore", "-o", "r.mkv"], ["explain"]] {
                let outcome = try await place.visionxl(command + ["m.mkv", "--model", "tiny"] + options)
                #expect(!outcome.succeeded && outcome.messages.contains(word), "\(outcome)")
                #expect(!place.exists("r.mkv"))
            }
        }
        let overwriting = try await place.visionxl(
            "restore", "m.mkv", "-o", "clip.mp4", "--first-estimate-from", "clip.mp4", "--force")
        #expect(!overwriting.succeeded && overwriting.messages.contains("is the input"), "\(overwriting)")
    }

    @Test(arguments: [("1:3", 2), (":2", 2), ("3:", 2)]) func someFrames(range: String, count: Int) async throws {
        try await place.clip("clip.mp4", frames: 5)
        try await degrade("clip.mp4", "-o", "m.mkv", "--task", "sr4")
        try await restore("m.mkv", "-o", "r.mkv", "--frames", range)
        try await inspect("r.mkv", size: "64,48", frames: count)
        try await degrade("clip.mp4", "-o", "part.mkv", "--task", "sr4", "--frames", range)
        try await inspect("part.mkv", size: "16,12", frames: count)
        // The frames of the whole, cut out.
        let (whole, part) = (try await place.frames("m.mkv"), try await place.frames("part.mkv"))
        let start = range.hasPrefix(":") ? 0 : Int(String(range.prefix(1))) ?? 0
        #expect(Array(whole[start..<(start + count)]) == part)
        let compared = try await place.visionxl("compare", "m.mkv", "m.mkv", "--frames", range)
        #expect(compared.output.split(separator: "\n").count == count + 1)
    }

    @Test func windowsSmallerThanTheClip() async throws {
        try await place.clip("clip.mp4", frames: 5)
        try await degrade("clip.mp4", "-o", "m.mkv", "--task", "average", "--average", "3", "--window", "3")
        // The windows come from the record...
        try await restore("m.mkv", "-o", "r.mkv", "--json", "r.log")
        let log = try #require(JSONSerialization.jsonObject(with: place.data("r.log")) as? [String: Any])
        #expect(log["window"] as? Int == 3)
        #expect((log["residuals"] as? [Any])?.count == 2)
        try await inspect("r.mkv", size: "64,48", frames: 5)
        // ... or from the command line, up to any size.
        try await restore("m.mkv", "-o", "one.mkv", "--window", "1", "--task", "deblur")
        try await inspect("one.mkv", size: "64,48", frames: 5)
        try await restore("m.mkv", "-o", "all.mkv", "--window", "9223372036854775807")
        try await inspect("all.mkv", size: "64,48", frames: 5)
    }

    // MARK: Formats

    @Test func sixteenBits() async throws {
        try await place.clip("clip.mp4", frames: 2)
        try await degrade("clip.mp4", "-o", "m.mkv", "--task", "sr4")
        #expect(try await place.probe("m.mkv", "pix_fmt") == "gbrp16le")
        try await degrade("clip.mp4", "-o", "m8.mkv", "--task", "sr4", "--bits", "8")
        #expect(try await place.probe("m8.mkv", "pix_fmt") == "bgr0")
        try await degrade("clip.mp4", "-o", "m.mp4", "--task", "deblur", "--force")
        for (name, bits, lossy) in [("m8", 8, false), ("m", 8, true)] {
            let record = try #require(JSONSerialization.jsonObject(with: place.data("\(name).json")) as? [String: Any])
            let noise = try #require(record["noise"] as? [String: Any])
            #expect(noise["bitDepth"] as? Int == bits)
            #expect(noise["isLossy"] as? Bool == lossy)
        }
        try await restore("m8.mkv", "-o", "r.mkv", "--bits", "16")
        #expect(try await place.probe("r.mkv", "pix_fmt") == "gbrp16le")
        // The measurement of the restoration is the measurement, but for what was cut off beyond black and white.
        try await degrade("r.mkv", "-o", "again.mkv", "--task", "sr4")
        #expect(try await place.psnr("m8.mkv", "again.mkv") > 20)
    }

    @Test(arguments: ["mkv", "mp4"]) func frameRate(ending: String) async throws {
        try await place.clip("clip.mp4", frames: 4, rate: "24000/1001")
        try await degrade("clip.mp4", "-o", "m.\(ending)", "--task", "deblur")
        try await restore("m.\(ending)", "-o", "r.\(ending)")
        #expect(try await place.probe("r.\(ending)", "r_frame_rate") == "24000/1001")
    }

    @Test func soundIsCarried() async throws {
        try await place.clip(
            "clip.mp4", frames: 10, extra: ["-f", "lavfi", "-i", "sine=440:duration=0.4", "-shortest", "-c:a", "aac"])
        try await restore("clip.mp4", "-o", "r.mp4", "--task", "deblur", "--blur-sigma", "1", "--blur-size", "7")
        #expect(try await place.probe("r.mp4", "codec_name", stream: "a:0") == "aac")
        try await inspect("r.mp4", size: "64,48", frames: 10)
        // A part of the video has no sound: it would not fit.
        try await restore(
            "clip.mp4", "-o", "part.mp4", "--task", "deblur", "--blur-sigma", "1", "--blur-size", "7", "--frames", "2:4"
        )
        #expect(try await place.probe("part.mp4", "codec_name", stream: "a:0").isEmpty)
    }

    @Test(arguments: ["with space", "it's \"quoted\"", "per%03dcent", "ünïcödé 電影", "semi;colon & $HOME `x`", "[0:v]"])
    func strangeNames(name: String) async throws {
        try await place.clip("\(name).mp4", frames: 2)
        try await degrade("\(name).mp4", "-o", "\(name) m.mkv", "--task", "sr4")
        try await restore("\(name) m.mkv", "-o", "\(name) r.mkv")
        try await restore("\(name) m.mkv", "-o", "\(name) frames/")
        #expect(place.folder.contents.count == 5)
        #expect(try await place.psnr("\(name) r.mkv", "\(name) frames") > 60)
    }

    @Test func leadingDashes() async throws {
        try await place.clip("-clip.mp4", frames: 2)
        try await degrade("--output=-m.mkv", "--task", "sr4", "--", "-clip.mp4")
        try await restore("--output=-r.mkv", "--", "-m.mkv")
        try await restore("./-m.mkv", "-o", "./-s.mkv")
        #expect(place.folder.contents == ["-clip.mp4", "-m.json", "-m.mkv", "-r.mkv", "-s.mkv"])
        let compared = try await place.visionxl("compare", "--quiet", "--", "-r.mkv", "-s.mkv")
        #expect(compared.output.contains("PSNR inf dB"))
    }

    // MARK: Numbers

    @Test func theSameSeedGivesTheSameFrames() async throws {
        try await place.clip("clip.mp4", frames: 3)
        try await degrade("clip.mp4", "-o", "m.mkv", "--task", "sr4+", "--noise", "0.05")
        try await degrade("clip.mp4", "-o", "m2.mkv", "--task", "sr4+", "--noise", "0.05")
        #expect(try await place.frames("m.mkv") == place.frames("m2.mkv"))
        try await degrade("clip.mp4", "-o", "m3.mkv", "--task", "sr4+", "--noise", "0.05", "--seed", "1")
        #expect(try await place.frames("m.mkv") != place.frames("m3.mkv"))
        for (name, seed) in [("a", "7"), ("b", "7"), ("c", "8")] {
            try await restore("m.mkv", "-o", "\(name).mkv", "--seed", seed, "--bits", "16")
        }
        #expect(try await place.frames("a.mkv") == place.frames("b.mkv"))
        #expect(try await place.frames("a.mkv") != place.frames("c.mkv"))
    }

    @Test func theLog() async throws {
        try await place.clip("clip.mp4", frames: 3)
        try await degrade("clip.mp4", "-o", "m.mkv", "--task", "deblur+")
        try await restore("m.mkv", "-o", "r.mkv", "--json", "log.json", "--seed", "5")
        let log = try #require(JSONSerialization.jsonObject(with: place.data("log.json")) as? [String: Any])
        #expect(log["input"] as? String == "m.mkv")
        #expect(log["output"] as? String == "r.mkv")
        #expect(log["frameCount"] as? Int == 3)
        #expect(log["width"] as? Int == 64 && log["height"] as? Int == 48)
        #expect((log["options"] as? [String: Any])?["seed"] as? Int == 5)
        let stages = try #require((log["problem"] as? [String: Any])?["stages"] as? [[String: Any]])
        #expect((stages.first?["average"] as? [String: Any])?["frames"] as? Int == 7)
        #expect((log["model"] as? String)?.hasSuffix("tiny") == true)
        #expect((log["seconds"] as? Double).map { $0 > 0 } == true)
        #expect((log["peakMemoryBytes"] as? Int).map { $0 > 1 << 20 } == true)
        let windows = try #require(log["residuals"] as? [[[String: Double]]])
        #expect(windows.count == 1)
        // Two data steps of the three timesteps 401, 201, 1, and the one at the end.
        #expect(windows[0].count == 3)
        for residual in windows[0] {
            let (before, after) = (try #require(residual["before"]), try #require(residual["after"]))
            #expect(after < before)
        }
    }

    /// Without the last data step the result is the decoder's, which knows less of the measurement.
    @Test func paper() async throws {
        try await place.clip("clip.mp4", frames: 2)
        try await degrade("clip.mp4", "-o", "m.mkv", "--task", "inpaint")
        try await restore("m.mkv", "-o", "paper.mkv", "--paper", "--json", "paper.json")
        try await restore("m.mkv", "-o", "ours.mkv")
        #expect(try await place.frames("paper.mkv") != place.frames("ours.mkv"))
        let log = try #require(JSONSerialization.jsonObject(with: place.data("paper.json")) as? [String: Any])
        #expect((log["options"] as? [String: Any])?["finalConsistencySteps"] as? Int == 0)
        #expect((log["residuals"] as? [[Any]])?.first?.count == 2)
        #expect(try await place.psnr("clip.mp4", "ours.mkv") > place.psnr("clip.mp4", "paper.mkv"))
    }

    // MARK: Beside restoring

    @Test func sideBySide() async throws {
        try await place.clip("a.mp4", frames: 3)
        try await degrade("a.mp4", "-o", "b.mkv", "--task", "deblur")
        let video = try await place.visionxl(
            "compare", "a.mp4", "b.mkv", "--side-by-side", "both.mp4", "--json", "numbers.json")
        #expect(video.succeeded, "\(video.messages)")
        try await inspect("both.mp4", size: "128,48", frames: 3)
        let numbers = try #require(JSONSerialization.jsonObject(with: place.data("numbers.json")) as? [String: Any])
        #expect(((numbers["psnr"] as? [String: Any])?["perFrame"] as? [Double])?.count == 3)
        // A Matroska file does not say how many frames it has; the middle one is found all the same.
        for (arguments, name) in [([], "middle"), (["--frame", "1"], "second"), (["--frame", "0"], "first")] {
            let outcome = try await place.visionxl(
                ["compare", "b.mkv", "a.mp4", "--quiet", "--side-by-side", "\(name).png"] + arguments)
            #expect(outcome.succeeded, "\(outcome.messages)")
            try await inspect("\(name).png", size: "128,48", frames: 1)
        }
        #expect(try await place.frames("middle.png") == place.frames("second.png"))
        #expect(try await place.frames("middle.png") != place.frames("first.png"))
    }

    @Test func metricsOfSteadiness() async throws {
        try await place.clip("a.mp4", frames: 4)
        try await degrade("a.mp4", "-o", "b.mkv", "--task", "deblur")
        let outcome = try await place.visionxl(
            "compare", "a.mp4", "b.mkv", "--metrics", "temporal-error,flicker,psnr", "--json", "n.json")
        #expect(outcome.succeeded, "\(outcome.messages)")
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.count == 5 && lines[0].hasPrefix("frame 0\tPSNR") && !lines[0].contains("temporal error"))
        #expect(
            lines[1].contains("temporal error 0.") && lines[4].contains("flicker 0.")
                && lines[4].contains("% of the pixels"))
        let numbers = try #require(JSONSerialization.jsonObject(with: place.data("n.json")) as? [String: Any])
        #expect(((numbers["temporalError"] as? [String: Any])?["perFrame"] as? [Double])?.count == 3)
        #expect(Set((numbers["flicker"] as? [String: Double] ?? [:]).keys) == ["video", "truth", "fraction"])
        #expect(numbers["ssim"] == nil)
        // A single frame has no change in time; that is said, and the rest is measured.
        let single = try await place.visionxl(
            "compare", "a.mp4", "a.mp4", "--metrics", "psnr,flicker", "--frames", "0:1")
        #expect(
            single.succeeded && single.output.contains("mean\tPSNR inf dB\n")
                && single.messages.contains("1 frame has no change"))
        #expect(single.messages.contains("No flicker: "))
    }

    /// What can be measured is; where nothing can, that is a failure and not an empty line.
    @Test func metricsThatCannotBeHad() async throws {
        try await place.clip("a.mkv", frames: 2, size: "8x8")
        let some = try await place.visionxl("compare", "a.mkv", "a.mkv", "--json", "n.json")
        #expect(some.succeeded && some.output.contains("mean\tPSNR inf dB\n"), "\(some)")
        #expect(some.messages.contains("No ssim: Frames of 8x8 pixels are too small"))
        let numbers = try #require(JSONSerialization.jsonObject(with: place.data("n.json")) as? [String: Any])
        #expect(Set(numbers.keys) == ["psnr"])
        let none = try await place.visionxl(
            "compare", "a.mkv", "a.mkv", "--metrics", "ssim", "--quiet", "--json", "m.json")
        expectOneSentence(none, containing: ["No ssim: Frames of 8x8 pixels are too small"])
        #expect(!place.exists("m.json"))
    }

    @Test(.enabled(if: NetworkLibrary.isAvailable(.lpipsAlexNet), "LPIPS's network is not here; run `make setup`"))
    func perceptualDistance() async throws {
        try await place.clip("a.mp4", frames: 2)
        try await degrade("a.mp4", "-o", "b.mkv", "--task", "deblur")
        let networks = ["VISIONXL_NETWORKS": try NetworkLibrary.url(of: .lpipsAlexNet).deletingLastPathComponent().path]
        let outcome = try await place.visionxl(
            "compare", "a.mp4", "b.mkv", "--metrics", "lpips", "--json", "n.json", environment: networks)
        #expect(outcome.succeeded, "\(outcome.messages)")
        let numbers = try #require(JSONSerialization.jsonObject(with: place.data("n.json")) as? [String: Any])
        let distances = try #require((numbers["lpips"] as? [String: Any])?["perFrame"] as? [Double])
        #expect(distances.count == 2 && distances.allSatisfy { $0 > 0.05 && $0 < 1 })
        #expect(outcome.output.contains("mean\tLPIPS 0."))
    }

    @Test func identicalVideosHaveNoErrorAtAll() async throws {
        try await place.clip("a.mp4", frames: 2)
        let outcome = try await place.visionxl("compare", "a.mp4", "a.mp4", "--json", "n.json")
        #expect(outcome.succeeded)
        #expect(outcome.output.split(separator: "\n").count == 3)
        #expect(outcome.output.contains("mean\tPSNR inf dB\tSSIM 1.0000"))
        #expect(try JSONSerialization.jsonObject(with: place.data("n.json")) is [String: Any])
    }

    @Test func doctorAndModels() async throws {
        let doctor = try await place.visionxl("doctor")
        #expect(doctor.succeeded, "\(doctor)")
        for word in ["engine", "PyTorch", "ffmpeg", "memory", "tiny"] { #expect(doctor.output.contains(word)) }
        let list = try await place.visionxl("models")
        #expect(list.succeeded && list.output.contains("tiny\t"))
        let verified = try await place.visionxl("models", "verify", "tiny")
        #expect(verified.succeeded && verified.output.contains("fit their weights"), "\(verified)")
    }
}
