import ArgumentParser
import Evaluation
import Foundation
import LatentDiffusion
import Synchronization
import TensorKit
import VisionXL

/// The methods that `evaluate` knows by name.
enum MethodName: String, CaseIterable, ExpressibleByArgument {
    /// The default.
    case visionxl
    /// Algorithm 1 and nothing else.
    case paper
}

/// Makes contenders; those that share a network share one copy of it, loaded when the first of them runs.
struct Methods: Sendable {
    let options: RestorationOptions
    let device: Device
    private let modelDescription: String
    private let latent: Shared<LatentDiffusionPrior>

    init(model: ModelOptions, pixelPrior: String, options: RestorationOptions, device: Device) throws {
        self.options = options
        self.device = device
        let folder = try ModelLibrary.folder(named: model.model)
        modelDescription = "\(Self.identity(of: folder)) \(model.variant ?? "") \(model.autoencoder) \((model.dtype ?? device.runningType).rawValue)"
        latent = Shared { LatentDiffusionPrior(try model.load(on: device)) }
    }

    func contender(_ method: MethodName) throws -> Contender {
        switch method {
        case .visionxl: return try contender(method.rawValue, options: options)
        case .paper:
            var paper = RestorationOptions.paper
            paper.seed = options.seed
            return try contender(method.rawValue, options: paper)
        }
    }

    /// VISION-XL with the latent prior.
    func contender(_ name: String, options: RestorationOptions) throws -> Contender {
        let latent = latent
        return Contender(name: name, settings: "\(modelDescription) \(try Self.describe(options))") {
            Solver(prior: try latent.value, options: options)
        }
    }

    /// Every option, whatever a later version adds.
    private static func describe(_ options: RestorationOptions) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return String(decoding: try encoder.encode(options), as: UTF8.self)
    }

    /// A model's name with the sizes and dates of its files: another model in the same place is another model.
    private static func identity(of folder: URL) -> String {
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: [.fileSizeKey, .contentModificationDateKey])
        var entries: [String] = []
        while let file = files?.nextObject() as? URL {
            guard let values = try? file.resourceValues(forKeys: [.fileSizeKey, .contentModificationDateKey, .isRegularFileKey]),
                values.isRegularFile ?? false, ["safetensors", "json"].contains(file.pathExtension)
            else { continue }
            entries.append("\(file.lastPathComponent)=\(values.fileSize ?? 0)@\(Int(values.contentModificationDate?.timeIntervalSince1970 ?? 0))")
        }
        return folder.lastPathComponent + "[" + entries.sorted().joined(separator: ",") + "]"
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
