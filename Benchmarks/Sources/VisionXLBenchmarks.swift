import ArgumentParser
import Foundation
import LatentDiffusion
import TensorKit

/// The program `visionxl-bench`: how fast it is, each number beside an alternative's from the same run.
@main
struct VisionXLBenchmarks: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "visionxl-bench", abstract: "Measure speed, against an alternative in the same run.",
        subcommands: [SpeedCommand.self, MemoryCommand.self, EdgesCommand.self], defaultSubcommand: SpeedCommand.self)
}

/// A benchmark that cannot run; the description is a sentence for the user.
enum BenchmarkError: Error, CustomStringConvertible {
    case message(String)

    var description: String {
        switch self {
        case .message(let text): text
        }
    }
}

/// What every subcommand wants to know.
struct CommonOptions: ParsableArguments {
    @Option(help: "A model folder in diffusers' layout. (default: Models/builtin, where it is)")
    var model: String?

    @Option(help: "cpu, cuda, cuda:N or mps.")
    var device = "cpu"

    @Option(help: "Threads of the CPU. (default: all cores)")
    var threads: Int?

    @Option(help: ArgumentHelp("Write everything that was measured.", valueName: "file"))
    var json: String?

    @Option(help: "A film for frames. (default: the demo's, .deps/clips/bigbuckbunny.mp4)")
    var clip: String?

    @Option(help: "The film's first frame that is used. (default: 32 of the demo's, 0 of another)")
    var first: Int?

    @Option(help: .hidden)
    var revision: String?

    /// Sets the engine up.
    func prepareEngine() throws -> Device {
        _ = UserEnvironment.atStart
        if let threads {
            // Read by the engine's run time when it is opened, and inherited by the programs that are compared.
            setenv("OMP_NUM_THREADS", "\(threads)", 1)
            setenv("MKL_NUM_THREADS", "\(threads)", 1)
        }
        guard let chosen = Device(device) else {
            throw BenchmarkError.message("--device must be cpu, cuda, cuda:N or mps, not \(device).")
        }
        _ = try Engine.load()
        try Engine.require(chosen)
        return chosen
    }

    /// The folder of the prior; nil where there is none.
    var modelFolder: URL? {
        let folder = URL(fileURLWithPath: model ?? "Models/builtin")
        return FileManager.default.fileExists(atPath: folder.appendingPathComponent("unet/config.json").path)
            ? folder : nil
    }

    /// Frames of the film, (N, 3, height, width) in [-1, 1].
    func frames(_ count: Int, height: Int, width: Int) async throws -> Tensor {
        try await Film.frames(
            of: clip ?? ".deps/clips/bigbuckbunny.mp4", first: first ?? (clip == nil ? 32 : 0), count: count,
            height: height, width: width)
    }
}

extension Device {
    /// The types that networks are measured in here.
    var measuredTypes: [DType] { runningType == .float32 ? [.float32] : [.float32, runningType] }
}

/// The random networks of the golden tensors, which lie beside the project and may be absent.
var goldenModel: URL? {
    let folder = ProcessInfo.processInfo.environment["VISIONXL_GOLDEN"] ?? "../shared/golden"
    let model = URL(fileURLWithPath: folder).appendingPathComponent("tiny-sdxl")
    return FileManager.default.fileExists(atPath: model.path) ? model : nil
}
