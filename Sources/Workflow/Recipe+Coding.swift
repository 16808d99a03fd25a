import Foundation
import InverseProblems
import LatentDiffusion
import VideoIO
import VisionXL

extension Recipe: Codable {
    private enum Key: String, CodingKey {
        case version, input, frames, crop, progressive, incomplete, output, bits, encoding, leaveOut, finishing, log
        case problem, noise, firstEstimateFrom, window, context, scenes, model, text, options
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
        crop = try values.decodeIfPresent(Crop.self, forKey: .crop)
        bits = try values.decodeIfPresent(Int.self, forKey: .bits)
        encoding = try values.decodeIfPresent(EncodingChoice.self, forKey: .encoding) ?? EncodingChoice()
        leaveOut = try values.decodeIfPresent([OutputPlan.Part].self, forKey: .leaveOut) ?? []
        isProgressive = try values.decodeIfPresent(Bool.self, forKey: .progressive) ?? false
        acceptsIncomplete = try values.decodeIfPresent(Bool.self, forKey: .incomplete) ?? false
        finishing = try values.decodeIfPresent(Finishing.self, forKey: .finishing) ?? Finishing()
        log = try values.decodeIfPresent(String.self, forKey: .log)
        problem = try values.decodeIfPresent(Problem.self, forKey: .problem)
        noise = try values.decodeIfPresent(NoiseChoice.self, forKey: .noise)
        firstEstimateFrom = try values.decodeIfPresent(String.self, forKey: .firstEstimateFrom)
        window = try values.decodeIfPresent(Int.self, forKey: .window)
        context = try values.decodeIfPresent(Int.self, forKey: .context)
        scenes = try values.decodeIfPresent(SceneChoice.self, forKey: .scenes)
        model = try values.decodeIfPresent(ModelChoice.self, forKey: .model) ?? ModelChoice()
        text = try values.decodeIfPresent(TextRequest.self, forKey: .text) ?? TextRequest()
        options = try values.decodeIfPresent(RestorationOptions.self, forKey: .options) ?? RestorationOptions()
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: Key.self)
        try values.encode(Self.version, forKey: .version)
        try values.encode(input, forKey: .input)
        try values.encodeIfPresent(frames, forKey: .frames)
        try values.encodeIfPresent(crop, forKey: .crop)
        try values.encode(output, forKey: .output)
        try values.encodeIfPresent(bits, forKey: .bits)
        if !encoding.isEmpty { try values.encode(encoding, forKey: .encoding) }
        if !leaveOut.isEmpty { try values.encode(leaveOut, forKey: .leaveOut) }
        if isProgressive { try values.encode(true, forKey: .progressive) }
        if acceptsIncomplete { try values.encode(true, forKey: .incomplete) }
        if !finishing.isEmpty { try values.encode(finishing, forKey: .finishing) }
        try values.encodeIfPresent(log, forKey: .log)
        try values.encodeIfPresent(problem, forKey: .problem)
        try values.encodeIfPresent(noise, forKey: .noise)
        try values.encodeIfPresent(firstEstimateFrom, forKey: .firstEstimateFrom)
        try values.encodeIfPresent(window, forKey: .window)
        try values.encodeIfPresent(context, forKey: .context)
        try values.encodeIfPresent(scenes, forKey: .scenes)
        try values.encode(model, forKey: .model)
        try values.encode(text, forKey: .text)
        try values.encode(options, forKey: .options)
    }
}

extension Recipe {
    /// The recipe in a file, its relative paths taken from the file's folder.
    ///
    /// Words for ffmpeg could write any file. So those of a recipe, which may come from anywhere, are refused unless
    /// whoever reads it says them, too.
    /// - Parameter words: for ffmpeg, that are said beside the recipe; they take the place of the recipe's.
    /// - Throws: `WorkflowError` with one sentence for whatever is wrong with it.
    public init(contentsOf path: String, ffmpeg words: String? = nil) throws {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw WorkflowError.message(
                "\(path) cannot be read; name a recipe that `visionxl restore ... --print-recipe` wrote.")
        }
        do {
            self = try StrictJSON.decode(Recipe.self, from: data)
        } catch {
            throw WorkflowError.message("\(path) is no recipe: \(StrictJSON.describe(error)).")
        }
        if let own = encoding.ffmpeg, words == nil {
            throw WorkflowError.message(
                "\(path) hands words to ffmpeg (\(own)), which could write any file; if you trust them, say them "
                    + "yourself with --ffmpeg, or take them out of the recipe.")
        }
        encoding.ffmpeg = words
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
        self = located { URL(fileURLWithPath: $0, relativeTo: folder).standardizedFileURL.path }
    }

    /// As text, with absolute paths and keys in order.
    public func text(relativeTo folder: String = FileManager.default.currentDirectoryPath) throws -> String {
        let base = URL(fileURLWithPath: folder, isDirectory: true)
        return try JSONFile.text(located { URL(fileURLWithPath: $0, relativeTo: base).standardizedFileURL.path })
    }

    /// With each path in another place. Names of models that are no paths stay names.
    func located(_ place: (String) -> String) -> Recipe {
        func at(_ path: String) -> String { path.isEmpty ? path : place(path) }
        // What looks like a name is one, whatever lies beside the recipe.
        func ifThere(_ name: String) -> String {
            guard name.contains("/") || name.hasSuffix(".safetensors") else { return name }
            return FileManager.default.fileExists(atPath: place(name)) ? place(name) : name
        }
        var copy = self
        copy.input = at(input)
        // A slash at the end says that it is a folder, whatever its name.
        copy.output = at(output) + (output.count > 1 && output.hasSuffix("/") && !at(output).hasSuffix("/") ? "/" : "")
        copy.log = log.map(at)
        if case .file(let path) = scenes { copy.scenes = .file(at(path)) }
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
