import Foundation
import Weights

/// A part of a model that is wanted, and which of a repository's files it is.
struct Wish: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        /// A configuration and the weights that `ModelFolder` would open.
        case network(variant: String?)
        case files([String])
    }

    var kind: Kind
    /// The folder in the repository; empty for its top.
    var folder: String
    /// The folder in the model.
    var destination: String
    var isRequired = true

    /// One file of a repository under the name it has in the model.
    struct Match: Sendable, Hashable {
        var path: String
        var destination: String
        /// An index of shards, which are wanted too.
        var isIndex = false
    }

    static func network(_ name: String, variant: String?, from folder: String? = nil, isRequired: Bool = true) -> Wish {
        Wish(kind: .network(variant: variant), folder: folder ?? name, destination: name, isRequired: isRequired)
    }

    /// What a latent diffusion model needs, in diffusers' layout.
    /// - Parameter withText: the text encoders and their tokenizers as well; the second ones are there in models like SDXL only.
    static func model(variant: String?, withText: Bool, autoencoder: Bool = true) -> [Wish] {
        var wishes = [
            Wish(kind: .files(["model_index.json"]), folder: "", destination: "", isRequired: false),
            Wish(kind: .files(["scheduler_config.json"]), folder: "scheduler", destination: "scheduler"),
            .network("unet", variant: variant),
        ]
        if autoencoder { wishes.append(.network("vae", variant: variant)) }
        if withText {
            for (suffix, isRequired) in [("", true), ("_2", false)] {
                wishes.append(.network("text_encoder\(suffix)", variant: variant, isRequired: isRequired))
                wishes.append(
                    Wish(
                        kind: .files(tokenizerFiles), folder: "tokenizer\(suffix)", destination: "tokenizer\(suffix)",
                        isRequired: isRequired))
            }
        }
        return wishes
    }

    /// A model in one file, which lies at the top of the model's folder.
    static func singleFile(_ path: String) throws(HubError) -> [Wish] {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let name = parts.last, name.hasSuffix(".safetensors"), parts.allSatisfy(HubRepository.isPlain) else {
            throw .badFileName(path)
        }
        return [Wish(kind: .files([name]), folder: parts.dropLast().joined(separator: "/"), destination: "")]
    }

    private static let tokenizerFiles = [
        "vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json",
    ]

    /// Which of a source's files these are.
    func matches(in source: some FileSource) throws -> [Match] {
        let prefix = folder.isEmpty ? "" : folder + "/"
        let names = source.paths.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }.filter {
            !$0.contains("/")
        }
        func match(_ name: String, isIndex: Bool = false) -> Match {
            Match(
                path: prefix + name, destination: destination.isEmpty ? name : "\(destination)/\(name)",
                isIndex: isIndex)
        }
        switch kind {
        case .files(let wanted):
            let found = wanted.filter { names.contains($0) }
            guard !found.isEmpty || !isRequired else { throw source.lacking(prefix + wanted[0]) }
            return found.map { match($0) }
        case .network(let variant):
            guard names.contains("config.json") else {
                if isRequired { throw source.lacking(prefix + "config.json") }
                return []
            }
            guard let weights = WeightFiles.choice(among: names, variant: variant), HubRepository.isPlain(weights.name)
            else {
                let isPickled = names.contains(where: WeightFiles.isPickle)
                throw isPickled
                    ? HubError.pickleOnly(model: source.title, component: destination)
                    : source.lacking("weights in \(prefix)")
            }
            return [match("config.json"), match(weights.name, isIndex: weights.isIndex)]
        }
    }

    /// Every path that could match, for servers that have no list.
    var candidates: [String] {
        let prefix = folder.isEmpty ? "" : folder + "/"
        switch kind {
        case .files(let names): return names.map { prefix + $0 }
        case .network(let variant):
            let variants = variant.map { $0 == "fp16" ? [$0] : [$0, "fp16"] } ?? ["fp16"]
            return (["config.json"] + WeightFiles.possibleNames(variants: variants)).map { prefix + $0 }
        }
    }
}
