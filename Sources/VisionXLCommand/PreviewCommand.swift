import ArgumentParser
import Foundation
import VideoIO
import Workflow

struct PreviewCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "preview",
        abstract: "Look at a few frames under several settings.",
        discussion: """
            Restores one frame as the whole run would give it, with what it needs around it, and puts it beside the measured \
            one. Each --try shows it under other options of `restore`. Above each stands how long all frames would take.

              visionxl preview soft.mov -o look.png --blur-sigma 2
              visionxl preview soft.mov -o look.png --at 12.5 --try "--blur-sigma 1.5" --try "--blur-sigma 2 --noise 0.02"
            """)

    @Argument(help: "A video, a folder of PNG or JPEG pictures, or a picture.")
    var input: String?

    @Option(name: .shortAndLong, help: "The picture, a .png.")
    var output: String

    @Option(help: ArgumentHelp("The moment to look at, in seconds. (default: the middle)", valueName: "seconds"))
    var at: Double?

    @Option(
        help: ArgumentHelp(
            "Look at the first, the middle and the last frame of so many seconds. (default: one frame)",
            valueName: "seconds"))
    var seconds: Double?

    @Option(
        name: .customLong("try"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Options of `restore` for a column of its own; may be given several times.", valueName: "options"))
    var tries: [String] = []

    @OptionGroup
    var asked: RecipeOptions

    @Flag(help: "Replace the picture if it exists.")
    var force = false

    mutating func validate() throws {
        if asked.recipe == nil, input == nil { throw ValidationError("Missing expected argument '<input>'") }
        guard (output as NSString).pathExtension.lowercased() == "png" else {
            throw ValidationError("The name after --output must end with .png.")
        }
        if let at, !(at >= 0 && at.isFinite) { throw ValidationError("--at must be 0 or more.") }
        if let seconds, !(seconds > 0 && seconds.isFinite) { throw ValidationError("--seconds must be above 0.") }
        if asked.frames != nil {
            throw ValidationError("A preview looks at a moment of the whole video: leave out --frames, and say --at.")
        }
        for text in tries { _ = try Self.options(text) }
    }

    /// - Throws: `ValidationError` for what `restore` would not take.
    static func options(_ text: String) throws -> RecipeOptions {
        do {
            let options = try RecipeOptions.parse(ShellWords.split(text, of: "--try"))
            let (model, isPlain) = (options.model, options.recipe == nil && options.frames == nil)
            guard isPlain, model.device == nil, model.threads == nil, model.memory == nil, model.framesPerPass == nil
            else {
                throw ValidationError(
                    "--try \"\(text)\": --recipe, --frames and what says where it runs (--device, --threads, --memory, --frames-per-pass) "
                        + "hold for all columns; say them beside --try.")
            }
            return options
        } catch let error as ValidationError {
            throw error
        } catch let error as WorkflowError {
            throw ValidationError("\(error)")
        } catch {
            throw ValidationError("--try \"\(text)\": \(RecipeOptions.message(for: error))")
        }
    }

    mutating func run() async throws {
        let base = try asked.recipe(input: input, output: "preview.mkv")
        var list: [(label: String, recipe: Recipe)] = []
        for text in tries {
            list.append((text, try Self.options(text).recipe(input: base.input, output: nil, over: base)))
        }
        if list.isEmpty { list = [("restored", base)] }
        try OutputCheck.output(output, inputs: list.flatMap(\.recipe.inputs), overwrites: force)
        for entry in list { try entry.recipe.validate() }
        let display = ProgressDisplay()
        let result = try await Workflow.preview(
            PreviewRequest(tries: list, at: at, seconds: seconds), asked.model.execution(overwrites: true)
        ) { display.show($0) }
        display.finish()
        try await result.picture.writePNG(to: output, overwrite: force)
        let frames = result.frames.map(String.init).joined(separator: ", ")
        Console.note("\(output): frame \(frames) of \(base.input)")
        for (label, seconds) in result.seconds {
            let time = seconds.map { "all frames would take about \(durationText(seconds: $0))" }
            Console.note("\(label): \(time ?? "nobody knows how long all frames would take")")
        }
    }
}
