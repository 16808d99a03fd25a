import Baselines
import Diffusion
import Foundation
import InverseProblems
import LatentDiffusion
import PixelPriors
import Synchronization
import TensorKit
import VisionXL
import Weights
import Workflow

/// The methods that `evaluate` knows by name.
public enum MethodName: String, Sendable, CaseIterable {
    /// VISION-XL as the program runs it.
    case visionxl
    /// Algorithm 1 and nothing else.
    case paper
    /// Algorithm 1 as the program runs it with a prior in pixel space.
    case pixel
    case svi
    case dds
    case admmTV = "admm-tv"
    /// Conjugate gradients from the enlarged measurement, as many steps as VISION-XL takes in all, no prior.
    case cg
    case adjoint
    /// The measurement itself, enlarged where it is smaller.
    case upsampling

    public static let byDefault: [MethodName] = [.visionxl, .paper, .svi, .dds, .admmTV, .upsampling]
}

/// Makes contenders; those that share a network share one copy of it, loaded when the first of them runs.
public struct Methods: Sendable {
    let options: RestorationOptions
    let device: Device
    private let modelDescription: String
    private let session: ModelSession
    private let latent: Shared<LatentDiffusionModel>
    private let pixelDescription: String
    private let pixel: Shared<PixelPriors>

    /// - Parameter pixelPrior: "ffdnet", or the path of a guided-diffusion network's .safetensors with its .json beside.
    public init(_ session: ModelSession, pixelPrior: String, options: RestorationOptions) throws {
        (self.session, self.options, device) = (session, options, session.device)
        let (choice, url, device) = (session.choice, session.url, session.device)
        let autoencoder = choice.autoencoderURL(of: url).map(Self.identity) ?? "vae"
        let draft = choice.draftURL(of: url).map { " " + Self.identity(of: $0) } ?? ""
        modelDescription =
            "\(Self.identity(of: url)) \(choice.variant ?? "") \(autoencoder)\(draft) \(session.dtype.rawValue)"
        let latent = Shared { try session.load() }
        self.latent = latent
        if pixelPrior == "ffdnet" {
            pixelDescription = pixelPrior
            pixel = Shared {
                let network = try FFDNet(device: device)
                return .ffdnet(network, schedule: try latent.value.schedule)
            }
        } else {
            let file = URL(fileURLWithPath: pixelPrior)
            pixelDescription = Self.identity(of: file)
            pixel = Shared { .adm(ADMPrior(try ADMUNet(weights: file, device: device))) }
        }
    }

    public func contender(_ method: MethodName) throws -> Contender {
        let device = device
        let name = method.rawValue
        switch method {
        case .visionxl: return try contender(name, options: options)
        case .paper:
            var paper = RestorationOptions.paper
            paper.seed = options.seed
            return try contender(name, options: paper)
        case .pixel: return try pixelContender(name, options: options) { try $0.forVisionXL }
        case .svi: return try pixelContender(name, options: .svi) { try $0.forWholeSchedule }
        case .dds: return try pixelContender(name, options: .dds) { try $0.forWholeSchedule }
        case .admmTV:
            let settings = TotalVariationOptions()
            return Contender(name: name, settings: try Self.encoded(settings)) {
                ADMMTotalVariation(options: settings, device: device)
            }
        case .cg:
            // As many as VISION-XL takes in the eight timesteps that it has by default.
            let steps =
                7 * (options.conjugateGradientSteps ?? Policy.iterations)
                + (options.finalConsistencySteps ?? Policy.iterations)
            return Contender(name: name, settings: "\(steps) steps") {
                DataStepRestorer(ConjugateGradientStep(iterations: steps), device: device)
            }
        case .adjoint: return Contender(name: name, settings: "") { AdjointRestorer(device: device) }
        case .upsampling: return Contender(name: name, settings: "") { UpsamplingRestorer(device: device) }
        }
    }

    private func pixelContender(
        _ name: String, options base: RestorationOptions,
        prior: @escaping @Sendable (PixelPriors) throws -> any DiffusionPrior
    ) throws -> Contender {
        var options = base
        options.seed = self.options.seed
        let (chosen, pixel, session) = (options, pixel, session)
        let networks = try Self.enlargement(options)
        return Contender(name: name, settings: "\(pixelDescription) \(try Self.describe(options))\(networks)") {
            func solver(_ prior: some DiffusionPrior) throws -> any Restorer {
                var solver = Solver(prior: prior, options: chosen)
                solver.passes = session.execution.framesPerPass.map(PassSizes.init(frames:))
                solver.enlargement = try session.enlargement(for: chosen)
                return solver
            }
            return try solver(prior(pixel.value))
        }
    }

    /// The networks of a learned first estimate, where it may be made.
    private static func enlargement(_ options: RestorationOptions) throws -> String {
        guard options.firstEstimate ?? .learned == .learned, PictureEnlargement.isAvailable else { return "" }
        return try PictureEnlargement.networks.map { " " + identity(of: try NetworkLibrary.url(of: $0)) }.joined()
    }

    /// VISION-XL with the latent prior.
    func contender(_ name: String, options: RestorationOptions, dataStep: (any DataStep)? = nil) throws -> Contender {
        let (latent, session) = (latent, session)
        let step = dataStep.map { " \($0)" } ?? ""
        let networks = try Self.enlargement(options)
        return Contender(
            name: name, settings: "\(modelDescription) \(try Self.describe(options))\(step)\(networks)"
        ) {
            var solver = try session.solver(latent.value, options: options)
            solver.dataStep = dataStep
            return solver
        }
    }

    /// A row of an ablation.
    public func contender(_ variant: Ablation.Variant) throws -> Contender {
        try contender(variant.name, options: variant.options, dataStep: variant.dataStep)
    }

    /// What was asked, and what the policy would make of the rest.
    private static func describe(_ options: RestorationOptions) throws -> String {
        "\(try encoded(options)) policy \(try Policy.fileSignature(options))"
    }

    /// Every option, whatever a later version adds.
    private static func encoded(_ options: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return String(decoding: try encoder.encode(options), as: UTF8.self)
    }

    /// A model's name with the sizes and dates of its files: another model in the same place is another model.
    private static func identity(of model: URL) -> String {
        // Models that were fetched are folders of links.
        let root = model.resolvingSymlinksInPath()
        func entry(_ file: URL) -> String? {
            let keys: Set<URLResourceKey> = [.fileSizeKey, .contentModificationDateKey, .isRegularFileKey]
            guard ["safetensors", "json"].contains(file.pathExtension),
                let values = try? file.resolvingSymlinksInPath().resourceValues(forKeys: keys),
                values.isRegularFile ?? false
            else { return nil }
            return
                "\(file.lastPathComponent)=\(values.fileSize ?? 0)@\(Int(values.contentModificationDate?.timeIntervalSince1970 ?? 0))"
        }
        if let file = entry(root) { return file }
        let files = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)
        var entries: [String] = []
        while let file = files?.nextObject() as? URL {
            if let entry = entry(file) { entries.append(entry) }
        }
        return model.lastPathComponent + "[" + entries.sorted().joined(separator: ",") + "]"
    }
}

/// A prior in pixel space, as the methods want it.
private enum PixelPriors: Sendable {
    /// - Parameter schedule: of the latent prior, so that VISION-XL walks the same timesteps with either.
    case ffdnet(FFDNet, schedule: DDIMSchedule)
    case adm(ADMPrior)

    /// Few steps at low noise: the whole frame at once where the network is one of convolutions.
    var forVisionXL: any DiffusionPrior {
        get throws {
            switch self {
            case .ffdnet(let network, let schedule): PixelSpacePrior(network, schedule: schedule)
            case .adm(let prior): try PatchedPrior(prior)
            }
        }
    }

    /// SVI and DDS: the schedule that pixel-space models are trained on, patches of 256 x 256.
    var forWholeSchedule: any DiffusionPrior {
        get throws {
            switch self {
            case .ffdnet(let network, _): try PatchedPrior(PixelSpacePrior(network))
            case .adm(let prior): try PatchedPrior(prior)
            }
        }
    }
}

/// A value that is made once, when it is first wanted.
private final class Shared<Value: Sendable>: Sendable {
    private let make: @Sendable () throws -> Value
    private let made = Mutex<Result<Value, any Error>?>(nil)

    init(_ make: @escaping @Sendable () throws -> Value) { self.make = make }

    var value: Value {
        get throws {
            try made.withLock { made in
                let result = made ?? Result(catching: make)
                made = result
                return result
            }.get()
        }
    }
}
