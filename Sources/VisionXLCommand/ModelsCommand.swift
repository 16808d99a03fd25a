import ArgumentParser
import Foundation
import LatentDiffusion
import TensorKit
import Weights
import Workflow

struct ModelsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models", abstract: "Fetch, list and check models.",
        subcommands: [List.self, PullCommand.self, Verify.self, RandomCommand.self],
        defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the models that can be named with --model.")

        mutating func run() async throws {
            let models = ModelLibrary.names
            if models.isEmpty {
                Console.note(
                    "No models were found; run from the project's folder, or set VISIONXL_MODELS to a folder of models."
                )
            }
            for (name, url) in models {
                do {
                    let report = try Self.report(on: url)
                    let parameters = report.components.reduce(0) { $0 + $1.parameterCount }
                    let size = String(format: "%.1f million parameters", Double(parameters) / 1e6)
                    Console.print(
                        "\(name)\t\(report.isSound ? size : "damaged, see `models verify \(name)`")\t\(url.path)")
                } catch {
                    // One bad folder does not hide the others.
                    Console.print("\(name)\tdamaged: \(error)\t\(url.path)")
                }
            }
        }

        /// What is in a model's folder or file.
        static func report(on url: URL, variant: String? = nil, checkingValues: Bool = false) throws -> ModelReport {
            var isFolder: ObjCBool = false
            let isThere = FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
            return try isThere && !isFolder.boolValue
                ? SingleFileModel(at: url).verify(checkingValues: checkingValues)
                : ModelFolder(at: url).verify(variant: variant, checkingValues: checkingValues)
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check a model: its files, its numbers, and that the networks can be built from it.")

        @Argument(
            help:
                "A model folder in diffusers' layout, a .safetensors file of SDXL, or the name of one that `models list` shows."
        )
        var model = "builtin"

        @Option(help: "Which files to prefer where the folder has several, for example fp16.")
        var variant: String?

        mutating func run() async throws {
            let url = try ModelLibrary.url(named: model)
            let report = try List.report(on: url, variant: variant, checkingValues: true)
            Console.print("\(report)")
            guard report.isSound else {
                throw WorkflowError.message("\(url.path) has problems, listed above; fetch or convert it anew.")
            }
            // Every key and every configuration value is looked at when the networks are built.
            // In a type no wider than the weights': they need only fit, and SDXL in float32 takes twice the memory.
            let weights = report.components.first { $0.name == "unet" }
            let isNarrow = weights.map { $0.byteCount < 4 * $0.parameterCount } ?? false
            let model = try LatentDiffusionModel(at: url, dtype: isNarrow ? .float16 : .float32, variant: variant)
            let unet = model.unet.configuration
            // A stored null prompt spares the encoders, whose fit is asked for here.
            let hasText = unet.takesText && PromptEncoder.lacking(in: url, for: unet).isEmpty
            if hasText, model.text.source != .encoders {
                _ = try PromptEncoder(folder: url, unet: unet, variant: variant).embed([""])
            }
            Console.print("The networks fit their weights.")
            if hasText { Console.print("The text encoders and tokenizers fit as well.") }
        }
    }
}
