import Foundation
import TensorKit
import TestSupport
import Testing

/// What cannot work ends with one sentence, and everything in the folder is as it was.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct BadInputTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    private static let mask = "color=white:s=20x20"

    /// Runs a command that must be refused, in a folder that must not change.
    @discardableResult
    private func refuse(
        _ arguments: [String], saying words: String..., environment: [String: String] = [:], from folder: String? = nil,
        through wrapper: [String] = [], late: Bool = false, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Outcome {
        let before = try place.snapshot()
        let outcome = try await place.visionxl(arguments, environment: environment, from: folder, through: wrapper)
        expectOneSentence(outcome, containing: words, late: late, sourceLocation: sourceLocation)
        #expect(try place.snapshot() == before, sourceLocation: sourceLocation)
        return outcome
    }

    private func restore(_ input: String, _ arguments: String...) -> [String] {
        ["restore", input, "-o", "out.mkv", "--model", "tiny", "--task", "deblur"] + arguments
    }

    /// Before the model is read.
    @Test func tooLittleMemory() async throws {
        try await place.clip("clip.mkv", frames: 2)
        try await refuse(
            restore("clip.mkv", "--memory", "20M"), saying: "--memory", "does not suffice", "are needed", "take more")
    }

    // MARK: Inputs

    @Test func missingFile() async throws {
        try await refuse(restore("nothing.mp4"), saying: "nothing.mp4", "check the path")
        try await refuse(["restore", "nothing.mp4", "-o", "out.mkv"], saying: "there is no file")
        try await refuse(["degrade", "nothing.mp4", "-o", "out.mkv", "--task", "sr4"], saying: "nothing.mp4")
        try await refuse(["compare", "nothing.mp4", "nothing.mkv"], saying: "nothing.mp4")
    }

    @Test func folderWithoutPictures() async throws {
        try FileManager.default.createDirectory(atPath: place.file("empty"), withIntermediateDirectories: false)
        try await refuse(restore("empty"), saying: "empty", "PNG or JPEG")
        try await refuse(restore("."), saying: "PNG or JPEG")
    }

    @Test(arguments: ["empty.mp4", "empty.mkv", "empty.png", "text.mp4", "text.txt", "text.png", "noise.mp4"])
    func notAVideo(name: String) async throws {
        let text = String(repeating: "This is a text and no video.\n", count: 40)
        let noise = Data((0..<5000).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 31 >> 3) })
        let content = name.hasPrefix("empty") ? Data() : name.hasPrefix("text") ? Data(text.utf8) : noise
        try content.write(to: URL(fileURLWithPath: place.file(name)))
        try await refuse(restore(name), saying: name)
        try await refuse(["degrade", name, "-o", "out.mkv", "--task", "sr4"], saying: name)
        try await refuse(["compare", name, name], saying: name)
    }

    @Test(arguments: [("mkv", 0.6), ("mp4", 0.6), ("mkv", 0.1)]) func truncated(
        ending: String, part: Double
    ) async throws {
        try await place.clip("whole.\(ending)", frames: 40)
        let data = try place.data("whole.\(ending)")
        try data.prefix(Int(Double(data.count) * part)).write(to: URL(fileURLWithPath: place.file("cut.\(ending)")))
        // What a .mp4 has is said at its end.
        let what =
            "\"cut.\(ending)\" " + (ending == "mkv" ? "breaks off after " : "is not a video that ffmpeg can read")
        let advice =
            ending == "mkv"
            ? " of 40 frames; get a complete copy, or ask for fewer" : "; check that the file is complete"
        let restored = try await refuse(
            restore("cut.\(ending)", "--steps", "2", "--tau", "0.1", "--window", "5"), saying: what, advice, late: true)
        #expect(restored.messages.contains("(--incomplete takes it as it is)") == (ending == "mkv"), "\(restored)")
        // It has no such option.
        let degraded = try await refuse(
            ["degrade", "cut.\(ending)", "-o", "out.mkv", "--task", "sr4", "--window", "5"], saying: what, advice)
        #expect(!degraded.messages.contains("incomplete"), "\(degraded)")
    }

    @Test func soundOnly() async throws {
        try await place.tool("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", "sine=440:duration=0.2", "sound.wav"])
        try await refuse(restore("sound.wav"), saying: "no video stream")
    }

    @Test func framesOutside() async throws {
        try await place.clip("clip.mp4", frames: 5)
        try await place.clip("clip.mkv", frames: 5)
        for name in ["clip.mp4", "clip.mkv"] {
            for range in ["9:12", "3:9", "5:", "9:"] {
                try await refuse(restore(name, "--frames", range), saying: "5 frames")
            }
            try await refuse(["degrade", name, "-o", "out.mkv", "--task", "sr4", "--frames", "3:9"], saying: "frames")
            try await refuse(["compare", name, name, "--frames", "9:10"], saying: "frames")
        }
    }

    @Test func videosThatCannotBeCompared() async throws {
        try await place.clip("a.mp4", frames: 3)
        try await place.clip("b.mp4", frames: 2)
        try await place.clip("c.mp4", frames: 3, size: "32x32")
        try await refuse(["compare", "a.mp4", "c.mp4", "--quiet"], saying: "64x48", "32x32")
        for arguments in [["a.mp4", "b.mp4"], ["b.mp4", "a.mp4"]] {
            try await refuse(
                ["compare"] + arguments + ["--quiet", "--side-by-side", "both.mkv", "--json", "n.json"],
                saying: "b.mp4 ends after 2 frames")
        }
        try await refuse(
            ["compare", "a.mp4", "a.mp4", "--quiet", "--side-by-side", "p.png", "--frame", "3"], saying: "no frame 3")
    }

    @Test func metricsWithoutTheirNetwork() async throws {
        try await place.clip("a.mp4", frames: 2)
        let nowhere = ["VISIONXL_NETWORKS": "/nonexistent"]
        for (name, network) in [("lpips", "lpips-alexnet"), ("lpips-vgg", "lpips-vgg16")] {
            try await refuse(
                [
                    "compare", "a.mp4", "a.mp4", "--metrics", "psnr,\(name)", "--side-by-side", "both.mkv", "--json",
                    "n.json",
                ],
                saying: network, "run `make setup`", environment: nowhere)
        }
        #expect(try await place.visionxl("compare", "a.mp4", "a.mp4", environment: nowhere).succeeded)
    }

    // MARK: Tasks

    @Test func noTask() async throws {
        try await place.clip("clip.mp4")
        // Noise alone, which is said.
        let outcome = try await place.visionxl(
            "restore", "clip.mp4", "-o", "denoised.mkv", "--model", "tiny", "--timesteps", "1")
        #expect(outcome.succeeded)
        for word in ["noise alone", "--task", "sr4+", "clip.json"] { #expect(outcome.messages.contains(word)) }
        try await refuse(["degrade", "clip.mp4", "-o", "out.mkv"], saying: "--task", "--noise")
    }

    @Test func unknownTask() async throws {
        try await place.clip("clip.mp4")
        try await refuse(["restore", "clip.mp4", "-o", "out.mkv", "--task", "sr5"], saying: "sr5", "sr4+")
        try await refuse(["degrade", "clip.mp4", "-o", "out.mkv", "--task", "blurr"], saying: "blurr", "deblur")
    }

    static let record = """
        {"format": 1, "degradation": {"blurSigma": 2}, "height": 48, "width": 64, "frameCount": 5, "window": 25,
         "noise": {"added": 0, "seed": 0, "bitDepth": 8, "rounding": 0.002, "isLossy": true}}
        """

    @Test(arguments: [
        ("", ""), ("{", ""), ("[1, 2]", ""), ("\u{0}\u{1}", ""), ("{}", ""),
        ("\"blurSigma\": 2", "\"blurSgima\": 2"), ("\"blurSigma\": 2", "\"blurSigma\": \"two\""),
        ("\"blurSigma\": 2", "\"blurSigma\": -2"),
        ("\"blurSigma\": 2", "\"blurSigma\": 2, \"blurSize\": 8"), ("\"blurSigma\": 2", "\"scale\": 0"),
        ("\"blurSigma\": 2", "\"scale\": 9223372036854775807"),
        ("\"blurSigma\": 2", "\"averageWindow\": 9223372036854775807"),
        ("\"blurSigma\": 2", "\"averageWindow\": -3"), ("\"blurSigma\": 2", "\"maskRatio\": 2"),
        ("\"blurSigma\": 2", "\"maskFile\": \"/nonexistent/mask.png\""), ("\"format\": 1", "\"format\": 2"),
        ("\"window\": 25", "\"window\": 0"), ("\"window\": 25", "\"window\": -9"), ("\"noise\"", "\"nose\""),
    ])
    func badRecord(old: String, new: String) async throws {
        try await place.clip("clip.mp4", frames: 2)
        try place.write(new.isEmpty ? old : Self.record.replacingOccurrences(of: old, with: new), to: "clip.json")
        try await refuse(["restore", "clip.mp4", "-o", "out.mkv", "--model", "tiny"])
    }

    /// A preset says everything, so a spoilt record is in nobody's way.
    @Test func aPresetHelpsAgainstABadRecord() async throws {
        try await place.clip("clip.mp4", frames: 1)
        try place.write("{", to: "clip.json")
        let outcome = try await place.visionxl(restore("clip.mp4", "--steps", "2", "--tau", "0.1"))
        #expect(outcome.succeeded, "\(outcome.messages)")
    }

    @Test func masks() async throws {
        try await place.clip("clip.mp4", frames: 2)
        try await place.tool("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", Self.mask, "-frames:v", "1", "mask.png"])
        let inpaint = ["restore", "clip.mp4", "-o", "out.mkv", "--model", "tiny", "--mask"]
        try await refuse(inpaint + ["mask.png"], saying: "20x20", "64x48")
        try await refuse(inpaint + ["no.png"], saying: "no.png")
        try await refuse(["degrade", "clip.mp4", "-o", "out.mkv", "--mask", "mask.png"], saying: "20x20", "64x48")
        try place.write("no picture", to: "text.png")
        try await refuse(inpaint + ["text.png"], saying: "text.png")
    }

    @Test(arguments: [
        ["--scale", "5"], ["--scale", "0"], ["--scale=-4"], ["--scale", "1000"], ["--scale", "9223372036854775807"],
        ["--blur-sigma", "2", "--blur-size", "4"], ["--blur-sigma=-1"], ["--blur-sigma", "nan"],
        ["--blur-sigma", "inf"],
        ["--blur-sigma", "2", "--blur-size", "0"], ["--blur-sigma", "2", "--blur-size=-61"],
        ["--mask-ratio", "1.5"], ["--mask-ratio=-0.5"], ["--mask-ratio", "nan"],
        ["--average", "0"], ["--average=-7"], ["--average", "7", "--average-boundary", "valid"],
    ])
    func impossibleDegradations(arguments: [String]) async throws {
        try await place.clip("clip.mp4", frames: 2)
        try await refuse(["degrade", "clip.mp4", "-o", "out.mkv"] + arguments)
    }

    /// It has no middle frame, and is allowed all the same.
    @Test func anEvenWindow() async throws {
        try await place.clip("clip.mp4", frames: 2)
        let degraded = try await place.visionxl("degrade", "clip.mp4", "-o", "out.mkv", "--average", "4")
        #expect(degraded.succeeded, "\(degraded)")
        #expect(try await place.frames("out.mkv").count == 2)
    }

    /// A measurement that no such degradation can have given, or a result beyond all sizes.
    @Test(arguments: [
        ["--scale", "0"], ["--scale=-4"], ["--scale", "9223372036854775807"], ["--scale", "100000"],
        ["--blur-sigma", "nan"],
        ["--mask-ratio", "7"], ["--average", "0"], ["--average", "9223372036854775807", "--average-boundary", "valid"],
    ])
    func impossibleRestorations(arguments: [String]) async throws {
        try await place.clip("clip.mp4", frames: 2)
        try await refuse(["restore", "clip.mp4", "-o", "out.mkv", "--model", "tiny"] + arguments)
    }

    @Test(arguments: [
        ["--tau", "2"], ["--steps", "0"], ["--steps", "ten"], ["--frobnicate"], ["--bits", "9"],
        ["--device", "toaster"], ["--device", "cuda:99"],
        ["--dtype", "int8"], ["--frames", "3"], ["--lambda=-1"], ["--threads", "0"], ["second.mp4"],
    ])
    func badOptions(arguments: [String]) async throws {
        try await place.clip("clip.mp4", frames: 2)
        try await refuse(["restore", "clip.mp4", "-o", "out.mkv", "--model", "tiny", "--task", "deblur"] + arguments)
    }

    // MARK: Outputs

    @Test func outputExists() async throws {
        try await place.clip("clip.mp4", frames: 2)
        try place.write("precious", to: "out.mkv")
        try await refuse(restore("clip.mp4"), saying: "out.mkv exists", "--force")
        try await refuse(
            ["degrade", "clip.mp4", "-o", "out.mkv", "--task", "sr4"], saying: "out.mkv exists", "--force")
        try place.write("precious", to: "both.png")
        try await refuse(
            ["compare", "clip.mp4", "clip.mp4", "--side-by-side", "both.png"], saying: "both.png exists", "--force")
        try place.write("precious", to: "log.json")
        try await refuse(
            ["restore", "clip.mp4", "-o", "new.mkv", "--model", "tiny", "--task", "deblur", "--json", "log.json"],
            saying: "log.json exists")
        try await refuse(["compare", "clip.mp4", "clip.mp4", "--json", "log.json"], saying: "log.json exists")
        try await refuse(
            ["degrade", "clip.mp4", "-o", "log.mkv", "--task", "sr4"], saying: "log.json exists", "--force")
        // A link to nothing is in the way too, and stays.
        try FileManager.default.createSymbolicLink(atPath: place.file("link.mkv"), withDestinationPath: "nowhere.mkv")
        try await refuse(
            ["restore", "clip.mp4", "-o", "link.mkv", "--model", "tiny", "--task", "deblur"], saying: "exists")
        // A folder with other things in it is not replaced even by force.
        try FileManager.default.createDirectory(atPath: place.file("folder"), withIntermediateDirectories: false)
        try place.write("precious", to: "folder/letter.txt")
        try await refuse(
            ["restore", "clip.mp4", "-o", "folder", "--model", "tiny", "--task", "deblur", "--force"], saying: "folder")
        try await refuse(
            ["restore", "clip.mp4", "-o", "folder/", "--model", "tiny", "--task", "deblur"], saying: "exists")
    }

    @Test func forceReplaces() async throws {
        try await place.clip("clip.mp4", frames: 2)
        try place.write("old", to: "out.mkv")
        try place.write("old", to: "out.json")
        let outcome = try await place.visionxl("degrade", "clip.mp4", "-o", "out.mkv", "--task", "sr4", "--force")
        #expect(outcome.succeeded, "\(outcome.messages)")
        #expect(try await place.frames("out.mkv").count == 2)
        #expect(place.folder.contents == ["clip.mp4", "out.json", "out.mkv"])
    }

    @Test func outputIsInput() async throws {
        try await place.clip("clip.mp4", frames: 2)
        try await place.tool("ffmpeg", ["-v", "error", "-i", "clip.mp4", "-frames:v", "1", "mask.png"])
        for name in [
            "clip.mp4", "./clip.mp4", "../\(URL(fileURLWithPath: place.folder.path).lastPathComponent)/clip.mp4",
        ] {
            for force in [[], ["--force"]] {
                try await refuse(
                    ["restore", "clip.mp4", "-o", name, "--model", "tiny", "--task", "deblur"] + force,
                    saying: "is the input")
                try await refuse(["degrade", "clip.mp4", "-o", name, "--task", "sr4"] + force, saying: "is the input")
            }
        }
        try await refuse(
            ["compare", "clip.mp4", "clip.mp4", "--side-by-side", "clip.mp4", "--force"], saying: "is the input")
        try await refuse(
            ["compare", "mask.png", "mask.png", "--side-by-side", "mask.png", "--force"], saying: "is the input")
        // The same file under another name.
        try FileManager.default.createSymbolicLink(atPath: place.file("link.mp4"), withDestinationPath: "clip.mp4")
        try await refuse(
            ["restore", "link.mp4", "-o", "clip.mp4", "--model", "tiny", "--task", "deblur", "--force"],
            saying: "is the input")
        // The log over the video, or over the record that the task comes from.
        try place.write(Self.record, to: "clip.json")
        for json in ["clip.mp4", "clip.json", "out.mkv"] {
            try await refuse(
                ["restore", "clip.mp4", "-o", "out.mkv", "--model", "tiny", "--json", json, "--force"],
                saying: "\(json) is read or written")
        }
    }

    @Test func outputThatCannotBeWritten() async throws {
        try await place.clip("clip.mp4", frames: 2)
        for output in ["nowhere/out.mkv", "nowhere/frames/", "clip.mp4/out.mkv"] {
            try await refuse(
                ["restore", "clip.mp4", "-o", output, "--model", "tiny", "--task", "deblur"], saying: output)
            try await refuse(["degrade", "clip.mp4", "-o", output, "--task", "sr4"])
        }
        for output in ["out.avi", "out.png", "out.jpeg", ".", "..", "/"] {
            try await refuse(["restore", "clip.mp4", "-o", output, "--model", "tiny", "--task", "deblur"])
        }
        try await refuse(restore("clip.mp4", "--json", "nowhere/log.json"), saying: "nowhere/log.json")
        try await refuse(["compare", "clip.mp4", "clip.mp4", "--json", "nowhere/n.json"], saying: "nowhere/n.json")
        try await refuse(
            ["compare", "clip.mp4", "clip.mp4", "--quiet", "--side-by-side", "nowhere/n.png"], saying: "nowhere/n.png")
        try await refuse(
            ["compare", "clip.mp4", "clip.mp4", "--quiet", "--side-by-side", "nowhere/n.mkv"], saying: "nowhere/n.mkv")
    }

    /// Root may write everywhere, unless it is started without that right.
    private static let asAnyone = getuid() == 0 ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] : []

    @Test(
        .enabled(
            if: asAnyone.first.map { program($0) != nil } ?? true, "root may write everywhere, and there is no setpriv")
    )
    func closedFolder() async throws {
        try await place.clip("clip.mp4", frames: 2)
        try FileManager.default.createDirectory(
            atPath: place.file("closed"), withIntermediateDirectories: false, attributes: [.posixPermissions: 0o555])
        try await refuse(
            ["restore", "clip.mp4", "-o", "closed/out.mkv", "--model", "tiny", "--task", "deblur"], saying: "closed",
            through: Self.asAnyone)
        try await refuse(restore("clip.mp4", "--json", "closed/log.json"), saying: "closed", through: Self.asAnyone)
    }

    /// Mounts a disk of 64 kB; false where that is not allowed, as to most users and in some containers.
    private static func mount(at disk: String) async throws -> Bool {
        try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
        return try await succeeds("mount", ["-t", "tmpfs", "-o", "size=64k", "none", disk])
    }

    private static func mayMount() async throws -> Bool {
        guard program("mount") != nil else { return false }
        let disk = try TemporaryFolder("disk")
        guard try await mount(at: disk.path) else { return false }
        return try await succeeds("umount", [disk.path])
    }

    @Test(.enabled("a small disk cannot be mounted here") { try await mayMount() }) func fullDisk() async throws {
        let disk = place.file("disk")
        try #require(try await Self.mount(at: disk))
        do {
            // Noise cannot be made small.
            try await place.clip("clip.mp4", frames: 20, size: "128x96", extra: [])
            try await refuse(
                ["degrade", "clip.mp4", "-o", "disk/out.mkv", "--noise", "0.5", "--window", "2"],
                saying: "disk ran full")
            try await refuse(
                ["degrade", "clip.mp4", "-o", "disk/out", "--noise", "0.5", "--window", "2"], saying: "disk ran full")
        } catch {
            try await place.tool("umount", [disk])
            throw error
        }
        try await place.tool("umount", [disk])
    }

    // MARK: Models and engine

    @Test func noModel() async throws {
        try await place.clip("clip.mp4", frames: 2)
        let task = ["restore", "clip.mp4", "-o", "out.mkv", "--task", "deblur"]
        try await refuse(task + ["--model", "nowhere"], saying: "nowhere", "no such model folder")
        try await refuse(task + ["--model", "clip.mp4"], saying: "clip.mp4")
        try await refuse(task + ["--model", "."])
        try await refuse(task + ["--model", "tiny", "--vae", "nothing"], saying: "nothing", "no such autoencoder")
        try await refuse(task + ["--model", "tiny", "--vae", "clip.mp4"], saying: "clip.mp4", ".safetensors")
        try await refuse(["models", "verify", "nowhere"], saying: "nowhere")
        try await refuse(["models", "verify", "clip.mp4"], saying: "clip.mp4")
    }

    /// The program alone, as someone may have copied it.
    @Test func noBuiltinModel() async throws {
        try await place.clip("clip.mp4", frames: 2)
        let elsewhere = try TemporaryFolder("program")
        try place.copyProgram(to: elsewhere.path)
        let environment = ["VISIONXL_MODELS": "", "VISIONXL_LIBTORCH": try Engine.load().libraryPath]
        let models = try await place.visionxl(["models"], environment: environment, from: elsewhere.path)
        #expect(models.succeeded && !models.output.contains("builtin\t"), "\(models)")
        try await refuse(
            ["restore", "clip.mp4", "-o", "out.mkv", "--task", "deblur"], saying: "built-in model", "VISIONXL_MODELS",
            environment: environment, from: elsewhere.path)
    }

    enum Damage: String, CaseIterable {
        case cutWeights, noWeights, noise, pickle, noConfiguration, badConfiguration, otherWidth, unknownBlock,
            noScheduler, notANumber
    }

    @Test(arguments: Damage.allCases) func damagedModel(damage: Damage) async throws {
        try await place.clip("clip.mp4", frames: 2)
        let folder = URL(fileURLWithPath: place.file("model"))
        try TinyModel.write(to: folder)
        let weights = "model/unet/diffusion_pytorch_model.safetensors"
        let config = "model/unet/config.json"
        func replace(_ old: String, _ new: String) throws {
            try place.write(
                String(decoding: place.data(config), as: UTF8.self).replacingOccurrences(of: old, with: new), to: config
            )
        }
        func store(_ data: Data, as name: String) throws { try data.write(to: URL(fileURLWithPath: place.file(name))) }
        switch damage {
        case .cutWeights: try store(place.data(weights).dropLast(100), as: weights)
        case .noWeights: try FileManager.default.removeItem(atPath: place.file(weights))
        case .noise: try store(Data((0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 37) }), as: weights)
        case .pickle:
            try FileManager.default.removeItem(atPath: place.file(weights))
            try store(Data([0x80, 2]), as: "model/unet/diffusion_pytorch_model.bin")
        case .noConfiguration: try FileManager.default.removeItem(atPath: place.file(config))
        case .badConfiguration: try place.write("{", to: config)
        case .otherWidth: try replace("[16, 16]", "[16, 32]")
        case .unknownBlock: try replace("\"DownBlock2D\"]", "\"AttnDownBlock2D\"]")
        case .noScheduler:
            try FileManager.default.removeItem(atPath: place.file("model/scheduler/scheduler_config.json"))
        case .notANumber:
            // The end of the file is a weight's last number.
            try store(place.data(weights).dropLast(4) + Data([0, 0, 0xC0, 0x7F]), as: weights)
        }
        try await refuse(
            ["restore", "clip.mp4", "-o", "out.mkv", "--task", "deblur", "--model", "model"],
            late: damage == .notANumber)
        let verified = try await place.visionxl("models", "verify", "model")
        #expect(!verified.succeeded)
        #expect(!verified.messages.contains("Fatal error"))
    }

    @Test func noEngine() async throws {
        try await place.clip("clip.mp4", frames: 2)
        let nowhere = ["VISIONXL_LIBTORCH": "/nonexistent"]
        try await refuse(restore("clip.mp4"), saying: "LibTorch was not found", "make setup", environment: nowhere)
        try await refuse(
            ["degrade", "clip.mp4", "-o", "m.mkv", "--task", "sr4"], saying: "LibTorch was not found",
            environment: nowhere)
        try await refuse(["compare", "clip.mp4", "clip.mp4"], saying: "LibTorch was not found", environment: nowhere)
        try place.write("no library", to: "libtorch_cpu.so")
        try await refuse(
            restore("clip.mp4"), saying: "could not be opened", "make setup",
            environment: ["VISIONXL_LIBTORCH": place.folder.path])
        let doctor = try await place.visionxl("doctor", environment: nowhere)
        #expect(!doctor.succeeded && doctor.output.contains("PROBLEM: LibTorch was not found"))
        #expect(doctor.output.contains("ffmpeg"))
    }

    @Test(.enabled(if: program("cc") != nil, "there is no C compiler")) func engineTooOld() async throws {
        try await place.clip("clip.mp4", frames: 2)
        try place.write("unsigned long aoti_torch_abi_version(void) { return 2UL << 56 | 9UL << 48; }\n", to: "old.c")
        try await place.tool("cc", ["-shared", "-fPIC", "-o", "libtorch_cpu.so", "old.c"])
        try await refuse(
            restore("clip.mp4"), saying: "too old", "2.10", "make setup",
            environment: ["VISIONXL_LIBTORCH": place.file("libtorch_cpu.so")])
    }

    /// A program with an old PyTorch beside it, and a good one in the working folder, in Python, or nowhere.
    @Test func anOldEngineGivesWay() async throws {
        try await place.clip("clip.mp4", frames: 2)
        let elsewhere = try TemporaryFolder("program")
        try place.copyProgram(to: elsewhere.path)
        let old = elsewhere.file(".deps/libtorch/torch")
        try FileManager.default.createDirectory(atPath: old + "/lib", withIntermediateDirectories: true)
        try Data("__version__ = '2.9.1+cpu'\n".utf8).write(to: URL(fileURLWithPath: old + "/version.py"))
        // It cannot be opened, so whoever tries says something else.
        try Data("no library".utf8).write(to: URL(fileURLWithPath: old + "/lib/libtorch_cpu.so"))

        func python(printing origin: String) throws {
            try FileManager.default.createDirectory(atPath: place.file("bin"), withIntermediateDirectories: true)
            try place.write("#!/bin/sh\necho '\(origin)'\n", to: "bin/python3")
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: place.file("bin/python3"))
        }
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let environment = ["VISIONXL_LIBTORCH": "", "PATH": "\(place.file("bin")):\(path)"]
        func engine() async throws -> String {
            let doctor = try await place.visionxl(["doctor"], environment: environment, from: elsewhere.path)
            return doctor.output.split(separator: "\n").first { $0.hasPrefix("engine") }.map(String.init) ?? "\(doctor)"
        }
        try python(printing: "")
        try await refuse(
            restore("clip.mp4"), saying: old, "too old", "PyTorch 2.9", "make setup", environment: environment,
            from: elsewhere.path)

        let good = URL(fileURLWithPath: try Engine.load().libraryPath).deletingLastPathComponent().path
        try FileManager.default.createDirectory(atPath: place.file("package"), withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: place.file("package/lib"), withDestinationPath: good)
        try python(printing: place.file("package/__init__.py"))
        #expect(try await engine().contains(place.file("package/lib/libtorch_cpu")))

        try python(printing: "")
        try FileManager.default.createDirectory(atPath: place.file(".deps"), withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: place.file(".deps/libtorch"), withDestinationPath: good)
        #expect(try await engine().contains(place.file(".deps/libtorch/libtorch_cpu")))
    }

    @Test func noFFmpeg() async throws {
        try await place.clip("clip.mp4", frames: 2)
        for path in ["", "/nonexistent", place.folder.path] {
            try await refuse(
                restore("clip.mp4"), saying: "was not found on PATH", "apt-get install ffmpeg",
                environment: ["PATH": path])
        }
        let doctor = try await place.visionxl("doctor", environment: ["PATH": "/nonexistent"])
        #expect(!doctor.succeeded && doctor.output.contains("apt-get install ffmpeg"))
    }
}
