import ArgumentParser
import Foundation
import LatentDiffusion
import TensorKit
import Workflow

extension DType: ExpressibleByArgument {
    /// The types that networks run in.
    static let running: [DType] = [.float32, .bfloat16, .float16]

    public init?(argument: String) {
        guard let type = DType(rawValue: argument), Self.running.contains(type) else { return nil }
        self = type
    }

    public static var allValueStrings: [String] { running.map(\.rawValue) }
}

extension Device: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

/// Which model, and where and in what type it runs.
struct ModelOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A model folder in diffusers' layout, a .safetensors file of SDXL, 'builtin', or the name of one that was fetched with `models pull`. (default: builtin)"
        ))
    var model: String?

    @Option(help: "cpu, cuda, cuda:N or mps. (default: a GPU where there is one)")
    var device: Device?

    @Option(help: "What the networks compute in. (default: see `explain`)")
    var dtype: DType?

    @Option(help: "Which files to prefer where a model folder has several, for example fp16.")
    var variant: String?

    @Option(
        name: [.customLong("vae"), .customLong("autoencoder")],
        help: ArgumentHelp(
            "Another autoencoder: a folder in the model's (vae_tiny), a folder of its own, or a .safetensors file of SDXL's. (default: the model's vae)",
            valueName: "path"))
    var autoencoder: String?

    @Option(
        help: ArgumentHelp(
            "Trade exactness for speed. tiny-vae: all timesteps but the last encode and decode with a tiny autoencoder, SDXL's TAESD for example.",
            valueName: "what"))
    var fast: Fast?

    @Option(
        help: ArgumentHelp(
            "The autoencoder of --fast tiny-vae: a folder in the model's, or one of its own. (default: vae_tiny)",
            valueName: "path"))
    var tinyVae: String?

    @Option(
        help: ArgumentHelp(
            "With --fast tiny-vae: the last timesteps that keep the full autoencoder. (default: 2)", valueName: "steps")
    )
    var fullVaeSteps: Int?

    enum Fast: String, ExpressibleByArgument, CaseIterable {
        case tinyVAE = "tiny-vae"
    }

    @Option(help: "Threads of the CPU. (default: all cores)")
    var threads: Int?

    @Option(
        help: ArgumentHelp(
            "Memory to keep to, of the device: 8G, 12GiB, 512M. Frames that go through a network together, and tiles, follow from it. (default: what is free)",
            valueName: "size"),
        transform: { text in
            guard let size = MemorySize(text) else {
                throw ValidationError(
                    "--memory takes a size from 1M on with its unit, such as 8G, 12GiB or 512M; \"\(text)\" is none.")
            }
            return size
        })
    var memory: MemorySize?

    @Option(help: "Frames that go through a network together, whatever --memory says. (default: see `explain`)")
    var framesPerPass: Int?

    mutating func validate() throws {
        if fast == nil, tinyVae != nil || fullVaeSteps != nil {
            throw ValidationError(
                "--tiny-vae and --full-vae-steps say how --fast tiny-vae works; add it, or leave them out.")
        }
        if let fullVaeSteps, fullVaeSteps < 1 { throw ValidationError("--full-vae-steps must be 1 or more.") }
        if let threads, threads < 1 { throw ValidationError("--threads must be 1 or more.") }
        if let framesPerPass, framesPerPass < 1 {
            throw ValidationError("At least one frame must go through a network at a time.")
        }
    }

    /// Puts what was said over what a recipe has.
    func apply(to choice: inout ModelChoice) {
        if let model { choice.name = model }
        if let dtype { choice.dtype = dtype }
        if let variant { choice.variant = variant }
        if let autoencoder { choice.autoencoder = autoencoder }
        if fast != nil { choice.draft = tinyVae ?? "vae_tiny" }
    }

    /// The model alone, where there is no recipe.
    var choice: ModelChoice {
        var choice = ModelChoice()
        apply(to: &choice)
        return choice
    }

    func execution(overwrites: Bool) -> Execution {
        Execution(
            device: device, threads: threads, memory: memory?.bytes, framesPerPass: framesPerPass,
            overwrites: overwrites)
    }
}

/// What is asked for in words.
struct TextOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What the video shows, in words: for models with text encoders. (default: the null prompt)",
            valueName: "text"))
    var prompt: String?

    @Option(help: ArgumentHelp("What guidance leads away from. (default: no words)", valueName: "text"))
    var negativePrompt: String?

    @Option(
        help: ArgumentHelp(
            "s of classifier-free guidance, e_null + s (e_text - e_null); other than 1 the U-Net runs twice. (default: 1)",
            valueName: "s"))
    var guidance: Double?

    mutating func validate() throws {
        if let guidance, !guidance.isFinite || guidance < 0 {
            throw ValidationError("--guidance must be 0 or more; 1 is none.")
        }
    }

    var isEmpty: Bool { prompt == nil && negativePrompt == nil && guidance == nil }

    /// Puts what was said over what a recipe has.
    func apply(to text: inout TextRequest) throws {
        if let prompt { text.prompt = prompt }
        if let negativePrompt { text.negativePrompt = negativePrompt }
        if let guidance { text.guidance = guidance }
        do { try text.validate() } catch { throw ValidationError("\(error)") }
    }
}

/// A number of bytes as people write it: 8G and 8GB are 8 000 000 000, 8GiB is 8 * 2^30, 512M, 1.5G.
struct MemorySize: Sendable, Equatable {
    var bytes: Int

    init?(_ text: String) {
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let factors = [
            "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 1024, "Mi": 1_048_576, "Gi": 1_073_741_824,
            "Ti": 1_099_511_627_776,
        ]
        var unit = String(text.dropFirst(number.count).drop { $0 == " " })
        if unit.count > 1, unit.last == "B" { unit.removeLast() }
        guard let value = Double(number),
            let factor = factors.first(where: { $0.key.lowercased() == unit.lowercased() })?.value,
            value > 0, value * factor >= 1e6, value * factor < 1e15
        else { return nil }
        bytes = Int(value * factor)
    }
}
