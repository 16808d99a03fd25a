import ArgumentParser
import Foundation
import InverseProblems
import VideoIO
import Workflow

struct RestoreCommand: AsyncParsableCommand, Resumable {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Restore a degraded video.",
        discussion: """
            What went wrong is said by --task and the options below it, or by the .json file that `degrade` wrote beside the video.

              visionxl restore small.mp4 -o large.mp4 --task sr4
              visionxl restore holes.mkv -o whole.mkv --mask holes.png
              visionxl restore soft.mov -o sharp/ --blur-sigma 2 --model ~/models/sdxl
              visionxl restore a.mp4 b.mp4 films/ -o restored --scale 2

            Numbers of the algorithm that are not said are chosen; `visionxl explain` with the same options shows each with its reason.
            A longer video is restored in windows, which lie in OUTPUT.work until the result is whole: the same command goes on after an interruption.
            """)

    @Argument(
        help: """
            A video, a folder of PNG or JPEG pictures, a picture, or - for standard input; several of them, and folders of \
            videos, into the folder after -o.
            """)
    var inputs: [String] = []

    /// The one that there is, or the first of several.
    var input: String? { inputs.first }

    @Option(help: ArgumentHelp("Restore the files that a text file names, one on each line.", valueName: "file"))
    var list: String?

    @Option(
        name: .shortAndLong,
        help: """
            A .mp4 or .mov, a .mkv (lossless unless --codec says otherwise), a folder for PNG pictures, a .npy or \
            .safetensors, a .y4m, or - for y4m on standard output.
            """)
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

    @Flag(
        help: "Say how many windows there would be, and what they would take of memory, disk and time; restore nothing."
    )
    var dryRun = false

    @Flag(help: "Print the recipe of what is asked, and do nothing else.")
    var printRecipe = false

    @Flag(help: "Replace the output if it exists.")
    var force = false

    mutating func validate() throws {
        if asked.recipe == nil {
            guard input != nil || list != nil else { throw ValidationError("Missing expected argument '<input>'") }
            guard output != nil else { throw ValidationError("Missing expected argument '--output <output>'") }
        }
        if inputs.contains("") {
            throw ValidationError("The input's name is empty; name a video, a folder of pictures, or a picture.")
        }
        if work == "" { throw ValidationError("The name after --work is empty; name a folder.") }
        if output == "" { throw ValidationError("The name after --output is empty; name a file or a folder.") }
        if isBatch, json != nil || work != nil || printRecipe {
            throw ValidationError(
                Self.isOfOneFile(json != nil ? "--json" : work != nil ? "--work" : "--print-recipe"))
        }
        guard inputs.contains("-") || output == "-" else { return }
        if isBatch { throw ValidationError("- is one video; leave it out where several are restored.") }
        if printRecipe || work != nil || keepWork {
            throw ValidationError(
                "What goes through - is gone afterwards; leave out --print-recipe, --work and --keep-work.")
        }
    }

    /// Whether the output is a folder for several results.
    private var isBatch: Bool {
        inputs.count > 1 || list != nil || inputs.first.map { Batch.isFolderOfVideos($0) } ?? false
    }

    private static func isOfOneFile(_ option: String) -> String {
        "\(option) is for one file; leave it out where several are restored."
    }

    /// What does the rest of several; nil where that would do all of them again, or does nothing.
    private var rest: String? {
        force || dryRun ? nil : "the same command does what is left"
    }

    /// Only what lies in a work folder is gone on with: a single window has none, and what comes and goes through - keeps none.
    var interrupted: String {
        if dryRun { return "interrupted; a dry run writes nothing" }
        if output == "-" { return "interrupted; the video on standard output is not whole, and nothing was kept" }
        if isBatch {
            return "interrupted; nothing half done has an output's name" + (rest.map { ", and " + $0 } ?? "")
        }
        let nothing = "interrupted; nothing was left under the output's name"
        guard input != "-",
            let target = output ?? (try? asked.recipe(input: nil, output: nil, reading: false).output),
            Workflow.hasBegun(target, in: work)
        else { return nothing }
        return nothing + ", and the same command \(restart ? "without --restart " : "")goes on"
    }

    mutating func run() async throws {
        if isBatch, !printRecipe { return try await restoreAll() }
        let streams = input == "-" || output == "-" ? try StandardStreams() : nil
        let (source, target) = try (
            input == "-" ? streams?.input() : input, output == "-" ? streams?.output : output
        )
        var recipe = try asked.recipe(input: source, output: target)
        if let json { recipe.log = json }
        if printRecipe {
            try recipe.validate()
            return Console.print(try recipe.text().trimmingCharacters(in: .newlines))
        }
        let display = ProgressDisplay()
        var execution = asked.model.execution(overwrites: force)
        (execution.workFolder, execution.restarts, execution.keepsWork) = (work, restart, keepWork)
        if let streams { (execution.workFolder, execution.forgetsWork) = (streams.workFolder, true) }
        if dryRun {
            let outlook = try await Workflow.outlook(recipe, execution) { display.show($0) }
            display.finish()
            return Console.print(outlook.description)
        }
        let log = try await Workflow.restore(recipe, execution) { display.show($0) }
        display.finish()
        if output == "-" { try streams?.deliver() }
        Console.note(
            "\(output == "-" ? "standard output" : log.output): \(Console.count(log.frameCount, "frame")) in \(durationText(seconds: log.seconds)), "
                + Usage.peaks(memory: log.peakMemoryBytes, deviceMemory: log.peakDeviceMemoryBytes))
    }

    /// Each of several; the exit status says whether one failed.
    private func restoreAll() async throws {
        // What a .json beside one of them says goes wrong with that one alone.
        let common = try asked.recipe(input: nil, output: output, reading: false)
        guard (try? Container(path: common.output)) == .pictures else {
            throw WorkflowError.message(
                "\(common.output) is one file, and several are to be restored; name a folder after -o.")
        }
        if common.log != nil { throw WorkflowError.message(Self.isOfOneFile("--json")) }
        if case .file = common.scenes { throw WorkflowError.message(Self.isOfOneFile("--scenes FILE")) }
        if common.firstEstimateFrom != nil { throw WorkflowError.message(Self.isOfOneFile("--first-estimate-from")) }
        let batch = try Batch(
            inputs + (list.map { try Batch.list($0) } ?? []), into: common.output,
            codec: common.encoding.codec)
        var execution = asked.model.execution(overwrites: force)
        (execution.restarts, execution.keepsWork) = (restart, keepWork)
        let display = ProgressDisplay()
        let (asked, isTrial) = (asked, dryRun)
        let results = try await batch.run(execution, isTrial: isTrial) { item in
            try asked.recipe(input: item.input, output: item.output)
        } tell: { item, event in
            display.show(event)
        } starting: { index, item in
            display.begin()
            Console.note("\(index + 1)/\(batch.items.count): \(item.input)")
        } done: { item, outcome in
            display.finish()
            switch outcome {
            case .failed(let reason): Console.error(reason)
            case .wouldCome(let outlook): Console.print("\(item.input)\n\(outlook)")
            default: break
            }
        }
        var failures = 0
        for (item, outcome) in results {
            switch outcome {
            case .restored(let log):
                let time = durationText(seconds: log.seconds)
                Console.note("done    \(item.output)  \(Console.count(log.frameCount, "frame")) in \(time)")
            case .wouldCome: break
            case .wasThere: Console.note("there   \(item.output)")
            case .failed(let reason):
                failures += 1
                Console.note(
                    "failed  \(item.input)  \(reason.split(whereSeparator: \.isNewline).joined(separator: " "))")
            }
        }
        guard failures > 0 else { return }
        Console.note(
            "\(failures) of \(Console.count(results.count, "file")) failed" + (rest.map { "; " + $0 } ?? "") + ".")
        throw ExitCode((failures < results.count ? ExitStatus.someFailed : .failed).rawValue)
    }
}
