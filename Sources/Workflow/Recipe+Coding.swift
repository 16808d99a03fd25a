import Foundation
import InverseProblems
import LatentDiffusion
import VisionXL

extension Recipe: Codable {
    private enum Key: String, CodingKey {
        case version, input, frames, output, bits, log, problem, noise, firstEstimateFrom, window, model, text,
            options
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: Key.self)
        let version = try values.decode(Int.self, forKey: .version)
        guard version >= 1 else { throw WorkflowError.message("there is no version \(version)") }
        guard version <= Self.version else {
            throw WorkflowError.message(
                "it was written by a newer program (version \(version), and this one reads \(Self.version))")
        }
        self.init(
            input: try values.decode(String.self, forKey: .input),
            output: try values.decode(String.self, forKey: .output))
        frames = try values.decodeIfPresent(FrameRange.self, forKey: .frames)
        bits = try values.decodeIfPresent(Int.self, forKey: .bits)
        log = try values.decodeIfPresent(String.self, forKey: .log)
        problem = try values.decodeIfPresent(Problem.self, forKey: .problem)
        noise = try values.decodeIfPresent(NoiseChoice.self, forKey: .noise)
        firstEstimateFrom = try values.decodeIfPresent(String.self, forKey: .firstEstimateFrom)
        window = try values.decodeIfPresent(Int.self, forKey: .window)
        model = try values.decodeIfPresent(ModelChoice.self, forKey: .model) ?? ModelChoice()
        text = try values.decodeIfPresent(TextRequest.self, forKey: .text) ?? TextRequest()
        options = try values.decodeIfPresent(RestorationOptions.self, forKey: .options) ?? RestorationOptions()
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: Key.self)
        try values.encode(Self.version, forKey: .version)
        try values.encode(input, forKey: .input)
        try values.encodeIfPresent(frames, forKey: .frames)
        try values.encode(output, forKey: .output)
        try values.encodeIfPresent(bits, forKey: .bits)
        try values.encodeIfPresent(log, forKey: .log)
        try values.encodeIfPresent(problem, forKey: .problem)
        try values.encodeIfPresent(noise, forKey: .noise)
        try values.encodeIfPresent(firstEstimateFrom, forKey: .firstEstimateFrom)
        try values.encodeIfPresent(window, forKey: .window)
        try values.encode(model, forKey: .model)
        try values.encode(text, forKey: .text)
        try values.encode(options, forKey: .options)
    }
}

extension Recipe {
    /// The recipe in a file, its relative paths taken from the file's folder.
    /// - Throws: `WorkflowError` with one sentence for whatever is wrong with it.
    public init(contentsOf path: String) throws {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw WorkflowError.message(
                "\(path) cannot be read; name a recipe that `visionxl restore ... --print-recipe` wrote.")
        }
        do {
            self = try StrictJSON.decode(Recipe.self, from: data)
        } catch {
            throw WorkflowError.message("\(path) is no recipe: \(StrictJSON.describe(error)).")
        }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
        self = located { URL(fileURLWithPath: $0, relativeTo: folder).standardizedFileURL.path }
    }

    /// As text, with absolute paths and keys in order.
    public func text(relativeTo folder: String = FileManager.default.currentDirectoryPath) throws -> String {
        let base = URL(fileURLWithPath: folder, isDirectory: true)
        return try JSONFile.text(located { URL(fileURLWithPath: $0, relativeTo: base).standardizedFileURL.path })
    }

    /// With each path in another place. Names of models that are no paths stay names.
    private func located(_ place: (String) -> String) -> Recipe {
        func at(_ path: String) -> String { path.isEmpty ? path : place(path) }
        // What looks like a name is one, whatever lies beside the recipe.
        func ifThere(_ name: String) -> String {
            guard name.contains("/") || name.hasSuffix(".safetensors") else { return name }
            return FileManager.default.fileExists(atPath: place(name)) ? place(name) : name
        }
        var copy = self
        copy.input = at(input)
        copy.output = at(output)
        copy.log = log.map(at)
        copy.firstEstimateFrom = firstEstimateFrom.map(at)
        copy.problem?.stages = problem?.stages.map { $0.located(place) } ?? []
        copy.model.name = model.name.map(ifThere)
        copy.model.autoencoder = model.autoencoder.map(ifThere)
        copy.model.draft = model.draft.map(ifThere)
        return copy
    }
}

extension NoiseChoice: Codable {
    public init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if let text = try? value.decode(String.self), text == "auto" {
            self = .auto
        } else {
            self = .sigma(try value.decode(Double.self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        switch self {
        case .auto: try value.encode("auto")
        case .sigma(let sigma): try value.encode(sigma)
        }
    }
}

extension FrameRange: Codable, CustomStringConvertible {
    public var description: String { "\(lower):\(upper.map(String.init) ?? "")" }

    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let range = Self(text) else {
            throw WorkflowError.message("\"\(text)\" is no range of frames such as 3:8")
        }
        self = range
    }

    public func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        try value.encode(description)
    }
}
