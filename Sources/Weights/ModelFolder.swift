import Foundation

/// A model in diffusers' layout: a folder per component, with `model_index.json` beside them.
///
///     let model = try ModelFolder(at: url)
///     let config = try model.component("unet").config(as: UNetConfiguration.self)
///     let weights = try model.component("unet").weights(variant: "fp16")
public struct ModelFolder: Sendable {
    public let url: URL
    /// The class of each component that `model_index.json` names; empty where there is no such file.
    public let classNames: [String: String]

    /// Opens the folder at `url`; its components are looked at when they are asked for.
    public init(at url: URL) throws(WeightsError) {
        guard isFolder(url) else { throw .noSuchFolder(path: url.path) }
        self.url = url
        classNames = try Self.classNames(in: url.appendingPathComponent("model_index.json"))
    }

    /// The names of the subfolders that hold a component, in order.
    public var componentNames: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
        return names.sorted().filter { name in
            let folder = url.appendingPathComponent(name)
            return isFolder(folder) && ComponentFolder(url: folder).isComponent
        }
    }

    /// Whether there is a folder for the component `name`.
    public func contains(_ name: String) -> Bool { isFolder(url.appendingPathComponent(name)) }

    /// The component in the subfolder `name`, such as "unet".
    public func component(_ name: String) throws(WeightsError) -> ComponentFolder {
        guard contains(name) else { throw .noComponent(model: url.path, component: name, present: componentNames) }
        return ComponentFolder(url: url.appendingPathComponent(name))
    }

    /// Reads `"unet": ["diffusers", "UNet2DConditionModel"]` and leaves all else aside.
    private static func classNames(in index: URL) throws(WeightsError) -> [String: String] {
        guard let data = FileManager.default.contents(atPath: index.path) else { return [:] }
        var classNames: [String: String] = [:]
        do {
            guard String(validating: data, as: UTF8.self) != nil else {
                throw JSONProblem.syntax(offset: 0, expected: "UTF-8")
            }
            var cursor = JSONCursor([UInt8](data))
            try cursor.object { cursor, key in
                guard cursor.peek() == .array else { return try cursor.skipValue() }
                var names: [String] = []
                try cursor.array { cursor in
                    // An absent component is [null, null].
                    if cursor.peek() == .string { names.append(try cursor.string()) } else { try cursor.skipValue() }
                }
                if names.count == 2 { classNames[key] = names[1] }
            }
            try cursor.end()
        } catch {
            throw .badConfig(path: index.path, reason: "\(error)")
        }
        return classNames
    }
}

/// One component of a model: its configuration and its weights. A folder from the hub that holds one network only is one by itself.
public struct ComponentFolder: Sendable {
    public let url: URL

    private static let configNames = [
        "config.json", "scheduler_config.json", "tokenizer_config.json", "preprocessor_config.json",
    ]

    /// Opens the folder at `url`.
    public init(at url: URL) throws(WeightsError) {
        guard isFolder(url) else { throw .noSuchFolder(path: url.path) }
        self.url = url
    }

    init(url: URL) { self.url = url }

    /// The component's configuration file; nil where it has none.
    public var configURL: URL? {
        Self.configNames.map { url.appendingPathComponent($0) }.first {
            FileManager.default.fileExists(atPath: $0.path)
        }
    }

    /// The bytes of the configuration file.
    public func configData() throws(WeightsError) -> Data {
        guard let file = configURL, let data = FileManager.default.contents(atPath: file.path) else {
            throw .noConfig(path: url.appendingPathComponent(Self.configNames[0]).path)
        }
        return data
    }

    /// The configuration, decoded from its JSON as it stands (keys are not converted).
    public func config<Configuration: Decodable>(
        as type: Configuration.Type = Configuration.self
    ) throws(WeightsError)
        -> Configuration
    {
        let data = try configData()
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch {
            throw .badConfig(path: configURL?.path ?? url.path, reason: Self.sentence(for: error))
        }
    }

    /// The component's weights; `variant` as for `WeightStore`.
    public func weights(variant: String? = nil) throws(WeightsError) -> WeightStore {
        try WeightStore(at: url, variant: variant)
    }

    /// Whether there is anything of a model in the folder.
    var isComponent: Bool { configURL != nil || !safetensorsNames.isEmpty }

    /// The names of all safetensors files in the folder.
    var safetensorsNames: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []).filter { $0.hasSuffix(".safetensors") }
            .sorted()
    }

    /// Says which key a decoding error is about.
    private static func sentence(for error: any Error) -> String {
        let path = { (context: DecodingError.Context) in context.codingPath.map(\.stringValue).joined(separator: ".") }
        switch error as? DecodingError {
        case .keyNotFound(let key, let context):
            return "the key \(quoted((path(context).isEmpty ? "" : path(context) + ".") + key.stringValue)) is missing"
        case .typeMismatch(let type, let context): return "the key \(quoted(path(context))) is not of the type \(type)"
        case .valueNotFound(let type, let context):
            return "the key \(quoted(path(context))) is null where a \(type) is needed"
        case .dataCorrupted(let context):
            return context.codingPath.isEmpty
                ? "it is not valid JSON" : "\(quoted(path(context))): \(context.debugDescription)"
        default: return "\(error)"
        }
    }
}

func isFolder(_ url: URL) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) && isFolder.boolValue
}
