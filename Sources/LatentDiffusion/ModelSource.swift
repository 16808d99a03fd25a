import Foundation
import Networks
import Weights

/// A network's configuration, and its weights under diffusers' names.
struct NetworkSource {
    let configuration: ConfigurationReader
    /// Opens the weights.
    let weights: () throws -> WeightStore

    init(configuration: ConfigurationReader, weights: @escaping () throws -> WeightStore) {
        self.configuration = configuration
        self.weights = weights
    }

    /// A folder with `config.json` and safetensors weights.
    init(folder: URL, variant: String?) throws {
        self.init(configuration: try ConfigurationReader(contentsOf: folder.appendingPathComponent("config.json"))) {
            try WeightStore(at: folder, variant: variant)
        }
    }

    /// Weights with a configuration that was made for them.
    init(_ store: WeightStore, _ configuration: String) throws {
        self.init(configuration: try ConfigurationReader(data: Data(configuration.utf8), path: store.url.path)) {
            store
        }
    }

    /// An autoencoder by itself: a folder, or a file of SDXL's own.
    init(autoencoderAt url: URL, variant: String?) throws {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
            throw ModelError.unreadable(path: url.path, reason: "there is no such autoencoder")
        }
        if isFolder.boolValue {
            try self.init(folder: url, variant: variant)
        } else {
            let store = try SingleFileModel.autoencoder(at: url)
            try self.init(store, StableDiffusionXL.autoencoderConfiguration(of: store))
        }
    }
}

/// Where a whole model comes from.
enum ModelSource {
    /// In diffusers' layout.
    case folder(URL)
    case file(SingleFileModel)

    init(at url: URL) throws {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
            throw ModelError.unreadable(path: url.path, reason: "there is no such model folder or file")
        }
        self = isFolder.boolValue ? .folder(url) : .file(try SingleFileModel(at: url))
    }

    var schedule: ConfigurationReader {
        get throws {
            switch self {
            case .folder(let url):
                try ConfigurationReader(contentsOf: url.appendingPathComponent("scheduler/scheduler_config.json"))
            case .file(let file):
                try ConfigurationReader(data: Data(StableDiffusionXL.scheduleConfiguration.utf8), path: file.url.path)
            }
        }
    }

    /// The component `name`: `unet` or `vae`.
    func network(_ name: String, variant: String?) throws -> NetworkSource {
        switch self {
        case .folder(let url): return try NetworkSource(folder: url.appendingPathComponent(name), variant: variant)
        case .file(let file):
            let store = try file.weights(of: name)
            return try NetworkSource(
                store,
                name == "unet"
                    ? StableDiffusionXL.unetConfiguration(of: store)
                    : StableDiffusionXL.autoencoderConfiguration(of: store))
        }
    }
}
