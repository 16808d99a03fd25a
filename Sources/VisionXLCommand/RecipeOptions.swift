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

    @Option(help: ArgumentHelp("Only the frames from a to before b, counted from 0.", valueName: "a:b"))
    var frames: FrameRange?

    @Option(
        help: ArgumentHelp(
            "Only a part of each frame: its size, and the column and row of its upper left corner.",
            valueName: "WxH+X+Y"))
    var crop: Crop?

    @Option(help: "Frames that are restored together. (default: 25, or what the measurement's .json says)")
    var window: Int?

    @OptionGroup(title: "Output")
    var storage: OutputOptions

    mutating func validate() throws {
        if let window, window < 1 { throw ValidationError("--window must be 1 or more.") }
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
            result.problem = try task.problem(over: base)
        }
        // The paper has no draft and the null prompt.
        if algorithm.paper { (result.model.draft, result.text) = (nil, TextRequest()) }
        if let noise { result.noise = noise }
        model.apply(to: &result.model)
        try text.apply(to: &result.text)
        algorithm.apply(to: &result.options)
        if model.fast != nil, let steps = model.fullVaeSteps { result.options.exactCodecSteps = steps }
        try algorithm.check(result.options)
        if let frames { result.frames = frames }
        if let crop { result.crop = crop }
        if let window { result.window = window }
        storage.apply(to: &result)
        return result
    }
}
