import ArgumentParser
import Foundation
import LatentDiffusion
import ModelHub
import TensorKit
import Workflow

/// Makes a model with random weights.
struct RandomCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "random",
        abstract: "Make a model with random weights, for benchmarks and tests.",
        discussion: """
            It restores nothing, but takes the time and memory of the real one. U-Net, autoencoder and schedule are written in diffusers' layout; \
            the same seed gives the same files everywhere.

              visionxl models random sdxl sdxl-random --seed 1
            """)

    enum Architecture: String, ExpressibleByArgument, CaseIterable {
        case sdxl
    }

    enum Size: String, ExpressibleByArgument, CaseIterable {
        case full, tiny

        var architecture: StableDiffusionXL { self == .full ? .full : .tiny }
    }

    @Argument(help: "The architecture.")
    var architecture: Architecture

    @Argument(help: ArgumentHelp("The folder to make.", valueName: "folder"))
    var folder: String

    @Option(help: "Where the random numbers begin.")
    var seed: UInt64 = 0

    @Option(help: "What the weights are stored in.")
    var dtype: DType = .float16

    @Option(help: "The sizes of SDXL, or small ones of the same structure.")
    var size: Size = .full

    @Flag(help: "Say nothing but where the model is.")
    var quiet = false

    mutating func run() async throws {
        _ = try Engine.load()
        let model = try RandomModel(size.architecture, seed: seed, dtype: dtype)
        let target = URL(fileURLWithPath: folder)
        // A megabyte for the configurations and the files' headers.
        let needed = model.byteCount + 1_000_000
        if let free = ModelPuller.freeSpace(in: target.deletingLastPathComponent()), free < needed {
            throw WorkflowError.message(
                "\(folder): the model takes \(sizeText(needed)) and \(sizeText(free)) are free there; make room or name another place."
            )
        }
        let display = PullDisplay(isQuiet: quiet, verb: "writing")
        display.show(.planned(files: model.componentNames.count, bytes: model.byteCount, present: 0))
        try await onThread { checkCancellation in
            try model.write(to: target) { progress in
                try checkCancellation()
                switch progress {
                case .wrote(let bytes): display.show(.received(bytes: bytes))
                case .finished(let component, let bytes): display.show(.finished(file: component, bytes: bytes))
                }
            }
        }
        display.finish()
        Console.print(target.path)
        if !quiet { Console.note(String(format: "%.0f million parameters", Double(model.parameterCount) / 1e6)) }
    }
}
