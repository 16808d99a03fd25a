import ArgumentParser
import Foundation
import LatentDiffusion
import ModelHub
import TensorKit
import VisionXL

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
            "A model folder in diffusers' layout, a .safetensors file of SDXL, 'builtin', or the name of one that was fetched with `models pull`."))
    var model = "builtin"

    @Option(help: "cpu, cuda, cuda:N or mps. (default: a GPU where there is one)")
    var device: Device?

    @Option(help: "What the networks compute in. (default: bfloat16 where the processor is quick in it, else float32)")
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
        help: ArgumentHelp("The autoencoder of --fast tiny-vae: a folder in the model's, or one of its own. (default: vae_tiny)", valueName: "path"))
    var tinyVae: String?

    @Option(help: ArgumentHelp("With --fast tiny-vae: the last timesteps that keep the full autoencoder. (default: 2)", valueName: "steps"))
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
                throw ValidationError("--memory takes a size from 1M on with its unit, such as 8G, 12GiB or 512M; \"\(text)\" is none.")
            }
            return size
        })
    var memory: MemorySize?

    mutating func validate() throws {
        if fast == nil, tinyVae != nil || fullVaeSteps != nil {
            throw ValidationError("--tiny-vae and --full-vae-steps say how --fast tiny-vae works; add it, or leave them out.")
        }
        if let fullVaeSteps, fullVaeSteps < 1 { throw ValidationError("--full-vae-steps must be 1 or more.") }
        if let threads, threads < 1 { throw ValidationError("--threads must be 1 or more.") }
    }

    /// Finds the engine and sets it up.
    func prepareEngine() throws -> Device {
        if let threads {
            // Read by the engine's run time when it is opened.
            setenv("OMP_NUM_THREADS", "\(threads)", 1)
            setenv("MKL_NUM_THREADS", "\(threads)", 1)
        }
        _ = try Engine.load()
        let chosen = device ?? Engine.bestDevice
        try Engine.require(chosen)
        return chosen
    }

    func load(on device: Device, text: TextRequest = TextRequest()) throws -> LatentDiffusionModel {
        let url = try ModelLibrary.url(named: model)
        return try LatentDiffusionModel(
            at: url, dtype: dtype ?? device.runningType, device: device, variant: variant, autoencoder: autoencoderURL(of: url),
            draft: draftURL(of: url), text: text, cache: .standard)
    }

    /// The autoencoder to take in place of that of the model at `url`.
    func autoencoderURL(of url: URL) -> URL? {
        autoencoder.map { path($0, of: url) }
    }

    /// The autoencoder of the timesteps before the last ones.
    func draftURL(of url: URL) -> URL? { fast.map { _ in path(tinyVae ?? "vae_tiny", of: url) } }

    /// A folder in the model at `url`, or one of its own.
    private func path(_ name: String, of url: URL) -> URL {
        let inside = url.appendingPathComponent(name)
        return FileManager.default.fileExists(atPath: inside.path) ? inside : URL(fileURLWithPath: name)
    }

    /// What the model's options mean for the algorithm.
    func apply(to options: inout RestorationOptions) { options.exactCodecSteps = fast.map { _ in fullVaeSteps ?? 2 } }

    /// Refuses words that the model could not be given, without opening its weights.
    func check(_ text: TextRequest) throws {
        guard text.hasWords else { return }
        let folder = try ModelLibrary.url(named: model)
        let unet = try UNet2DCondition.configuration(ofModel: folder)
        guard unet.takesText else { throw ModelError.noTextConditioning(model: folder.path) }
        let lacking = PromptEncoder.lacking(in: folder, for: unet)
        guard !lacking.isEmpty else { return }
        // A name that was fetched is fetched again by it.
        guard (try? ModelName(model)) != nil, !FileManager.default.fileExists(atPath: model) else {
            throw ModelError.noTextEncoders(model: folder.path, lacking: lacking)
        }
        throw CommandError.message(
            "\(folder.path) has no text encoders, which a prompt needs (it lacks \(lacking.joined(separator: ", ")), or their safetensors files); "
                + "run `visionxl models pull \(model) --text`.")
    }
}

/// What is asked for in words.
struct TextOptions: ParsableArguments {
    @Option(help: ArgumentHelp("What the video shows, in words: for models with text encoders. (default: the null prompt)", valueName: "text"))
    var prompt: String?

    @Option(help: ArgumentHelp("What guidance leads away from. (default: no words)", valueName: "text"))
    var negativePrompt: String?

    @Option(help: ArgumentHelp("s of classifier-free guidance, e_null + s (e_text - e_null); other than 1 the U-Net runs twice.", valueName: "s"))
    var guidance = 1.0

    mutating func validate() throws {
        guard guidance.isFinite, guidance >= 0 else { throw ValidationError("--guidance must be 0 or more; 1 is none.") }
        if guidance != 1, !request.hasWords { throw ValidationError("--guidance leads from one text to another; add --prompt or --negative-prompt.") }
        if guidance == 1, negativePrompt != nil { throw ValidationError("--negative-prompt acts through guidance; add --guidance, for example 5.") }
    }

    var request: TextRequest { TextRequest(prompt: prompt, negativePrompt: negativePrompt, guidance: guidance) }
}

/// Where models are found by name.
enum ModelLibrary {
    /// A model's folder or file: a path, the name of one in one of `roots`, or the name of one that was fetched.
    static func url(named name: String) throws -> URL {
        if !name.contains("/") {
            for root in roots {
                if let model = model(at: root.appendingPathComponent(name)) { return model }
            }
        }
        let path = URL(fileURLWithPath: name)
        if FileManager.default.fileExists(atPath: path.path) { return model(at: path) ?? path }
        // A file of a repository has a part more in its name than a repository.
        if let model = model(at: fetched.appendingPathComponent(ModelName.folderName(of: name))) { return model }
        if let wanted = try? ModelName(name) {
            if let model = model(at: fetched.appendingPathComponent(ModelName.folderName(of: wanted.shortName))) { return model }
            // "a/b" is a path that is wrong, too, if there is a folder "a".
            let owner = path.deletingLastPathComponent().path
            if !name.contains("/") || !FileManager.default.fileExists(atPath: owner) {
                throw CommandError.message("There is no folder \(name), and no model of that name was fetched; run `visionxl models pull \(name)`.")
            }
        }
        if name == "builtin" {
            throw CommandError.message(
                "The built-in model was not found (looked in \(roots.map(\.path).joined(separator: ", "))); run from the project's folder, "
                    + "or set VISIONXL_MODELS to its folder Models.")
        }
        return path
    }

    /// Where `models pull` puts models: `visionxl/models` in `XDG_DATA_HOME`, or in `~/.local/share`.
    static let fetched: URL = {
        let path = ProcessInfo.processInfo.environment["XDG_DATA_HOME"] ?? ""
        let data = path.isEmpty ? FileManager.default.homeDirectoryForCurrentUser.appendingPathComponent(".local/share") : URL(fileURLWithPath: path)
        return data.appendingPathComponent("visionxl/models")
    }()

    /// `VISIONXL_MODELS`, the folder `Models` in the folders above the program and the working directory, and `fetched`.
    static let roots: [URL] = {
        var found: [URL] = []
        if let path = ProcessInfo.processInfo.environment["VISIONXL_MODELS"], !path.isEmpty { found.append(URL(fileURLWithPath: path)) }
        let program = ProcessInfo.processInfo.arguments.first.map { URL(fileURLWithPath: $0).resolvingSymlinksInPath() }
        for start in [program?.deletingLastPathComponent(), URL(fileURLWithPath: FileManager.default.currentDirectoryPath)] {
            var folder = start
            for _ in 0..<8 {
                guard let current = folder, current.path != "/" else { break }
                let models = current.appendingPathComponent("Models").standardizedFileURL
                if FileManager.default.fileExists(atPath: models.path), !found.contains(models) { found.append(models) }
                folder = current.deletingLastPathComponent()
            }
        }
        return found + [fetched]
    }()

    /// The model at `url`, if there is one: a folder in diffusers' layout, a single file, or a folder with one such file and no more.
    private static func model(at url: URL) -> URL? {
        let manager = FileManager.default
        if manager.fileExists(atPath: url.appendingPathComponent("unet/config.json").path) { return url }
        guard let names = try? manager.contentsOfDirectory(atPath: url.path) else {
            return url.pathExtension == "safetensors" && manager.fileExists(atPath: url.path) ? url : nil
        }
        let files = names.filter { $0.hasSuffix(".safetensors") }
        return files.count == 1 ? url.appendingPathComponent(files[0]) : nil
    }

    /// Names of the models in `roots`.
    static var names: [(name: String, url: URL)] {
        roots.flatMap { root in
            ((try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []).sorted().compactMap { name in
                model(at: root.appendingPathComponent(name)).map { (root == fetched ? ModelName.shortName(ofFolder: name) : name, $0) }
            }
        }
    }
}
