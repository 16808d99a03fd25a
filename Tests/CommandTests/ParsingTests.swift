import ArgumentParser
import Evaluation
import Foundation
import InverseProblems
import TensorKit
import Testing
import VisionXL
import Workflow

@testable import VisionXLCommand

/// Parses a whole command line into the command it names.
private func parse<Command: ParsableCommand>(
    _ type: Command.Type, _ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation
) throws -> Command {
    try #require(VisionXLCommand.parseAsRoot(arguments) as? Command, sourceLocation: sourceLocation)
}

/// The message with which a command line is refused.
private func refusal(_ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
    let error = try #require(throws: (any Error).self, sourceLocation: sourceLocation) {
        _ = try VisionXLCommand.parseAsRoot(arguments)
    }
    #expect(VisionXLCommand.exitCode(for: error) == .validationFailure, sourceLocation: sourceLocation)
    return VisionXLCommand.message(for: error)
}

@Suite struct ParsingTests {
    @Test func restoreByDefault() throws {
        let command = try parse(RestoreCommand.self, "restore", "in.mkv", "-o", "out.mkv")
        #expect(command.input == "in.mkv")
        #expect(command.output == "out.mkv")
        #expect(command.asked.task.isEmpty)
        #expect(try command.asked.task.problem() == Problem())
        #expect(command.asked.algorithm.options == RestorationOptions())
        #expect(command.asked.model.execution(overwrites: false) == Execution())
        #expect(command.json == nil && !command.force && !command.printRecipe)
        // Nothing was said, and nothing is in the recipe.
        #expect(
            try command.asked.recipe(input: command.input, output: command.output)
                == Recipe(input: "in.mkv", output: "out.mkv"))
    }

    @Test func pull() throws {
        let plain = try parse(PullCommand.self, "models", "pull", "sdxl")
        #expect(plain.name == "sdxl" && plain.to == nil && plain.variant == nil && !plain.text && !plain.quiet)
        let said = try parse(
            PullCommand.self, "models", "pull", "a/b@v1", "--to", "x", "--variant", "fp16", "--text", "--quiet")
        #expect(said.name == "a/b@v1" && said.to == "x" && said.variant == "fp16" && said.text && said.quiet)
        #expect(plain.file == nil)
        #expect(try parse(PullCommand.self, "models", "pull", "a/b", "--file", "x.safetensors").file == "x.safetensors")
        #expect(
            try refusal(["models", "pull", "a/b", "--file", "x.safetensors", "--text"]).contains(
                "--file fetches one file"))
        #expect(try refusal(["models", "pull", "b"]).contains("\"b\" is not the name of a model"))
        #expect(try refusal(["models", "pull"]).contains("<model>"))
    }

    @Test func random() throws {
        let plain = try parse(RandomCommand.self, "models", "random", "sdxl", "out")
        #expect(
            plain.folder == "out" && plain.seed == 0 && plain.dtype == .float16 && plain.size == .full && !plain.quiet)
        let said = try parse(
            RandomCommand.self, "models", "random", "sdxl", "x", "--seed", "7", "--dtype", "bfloat16", "--size", "tiny",
            "--quiet")
        #expect(said.folder == "x" && said.seed == 7 && said.dtype == .bfloat16 && said.size == .tiny && said.quiet)
        #expect(try refusal(["models", "random", "sd3", "out"]).contains("sd3"))
        #expect(try refusal(["models", "random", "sdxl"]).contains("<folder>"))
        #expect(try refusal(["models", "random", "sdxl", "out", "--seed", "one"]).contains("one"))
    }

    /// Two names of one option.
    @Test(arguments: ["--vae", "--autoencoder"]) func autoencoder(option: String) throws {
        #expect(
            try parse(RestoreCommand.self, "restore", "a", "-o", "b", "--task", "sr4").asked.model.autoencoder == nil)
        let said = try parse(RestoreCommand.self, "restore", "a", "-o", "b", "--task", "sr4", option, "vae_tiny")
        #expect(said.asked.model.autoencoder == "vae_tiny")
    }

    @Test func evaluateByDefault() throws {
        let command = try parse(EvaluateCommand.self, "evaluate", "a", "b", "-o", "out")
        #expect(command.clips == ["a", "b"])
        #expect(command.tasks == ["deblur", "sr4", "inpaint", "deblur+", "sr4+", "inpaint+"])
        #expect(command.methods == [.visionxl, .paper, .svi, .dds, .admmTV, .upsampling])
        #expect(command.metrics == [.psnr, .ssim, .lpips, .fvd, .flicker, .temporalError])
        #expect(command.measurement == [.float])
        #expect(command.size == .paper && command.frames == 25 && command.noise == 0)
        #expect(command.ablation == nil && !command.keepFrames)
        #expect(command.algorithm.options == RestorationOptions())
    }

    @Test func evaluateAsSaid() throws {
        let command = try parse(
            EvaluateCommand.self, "evaluate", "a", "-o", "out", "--tasks", "sr4+, inpaint", "--methods",
            "cg,admm-tv,cg", "--metrics",
            "lpips-vgg", "--measurement", "h264:23,8bit", "--size", "640x384", "--frames", "9", "--noise", "0.05",
            "--ablation", "lowpass",
            "--keep-frames", "--seed", "7")
        #expect(command.tasks == ["sr4+", "inpaint"])
        #expect(command.methods == [.cg, .admmTV])
        #expect(command.metrics == [.lpipsVGG])
        #expect(command.measurement == [.h264(quality: 23), .eightBit])
        #expect(command.size == .fixed(width: 640, height: 384) && command.frames == 9 && command.noise == 0.05)
        #expect(command.ablation == .lowpass && command.keepFrames && command.algorithm.options.seed == 7)
    }

    @Test func everyNumberOfTheAlgorithm() throws {
        let command = try parse(
            RestoreCommand.self, "restore", "a", "--output", "b", "--steps", "50", "--tau", "0.5", "--cg-steps", "3",
            "--lambda", "2",
            "--low-pass-taps", "15", "--eta", "0.8", "--seed", "18446744073709551615", "--start", "independent-noise",
            "--upsampling",
            "nearest", "--sample-encoder", "--final-cg-steps", "7", "--frames-per-pass", "5", "--data-step",
            "cg", "--first-estimate", "measurement", "--steadiness", "0.5", "--prior-error", "0.7", "--noise", "0.05")
        var expected = RestorationOptions()
        expected.steps = 50
        expected.tau = 0.5
        expected.conjugateGradientSteps = 3
        expected.lowPass = 2
        expected.lowPassTaps = 15
        expected.eta = 0.8
        expected.seed = .max
        expected.start = .independentNoise
        expected.upsampling = .nearest
        expected.samplesEncoder = true
        expected.finalConsistencySteps = 7
        expected.dataStep = .conjugateGradients
        expected.firstEstimate = .measurement
        expected.steadiness = 0.5
        expected.priorError = 0.7...0.7
        #expect(command.asked.algorithm.options == expected)
        #expect(command.asked.noise == .sigma(0.05))
        #expect(command.asked.model.execution(overwrites: false).framesPerPass == 5)
        #expect(
            try parse(RestoreCommand.self, "restore", "a", "-o", "b", "--prior-error", "0.3:1").asked.algorithm.options
                .priorError == 0.3...1)
    }

    @Test(arguments: [
        ("8G", 8_000_000_000), ("8GB", 8_000_000_000), ("12GiB", 12_884_901_888), ("512M", 512_000_000),
        ("1.5g", 1_500_000_000),
        ("2 GiB", 2_147_483_648), ("0.5T", 500_000_000_000),
    ]) func memory(text: String, bytes: Int) throws {
        #expect(
            try parse(RestoreCommand.self, "restore", "a", "-o", "b", "--memory", text).asked.model.memory?.bytes
                == bytes)
        #expect(
            try parse(EvaluateCommand.self, "evaluate", "a", "-o", "b", "--memory", text).model.memory?.bytes == bytes)
    }

    @Test(arguments: ["8", "G", "lots", "-1G", "0G", "8GX", "1e3G", "8 G B", "nanG", "1K", "9999999T", "8.1.2G"])
    func memoryThatIsNone(text: String) throws {
        #expect(try refusal(["restore", "a", "-o", "b", "--memory=\(text)"]).contains("such as 8G, 12GiB or 512M"))
    }

    @Test func fast() throws {
        let command = try parse(
            RestoreCommand.self, "restore", "a", "-o", "b", "--fast", "tiny-vae", "--full-vae-steps", "3")
        #expect(command.asked.algorithm.options.exactCodecSteps == nil)
        let recipe = try command.asked.recipe(input: "a", output: "b")
        #expect(recipe.options.exactCodecSteps == 3)
        #expect(recipe.model.draft == "vae_tiny")
        #expect(try refusal(["restore", "a", "-o", "b", "--full-vae-steps", "3"]).contains("--fast tiny-vae"))
        #expect(try refusal(["restore", "a", "-o", "b", "--tiny-vae", "x"]).contains("--fast tiny-vae"))
        #expect(
            try refusal(["restore", "a", "-o", "b", "--fast", "tiny-vae", "--full-vae-steps", "0"]).contains(
                "1 or more"))
        #expect(try refusal(["restore", "a", "-o", "b", "--fast", "tiny-vae", "--paper"]).contains("exact"))
        #expect(
            try refusal(["evaluate", "a", "-o", "b", "--fast", "tiny-vae", "--ablation", "start"]).contains("exact"))
    }

    /// What is said takes the place of what a recipe has, in whatever way that says it.
    @Test func timestepsInOneWayAtATime() throws {
        func said(_ arguments: String..., over old: RestorationOptions) throws -> RestorationOptions {
            let words = ["restore", "a", "-o", "b"] + arguments
            let command = try #require(VisionXLCommand.parseAsRoot(words) as? RestoreCommand)
            var options = old
            command.asked.algorithm.apply(to: &options)
            try options.validate()
            return options
        }
        var numbers = RestorationOptions()
        (numbers.steps, numbers.tau) = (50, 0.5)
        var list = RestorationOptions()
        list.timesteps = [281, 1]
        #expect(try said("--timesteps", "281, 1", over: numbers) == list)
        #expect(try said("--steps", "50", "--tau", "0.5", over: list) == numbers)
        var quick = RestorationOptions()
        quick.speed = .fast
        #expect(try said("--speed", "fast", over: numbers) == quick && said("--speed", "fast", over: list) == quick)
        quick.steps = 10
        #expect(try said("--speed", "fast", "--steps", "10", over: list) == quick)
        #expect(try said("--timesteps", "281,1", over: .paper).timesteps == [281, 1])
    }

    @Test func paperIsThePapers() throws {
        #expect(try parse(RestoreCommand.self, "restore", "a", "-o", "b", "--paper").asked.algorithm.options == .paper)
        #expect(
            try parse(RestoreCommand.self, "restore", "a", "-o", "b", "--paper", "--final-cg-steps", "0").asked
                .algorithm.options == .paper)
    }

    @Test(arguments: Start.allCases) func starts(start: Start) throws {
        // A start from pure noise is for the whole schedule.
        let command = try parse(RestoreCommand.self, "restore", "a", "-o", "b", "--tau", "1", "--start", start.rawValue)
        #expect(command.asked.algorithm.options.start == start)
    }

    @Test(arguments: ["pure-noise", "independent-pure-noise"]) func pureNoiseNeedsTheWholeSchedule(start: String) {
        #expect(throws: (any Error).self) {
            try parse(RestoreCommand.self, "restore", "a", "-o", "b", "--start", start)
        }
    }

    @Test(arguments: Problem.tasks) func tasks(name: String) throws {
        let command = try parse(RestoreCommand.self, "restore", "a", "-o", "b", "--task", name)
        #expect(try command.asked.task.problem() == Problem(task: name))
        #expect(
            try parse(DegradeCommand.self, "degrade", "a", "-o", "b", "--task", name).task.problem()
                == Problem(task: name))
    }

    @Test func everyNumberOfTheTask() throws {
        let command = try parse(
            RestoreCommand.self, "restore", "a", "-o", "b", "--task", "deblur+", "--scale", "2", "--blur-sigma", "1.5",
            "--blur-size", "31",
            "--blur-boundary", "circular", "--mask-ratio", "0.25", "--mask-seed", "9", "--average", "5",
            "--average-boundary", "valid",
            "--grey", "bt709")
        let expected = Problem(
            Average(frames: 5, boundary: .valid), Blur(sigma: 1.5, size: 31, boundary: .circular), Shrink(factor: 2),
            Grey(.bt709),
            Holes(ratio: 0.25, seed: 9))
        #expect(try command.asked.task.problem() == expected)
    }

    @Test func aMaskFileReplacesARandomMask() throws {
        let task = try parse(RestoreCommand.self, "restore", "a", "-o", "b", "--task", "inpaint", "--mask", "m.png")
            .asked.task
        #expect(try task.problem() == Problem(Holes(file: "m.png")))
    }

    /// And a random one that is asked for replaces the file of a record.
    @Test func aRandomMaskReplacesAMaskFile() throws {
        let record = Problem(Holes(file: "/m.png"))
        let task = try parse(RestoreCommand.self, "restore", "a", "-o", "b", "--mask-ratio", "0.3").asked.task
        #expect(try task.problem(over: record) == Problem(Holes(ratio: 0.3)))
    }

    @Test func partsChangeWhatARecordSays() throws {
        let record = try Problem(task: "sr4+")
        let task = try parse(RestoreCommand.self, "restore", "a", "-o", "b", "--scale", "2", "--average", "1").asked
            .task
        #expect(try task.problem(over: record) == Problem(Shrink(factor: 2)))
    }

    @Test func aPresetReplacesTheWholeRecord() throws {
        let task = try parse(RestoreCommand.self, "restore", "a", "-o", "b", "--task", "deblur").asked.task
        #expect(try task.problem(over: Problem(task: "sr4+")) == Problem(task: "deblur"))
    }

    @Test func modelAndMachine() throws {
        let command = try parse(
            RestoreCommand.self, "restore", "a", "-o", "b", "--model", "m", "--device", "cuda:1", "--dtype", "bfloat16",
            "--variant", "fp16",
            "--threads", "3")
        let model = command.asked.model
        #expect(model.choice == ModelChoice("m", variant: "fp16", dtype: .bfloat16))
        #expect(model.execution(overwrites: true) == Execution(device: .cuda(1), threads: 3, overwrites: true))
        #expect(try parse(RestoreCommand.self, "restore", "a", "-o", "b", "--device", "cpu").asked.model.device == .cpu)
        #expect(
            try parse(RestoreCommand.self, "restore", "a", "-o", "b", "--device", "cuda").asked.model.device == .cuda(0)
        )
        #expect(try parse(RestoreCommand.self, "restore", "a", "-o", "b", "--device", "mps").asked.model.device == .mps)
    }

    @Test func whatIsReadAndWritten() throws {
        let command = try parse(
            RestoreCommand.self, "restore", "--force", "--bits", "16", "--json", "log.json", "--window", "9",
            "--frames", "3:8", "--output=-b.mkv",
            "--", "-a.mkv")
        #expect(command.input == "-a.mkv")
        #expect(command.output == "-b.mkv")
        #expect(command.force)
        #expect(command.asked.storage.bits == 16)
        #expect(command.json == "log.json")
        #expect(command.asked.window == 9)
        #expect(command.asked.frames?.lower == 3 && command.asked.frames?.upper == 8)
    }

    @Test(
        arguments: [
            ("3:8", 3, 8), (":8", 0, 8), ("3:", 3, nil), (":", 0, nil), ("0:1", 0, 1),
        ] as [(String, Int, Int?)])
    func frameRanges(text: String, lower: Int, upper: Int?) throws {
        let range = try #require(FrameRange(argument: text))
        #expect(range.lower == lower)
        #expect(range.upper == upper)
    }

    @Test(arguments: ["", "3", "8:3", "3:3", "-1:3", "a:b", "1:2:3", "1.5:3", "99999999999999999999:"])
    func badFrameRanges(text: String) { #expect(FrameRange(argument: text) == nil) }

    @Test func degradeByDefault() throws {
        let command = try parse(DegradeCommand.self, "degrade", "in.mp4", "-o", "out.mkv")
        #expect(command.input == "in.mp4")
        #expect(command.output == "out.mkv")
        #expect(command.task.isEmpty)
        #expect(command.noise == 0)
        #expect(command.seed == 0)
        #expect(command.window == 25)
        #expect(command.bits == 16)
        #expect(command.frames == nil && !command.force)
    }

    @Test func degrade() throws {
        let command = try parse(
            DegradeCommand.self, "degrade", "a", "-o", "b", "--noise", "0.05", "--seed", "4", "--window", "7", "--bits",
            "8", "--frames", ":9",
            "--force")
        #expect(command.noise == 0.05)
        #expect(command.seed == 4)
        #expect(command.window == 7)
        #expect(command.bits == 8)
        #expect(command.frames == FrameRange(argument: "0:9"))
        #expect(command.force)
    }

    @Test func compare() throws {
        let plain = try parse(CompareCommand.self, "compare", "a", "b")
        #expect(plain.reference == "a" && plain.other == "b")
        #expect(
            plain.sideBySide == nil && plain.frame == nil && plain.json == nil && plain.frames == nil && !plain.force
                && !plain.quiet)
        #expect(plain.metrics == [.psnr, .ssim])
        // In their own order, each once.
        #expect(
            try parse(CompareCommand.self, "compare", "a", "b", "--metrics", "flicker, lpips,psnr,lpips").metrics == [
                .psnr, .lpips, .flicker,
            ])
        let full = try parse(
            CompareCommand.self, "compare", "a", "b", "--side-by-side", "c.png", "--frame", "3", "--json", "d",
            "--frames", "1:9", "--force",
            "--quiet")
        #expect(full.sideBySide == "c.png" && full.frame == 3 && full.json == "d" && full.force && full.quiet)
        #expect(full.frames == FrameRange(argument: "1:9"))
    }

    /// Both commands know the same names, put them in one order and refuse others in the same words.
    @Test func metricsAreOneList() throws {
        let names = "temporal-error,flicker,lpips-vgg,lpips,ssim,psnr"
        let compare = try parse(CompareCommand.self, "compare", "a", "b", "--metrics", names)
        let evaluate = try parse(EvaluateCommand.self, "evaluate", "a", "-o", "b", "--metrics", names)
        #expect(compare.metrics == [.psnr, .ssim, .lpips, .lpipsVGG, .flicker, .temporalError])
        #expect(evaluate.metrics == compare.metrics)
        for list in ["psnr,", "psnr,SSIM", "vmaf"] {
            let refusals = try [["compare", "a", "b"], ["evaluate", "a", "-o", "b"]].map { command in
                try refusal(command + ["--metrics", list]).split(separator: "\n")[0]
            }
            #expect(refusals[0] == refusals[1] && refusals[0].contains("is none of them"))
        }
    }

    @Test func doctorAndModels() throws {
        _ = try parse(DoctorCommand.self, "doctor")
        _ = try parse(ModelsCommand.List.self, "models")
        _ = try parse(ModelsCommand.List.self, "models", "list")
        #expect(try parse(ModelsCommand.Verify.self, "models", "verify").model == "builtin")
        let verify = try parse(ModelsCommand.Verify.self, "models", "verify", "m", "--variant", "fp16")
        #expect(verify.model == "m" && verify.variant == "fp16")
    }

    @Test(arguments: [
        (["restore"], "<input>"),
        (["restore", "a"], "--output"),
        (["restore", "a", "-o"], "-o"),
        (["restore", "a", "-o", ""], "--output"),
        (["restore", "", "-o", "b"], "input"),
        (["explain", "a", "b", "-o", "c"], "b"),
        (["restore", "a", "-o", "b", "--stpes", "3"], "--steps"),
        (["restore", "a", "-o", "b", "--steps", "many"], "many"),
        (["restore", "a", "-o", "b", "--steps", "0"], "steps"),
        (["restore", "a", "-o", "b", "--steps", "1001"], "1000"),
        (["restore", "a", "-o", "b", "--tau", "2"], "tau"),
        (["restore", "a", "-o", "b", "--speed", "slow"], "balanced"),
        (["restore", "a", "-o", "b", "--timesteps", "281,x"], "--timesteps"),
        (["restore", "a", "-o", "b", "--timesteps", "1,281"], "falling"),
        (["restore", "a", "-o", "b", "--timesteps", "281,1", "--steps", "8"], "--steps"),
        (["restore", "a", "-o", "b", "--timesteps", "281,1", "--speed", "fast"], "--speed"),
        (["restore", "a", "-o", "b", "--paper", "--speed", "fast"], "--speed"),
        (["restore", "a", "-o", "b", "--tau", "0"], "tau"),
        (["restore", "a", "-o", "b", "--tau", "nan"], "tau"),
        (["restore", "a", "-o", "b", "--cg-steps", "-1"], "--cg-steps"),
        (["restore", "a", "-o", "b", "--data-step", "cg", "--cg-steps=-1"], "conjugate-gradient"),
        (["restore", "a", "-o", "b", "--cg-steps", "5"], "--data-step cg"),
        (["restore", "a", "-o", "b", "--grey", "bt2020"], "bt601"),
        (["restore", "a", "c", "-o", "b", "--print-recipe"], "--print-recipe"),
        (["explain"], "<input>"),
        (["restore", "a", "-o", "b", "--paper", "--first-estimate", "smooth"], "--paper"),
        (["restore", "a", "-o", "b", "--paper", "--start", "shared-inversion"], "--paper"),
        (["restore", "a", "-o", "b", "--paper", "--steadiness", "1"], "--paper"),
        (["restore", "a", "-o", "b", "--steadiness=-1"], "steadiness"),
        (["restore", "a", "-o", "b", "--lambda=-1"], "lambda"),
        (["restore", "a", "-o", "b", "--lambda", "inf"], "lambda"),
        (["restore", "a", "-o", "b", "--low-pass-taps", "4"], "odd"),
        (["restore", "a", "-o", "b", "--eta", "1.5"], "eta"),
        (["restore", "a", "-o", "b", "--frames-per-pass", "0"], "frame"),
        (["restore", "a", "-o", "b", "--final-cg-steps=-2"], "final"),
        (["restore", "a", "-o", "b", "--paper", "--final-cg-steps", "3"], "--paper"),
        (["restore", "a", "-o", "b", "--seed=-1"], "--seed"),
        (["restore", "a", "-o", "b", "--start", "middle"], "independent-noise"),
        (["restore", "a", "-o", "b", "--upsampling", "lanczos"], "bicubic"),
        (["restore", "a", "-o", "b", "--task", "sr5"], "sr4+"),
        (["restore", "a", "-o", "b", "--mask", "m.png", "--mask-ratio", "0.5"], "--mask"),
        (["restore", "a", "-o", "b", "--blur-boundary", "wrap"], "circular"),
        (["restore", "a", "-o", "b", "--device", "gpu"], "--device"),
        (["restore", "a", "-o", "b", "--dtype", "int64"], "--dtype"),
        (["restore", "a", "-o", "b", "--dtype", "half"], "--dtype"),
        (["restore", "a", "-o", "b", "--threads", "0"], "--threads"),
        (["restore", "a", "-o", "b", "--bits", "12"], "--bits"),
        (["restore", "a", "-o", "b", "--window", "0"], "--window"),
        (["restore", "a", "-o", "b", "--noise", "much"], "--noise"),
        (["restore", "a", "-o", "b", "--noise=-1"], "--noise"),
        (["restore", "a", "-o", "b", "--prior-error", "0"], "prior's error"),
        (["restore", "a", "-o", "b", "--prior-error", "2:1"], "--prior-error"),
        (["restore", "a", "-o", "b", "--prior-error", "1:inf"], "prior's error"),
        (["restore", "a", "-o", "b", "--prior-error", "0.1:0.2:0.3"], "--prior-error"),
        (["restore", "a", "-o", "b", "--prior-error", "nan:nan"], "--prior-error"),
        (["restore", "a", "-o", "b", "--paper", "--data-step", "proximal"], "--paper"),
        (["restore", "a", "-o", "b", "--frames", "8:3"], "--frames"),
        (["degrade", "a", "-o", "b", "--task", "blur"], "deblur"),
        (["degrade", "a", "-o", "b", "--noise=-1"], "--noise"),
        (["degrade", "a", "-o", "b", "--noise", "inf"], "--noise"),
        (["degrade", "a", "-o", "b", "--window", "0"], "--window"),
        (["degrade", "a", "-o", "b", "--bits", "12"], "--bits"),
        (["compare", "a"], "<other>"),
        (["compare", "a", "b", "--frame", "2"], "--side-by-side"),
        (
            ["compare", "a", "b", "--metrics", "psnr,vmaf"],
            "psnr, ssim, lpips, lpips-vgg, fvd, flicker, temporal-error; \"vmaf\" is none"
        ),
        (["compare", "a", "b", "--metrics", "psnr,fvd"], "visionxl evaluate"),
        (["compare", "a", "b", "--metrics", ""], "\"\" is none"),
        (["compare", "a", "b", "--side-by-side", "c.png", "--frame=-2"], "--frame"),
        (["evaluate", "-o", "b"], "<clips>"),
        (["evaluate", "a", "-o", ""], "--output"),
        (["evaluate", "a", "-o", "b", "--tasks", "sr4,blur"], "sr4+, deblur+, inpaint+; \"blur\" is none"),
        (["evaluate", "a", "-o", "b", "--methods", ""], "\"\" is none"),
        (
            ["evaluate", "a", "-o", "b", "--metrics", "fid"],
            "psnr, ssim, lpips, lpips-vgg, fvd, flicker, temporal-error; \"fid\" is none"
        ),
        (["evaluate", "a", "-o", "b", "--measurement", "h264:99"], "h264:0 ... h264:51"),
        (["evaluate", "a", "-o", "b", "--size", "640"], "--size"),
        (["evaluate", "a", "-o", "b", "--size", "0x8"], "--size"),
        (["evaluate", "a", "-o", "b", "--frames", "0"], "--frames"),
        (["evaluate", "a", "-o", "b", "--ablation", "eta"], "lowpass"),
        (["models", "remove"], "remove"),
        (["improve"], "improve"),
    ])
    func refused(arguments: [String], naming word: String) throws {
        #expect(try refusal(arguments).contains(word))
    }
}
