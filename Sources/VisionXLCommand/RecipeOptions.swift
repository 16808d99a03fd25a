import ArgumentParser
import Foundation
import InverseProblems
import LatentDiffusion
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
            "Begin from the frames of a file: a video, a folder of pictures, or a picture of the result's size, a frame for each of the result's, "
                + "such as an upscaler of your choice makes. They are held to the measurement and steadied.",
            valueName: "file"))
    var firstEstimateFrom: String?

    @Option(help: ArgumentHelp("Only the frames from a to before b, counted from 0.", valueName: "a:b"))
    var frames: FrameRange?

    @Option(help: "Frames that are restored together. (default: 25, or what the measurement's .json says)")
    var window: Int?

    @Option(help: "Bits of each component in .mkv files and PNG pictures: 8 or 16. (default: 8)")
    var bits: Int?

    mutating func validate() throws {
        if let bits, bits != 8, bits != 16 { throw ValidationError("--bits must be 8 or 16.") }
        if let window, window < 1 { throw ValidationError("--window must be 1 or more.") }
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
    /// - Parameter reading: whether a .json beside the input may be asked for the problem that options change.
    /// - Throws: `WorkflowError`, `ValidationError`.
    func recipe(input: String?, output: String?, reading: Bool = true) throws -> Recipe {
        var result = try recipe.map { try Recipe(contentsOf: $0) } ?? Recipe(input: input ?? "", output: output ?? "")
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
        if let firstEstimateFrom { result.firstEstimateFrom = firstEstimateFrom }
        model.apply(to: &result.model)
        try text.apply(to: &result.text)
        algorithm.apply(to: &result.options)
        if model.fast != nil, let steps = model.fullVaeSteps { result.options.exactCodecSteps = steps }
        try algorithm.check(result.options)
        if let frames { result.frames = frames }
        if let window { result.window = window }
        if let bits { result.bits = bits }
        return result
    }
}
