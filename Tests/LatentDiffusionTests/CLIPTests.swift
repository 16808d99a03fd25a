import Foundation
import Networks
import TensorKit
import TestSupport
import Testing
import Weights

@testable import LatentDiffusion

/// What `Benchmarks/reference/text.py` made with transformers and diffusers.
enum TextFixtures {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
        "Fixtures/text")
    static let model = folder.appendingPathComponent("model")

    static func tensors() throws -> [String: Tensor] {
        try SafetensorsFile(at: folder.appendingPathComponent("text.safetensors")).tensors()
    }

    static func prompts() throws -> [String] {
        try JSONDecoder().decode([String].self, from: Data(contentsOf: folder.appendingPathComponent("prompts.json")))
    }

    /// A copy of a component, to change a file of it.
    static func copy(_ name: String, to folder: TemporaryFolder) throws -> URL {
        let url = URL(fileURLWithPath: folder.file(name))
        try FileManager.default.copyItem(at: model.appendingPathComponent(name), to: url)
        return url
    }
}

/// The tokenizer against transformers' `CLIPTokenizer`.
@Suite struct GoldenTokenizerTests {
    static func fixture() throws -> (texts: [String], ways: [String: [String: Any]]) {
        let data = try Data(contentsOf: TextFixtures.folder.appendingPathComponent("tokens.json"))
        let all = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
        return (try #require(all["texts"] as? [String]), try #require(all["ways"] as? [String: [String: Any]]))
    }

    @Test(arguments: ["objects", "plain", "decoder"]) func agreesWithTransformers(way: String) throws {
        let (texts, ways) = try Self.fixture()
        let expected = try #require(ways[way])
        let temporary = try TemporaryFolder()
        let folder = try TextFixtures.copy("tokenizer", to: temporary)
        for name in ["tokenizer_config.json", "special_tokens_map.json"] {
            let file = folder.appendingPathComponent(name)
            try FileManager.default.removeItem(at: file)
            guard let content = expected[name] as? [String: Any] else { continue }
            try JSONSerialization.data(withJSONObject: content).write(to: file)
        }
        let tokenizer = try CLIPTokenizer(folder: folder)
        let ids = try #require(expected["ids"] as? [[Int]])
        #expect(tokenizer.padding == expected["pad"] as? Int)
        #expect(texts.count > 150 && ids.count == texts.count)
        for (text, ids) in zip(texts, ids) {
            #expect(tokenizer.ids(of: text) == ids, "\(text.unicodeScalars.map { String($0.value, radix: 16) })")
            let tokens = tokenizer(text)
            let (start, end) = (tokenizer.start, tokenizer.end)
            let kept = [start] + ids.prefix(75) + [end]
            #expect(tokens.ids == kept + [Int](repeating: tokenizer.padding, count: 77 - kept.count))
            #expect((tokens.removed != nil) == (ids.count > 75))
        }
    }

    @Test func whatFindsNoRoomIsNamed() throws {
        let tokenizer = try CLIPTokenizer(folder: TextFixtures.model.appendingPathComponent("tokenizer"))
        let words = (0..<75).map { _ in "a" }.joined(separator: " ")
        #expect(tokenizer(words).removed == nil)
        #expect(tokenizer(words + " the END").removed == "the end")
        #expect(tokenizer("").ids == [tokenizer.start] + [Int](repeating: tokenizer.end, count: 76))
    }

    @Test(arguments: [
        ("vocab.json", "[1]", "vocab.json"), ("vocab.json", #"{"a": -1}"#, "vocab.json"),
        ("vocab.json", #"{"a": 1}"#, "<|startoftext|>"),
        ("merges.txt", "#version: 0.2\nt h\nt h e\n", "line 3"), ("merges.txt", "t qqq\n", "line 1"),
        ("tokenizer_config.json", #"{"do_lower_case": false}"#, "do_lower_case"),
        ("tokenizer_config.json", #"{"model_max_length": 1e30}"#, "model_max_length"),
        ("tokenizer_config.json", #"{"added_tokens_decoder": {"0": {"content": "!", "lstrip": true}}}"#, "lstrip"),
        ("tokenizer_config.json", #"{"added_tokens_decoder": {"x": {"content": "!"}}}"#, "added_tokens_decoder"),
        ("special_tokens_map.json", "{", "special_tokens_map.json"), ("added_tokens.json", #"{"<cat>": 800}"#, "<cat>"),
    ]) func brokenFilesAreSentences(name: String, content: String, mention: String) throws {
        let temporary = try TemporaryFolder()
        let folder = try TextFixtures.copy("tokenizer", to: temporary)
        try Data(content.utf8).write(to: folder.appendingPathComponent(name))
        #expect {
            try CLIPTokenizer(folder: folder)
        } throws: { ($0 is ModelError) && "\($0)".contains(mention) }
    }

    @Test func aFolderWithoutVocabularyIsASentence() throws {
        #expect {
            try CLIPTokenizer(folder: URL(fileURLWithPath: TemporaryFolder().file("nothing")))
        } throws: { "\($0)".contains("vocab.json") }
    }
}

/// The encoders against transformers' `CLIPTextModel` and `CLIPTextModelWithProjection`.
@Suite struct GoldenTextEncoderTests {
    /// Each encoder's part of what diffusers joins: the first 16 channels of the first, 32 of the second.
    @Test func agreesWithTransformers() throws {
        let golden = try TextFixtures.tensors()
        let prompts = try TextFixtures.prompts()
        var begin = 0
        for (suffix, channels) in [("", 16), ("_2", 32)] {
            let tokenizer = try CLIPTokenizer(folder: TextFixtures.model.appendingPathComponent("tokenizer\(suffix)"))
            let encoder = try CLIPTextEncoder(
                folder: TextFixtures.model.appendingPathComponent("text_encoder\(suffix)"), variant: "fp16")
            // All at once: a text does not see its neighbours.
            let output = try encoder(prompts.map { tokenizer($0).ids })
            for index in prompts.indices {
                let context = try golden.require("\(index).context").narrow(2, from: begin, count: channels)
                let error = try relativeError(output.penultimate.rows(index..<index + 1), context)
                #expect(error < 1e-5)
                if suffix == "_2" {
                    #expect(
                        try relativeError(output.pooled.rows(index..<index + 1), golden.require("\(index).pooled"))
                            < 1e-5)
                } else if index == 1 {
                    #expect(try relativeError(output.last.rows(1..<2), golden.require("last")) < 1e-5)
                }
            }
            begin += channels
        }
    }

    /// With `eos_token_id` 2 the state of the vocabulary's last token is taken.
    @Test func theOldRuleForTheEnd() throws {
        let golden = try TextFixtures.tensors()
        let temporary = try TemporaryFolder()
        let folder = try TextFixtures.copy("text_encoder", to: temporary)
        let file = folder.appendingPathComponent("config.json")
        let text = try String(contentsOf: file, encoding: .utf8)
        let ids: [Int] = try golden.require("legacy.ids").array()
        let rows = [Array(ids[0..<77]), Array(ids[77..<154]), Array(ids[154...])]
        for old in [true, false] {
            // The number of a token that is in none of the texts: the first place stands for it.
            let changed = text.replacingOccurrences(
                of: "\"eos_token_id\": 733", with: "\"eos_token_id\": \(old ? 2 : 3)")
            #expect(changed != text)
            try Data(changed.utf8).write(to: file)
            let pooled = try CLIPTextEncoder(folder: folder)(rows).pooled
            let error = try relativeError(pooled, golden.require("legacy.pooled"))
            #expect(old ? error < 1e-5 : error > 1e-2)
        }
    }

    /// What comes later does not change what is before it.
    @Test func attentionIsCausal() throws {
        let encoder = try CLIPTextEncoder(folder: TextFixtures.model.appendingPathComponent("text_encoder"))
        let (a, b) = try (encoder([[1, 2, 3, 4]]).last, encoder([[1, 2, 9, 4]]).last)
        #expect(try relativeError(a.narrow(1, from: 0, count: 2), b.narrow(1, from: 0, count: 2)) < 1e-6)
        #expect(try relativeError(a.narrow(1, from: 3, count: 1), b.narrow(1, from: 3, count: 1)) > 1e-3)
    }

    @Test func textsThatDoNotFitAreRefused() throws {
        let encoder = try CLIPTextEncoder(folder: TextFixtures.model.appendingPathComponent("text_encoder"))
        for texts in [[], [[]], [[1, 2], [1]], [[Int](repeating: 1, count: 78)], [[734]], [[-1]]] {
            #expect(throws: ModelError.self) { try encoder(texts) }
        }
    }

    @Test(arguments: [
        (#""hidden_act": "quick_gelu""#, #""hidden_act": "gelu_new""#, "gelu_new"),
        (#""num_attention_heads": 2"#, #""num_attention_heads": 3"#, "heads"),
        (#""model_type": "clip_text_model""#, #""model_type": "t5""#, "t5"),
        (#""hidden_size": 16"#, #""hidden_size": 16, "a_key_of_the_future": 1"#, "a_key_of_the_future"),
        (#""num_hidden_layers": 3"#, #""num_hidden_layers": 4"#, "layers.3"),
        (#""num_hidden_layers": 3"#, #""num_hidden_layers": 2"#, "unknown"),
        (#""CLIPTextModel""#, #""CLIPTextModelWithProjection""#, "text_projection"),
    ]) func configurationsThatDoNotFitAreSentences(part: String, replacement: String, mention: String) throws {
        let temporary = try TemporaryFolder()
        let folder = try TextFixtures.copy("text_encoder", to: temporary)
        let file = folder.appendingPathComponent("config.json")
        let text = try String(contentsOf: file, encoding: .utf8)
        #expect(text.contains(part))
        try Data(text.replacingOccurrences(of: part, with: replacement).utf8).write(to: file)
        #expect {
            try CLIPTextEncoder(folder: folder)
        } throws: { "\($0)".contains(mention) }
    }

    @Test func defaultsAreTransformers() throws {
        let c = try CLIPTextEncoder.Configuration(ConfigurationReader(data: Data("{}".utf8), path: "config.json"))
        #expect(
            c.vocabularySize == 49408 && c.channels == 512 && c.innerChannels == 2048 && c.layers == 12 && c.heads == 8)
        #expect(
            c.length == 77 && c.activation == .quickGELU && c.end == 49407 && c.projected == 512 && !c.hasProjection)
    }
}
