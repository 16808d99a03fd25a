import Foundation
import Networks
import TensorKit
import Weights

/// A text as the U-Net is given it.
public struct PromptEmbedding: Sendable {
    /// (1, tokens, D): hidden states of the text encoders.
    public var context: Tensor
    /// (1, P): the pooled text embedding; nil for a network without `text_time` embedding.
    public var pooled: Tensor?

    public init(context: Tensor, pooled: Tensor? = nil) {
        self.context = context
        self.pooled = pooled
    }

    /// Zeros: what SDXL's pipeline takes where no negative prompt is given.
    static func zeros(for unet: UNet2DCondition.Configuration) throws -> PromptEmbedding {
        PromptEmbedding(
            context: try .zeros([1, 77, unet.contextChannels]),
            pooled: try unet.pooledChannels.map { try .zeros([1, $0]) })
    }

    /// Itself, if the network takes it.
    /// - Parameter source: Where it comes from, for the error.
    func checked(for unet: UNet2DCondition.Configuration, from source: String) throws -> PromptEmbedding {
        let wanted = unet.pooledChannels.map { [1, $0] }
        guard context.rank == 3, context.size(0) == 1, context.size(1) > 0, context.size(2) == unet.contextChannels,
            wanted == nil || pooled?.shape == wanted
        else {
            throw ModelError.mismatch(
                "\(source): the text has the shapes \(context.shape) and \(pooled?.shape.description ?? "none"), and the U-Net takes "
                    + "[1, tokens, \(unet.contextChannels)] and \(wanted?.description ?? "none"); they are not of the same model."
            )
        }
        return wanted == nil && pooled != nil ? PromptEmbedding(context: context) : self
    }
}

/// The text encoders of a model's folder, in the way that its pipeline joins them.
///
/// SDXL (Podell et al. 2023, section 2.1): `hidden_states[-2]` of both encoders side by side, and the pooled projection of the second.
/// Stable Diffusion before it: the last, normalised state of the only one.
///
/// The encoders are opened one after the other, each when it is needed, and closed when it has run. They run in float32.
public struct PromptEncoder: Sendable {
    public let folder: URL
    private let variant: String?
    private let unet: UNet2DCondition.Configuration
    private let parts: [(tokenizer: URL, encoder: URL)]

    /// - Throws: `ModelError.noTextEncoders` where the folder has not all that the network's texts are made with.
    public init(folder: URL, unet: UNet2DCondition.Configuration, variant: String? = nil) throws {
        let lacking = Self.lacking(in: folder, for: unet)
        guard lacking.isEmpty else { throw ModelError.noTextEncoders(model: folder.path, lacking: lacking) }
        self.folder = folder
        self.variant = variant
        self.unet = unet
        parts = Self.suffixes(for: unet).map {
            (folder.appendingPathComponent("tokenizer\($0)"), folder.appendingPathComponent("text_encoder\($0)"))
        }
    }

    /// The names of the components that a text needs and the folder does not have, with safetensors weights.
    public static func lacking(in folder: URL, for unet: UNet2DCondition.Configuration) -> [String] {
        func names(_ component: String) -> [String] {
            (try? FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent(component).path)) ?? []
        }
        return suffixes(for: unet).flatMap { suffix in
            let tokenizer = names("tokenizer\(suffix)")
            let encoder = names("text_encoder\(suffix)")
            return (tokenizer.contains("vocab.json") && tokenizer.contains("merges.txt") ? [] : ["tokenizer\(suffix)"])
                + (encoder.contains("config.json") && WeightFiles.choice(among: encoder) != nil
                    ? [] : ["text_encoder\(suffix)"])
        }
    }

    private static func suffixes(for unet: UNet2DCondition.Configuration) -> [String] {
        unet.addition == nil ? [""] : ["", "_2"]
    }

    /// The embeddings of texts, on the CPU, and of each the end that found no room. Cost: for SDXL 0.1 TFLOP a text, and up to 2.8 GB of
    /// memory for the second encoder.
    public func embed(
        _ texts: [String], on device: Device = .cpu
    ) throws -> [(embedding: PromptEmbedding, removed: String?)] {
        var contexts: [Tensor] = []
        var pooled: Tensor?
        var removed = [String?](repeating: nil, count: texts.count)
        for part in parts {
            let tokenizer = try CLIPTokenizer(folder: part.tokenizer)
            let tokens = texts.map { tokenizer($0) }
            for (index, tokens) in tokens.enumerated() { removed[index] = removed[index] ?? tokens.removed }
            let encoder = try CLIPTextEncoder(folder: part.encoder, variant: variant, device: device)
            let output = try encoder(tokens.map(\.ids))
            contexts.append(try (unet.addition == nil ? output.last : output.penultimate).to(.cpu))
            pooled = encoder.configuration.hasProjection ? try output.pooled.to(.cpu) : nil
        }
        let context = try Tensor.concatenate(contexts, along: 2)
        return try texts.indices.map { index in
            let row = index..<index + 1
            let embedding = PromptEmbedding(
                context: try context.rows(row).contiguous(), pooled: try pooled?.rows(row).contiguous())
            return (try embedding.checked(for: unet, from: folder.path), removed[index])
        }
    }

    /// What changes whenever the embeddings could: the names, sizes and dates of every file that they are made with.
    var identity: String {
        let keys: Set<URLResourceKey> = [.fileSizeKey, .contentModificationDateKey]
        let files = parts.flatMap { [$0.tokenizer, $0.encoder] }.flatMap { component in
            ((try? FileManager.default.contentsOfDirectory(atPath: component.path)) ?? [])
                .filter { $0.hasSuffix(".safetensors") || $0.hasSuffix(".json") || $0.hasSuffix(".txt") }.sorted()
                // The hub's cache has links to files that are named by their content.
                .map { component.appendingPathComponent($0).resolvingSymlinksInPath() }
        }
        let lines = files.map { file in
            let values = try? file.resourceValues(forKeys: keys)
            return
                "\(file.path) \(values?.fileSize ?? -1) \(values?.contentModificationDate?.timeIntervalSince1970 ?? -1)"
        }
        return (["variant \(variant ?? "none")", unet.addition == nil ? "last" : "penultimate"] + lines).joined(
            separator: "\n")
    }
}
