import Foundation
import Networks
import TensorKit
import TestSupport
import Testing
import Weights

@testable import LatentDiffusion

/// Prompts and guidance against diffusers' StableDiffusionXLPipeline, on a model of SDXL's shape.
@Suite struct GoldenTextConditioningTests {
    let temporary: TemporaryFolder
    init() throws { temporary = try TemporaryFolder() }

    /// A copy of the model without some of its components, or with null_prompt.safetensors.
    private func model(without lacking: [String] = []) throws -> URL {
        let folder = URL(fileURLWithPath: temporary.file("model-\(UUID().uuidString)"))
        try FileManager.default.copyItem(at: TextFixtures.model, to: folder)
        for name in lacking { try FileManager.default.removeItem(at: folder.appendingPathComponent(name)) }
        return folder
    }

    private func unet() throws -> UNet2DCondition.Configuration {
        try .init(ConfigurationReader(contentsOf: TextFixtures.model.appendingPathComponent("unet/config.json")))
    }

    private func open(
        _ request: TextRequest, _ folder: URL = TextFixtures.model, cache: PromptCache? = nil
    ) throws -> LatentDiffusionModel {
        try LatentDiffusionModel(at: folder, format: .contiguous, text: request, cache: cache)
    }

    @Test func promptsAreEncodedAsDiffusersDoes() throws {
        let golden = try TextFixtures.tensors()
        let prompts = try TextFixtures.prompts()
        let results = try PromptEncoder(folder: TextFixtures.model, unet: unet()).embed(prompts)
        #expect(results.count == prompts.count)
        for (index, result) in results.enumerated() {
            let context = try golden.require("\(index).context")
            #expect(result.embedding.context.shape == context.shape)
            #expect(try relativeError(result.embedding.context, context) < 1e-5)
            #expect(try relativeError(#require(result.embedding.pooled), golden.require("\(index).pooled")) < 1e-5)
            #expect((result.removed != nil) == (index == 3))
        }
        #expect(results[3].removed?.hasSuffix("trees and flowers in the wind ,") == true)
    }

    /// One encoder: its last state, and nothing pooled.
    @Test func olderModelsTakeTheLastState() throws {
        var configuration = try unet()
        configuration.addition = nil
        configuration.contextChannels = 16
        let folder = try model(without: ["text_encoder_2", "tokenizer_2"])
        let prompt = try TextFixtures.prompts()[1]
        let result = try PromptEncoder(folder: folder, unet: configuration).embed([prompt])[0].embedding
        #expect(try relativeError(result.context, TextFixtures.tensors().require("last")) < 1e-5)
        #expect(result.pooled == nil)
    }

    // MARK: The null prompt

    @Test func theNullPromptIsTheEmptyTextWhereThereAreEncoders() throws {
        let golden = try TextFixtures.tensors()
        let text = try open(TextRequest()).text
        #expect(text.source == .encoders && text.guidance == nil)
        #expect(try relativeError(text.prompt.context, golden.require("0.context")) < 1e-5)
        #expect(try relativeError(#require(text.prompt.pooled), golden.require("0.pooled")) < 1e-5)
    }

    @Test(arguments: ["text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"])
    func withoutAllOfTheEncodersItIsZerosAndAPromptIsRefused(lacking: String) throws {
        let folder = try model(without: [lacking])
        let text = try open(TextRequest(), folder).text
        #expect(text.source == .zeros)
        #expect(try text.prompt.context.norm() == 0 && text.prompt.pooled?.norm() == 0)
        #expect(text.prompt.context.shape == [1, 77, 48] && text.prompt.pooled?.shape == [1, 16])
        for request in [TextRequest(prompt: "a cat"), TextRequest(negativePrompt: "a cat", guidance: 3)] {
            #expect(throws: ModelError.noTextEncoders(model: folder.path, lacking: [lacking])) {
                try open(request, folder)
            }
        }
    }

    @Test func aStoredNullPromptGoesFirstAndMustFit() throws {
        let folder = try model()
        let file = folder.appendingPathComponent("null_prompt.safetensors")
        try SafetensorsWriter.write(["context": .ones([1, 5, 48]), "pooled": .ones([1, 16])], to: file)
        let text = try open(TextRequest(), folder).text
        #expect(text.source == .file && text.prompt.context.shape == [1, 5, 48])
        // A prompt is a prompt all the same.
        #expect(try open(TextRequest(prompt: "a cat"), folder).text.prompt.context.shape == [1, 77, 48])
        try SafetensorsWriter.write(
            ["context": .ones([1, 5, 47]), "pooled": .ones([1, 16])], to: file, overwrite: true)
        #expect {
            try open(TextRequest(), folder)
        } throws: { "\($0)".contains("null_prompt.safetensors") && "\($0)".contains("47") }
    }

    /// Once encoded, the encoders are not opened again until a file of theirs changes.
    @Test func theNullPromptIsKept() throws {
        let folder = try model()
        let cache = PromptCache(folder: URL(fileURLWithPath: temporary.file("cache/deeper")))
        let weights = folder.appendingPathComponent("text_encoder/model.safetensors")
        let content = try Data(contentsOf: weights)
        func write(_ data: Data, date: Double) throws {
            try data.write(to: weights)
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSince1970: date)], ofItemAtPath: weights.path)
        }
        try write(content, date: 1e9)
        let first = try open(TextRequest(), folder, cache: cache).text
        #expect(first.source == .encoders)
        // The same size and date, and no weights any more: whoever opens them fails.
        try write(Data(count: content.count), date: 1e9)
        #expect(throws: (any Error).self) { try open(TextRequest(), folder) }
        let second = try open(TextRequest(), folder, cache: cache).text
        #expect(second.source == .cache)
        #expect(try relativeError(second.prompt.context, first.prompt.context) == 0)
        #expect(try relativeError(#require(second.prompt.pooled), #require(first.prompt.pooled)) == 0)
        // Another date is another model.
        try write(content, date: 1.1e9)
        #expect(try open(TextRequest(), folder, cache: cache).text.source == .encoders)
        #expect(try open(TextRequest(), folder, cache: cache).text.source == .cache)
        // Another variant, too: it may be of other files.
        #expect(try LatentDiffusionModel(at: folder, variant: "fp16", cache: cache).text.source == .encoders)
        // What is damaged is written anew, and a folder that cannot be made is done without.
        for name in try FileManager.default.contentsOfDirectory(atPath: cache.folder.path) {
            #expect(name.hasPrefix("null-prompt-") && name.hasSuffix(".safetensors"))
            try Data("no".utf8).write(to: cache.folder.appendingPathComponent(name))
        }
        #expect(try open(TextRequest(), folder, cache: cache).text.source == .encoders)
        #expect(try open(TextRequest(), folder, cache: cache).text.source == .cache)
        let nowhere = PromptCache(folder: weights.appendingPathComponent("in-a-file"))
        #expect(try open(TextRequest(), folder, cache: nowhere).text.source == .encoders)
    }

    // MARK: Guidance

    @Test(arguments: [("zeros", nil), ("negative", 2)] as [(String, Int?)]) func guidanceIsThePipelines(
        name: String, negative: Int?
    ) throws {
        let golden = try TextFixtures.tensors()
        let prompts = try TextFixtures.prompts()
        let model = try open(TextRequest(prompt: prompts[1], negativePrompt: negative.map { prompts[$0] }, guidance: 5))
        let noise = try model.predictNoise(golden.require("unet.latents"), timestep: 281)
        let expected = try golden.require("unet.\(name)")
        #expect(noise.shape == expected.shape && noise.dtype == .float32)
        #expect(try relativeError(noise, expected) < 1e-4)
        #expect(try relativeError(golden.require("unet.text"), expected) > 1e-2)
    }

    @Test func aScaleOfOneIsThePromptAlone() throws {
        let golden = try TextFixtures.tensors()
        let prompt = try TextFixtures.prompts()[1]
        let latents = try golden.require("unet.latents")
        var model = try open(TextRequest(prompt: prompt))
        #expect(model.text.guidance == nil)
        #expect(try relativeError(model.predictNoise(latents, timestep: 281), golden.require("unet.text")) < 1e-4)
        // The same in two passes: e_null drops out.
        model.text.guidance = .init(scale: 1, negative: try .zeros(for: unet()))
        #expect(try relativeError(model.predictNoise(latents, timestep: 281), golden.require("unet.text")) < 1e-4)
        // At 0 the prompt does, and inversion takes that.
        model.text.guidance?.scale = 0
        let unguided = try model.predictNoise(latents, timestep: 281)
        #expect(try relativeError(unguided, golden.require("unet.text")) > 1e-2)
        model.text.guidance?.scale = 7
        #expect(try relativeError(model.predictUnguidedNoise(latents, timestep: 281), unguided) < 1e-5)
    }

    /// What is kept from pass to pass belongs to its timestep, size, number of latents and text.
    @Test func keptStepsAreThoseOfTheirPass() throws {
        let latents = try TextFixtures.tensors().require("unet.latents")
        let some = try Tensor.concatenate([latents, latents * 0.5, latents + 0.1], along: 0)
        let wide = try Tensor.concatenate([some, some], along: 3)
        var model = try open(TextRequest(prompt: "a cat"))
        func expectFresh(_ latents: Tensor, _ timestep: Int) throws {
            let (height, width) = (
                latents.size(2) * model.autoencoder.downscale, latents.size(3) * model.autoencoder.downscale
            )
            let fresh = try model.unet(
                latents, timestep: timestep, conditioning: model.conditioning(height: height, width: width))
            #expect(try (model.predictNoise(latents, timestep: timestep) - fresh).norm() == 0)
        }
        for timestep in [281, 41, 281] {
            for latents in try [some, some.rows(0..<1), wide, some] { try expectFresh(latents, timestep) }
        }
        model.text.prompt = try .zeros(for: unet())
        try expectFresh(some, 281)
        model.text.guidance = .init(scale: 3, negative: try open(TextRequest(prompt: "a dog")).text.prompt)
        let together = try model.predictNoise(some, timestep: 281)
        for row in 0..<3 {
            // The matrix library adds up in another order for one latent than for three: 4e-5 on a processor with AVX2 alone.
            #expect(
                try relativeError(
                    model.predictNoise(some.rows(row..<row + 1), timestep: 281), together.rows(row..<row + 1)) < 1e-4)
        }
    }

    /// Equal texts: there is nowhere to lead to.
    @Test(arguments: [0, 3, 50.0]) func guidanceBetweenEqualTextsChangesNothing(scale: Double) throws {
        let latents = try TextFixtures.tensors().require("unet.latents")
        for text in ["", "a photo of a cat"] {
            // As a guided pass lays its texts out, one for each latent: one text for all is rounded otherwise, by 1.5e-5 with AVX512-BF16.
            let model = try open(TextRequest(prompt: text))
            let height = latents.size(2) * model.autoencoder.downscale
            let one = model.conditioning(height: height, width: latents.size(3) * model.autoencoder.downscale)
            let twice = try Tensor.concatenate([latents, latents], along: 0)
            let plain = try model.unet(
                twice, timestep: 41, conditioning: Conditioning(repeating: [one, one], count: latents.size(0))
            )
            .rows(0..<latents.size(0))
            let guided = try open(TextRequest(prompt: text, negativePrompt: text, guidance: scale)).predictNoise(
                latents, timestep: 41)
            #expect(try relativeError(guided, plain) < 1e-5)
        }
    }

    /// The index decides what no words are.
    @Test func noWordsAreZerosUnlessTheIndexSaysOtherwise() throws {
        let golden = try TextFixtures.tensors()
        let folder = try model()
        let request = TextRequest(prompt: "a cat", guidance: 2)
        #expect(try open(request, folder).text.guidance?.negative.context.norm() == 0)
        let index = folder.appendingPathComponent("model_index.json")
        let json = try String(contentsOf: index, encoding: .utf8)
        let changed = json.replacingOccurrences(
            of: "\"force_zeros_for_empty_prompt\": true", with: "\"force_zeros_for_empty_prompt\": false")
        #expect(changed != json)
        try Data(changed.utf8).write(to: index)
        let negative = try #require(open(request, folder).text.guidance?.negative)
        #expect(try relativeError(negative.context, golden.require("0.context")) < 1e-5)
    }

    @Test func whatCannotBeAskedForIsRefused() throws {
        for scale in [-1, .nan, .infinity] {
            #expect(throws: ModelError.self) { try open(TextRequest(prompt: "a", guidance: scale)) }
        }
        let builtin = projectRoot.appendingPathComponent("Models/builtin")
        for request in [
            TextRequest(prompt: ""), TextRequest(negativePrompt: "a", guidance: 2), TextRequest(guidance: 2),
        ] {
            #expect(throws: ModelError.noTextConditioning(model: builtin.path)) { try open(request, builtin) }
        }
        #expect(try open(TextRequest(), builtin).text.source == .none)
        // Encoders of another model.
        let folder = try model(without: ["text_encoder", "text_encoder_2"])
        for (from, to) in [("text_encoder", "text_encoder_2"), ("text_encoder_2", "text_encoder")] {
            try FileManager.default.copyItem(
                at: TextFixtures.model.appendingPathComponent(from), to: folder.appendingPathComponent(to))
        }
        #expect {
            try open(TextRequest(prompt: "a cat"), folder)
        } throws: { "\($0)".contains("not of the same model") }
    }
}
