import ArgumentParser
import Foundation
import InverseProblems
import LatentDiffusion
import VideoIO
import VisionXL
import Workflow

extension NoiseChoice: ExpressibleByArgument {
    public init?(argument: String) {
        if argument == "auto" {
            self = .auto
        } else {
            guard let sigma = Double(argument), sigma >= 0, sigma.isFinite else { return nil }
            self = .sigma(sigma)
        }
    }
}

extension SceneChoice: ExpressibleByArgument {
    public init?(argument: String) {
        guard !argument.isEmpty else { return nil }
        self.init(argument)
    }
}

extension Crop: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

extension FrameRange: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

/// Everything that can be asked of a restoration: what `restore` and `explain` parse into a recipe.
struct RecipeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Run the recipe in a file; what else is said wins.", valueName: "file"))
    var recipe: String?

    @OptionGroup(title: "What went wrong")
    var task: TaskOptions

    @Option(
        help: ArgumentHelp(
            "Noise on the measurement: its standard deviation in units of the pixel range [-1, 1], 0, or auto (what the .json says, else what the "
                + "file's bits and the frames show; and what lossy coding adds). (default: auto)",
            valueName: "auto|sigma"))
    var noise: NoiseChoice?

    @OptionGroup(title: "Model")
    var model: ModelOptions

    @OptionGroup(title: "Text")
    var text: TextOptions

    @OptionGroup(title: "Algorithm")
    var algorithm: AlgorithmOptions

    @Option(
        help: ArgumentHelp(
            "Begin from the frames of a file of the result's size: a video or a folder of pictures, such as an upscaler of your choice makes, whose "
                + "frame n belongs to the input's frame n, or one picture for all. They are held to the measurement and steadied.",
            valueName: "file"))
    var firstEstimateFrom: String?

    @Option(help: ArgumentHelp("Only the frames from a to before b, counted from 0.", valueName: "a:b"))
    var frames: FrameRange?

    @Option(
        help: ArgumentHelp(
            "Only a part of each frame: its size, and the column and row of its upper left corner.",
            valueName: "WxH+X+Y"))
    var crop: Crop?

    @Option(
        help:
            "Frames that are kept of what is restored together, at most. (default: 25, or what the measurement's .json says)"
    )
    var window: Int?

    @Option(
        help:
            "Frames on each side of a window, within its scene, that are restored with it and faded into the next one's. (default: see `explain`)"
    )
    var context: Int?

    @Option(
        help: ArgumentHelp(
            "Where scenes begin: auto (found by a look at the whole video), off, or a file with the first frame of each, a line each, counted from 0; or PySceneDetect's .csv. (default: auto)",
            valueName: "auto|off|file"))
    var scenes: SceneChoice?

    @OptionGroup(title: "Output")
    var storage: OutputOptions

    mutating func validate() throws {
        if let window, window < 1 { throw ValidationError("--window must be 1 or more.") }
        if let context, !(0...9999).contains(context) {
            throw ValidationError("--context must be between 0 and 9999.")
        }
        if firstEstimateFrom != nil, algorithm.firstEstimate != nil || algorithm.paper {
            throw ValidationError(
                "--first-estimate-from brings frames to begin from; leave out \(algorithm.paper ? "--paper" : "--first-estimate")."
            )
        }
        if algorithm.paper, model.fast != nil { throw ValidationError("--paper is exact; leave out --fast.") }
        if algorithm.paper, !text.isEmpty {
            throw ValidationError("--paper has the null prompt; leave out --prompt, --negative-prompt and --guidance.")
        }
        // What a recipe says may be what an option wants.
        if recipe == nil { _ = try recipe(input: "input", output: "output", reading: false) }
    }

    /// The recipe that was named, or an empty one, with what was said over it.
    /// - Parameters:
    ///   - reading: whether a .json beside the input may be asked for the problem that options change.
    ///   - base: what is changed in place of the recipe that was named.
    /// - Throws: `WorkflowError`, `ValidationError`.
    func recipe(input: String?, output: String?, reading: Bool = true, over base: Recipe? = nil) throws -> Recipe {
        var result =
            try base ?? recipe.map { try Recipe(contentsOf: $0, ffmpeg: storage.ffmpeg) }
            ?? Recipe(input: input ?? "", output: output ?? "")
        if let input { result.input = input }
        if let output { result.output = output }
        if !task.isEmpty, reading || task.task != nil {
            let base =
                try result.problem ?? (task.task == nil ? MeasurementRecord.read(beside: result.input)?.problem : nil)
            result.problem = try task.problem(over: base, ends: algorithm.paper ? .circular : .open)
        }
        // The paper has no draft and the null prompt.
        if algorithm.paper { (result.model.draft, result.text) = (nil, TextRequest()) }
        if let noise { result.noise = noise }
        model.apply(to: &result.model)
        try text.apply(to: &result.text)
        algorithm.apply(to: &result.options)
        // What is said takes the place of a recipe's other kind.
        if let firstEstimateFrom {
            (result.firstEstimateFrom, result.options.firstEstimate) = (firstEstimateFrom, nil)
        } else if algorithm.firstEstimate != nil || algorithm.paper {
            result.firstEstimateFrom = nil
        }
        if model.fast != nil, let steps = model.fullVaeSteps { result.options.exactCodecSteps = steps }
        try algorithm.check(result.options)
        if let frames { result.frames = frames }
        if let crop { result.crop = crop }
        if let window { result.window = window }
        if let context { result.context = context }
        if let scenes { result.scenes = scenes }
        storage.apply(to: &result)
        return result
    }
}
