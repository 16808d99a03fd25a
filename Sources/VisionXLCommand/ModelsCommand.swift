import ArgumentParser
import Foundation
import LatentDiffusion
import TensorKit
import Weights

struct ModelsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models", abstract: "Fetch, list and check models.", subcommands: [List.self, PullCommand.self, Verify.self],
        defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the models that can be named with --model.")

        mutating func run() async throws {
            let models = ModelLibrary.names
            if models.isEmpty {
                Console.note("No models were found; run from the project's folder, or set VISIONXL_MODELS to a folder of models.")
            }
            for (name, folder) in models {
                do {
                    let report = try ModelFolder(at: folder).verify()
                    let parameters = report.components.reduce(0) { $0 + $1.parameterCount }
                    let size = String(format: "%.1f million parameters", Double(parameters) / 1e6)
                    Console.print("\(name)\t\(report.isSound ? size : "damaged, see `models verify \(name)`")\t\(folder.path)")
                } catch {
                    // One bad folder does not hide the others.
                    Console.print("\(name)\tdamaged: \(error)\t\(folder.path)")
                }
            }
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check a model folder: its files, its numbers, and that the networks can be built from it.")

        @Argument(help: "A model folder in diffusers' layout, or the name of one that `models list` shows.")
        var model = "builtin"

        @Option(help: "Which files to prefer where the folder has several, for example fp16.")
        var variant: String?

        mutating func run() async throws {
            let folder = try ModelLibrary.folder(named: model)
            let report = try ModelFolder(at: folder).verify(variant: variant, checkingValues: true)
            Console.print("\(report)")
            guard report.isSound else { throw CommandError.message("\(folder.path) has problems, listed above; fetch or convert it anew.") }
            // Every key and every configuration value is looked at when the networks are built.
            let model = try LatentDiffusionModel(folder: folder, variant: variant)
            let unet = model.unet.configuration
            // A stored null prompt spares the encoders, whose fit is asked for here.
            let hasText = unet.takesText && PromptEncoder.lacking(in: folder, for: unet).isEmpty
            if hasText, model.text.source != .encoders { _ = try PromptEncoder(folder: folder, unet: unet, variant: variant).embed([""]) }
            Console.print("The networks fit their weights.")
            if hasText { Console.print("The text encoders and tokenizers fit as well.") }
        }
    }
}
