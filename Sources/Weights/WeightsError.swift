import Foundation
import TensorKit

/// What can be wrong with a model's folders and files, above the level of one safetensors file.
public enum WeightsError: Error, Sendable, Equatable, CustomStringConvertible, LocalizedError {
    // Finding the files.
    case noSuchFolder(path: String)
    case noSuchFile(path: String)
    case pickleOnly(path: String)
    case noWeights(folder: String)
    case notWeights(path: String)
    case otherCheckpoint(path: String, kind: String)
    case noPart(path: String, part: String, present: [String])
    case networkNotFound(name: String, searched: [String])

    // Configurations.
    case noComponent(model: String, component: String, present: [String])
    case noConfig(path: String)
    case badConfig(path: String, reason: String)

    // Sharded indexes.
    case badIndex(path: String, reason: String)
    case shardOutsideFolder(index: String, shard: String)
    case shardMissing(index: String, shard: String)
    case shardLacksKey(index: String, shard: String, key: String)

    // Keys and shapes.
    case missingKey(path: String, key: String)
    case wrongShape(path: String, key: String, expected: [Int], found: [Int])
    case doNotFit(path: String, Misfit)

    // Below this level.
    case file(SafetensorsError)
    case tensor(path: String, key: String, TensorError)

    /// Every key in which a network and its weights disagree.
    public struct Misfit: Sendable, Hashable {
        public var missing: [String] = []
        /// The key, the shape that the network wants and the shape that the file has.
        public var misshapen: [Misshapen] = []
        public var extra: [String] = []

        public struct Misshapen: Sendable, Hashable {
            public let key: String
            public let expected: [Int]
            public let found: [Int]
        }

        public var isEmpty: Bool { missing.isEmpty && misshapen.isEmpty && extra.isEmpty }
    }

    public var errorDescription: String? { description }

    public var description: String {
        switch self {
        case .noSuchFolder(let path): "\(path): there is no such folder; check the path or download the model."
        case .noSuchFile(let path): "\(path): there is no such file; check the path or download the model."
        case .pickleOnly(let path):
            "\(path): this is a pickle, and only safetensors are read; convert it with safetensors' save_file or take the model's safetensors files."
        case .noWeights(let folder):
            "\(folder): there are no weights in this folder (no diffusion_pytorch_model or model .safetensors, nor an index of shards); download the model again."
        case .notWeights(let path):
            "\(path): this is neither a .safetensors file, nor a .safetensors.index.json, nor a folder of them; name one of these."
        case .otherCheckpoint(let path, let kind):
            "\(path): this is \(kind); of models in a single file only Stable Diffusion XL's base model in its original layout is read, so take another file or a folder in diffusers' layout."
        case .noPart(let path, let part, let present):
            "\(path): there is no \(quoted(part)) in this file (it has: \(listed(present))); take a file that is whole\(part == "vae" ? ", or name an autoencoder with --vae" : "")."
        case .networkNotFound(let name, let searched):
            "The network \(name) was not found (looked in \(searched.joined(separator: ", "))); run `make setup`, or set VISIONXL_NETWORKS to the folder of \(name).safetensors."
        case .noComponent(let model, let component, let present):
            "\(model): the model has no folder \(quoted(component)) (it has: \(present.isEmpty ? "none" : listed(present))); download it whole or name another model."
        case .noConfig(let path): "\(path): the configuration is missing; download the model again."
        case .badConfig(let path, let reason):
            "\(path): the configuration cannot be read (\(reason)); download it again or correct it."
        case .badIndex(let path, let reason):
            "\(path): the index of shards cannot be read (\(reason)); download it again."
        case .shardOutsideFolder(let index, let shard):
            "\(index): the index names \(quoted(shard)), which is not a plain file name beside it; do not use this model."
        case .shardMissing(let index, let shard):
            "\(index): the shard \(quoted(shard)) that the index names is not beside it; download the rest of the model."
        case .shardLacksKey(let index, let shard, let key):
            "\(index): the shard \(quoted(shard)) has no tensor \(quoted(key)) as the index says; download the model again."
        case .missingKey(let path, let key):
            "\(path): there is no tensor \(quoted(key)) in these weights; check that they are of this kind of model."
        case .wrongShape(let path, let key, let expected, let found):
            "\(path): tensor \(quoted(key)) has the shape \(found) where \(expected) is needed; check that the weights belong to this configuration."
        case .doNotFit(let path, let misfit):
            "\(path): the weights do not fit the network: \(misfit); check that they belong to this configuration."
        case .file(let error): error.description
        case .tensor(let path, let key, let error): "\(path): tensor \(quoted(key)) cannot be made: \(error)"
        }
    }
}

extension WeightsError.Misfit: CustomStringConvertible {
    public var description: String {
        var parts: [String] = []
        // A few keys show what is wrong; a network has thousands.
        let limit = 2
        if !missing.isEmpty { parts.append("\(missing.count) missing (\(listed(missing, limit: limit)))") }
        if !misshapen.isEmpty {
            let shapes = misshapen.map { "\($0.key) is \($0.found), not \($0.expected)" }
            parts.append("\(misshapen.count) of another shape (\(listed(shapes, limit: limit)))")
        }
        if !extra.isEmpty { parts.append("\(extra.count) unknown (\(listed(extra, limit: limit)))") }
        return parts.joined(separator: "; ")
    }
}

/// The first few of `names`, as they may be shown.
func listed(_ names: [String], limit: Int = 8) -> String {
    names.prefix(limit).map { quoted($0) }.joined(separator: ", ") + (names.count > limit ? ", …" : "")
}
