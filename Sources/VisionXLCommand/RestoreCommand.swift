import ArgumentParser
import Foundation
import InverseProblems
import Workflow

struct RestoreCommand: AsyncParsableCommand, Resumable {
    static let interrupted = "interrupted; nothing was left under the output's name, and the same command goes on"

    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Restore a degraded video.",
        discussion: """
            What went wrong is said by --task and the options below it, or by the .json file that `degrade` wrote beside the video.

              visionxl restore small.mp4 -o large.mp4 --task sr4
              visionxl restore holes.mkv -o whole.mkv --mask holes.png
              visionxl restore soft.mov -o sharp/ --blur-sigma 2 --model ~/models/sdxl

            Numbers of the algorithm that are not said are chosen; `visionxl explain` with the same options shows each with its reason.
            A longer video is restored in windows, which lie in OUTPUT.work until the result is whole: the same command goes on after an interruption.
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

    @Option(
        help: ArgumentHelp(
            "Where windows lie until the result is whole. (default: the output's name and .work)", valueName: "folder"))
    var work: String?

    @Flag(help: "Throw away what an earlier run left there, and begin anew.")
    var restart = false

    @Flag(help: "Keep that folder when the result is in place.")
    var keepWork = false

    @Flag(help: "Say how many windows there would be, and what they would take of memory, disk and time; restore nothing.")
    var dryRun = false

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
        if work == "" { throw ValidationError("The name after --work is empty; name a folder.") }
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
        var execution = asked.model.execution(overwrites: force)
        (execution.workFolder, execution.restarts, execution.keepsWork) = (work, restart, keepWork)
        if dryRun {
            let outlook = try await Workflow.outlook(recipe, execution) { display.show($0) }
            display.finish()
            return Console.print(outlook.description)
        }
        let log = try await Workflow.restore(recipe, execution) { display.show($0) }
        display.finish()
        Console.note(
            "\(log.output): \(Console.count(log.frameCount, "frame")) in \(durationText(seconds: log.seconds)), "
                + Usage.peaks(memory: log.peakMemoryBytes, deviceMemory: log.peakDeviceMemoryBytes))
    }
}
