import Foundation

/// Which files of a component's folder hold its weights.
///
/// Diffusers and transformers name them `STEM[.VARIANT].safetensors`, or, when they are cut into shards,
/// `STEM.safetensors.index[.VARIANT].json`, with a stem for each library.
enum ComponentWeights: Equatable {
    case file(URL)
    case index(URL)

    fileprivate static let stems = ["diffusion_pytorch_model", "model"]
    private static let pickleEndings = ["bin", "pt", "pth", "ckpt", "pkl", "pickle"]

    /// Finds the weights in `folder`: of `variant` if there are any, else those without one, else those of any variant.
    static func find(in folder: URL, variant: String?) throws(WeightsError) -> ComponentWeights {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        } catch {
            throw .noSuchFolder(path: folder.path)
        }
        if let match = choice(among: names, variant: variant) {
            let url = folder.appendingPathComponent(match.name)
            return match.isIndex ? .index(url) : .file(url)
        }
        if let pickle = names.first(where: isPickle) {
            throw .pickleOnly(path: folder.appendingPathComponent(pickle).path)
        }
        throw .noWeights(folder: folder.path)
    }

    fileprivate static func choice(among names: [String], variant: String?) -> WeightFiles.Choice? {
        let found = names.sorted().compactMap { name in candidate(name).map { (name: name, $0) } }
        let wanted: [String?] = (variant.map { [$0] } ?? []) + [nil] + found.map(\.1.variant)
        for variant in wanted {
            for stem in stems {
                for isIndex in [false, true] {
                    let match = found.first { $0.1 == Candidate(stem: stem, variant: variant, isIndex: isIndex) }
                    if let match { return WeightFiles.Choice(name: match.name, isIndex: isIndex) }
                }
            }
        }
        return nil
    }

    static func isPickle(_ name: String) -> Bool {
        pickleEndings.contains { name.lowercased().hasSuffix(".\($0)") }
    }

    private struct Candidate: Equatable {
        var stem: String
        var variant: String?
        var isIndex: Bool
    }

    /// What `name` says of itself if it is a name for weights; a single shard is not.
    private static func candidate(_ name: String) -> Candidate? {
        for stem in stems where name.hasPrefix("\(stem).") {
            let rest = name.dropFirst(stem.count + 1).split(separator: ".", omittingEmptySubsequences: false).map(
                String.init)
            switch (rest.count, rest.first, rest.last) {
            case (1, "safetensors", _): return .init(stem: stem, isIndex: false)
            case (2, let variant, "safetensors") where variant?.contains("-of-") == false:
                return .init(stem: stem, variant: variant, isIndex: false)
            case (3, "safetensors", "json") where rest[1] == "index": return .init(stem: stem, isIndex: true)
            // Both spellings are about: …safetensors.index.fp16.json and …fp16.safetensors.index.json.
            case (4, "safetensors", "json") where rest[1] == "index":
                return .init(stem: stem, variant: rest[2], isIndex: true)
            case (4, let variant, "json") where rest[1] == "safetensors" && rest[2] == "index":
                return .init(stem: stem, variant: variant, isIndex: true)
            default: continue
            }
        }
        return nil
    }
}

/// The rule by which a component's weights are found, for whoever fetches them.
public enum WeightFiles {
    public struct Choice: Sendable, Hashable {
        public let name: String
        /// An index of shards: the shards it names are wanted too.
        public let isIndex: Bool
    }

    /// The file that `ModelFolder` would open if a component's folder held files of these names; nil where none are safetensors weights.
    public static func choice(among names: [String], variant: String? = nil) -> Choice? {
        ComponentWeights.choice(among: names, variant: variant)
    }

    /// Every name under which `choice` may find weights without a variant or of `variants`.
    public static func possibleNames(variants: [String]) -> [String] {
        ComponentWeights.stems.flatMap { stem in
            ["\(stem).safetensors", "\(stem).safetensors.index.json"]
                + variants.flatMap {
                    [
                        "\(stem).\($0).safetensors", "\(stem).safetensors.index.\($0).json",
                        "\(stem).\($0).safetensors.index.json",
                    ]
                }
        }
    }

    /// The shards that the index at `url` names, in order: plain file names that end in `.safetensors`.
    public static func shards(ofIndexAt url: URL) throws(WeightsError) -> [String] {
        Set(try ShardIndex(at: url).shards.values).sorted()
    }

    /// Whether a file of that name is a pickle, by its ending.
    public static func isPickle(_ name: String) -> Bool { ComponentWeights.isPickle(name) }
}
