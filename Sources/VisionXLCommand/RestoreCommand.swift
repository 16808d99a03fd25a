import ArgumentParser
import Foundation
import InverseProblems
import Workflow

struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Restore a degraded video.",
        discussion: """
            What went wrong is said by --task and the options below it, or by the .json file that `degrade` wrote beside the video.

              visionxl restore small.mp4 -o large.mp4 --task sr4
              visionxl restore holes.mkv -o whole.mkv --mask holes.png
              visionxl restore soft.mov -o sharp/ --blur-sigma 2 --model ~/models/sdxl

            Numbers of the algorithm that are not said are chosen; `visionxl explain` with the same options shows each with its reason.
            Videos longer than the window are restored window by window; all windows share their noise.
            """)

    @Argument(help: "A video, a folder of PNG or JPEG pictures, or a picture.")
    var input: String?

    @Option(
        name: .shortAndLong,
        help: "A .mp4 or .mov, a .mkv (lossless unless --codec says otherwise), or a folder for PNG pictures.")
    var output: String?

    @OptionGroup
    var asked: RecipeOptions

    @Option(help: ArgumentHelp("Write what was done, with residuals and times.", valueName: "file"))
    var json: String?

    @Flag(help: "Print the recipe of what is asked, and do nothing else.")
    var printRecipe = false

    @Flag(help: "Replace the output if it exists.")
    var force = false

    mutating func validate() throws {
        if asked.recipe == nil {
            guard input != nil else { throw ValidationError("Missing expected argument '<input>'") }
            guard output != nil else { throw ValidationError("Missing expected argument '--output <output>'") }
        }
        if input == "" {
            throw ValidationError("The input's name is empty; name a video, a folder of pictures, or a picture.")
        }
        if output == "" { throw ValidationError("The name after --output is empty; name a file or a folder.") }
    }

    mutating func run() async throws {
        var recipe = try asked.recipe(input: input, output: output)
        if let json { recipe.log = json }
        if printRecipe {
            try recipe.validate()
            return Console.print(try recipe.text().trimmingCharacters(in: .newlines))
        }
        let display = ProgressDisplay()
        let log = try await Workflow.restore(recipe, asked.model.execution(overwrites: force)) { display.show($0) }
        display.finish()
        Console.note(
            "\(log.output): \(Console.count(log.frameCount, "frame")) in \(durationText(seconds: log.seconds)), "
                + Usage.peaks(memory: log.peakMemoryBytes, deviceMemory: log.peakDeviceMemoryBytes))
    }
}
