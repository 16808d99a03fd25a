import Diffusion
import Foundation
import Networks
import TensorKit
import TestSupport
import Testing

@testable import LatentDiffusion

/// A model as a solver sees it.
@Suite struct LatentDiffusionPriorTests {
    static let builtin = projectRoot.appendingPathComponent("Models/builtin")

    static func frames(_ count: Int, _ height: Int, _ width: Int) throws -> Tensor {
        var random = RandomGenerator(seed: 3)
        return try random.normal([count, 3, height / 8, width / 8]).resizedBicubic(height: height, width: width)
            .clamped(to: -1...1)
    }

    /// Latents have the shape that the solver makes noise of, and float32 goes in and comes out whatever a network
    /// runs in.
    @Test(arguments: [DType.float32, .bfloat16]) func latentsAndFramesAreFloat32(dtype: DType) throws {
        let folder = try TemporaryFolder()
        let url = URL(fileURLWithPath: folder.path)
        try TinyModel.write(to: url)
        let prior = LatentDiffusionPrior(try LatentDiffusionModel(at: url, dtype: dtype))
        let frames = try Self.frames(2, 32, 48)
        #expect(frames.size(2) % prior.frameMultiple == 0 && frames.size(3) % prior.frameMultiple == 0)
        let latents = try prior.encode(frames, samplingWith: nil)
        #expect(latents.shape == prior.latentShape(frames: 2, height: 32, width: 48) && latents.dtype == .float32)
        let noise = try prior.predictNoise(latents, timestep: 281)
        #expect(noise.shape == latents.shape && noise.dtype == .float32)
        let decoded = try prior.decode(latents)
        #expect(decoded.shape == frames.shape && decoded.dtype == .float32)
        #expect(try decoded.isFinite().all() && noise.isFinite().all())
        // Without guidance there is one prediction for both ways.
        #expect(try (prior.predictInversionNoise(latents, timestep: 281) - noise).norm() == 0)
        #expect(prior.schedule == prior.model.schedule && prior.tileSizes == prior.model.autoencoder.tileSizes)
    }

    /// A draft is the tiny autoencoder's, and it is refused where its latents are others.
    @Test(arguments: Golden.sets) func theModelsDraftIsTheOtherAutoencoder(set: Golden) throws {
        let url = set.model
        let tiny = url.appendingPathComponent("vae_tiny")
        let prior = LatentDiffusionPrior(try LatentDiffusionModel(at: url, draft: tiny))
        let alone = LatentDiffusionPrior(try LatentDiffusionModel(at: url, autoencoder: tiny))
        let frames = try Self.frames(1, 64, 96)
        func values(_ tensor: Tensor) throws -> [Float] { try tensor.array() }
        let draft = CodecPass(isDraft: true)
        let latents = try prior.encode(frames, samplingWith: nil)
        #expect(
            try values(prior.encode(frames, samplingWith: nil, draft))
                == values(alone.encode(frames, samplingWith: nil)))
        #expect(try values(prior.decode(latents, draft)) == values(alone.decode(latents)))
        #expect(try values(prior.decode(latents, draft)) != values(prior.decode(latents)))
        let folder = try TemporaryFolder()
        try TinyModel.write(to: URL(fileURLWithPath: folder.path))
        #expect(throws: ModelError.self) {
            try LatentDiffusionModel(at: url, draft: URL(fileURLWithPath: folder.file("vae")))
        }
    }

    // MARK: The outline

    /// What a policy asks of a model is there without its weights, and is what the opened model says.
    @Test func theOutlineIsTheModels() throws {
        let folder = try TemporaryFolder()
        let (tiny, random) = (URL(fileURLWithPath: folder.file("tiny")), URL(fileURLWithPath: folder.file("random")))
        try TinyModel.write(to: tiny)
        try RandomModel(.tiny, seed: 1).write(to: random)
        for url in [Self.builtin, tiny, random] {
            let outline = try LatentDiffusionModel.outline(at: url)
            let model = try LatentDiffusionModel(at: url)
            #expect(outline.schedule == model.schedule)
            #expect(outline.decoderGain == LatentDiffusionPrior(model).decoderGain)
            #expect((outline.decoderGain == nil) == (url == random))
        }
        // Of another autoencoder's.
        let swapped = try LatentDiffusionModel.outline(at: random, autoencoder: tiny.appendingPathComponent("vae"))
        #expect(try swapped.decoderGain == LatentDiffusionModel.outline(at: tiny).decoderGain)
        for component in ["unet", "vae"] {
            try FileManager.default.removeItem(
                at: tiny.appendingPathComponent("\(component)/diffusion_pytorch_model.safetensors"))
        }
        #expect(try LatentDiffusionModel.outline(at: tiny).decoderGain == swapped.decoderGain)
        #expect(throws: ModelError.self) {
            try LatentDiffusionModel.outline(at: URL(fileURLWithPath: folder.file("nothing")))
        }
    }
}
