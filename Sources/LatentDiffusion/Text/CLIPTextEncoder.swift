import Foundation
import Networks
import TensorKit
import Weights

/// CLIP's text encoder (Radford et al. 2021, section 2.4): a transformer in which every token attends to those before it. In transformers:
/// `CLIPTextModel`, and with a projection behind the pooled state `CLIPTextModelWithProjection`.
public struct CLIPTextEncoder: Sendable {
    public let configuration: Configuration

    private let device: Device
    let tokens, positions: Tensor
    let layers: [Layer]
    let finalNorm: LayerNorm
    let projection: Linear?

    /// The part of `config.json` that inference depends on.
    public struct Configuration: Sendable, Equatable {
        public var vocabularySize: Int
        public var channels: Int
        public var innerChannels: Int
        public var layers: Int
        public var heads: Int
        /// Tokens of the longest text.
        public var length: Int
        public var activation: Activation
        public var normEpsilon: Double
        /// The token whose state stands for the whole text.
        public var end: Int
        /// Channels of the projection, where there is one.
        public var projected: Int
        public var hasProjection: Bool

        public enum Activation: String, Sendable {
            /// x sigmoid(1.702 x) (Hendrycks & Gimpel 2016, section 2).
            case quickGELU = "quick_gelu"
            /// x Phi(x).
            case gelu

            func callAsFunction(_ x: Tensor) throws -> Tensor {
                switch self {
                case .quickGELU: try x * (x * 1.702).sigmoid()
                case .gelu: try x.gelu()
                }
            }
        }
    }

    /// What is known of N texts of T tokens.
    public struct Output: Sendable {
        /// (N, T, channels): the last layer's states, normalised; transformers' `last_hidden_state`.
        public var last: Tensor
        /// (N, T, channels): what the last layer is given; transformers' `hidden_states[-2]`.
        public var penultimate: Tensor
        /// (N, channels), or (N, projected) with a projection: the normalised state of the end token.
        public var pooled: Tensor
    }

    /// Opens a component's folder (`config.json` and safetensors weights).
    public init(folder: URL, variant: String? = nil, dtype: DType = .float32, device: Device = .cpu) throws {
        try Engine.require(device)
        let json = try ConfigurationReader(contentsOf: folder.appendingPathComponent("config.json"))
        let store = try WeightStore(at: folder, variant: variant)
        var configuration = try Configuration(json)
        if store.contains("text_projection.weight") { configuration.hasProjection = true }
        // transformers has had the network itself under this name, and without it; older files have the numbers of the places too.
        let prefix = store.contains("text_model.embeddings.token_embedding.weight") ? "text_model." : ""
        let chosen = configuration
        self = try store.build(dtype: dtype, device: device, ignoring: ["\(prefix)embeddings.position_ids"]) { w in
            try Self(prefix.isEmpty ? w : w["text_model"], projection: w["text_projection"], chosen, device)
        }
    }

    init(_ w: WeightScope, projection scope: WeightScope, _ c: Configuration, _ device: Device) throws {
        configuration = c
        self.device = device
        tokens = try w["embeddings.token_embedding"].tensor("weight", [c.vocabularySize, c.channels])
        positions = try w["embeddings.position_embedding"].tensor("weight", [c.length, c.channels])
        layers = try (0..<c.layers).map { try Layer(w["encoder.layers"][$0], c) }
        finalNorm = try LayerNorm(w["final_layer_norm"], c.channels, epsilon: c.normEpsilon)
        projection = c.hasProjection ? try Linear(scope, c.channels, c.projected, bias: false) : nil
    }

    /// The states of N texts, each of the same number of tokens.
    /// - Throws: `ModelError.mismatch` for texts of unequal or too great length, or with an id that the vocabulary has not.
    public func callAsFunction(_ texts: [[Int]]) throws -> Output {
        let c = configuration
        let length = texts.first?.count ?? 0
        guard length > 0, length <= c.length, texts.allSatisfy({ $0.count == length }) else {
            throw ModelError.mismatch(
                "The text encoder takes texts of one length from 1 to \(c.length) tokens, not of \(texts.map(\.count))."
            )
        }
        if let id = texts.joined().first(where: { !(0..<c.vocabularySize ~= $0) }) {
            throw ModelError.mismatch(
                "The text encoder knows \(c.vocabularySize) tokens, and the tokenizer gave number \(id): they are not of the same model."
            )
        }
        var h =
            try tokens.gathered(texts.flatMap { $0 }, along: 0).reshaped([texts.count, length, c.channels])
            + positions.rows(0..<length)
        var penultimate = h
        for layer in layers {
            penultimate = h
            h = try layer(h)
        }
        let last = try finalNorm(h)
        let ends = try texts.enumerated().map { index, ids in try last.select(0, index).select(0, end(of: ids)) }
        let pooled = try Tensor.stack(ends)
        return Output(last: last, penultimate: penultimate, pooled: try projection?(pooled) ?? pooled)
    }

    /// Where a text's end token stands.
    private func end(of ids: [Int]) -> Int {
        // Configurations of CLIP's first years have a wrong number, 2; the end is the vocabulary's last token then.
        let wanted = configuration.end == 2 ? ids.max() : configuration.end
        return ids.firstIndex { $0 == wanted } ?? 0
    }

    /// Attention to what came before and a network of two layers, each behind a norm and with a residual.
    struct Layer: Sendable {
        let norm1, norm2: LayerNorm
        let query, key, value, output: Linear
        let inner, outer: Linear
        let heads: Int
        let activation: Configuration.Activation

        init(_ w: WeightScope, _ c: Configuration) throws {
            norm1 = try LayerNorm(w["layer_norm1"], c.channels, epsilon: c.normEpsilon)
            query = try Linear(w["self_attn.q_proj"], c.channels, c.channels)
            key = try Linear(w["self_attn.k_proj"], c.channels, c.channels)
            value = try Linear(w["self_attn.v_proj"], c.channels, c.channels)
            output = try Linear(w["self_attn.out_proj"], c.channels, c.channels)
            norm2 = try LayerNorm(w["layer_norm2"], c.channels, epsilon: c.normEpsilon)
            inner = try Linear(w["mlp.fc1"], c.channels, c.innerChannels)
            outer = try Linear(w["mlp.fc2"], c.innerChannels, c.channels)
            (heads, activation) = (c.heads, c.activation)
        }

        func callAsFunction(_ x: Tensor) throws -> Tensor {
            let normed = try norm1(x)
            func split(_ projection: Linear) throws -> Tensor {
                try projection(normed).reshaped([x.size(0), x.size(1), heads, -1]).transposed(1, 2)
            }
            let attended = try split(query).attention(keys: split(key), values: split(value), isCausal: true)
            let h = try x + output(attended.transposed(1, 2).reshaped(x.shape))
            return try h + outer(activation(inner(norm2(h))))
        }
    }
}

extension CLIPTextEncoder.Configuration {
    /// Reads `config.json`. Values that are not implemented are refused by name.
    init(_ json: ConfigurationReader) throws {
        vocabularySize = try json.positive("vocab_size", default: 49408)
        channels = try json.positive("hidden_size", default: 512)
        innerChannels = try json.positive("intermediate_size", default: 2048)
        layers = try json.positive("num_hidden_layers", default: 12)
        heads = try json.positive("num_attention_heads", default: 8)
        length = try json.positive("max_position_embeddings", default: 77)
        normEpsilon = try json.double("layer_norm_eps", default: 1e-5)
        projected = try json.positive("projection_dim", default: 512)
        end = try json.int("eos_token_id", default: 49407)
        hasProjection = try json.optionalStrings("architectures").contains("CLIPTextModelWithProjection")
        let name = try json.string("hidden_act", default: "quick_gelu")
        guard let known = Activation(rawValue: name) else {
            throw ModelError.unsupported(
                path: json.path, key: "hidden_act", value: name, supported: "quick_gelu or gelu")
        }
        activation = known
        guard channels % heads == 0 else {
            throw ModelError.mismatch("\(json.path): \(channels) channels cannot be split into \(heads) heads.")
        }
        try json.require("model_type", "\"clip_text_model\"", default: "\"clip_text_model\"")
        // Training's and generation's.
        json.ignore(
            "attention_dropout", "dropout", "initializer_factor", "initializer_range", "bos_token_id", "pad_token_id",
            "torch_dtype", "dtype",
            "transformers_version", "use_cache", "return_dict")
        try json.finish()
    }
}
