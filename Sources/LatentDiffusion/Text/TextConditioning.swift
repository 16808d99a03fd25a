import Foundation
import Networks
import TensorKit
import Weights

/// What a model is asked for in words.
public struct TextRequest: Sendable, Hashable, Codable {
    /// What the frames show; nil for the null prompt.
    public var prompt: String?
    /// What guidance leads away from; nil for no words, which SDXL takes as zeros.
    public var negativePrompt: String?
    /// s of classifier-free guidance (Ho & Salimans 2022): e_null + s (e_text - e_null). 1 is none.
    public var guidance: Double

    public init(prompt: String? = nil, negativePrompt: String? = nil, guidance: Double = 1) {
        self.prompt = prompt
        self.negativePrompt = negativePrompt
        self.guidance = guidance
    }

    /// Guidance may be left out: 1.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            prompt: try values.decodeIfPresent(String.self, forKey: .prompt),
            negativePrompt: try values.decodeIfPresent(String.self, forKey: .negativePrompt),
            guidance: try values.decodeIfPresent(Double.self, forKey: .guidance) ?? 1)
    }

    /// Whether words are encoded for it.
    public var hasWords: Bool { prompt != nil || negativePrompt != nil }
}

/// The text that every noise prediction of a model is conditioned on.
public struct TextConditioning: Sendable {
    public var prompt: PromptEmbedding
    /// nil: one pass of the U-Net, with the prompt.
    public var guidance: Guidance?
    /// The scale that a network is told which imitates guidance in one pass; 1 is none.
    public var embeddedGuidance = 1.0
    /// Where the prompt's embedding comes from.
    public var source: Source
    /// The ends of the texts that found no room in the encoders' 77 tokens.
    public var removed: [String]

    /// Two passes of the U-Net: e_null + scale (e_text - e_null), e_null with `negative`.
    public struct Guidance: Sendable {
        public var scale: Double
        public var negative: PromptEmbedding

        public init(scale: Double, negative: PromptEmbedding) {
            self.scale = scale
            self.negative = negative
        }
    }

    public enum Source: String, Sendable, Codable {
        /// Neither encoders nor a stored embedding: the null prompt is zeros.
        case zeros
        /// The folder's `null_prompt.safetensors`.
        case file
        /// The model's text encoders.
        case encoders
        /// The text encoders in an earlier run.
        case cache
        /// Nothing: the network knows no text.
        case none
    }

    public init(prompt: PromptEmbedding, guidance: Guidance? = nil, source: Source = .file, removed: [String] = []) {
        self.prompt = prompt
        self.guidance = guidance
        self.source = source
        self.removed = removed
    }

    /// Encodes what is asked for. The encoders are closed again when this returns.
    ///
    /// The null prompt is, in this order: `null_prompt.safetensors` (`context`, `pooled`) in the folder; the empty text through the
    /// encoders, as the paper's authors have it, where the folder has them; zeros. A single file has no tokenizer, and counts as one without.
    init(
        _ request: TextRequest, model folder: URL, unet: UNet2DCondition.Configuration, variant: String?,
        device: Device, cache: PromptCache?
    ) throws {
        guard request.guidance.isFinite, request.guidance >= 0 else {
            throw ModelError.mismatch("The scale of guidance must be 0 or more, not \(request.guidance).")
        }
        guard unet.takesText else {
            if request.hasWords || request.guidance != 1 { throw ModelError.noTextConditioning(model: folder.path) }
            self.init(prompt: try .zeros(for: unet), source: .none)
            return
        }
        if unet.guidanceChannels != nil, request.negativePrompt != nil {
            throw ModelError.mismatch(
                "\(folder.path) imitates guidance in one pass, where a negative prompt has no place; leave --negative-prompt out."
            )
        }
        let isGuided = request.guidance != 1 && unet.guidanceChannels == nil
        let stored = folder.appendingPathComponent("null_prompt.safetensors")
        let hasStored = FileManager.default.fileExists(atPath: stored.path)
        // diffusers: no words to lead away from are zeros in models like SDXL, unless their index says otherwise, and else the empty text.
        let negative = isGuided ? try request.negativePrompt ?? (Self.takesZeros(folder, unet) ? nil : "") : nil
        let hasEncoders = PromptEncoder.lacking(in: folder, for: unet).isEmpty

        var prompt = request.prompt
        if prompt == nil, !hasStored, hasEncoders { prompt = "" }
        let wanted = [prompt, negative].compactMap { $0 }
        var embeddings: [String: PromptEmbedding] = [:]
        var removed: [String] = []
        var source = request.prompt != nil || !hasStored ? (hasEncoders ? Source.encoders : .zeros) : .file
        if !wanted.isEmpty {
            let encoder = try PromptEncoder(folder: folder, unet: unet, variant: variant)
            let identity = encoder.identity
            if wanted.contains(""), let known = try? cache?.embedding(for: identity)?.checked(for: unet, from: "") {
                embeddings[""] = known
                if prompt == "" { source = .cache }
            }
            let missing = Set(wanted).subtracting(embeddings.keys).sorted()
            if !missing.isEmpty {
                for (text, result) in zip(missing, try encoder.embed(missing, on: device)) {
                    embeddings[text] = result.embedding
                    if let end = result.removed { removed.append(end) }
                    if text.isEmpty { cache?.store(result.embedding, for: identity) }
                }
            }
        }
        func embedding(of text: String?) throws -> PromptEmbedding {
            try text.flatMap { embeddings[$0] } ?? .zeros(for: unet)
        }
        var chosen = try embedding(of: prompt)
        if request.prompt == nil, hasStored {
            let file = try SafetensorsFile(at: stored)
            chosen = try PromptEmbedding(
                context: file.tensor("context"), pooled: unet.addition == nil ? nil : file.tensor("pooled")
            )
            .checked(for: unet, from: stored.path)
        }
        self.init(
            prompt: chosen,
            guidance: isGuided ? Guidance(scale: request.guidance, negative: try embedding(of: negative)) : nil,
            source: source,
            removed: removed)
        if unet.guidanceChannels != nil { embeddedGuidance = request.guidance }
    }

    /// `force_zeros_for_empty_prompt` of the folder's `model_index.json`.
    private static func takesZeros(_ folder: URL, _ unet: UNet2DCondition.Configuration) throws -> Bool {
        guard unet.addition != nil else { return false }
        let index = folder.appendingPathComponent("model_index.json")
        guard FileManager.default.fileExists(atPath: index.path) else { return true }
        return try ConfigurationReader(contentsOf: index).bool("force_zeros_for_empty_prompt", default: true)
    }
}

extension UNet2DCondition.Configuration {
    /// Whether a text has any influence.
    public var takesText: Bool {
        addition != nil || ([midBlock].compactMap { $0 } + downBlocks + upBlocks).contains { $0.contains("CrossAttn") }
    }

    /// Channels of the pooled text; nil without `text_time`. Beside it stand the sinusoids of six sizes.
    public var pooledChannels: Int? { addition.map { max($0.inputChannels - 6 * $0.timeChannels, 0) } }
}
