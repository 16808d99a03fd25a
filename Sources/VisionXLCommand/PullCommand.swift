import ArgumentParser
import Foundation
import ModelHub
import Workflow

/// Fetches a model.
struct PullCommand: AsyncParsableCommand, Resumable {
    static let configuration = CommandConfiguration(
        commandName: "pull",
        abstract: "Fetch a model, or the rest of one.",
        discussion: """
            Only what a restoration needs is fetched, as safetensors: U-Net, autoencoder and schedule, and with --text what a prompt needs. The files go to the cache that the hub's \
            own tools use (HF_HOME, HF_HUB_CACHE), and what they have fetched is not fetched again. HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE and \
            the variables of a proxy (HTTPS_PROXY, NO_PROXY) are heeded. An interrupted pull goes on where it stopped.

              visionxl models pull sdxl
              visionxl restore small.mp4 -o large.mp4 --task sr4 --model sdxl
            """)

    @Argument(
        help: ArgumentHelp(
            "'sdxl', a repository of the hub (owner/name or owner/name@revision), or the address of a folder in diffusers' layout.",
            valueName: "model"))
    var name: String

    @Option(help: ArgumentHelp("A folder for the files, in place of the cache.", valueName: "folder"))
    var to: String?

    @Option(help: "Which files to prefer where there are several. (default: fp16 for sdxl's U-Net)")
    var variant: String?

    @Option(
        help: ArgumentHelp(
            "Fetch a whole model in one .safetensors file of the repository, and that alone: SDXL in its original layout.",
            valueName: "name"))
    var file: String?

    @Flag(help: "Fetch the text encoders and their tokenizers as well.")
    var text = false

    @Flag(help: "Say nothing but where the model is.")
    var quiet = false

    mutating func validate() throws {
        do { _ = try ModelName(name) } catch { throw ValidationError("\(error)") }
        if file != nil, variant != nil || text {
            throw ValidationError("--file fetches one file; --variant and --text choose among others.")
        }
        if let variant,
            variant.isEmpty
                || !variant.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") })
        {
            throw ValidationError("--variant must be a word, for example fp16.")
        }
    }

    var interrupted: String { "interrupted; the same command goes on where this one stopped" }

    mutating func run() async throws {
        let display = PullDisplay(isQuiet: quiet)
        let puller = ModelPuller(
            environment: try HubEnvironment(), models: ModelLibrary.fetched, report: { display.show($0) })
        defer { display.finish() }
        let name = try ModelName(name)
        let model = try await puller.pull(
            name, to: to.map { URL(fileURLWithPath: $0) }, variant: variant, withText: text, file: file)
        display.finish()
        let fileName = file.map { URL(fileURLWithPath: $0).lastPathComponent }
        let path = fileName.map { model.folder.appendingPathComponent($0).path } ?? model.folder.path
        Console.print(path)
        if !quiet {
            let opened = to == nil ? model.name : path
            Console.note("\(model.files) files, \(sizeText(model.bytes)); open the model with --model \(opened)")
        }
    }
}
