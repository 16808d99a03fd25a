import ArgumentParser
import Workflow

struct DegradeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "degrade",
        abstract: "Degrade a video, to test a restoration.",
        discussion: """
            Writes the measurement, and beside it a .json file from which `restore` takes the task. A .mkv or a folder stores 16 bits: a
            measurement of 8 bits is one with noise, and the .json says how much.

              visionxl degrade clip.mp4 -o measurement.mkv --task deblur+ --noise 0.01
            """)

    @Argument(help: "A video, a folder of PNG or JPEG pictures, or a picture.")
    var input: String

    @Option(name: .shortAndLong, help: "A .mkv (lossless), a .mp4 (H.264, 8 bits), or a folder for PNG pictures.")
    var output: String

    @OptionGroup(title: "What goes wrong")
    var task: TaskOptions

    @Option(help: "Standard deviation of Gaussian noise that is added, in units of the pixel range [-1, 1].")
    var noise = 0.0

    @Option(help: "Seed of the noise.")
    var seed: UInt64 = 0

    @Option(help: ArgumentHelp("Only the frames from a to before b, counted from 0.", valueName: "a:b"))
    var frames: FrameRange?

    @Option(help: "Frames that an average over time sees together.")
    var window = 25

    @Option(help: "Bits of each component in .mkv files and PNG pictures: 8 or 16.")
    var bits = 16

    @Flag(help: "Replace the output if it exists.")
    var force = false

    mutating func validate() throws {
        guard bits == 8 || bits == 16 else { throw ValidationError("--bits must be 8 or 16.") }
        guard window >= 1 else { throw ValidationError("--window must be 1 or more.") }
        guard noise >= 0, noise.isFinite else { throw ValidationError("--noise must be 0 or more.") }
        if input.isEmpty {
            throw ValidationError("The input's name is empty; name a video, a folder of pictures, or a picture.")
        }
        if output.isEmpty { throw ValidationError("The name after --output is empty; name a file or a folder.") }
    }

    mutating func run() async throws {
        var request = DegradationRequest(input: input, output: output, problem: try task.problem())
        (request.noise, request.seed, request.frames) = (noise, seed, frames)
        (request.window, request.bits, request.overwrites) = (window, bits, force)
        let (record, height, width) = try await Workflow.degrade(request)
        Console.note(
            "\(output): \(Console.count(record.frameCount, "frame")) of \(record.width)x\(record.height) measured as \(width)x\(height); "
                + "the task is in \(MeasurementRecord.path(beside: output))")
    }
}
