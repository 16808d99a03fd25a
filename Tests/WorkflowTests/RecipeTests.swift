import Foundation
import InverseProblems
import LatentDiffusion
import TensorKit
import TestSupport
import Testing
import VideoIO
import VisionXL

@testable import Workflow

@Suite struct RecipeTests {
    /// Every field, so that a new one that is forgotten in the coding shows.
    static var full: Recipe {
        var recipe = Recipe(
            input: "/a/in.mkv", output: "/a/out.mkv",
            problem: Problem(
                Average(frames: 3), Blur(sigma: 1.5), Shrink(factor: 2), Grey(.bt601), Holes(file: "/a/holes.png")),
            noise: .sigma(0.02),
            model: ModelChoice("sdxl", variant: "fp16", autoencoder: "vae", draft: "vae_tiny", dtype: .bfloat16))
        recipe.frames = FrameRange("3:8")
        recipe.bits = 16
        recipe.encoding = EncodingChoice(codec: .h265, crf: 20, pixelFormat: "yuv444p10le", ffmpeg: "-preset slow")
        recipe.leaveOut = [.audio, .chapters]
        recipe.isProgressive = true
        recipe.log = "/a/log.json"
        recipe.firstEstimateFrom = "/a/large.mkv"
        recipe.window = 9
        recipe.context = 3
        recipe.scenes = .file("/a/scenes.csv")
        recipe.text = TextRequest(prompt: "a river", negativePrompt: "blurry", guidance: 3)
        recipe.options = .paper
        recipe.options.steps = 50
        recipe.options.tau = 0.5
        recipe.options.priorError = 0.5...1
        recipe.options.conjugateGradientSteps = 3
        recipe.options.lowPassTaps = 15
        recipe.options.renoising = .independent
        recipe.options.solvesFramesAlone = true
        recipe.options.seed = .max
        recipe.options.samplesEncoder = true
        recipe.options.exactCodecSteps = 2
        return recipe
    }

    private func written(_ text: String, in folder: TemporaryFolder, as name: String = "recipe.json") throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder.file(name)))
        return folder.file(name)
    }

    @Test func everythingSurvivesAFile() throws {
        let folder = try TemporaryFolder("recipe")
        let path = try written(Self.full.text(), in: folder)
        #expect(try Recipe(contentsOf: path, ffmpeg: Self.full.encoding.ffmpeg) == Self.full)
        // What could write any file is refused unless it is said beside the recipe, whose own words never count.
        let error = #expect(throws: WorkflowError.self) { try Recipe(contentsOf: path) }
        #expect("\(error as Any)".contains("--ffmpeg"))
        #expect(try Recipe(contentsOf: path, ffmpeg: "-g 1").encoding.ffmpeg == "-g 1")
        // Nothing of the machine, and no permission, is in it.
        let text = try Self.full.text()
        for word in ["device", "threads", "memory", "force", "overwrite", "framesPerPass"] {
            #expect(!text.contains(word))
        }
    }

    @Test func whatWasNotAskedIsNotInIt() throws {
        let plain = Recipe(input: "/in.mkv", output: "/out.mkv")
        let object = try #require(JSONSerialization.jsonObject(with: Data(plain.text().utf8)) as? [String: Any])
        #expect((object["options"] as? [String: Any])?.isEmpty == true)
        #expect(Set(object.keys) == ["version", "input", "output", "model", "text", "options"])
        let folder = try TemporaryFolder("recipe")
        let shortest = #"{"version": 1, "input": "/in.mkv", "output": "/out.mkv"}"#
        #expect(try Recipe(contentsOf: written(shortest, in: folder)) == plain)
    }

    @Test func pathsAreTakenFromTheFolder() throws {
        var recipe = Recipe(input: "in.mkv", output: "../out.mkv", problem: Problem(Holes(file: "sub/holes.png")))
        recipe.log = "log.json"
        let text = try recipe.text(relativeTo: "/x/y")
        for path in ["/x/y/in.mkv", "/x/out.mkv", "/x/y/sub/holes.png", "/x/y/log.json"] {
            #expect(text.contains("\"\(path)\""))
        }
        let folder = try TemporaryFolder("recipe")
        let file = try written(JSONFile.text(recipe), in: folder)
        try FileManager.default.createDirectory(atPath: folder.file("models/mine"), withIntermediateDirectories: true)
        let read = try Recipe(contentsOf: file)
        #expect(read.input == folder.file("in.mkv") && read.log == folder.file("log.json"))
        #expect(read.problem == Problem(Holes(file: folder.file("sub/holes.png"))))
        // A model's name is no path, whatever lies there.
        recipe.model = ModelChoice("builtin")
        #expect(try Recipe(contentsOf: written(JSONFile.text(recipe), in: folder)).model.name == "builtin")
        recipe.model = ModelChoice("models")
        #expect(try Recipe(contentsOf: written(JSONFile.text(recipe), in: folder)).model.name == "models")
        recipe.model = ModelChoice("models/mine")
        #expect(
            try Recipe(contentsOf: written(JSONFile.text(recipe), in: folder)).model.name == folder.file("models/mine"))
    }

    /// A folder may have a name with a dot.
    @Test func aFolderStaysOne() throws {
        let folder = try TemporaryFolder("recipe")
        for (said, read) in [("shot.001/", folder.file("shot.001") + "/"), ("shot.mkv", folder.file("shot.mkv"))] {
            let text = try Recipe(input: "in.mkv", output: said).text(relativeTo: folder.path)
            #expect(try Recipe(contentsOf: written(text, in: folder)).output == read)
        }
    }

    @Test(arguments: [
        (#"{"version": 2, "input": "a", "output": "b"}"#, "newer program"),
        (#"{"version": 1, "input": "a", "output": "b", "colour": 1}"#, "'colour'"),
        (#"{"version": 1, "input": "a", "output": "b", "options": {"stpes": 3}}"#, "'options.stpes'"),
        (#"{"version": 1, "input": "a", "output": "b", "model": {"device": "cpu"}}"#, "'model.device'"),
        (#"{"version": 1, "input": "a", "output": "b", "options": {"eta": null}}"#, "'options.eta'"),
        (
            #"{"version": 1, "input": "a", "output": "b", "problem": {"stages": [{"blur": {"sigma": 1, "taps": 3}}]}}"#,
            "'taps'"
        ),
        (#"{"version": 1, "input": "a", "output": "b", "problem": {"stages": [{"smudge": {}}]}}"#, "'smudge'"),
        (#"{"version": 1, "input": "a", "output": "b", "encoding": {"codec": "vp9"}}"#, "'encoding.codec'"),
        (#"{"version": 1, "input": "a", "output": "b", "encoding": {"quality": 3}}"#, "'encoding"),
        (#"{"version": 1, "input": "a", "output": "b", "leaveOut": ["sound"]}"#, "'leaveOut"),
        (#"{"version": 1, "input": "a"}"#, "'output'"),
        (#"{"input": "a", "output": "b"}"#, "'version'"),
        (#"{"version": 1, "input": 3, "output": "b"}"#, "'input'"),
        (#"{"version": 1, "input": "a", "output": "b", "options": {"start": "middle"}}"#, "'options.start'"),
        (#"{"version": 1, "input": "a", "output": "b", "frames": "8:3"}"#, "8:3"),
        (#"{"version": 1, "input": "a", "output": "b", "noise": "much"}"#, "'noise'"),
        ("[]", "another type"), ("{", "JSON"), ("", "JSON"),
    ])
    func whatIsWrongIsOneSentence(text: String, word: String) throws {
        let folder = try TemporaryFolder("recipe")
        let path = try written(text, in: folder)
        let error = #expect(throws: WorkflowError.self) { try Recipe(contentsOf: path) }
        let sentence = try #require(error).description
        #expect(sentence.contains(word) && sentence.hasPrefix(path) && sentence.hasSuffix("."), "\(sentence)")
        #expect(!sentence.contains("\n") && sentence.count < 400, "\(sentence)")
    }

    @Test func aMissingFileIsSaid() {
        #expect(throws: WorkflowError.self) { try Recipe(contentsOf: "/nowhere/recipe.json") }
    }

    @Test func numbersOutOfRangeAreRefused() throws {
        func refused(_ change: (inout Recipe) -> Void) throws {
            var recipe = Recipe(input: "a", output: "b")
            change(&recipe)
            #expect(throws: (any Error).self) { try recipe.validate() }
        }
        try Recipe(input: "a", output: "b").validate()
        try refused { $0.input = "" }
        try refused { $0.output = "" }
        try refused { $0.bits = 12 }
        try refused { $0.encoding.ffmpeg = "-metadata 'title=x" }
        try refused { $0.window = 0 }
        try refused { $0.context = -1 }
        try refused { $0.scenes = .file("") }
        try refused { $0.text.guidance = -1 }
        try refused { $0.text.guidance = 2 }
        try refused { $0.text.negativePrompt = "blurry" }
        try refused { $0.noise = .sigma(-1) }
        try refused { $0.noise = .sigma(.nan) }
        try refused { $0.model.dtype = .int64 }
        try refused { $0.options.lowPassTaps = 10_001 }
        try refused { $0.options.steps = 0 }
    }
}

@Suite struct EqualWindowsTests {
    /// Every frame is in one window and no other, in order.
    @Test(arguments: [(1, 1), (25, 25), (26, 25), (24, 25), (100, 7), (5, 1), (3, 100), (3, .max)])
    func windowsAreAPartition(frames: Int, size: Int) throws {
        let plan = EqualWindows(frameCount: frames, size: size)
        let count = try #require(plan.count)
        let windows = (0..<count).map { plan[$0] }
        #expect(windows.flatMap { Array($0) } == Array(0..<frames))
        #expect(windows.allSatisfy { !$0.isEmpty && $0.count <= size })
        #expect(plan.longest == windows.map(\.count).max())
        #expect(plan[count].isEmpty)
    }

    @Test func anUnknownLengthHasNoEnd() {
        let plan = EqualWindows(frameCount: nil, size: 4)
        #expect(plan.count == nil && plan.longest == 4 && plan[1000] == 4000..<4004)
        #expect(EqualWindows(frameCount: 0, size: 4).count == 1)
    }
}

@Suite struct MeasurementRecordTests {
    static let old = """
        {"format": 1, "degradation": {"averageWindow": 7, "averageBoundary": "circular", "scale": 4, "blurSize": 61, "blurBoundary": "reflect",
         "maskSeed": 0}, "height": 48, "width": 64, "frameCount": 5, "window": 25,
         "noise": {"added": 0.01, "seed": 3, "bitDepth": 8, "rounding": 0.002, "isLossy": true}}
        """

    @Test func earlierRecordsAreRead() throws {
        let record = try JSONDecoder().decode(MeasurementRecord.self, from: Data(Self.old.utf8))
        #expect(try record.problem == Problem(task: "sr4+"))
        #expect(record.height == 48 && record.width == 64 && record.frameCount == 5 && record.window == 25)
        #expect(record.noise == .init(added: 0.01, seed: 3, bitDepth: 8, rounding: 0.002, isLossy: true))
        // What is written now is read again.
        let again = try JSONDecoder().decode(MeasurementRecord.self, from: JSONEncoder().encode(record))
        #expect(again == record)
    }

    @Test func aNewerOneIsRefused() {
        let text = Self.old.replacingOccurrences(of: "\"format\": 1", with: "\"format\": 3")
        #expect(throws: WorkflowError.self) { try JSONDecoder().decode(MeasurementRecord.self, from: Data(text.utf8)) }
    }
}
