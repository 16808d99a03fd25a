import Foundation
import InverseProblems
import LatentDiffusion
import PixelPriors
import TensorKit
import VisionXL
import Weights

/// What a run's frames follow from: a work folder of one run is of no use to another.
struct RunIdentity: Codable, Equatable, Sendable {
    /// With absolute paths, and without its log.
    var recipe: Recipe
    /// What was read beside the input.
    var record: MeasurementRecord?
    var input: Fingerprint
    /// Masks, lists of scenes and frames to begin from, by path.
    var files: [String: Fingerprint]
    /// The model's folders and files, by path.
    var models: [String: Fingerprint]
    /// Of the defaults, which may differ in another version of this program.
    var policy: String

    init(_ recipe: Recipe, record: MeasurementRecord?, problem: Problem, model: URL) throws {
        let here = FileManager.default.currentDirectoryPath
        func absolute(_ path: String) -> String {
            URL(fileURLWithPath: path, relativeTo: URL(fileURLWithPath: here, isDirectory: true)).standardizedFileURL
                .path
        }
        var plain = recipe.located(absolute)
        plain.log = nil
        self.recipe = plain
        // What is said leaves nothing to it.
        let saysNoise = if case .sigma = recipe.noise { true } else { false }
        self.record = recipe.problem == nil || recipe.window == nil || !saysNoise ? record : nil
        input = try Fingerprint(frames: recipe.input)
        let files = Set((problem.files + recipe.inputs.dropFirst()).map(absolute))
        self.files = try Dictionary(uniqueKeysWithValues: files.map { ($0, try Fingerprint(frames: $0)) })
        var parts = [model, recipe.model.autoencoderURL(of: model), recipe.model.draftURL(of: model)].compactMap(\.self)
        // Whether they are there decides about the start, the timesteps and more.
        if recipe.firstEstimateFrom == nil, recipe.options.firstEstimate ?? .learned == .learned {
            parts += PictureEnlargement.networks.compactMap { try? NetworkLibrary.url(of: $0) }
        }
        models = try Dictionary(uniqueKeysWithValues: Set(parts.map(\.path)).map { ($0, try Fingerprint($0)) })
        policy = try Policy.fileSignature(recipe.options)
    }

    /// What differs in another run, in words; empty where nothing does.
    func differences(from other: RunIdentity) throws -> [String] {
        var words: [String] = []
        if recipe != other.recipe {
            let (mine, others) = (try Self.leaves(recipe), try Self.leaves(other.recipe))
            words += Set(mine.keys).union(others.keys).sorted().filter { mine[$0] != others[$0] }.map {
                "\($0) (\(others[$0] ?? "not said") there, \(mine[$0] ?? "not said") here)"
            }
        }
        if record != other.record { words.append("what the .json beside the input says") }
        if input != other.input { words.append("the input's content") }
        if files != other.files { words.append("a mask, the list of scenes or the first estimate's frames") }
        if models != other.models { words.append("the model") }
        if policy != other.policy { words.append("the program's defaults (another version)") }
        return words
    }

    /// "options.seed": "1".
    private static func leaves(_ recipe: Recipe) throws -> [String: String] {
        var result: [String: String] = [:]
        func walk(_ value: Any, _ path: String) {
            if let object = value as? [String: Any] {
                for (key, part) in object { walk(part, path.isEmpty ? key : "\(path).\(key)") }
            } else if let list = value as? [Any] {
                for (index, part) in list.enumerated() { walk(part, "\(path).\(index)") }
            } else {
                result[path] = "\(value)"
            }
        }
        walk(try JSONSerialization.jsonObject(with: JSONEncoder().encode(recipe), options: .fragmentsAllowed), "")
        return result
    }
}

/// What the recipe leaves to the machine and frames follow from but for rounding.
struct SettledNumbers: Codable, Equatable, Sendable {
    var dtype: String
    /// "cpu", "cuda": which of several is all the same.
    var device: String
    var threads: Int
    var processor: String
    var engine: String
    var passes: PassSizes

    init(_ session: ModelSession, passes: PassSizes) {
        let machine = Machine.current
        dtype = session.dtype.rawValue
        device = String("\(session.device)".prefix { $0 != ":" })
        threads = session.execution.threads ?? machine.cores
        (processor, engine) = (machine.processor, machine.engine)
        self.passes = passes
    }

    /// What is another thing here than where the run began, in words.
    func differences(from other: SettledNumbers) -> [String] {
        var words: [String] = []
        func compare(_ name: String, _ mine: String, _ others: String) {
            if mine != others { words.append("\(name) \(others), here \(mine)") }
        }
        compare("type", dtype, other.dtype)
        compare("device", device, other.device)
        compare("threads", "\(threads)", "\(other.threads)")
        compare("processor", processor, other.processor)
        compare("engine", engine, other.engine)
        compare("passes", "\(passes)", "\(other.passes)")
        return words
    }
}
