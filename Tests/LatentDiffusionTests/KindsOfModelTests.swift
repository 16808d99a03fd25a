import Diffusion
import Foundation
import Networks
import TensorKit
import TestSupport
import Testing
import Weights

@testable import LatentDiffusion

/// Kinds of models beside SDXL, tiny and random: what `Fixtures/make_models.py` made with diffusers.
@Suite struct KindsOfModelTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
        "Fixtures/models")
    static let kinds = ["sd15", "sd21-v", "zero-snr", "lcm", "sdxl-few"]

    @Test(arguments: kinds) func agreesWithDiffusers(kind: String) throws {
        let folder = Self.folder.appendingPathComponent(kind)
        let expected = try SafetensorsFile(at: folder.appendingPathComponent("expected.safetensors")).tensors()
        func tensor(_ name: String) throws -> Tensor { try #require(expected[name]) }
        let unet = try UNet2DCondition(folder: folder.appendingPathComponent("unet"))
        let schedule = try DDIMSchedule(
            contentsOf: folder.appendingPathComponent("scheduler/scheduler_config.json"))
        let alphas = try Tensor(schedule.cumulativeAlphas, shape: [schedule.trainingSteps])
        #expect(try relativeError(alphas, tensor("alphas")) < 1e-5)
        #expect(try schedule.timesteps(4) == tensor("timesteps").array(of: Int.self))
        let latents = try tensor("latents")
        let conditioning = Conditioning(
            context: try tensor("context"), pooled: expected["pooled"], timeIDs: [1024, 1024, 0, 0, 24, 32],
            guidance: 4)
        for timestep in [41, 499, 999] {
            let output = try unet(latents, timestep: timestep, conditioning: conditioning)
            #expect(try relativeError(output, tensor("output_\(timestep)")) < 1e-4)
            let noise = try schedule.noise(from: output, in: latents, timestep: timestep)
            #expect(try relativeError(noise, tensor("noise_\(timestep)")) < 1e-4)
        }
    }

    /// The noise that a whole model tells is in the same terms, whatever its network predicts.
    @Test(arguments: kinds) func opensWhole(kind: String) throws {
        let model = try LatentDiffusionModel(at: Self.folder.appendingPathComponent(kind))
        let latents = try random(
            LatentDiffusionPrior(model).latentShape(frames: 2, height: 24, width: 32), seed: 1)
        let output = try model.unet(
            latents, timestep: 281, conditioning: model.conditioning(height: 24, width: 32))
        let noise = try model.predictNoise(latents, timestep: 281)
        #expect(try relativeError(noise, model.schedule.noise(from: output, in: latents, timestep: 281)) < 1e-6)
        #expect(try relativeError(noise, output) > 0.01 || model.schedule.prediction == .noise)
    }

    /// x, x0 and eps agree, whichever of them a network is asked for.
    @Test(arguments: [DDIMSchedule.Prediction.noise, .velocity, .data]) func predictionsAreOfOneNoise(
        prediction: DDIMSchedule.Prediction
    ) throws {
        let schedule = DDIMSchedule(prediction: prediction)
        let (data, noise) = (try random([1, 4, 8, 8], seed: 2), try random([1, 4, 8, 8], seed: 3))
        for timestep in [1, 281, 999] {
            let abar = schedule.alphaBar(timestep)
            let (signal, spread) = (abar.squareRoot(), (1 - abar).squareRoot())
            let latents = try (data * signal).adding(noise, times: spread)
            let output =
                switch prediction {
                case .noise: noise
                case .velocity: try (noise * signal).adding(data, times: -spread)
                case .data: data
                }
            // Of data at the first step nearly nothing is noise.
            let bound = timestep == 1 ? 1e-4 : 1e-5
            #expect(try relativeError(schedule.noise(from: output, in: latents, timestep: timestep), noise) < bound)
        }
    }

    /// A model that imitates guidance is told its scale, and passes once.
    @Test func aScaleOfGuidanceIsAnInput() throws {
        let folder = Self.folder.appendingPathComponent("lcm")
        func prediction(_ guidance: Double) throws -> Tensor {
            var model = try LatentDiffusionModel(at: folder)
            model.text = try TextConditioning(
                TextRequest(guidance: guidance), model: folder, unet: model.unet.configuration, variant: nil,
                device: .cpu, cache: nil)
            #expect(model.text.guidance == nil)
            return try model.predictNoise(random([1, 4, 8, 8], seed: 4), timestep: 259)
        }
        #expect(try relativeError(prediction(8), prediction(1)) > 1e-3)
    }

    /// FLUX.2's tiny autoencoder has norms at the latents' resolution, over the whole frame: no tiles.
    @Test func aTinyAutoencoderWithNorms() throws {
        let folder = Self.folder.appendingPathComponent("normed")
        let expected = try SafetensorsFile(at: folder.appendingPathComponent("expected.safetensors")).tensors()
        let codec = try Autoencoder(folder: folder.appendingPathComponent("vae"))
        #expect(codec.tileSizes.isEmpty && codec.downscale == 8)
        let latents = try codec.encode(#require(expected["frames"]))
        #expect(try relativeError(latents, #require(expected["latents"])) < 1e-4)
        #expect(try relativeError(codec.decode(latents), #require(expected["decoded"])) < 1e-4)
    }

    @Test(arguments: [
        #""_class_name": "FlowMatchEulerDiscreteScheduler""#, #""_class_name": "EDMEulerScheduler""#,
        #""_class_name": "DPMSolverMultistepScheduler", "use_flow_sigmas": true"#,
        #""prediction_type": "flow_prediction""#, #""beta_schedule": "squaredcos_cap_v2""#,
        #""trained_betas": [0.1, 0.2]"#, #""timestep_spacing": "cosine""#,
    ]) func otherSchedulesAreRefusedByName(changed: String) throws {
        let usual = #""beta_start": 0.1, "beta_end": 0.2"#
        _ = try DDIMSchedule(ConfigurationTests.reader("{\(usual)}"))
        #expect {
            try DDIMSchedule(ConfigurationTests.reader("{\(usual), \(changed)}"))
        } throws: { error in
            guard case ModelError.unsupported(_, let key, _, _)? = error as? ModelError else { return false }
            return changed.contains(key)
        }
    }

    /// What a sampler that says nothing of spacing means by it.
    @Test func spacingFollowsTheSampler() throws {
        func spacing(_ name: String) throws -> DDIMSchedule.Spacing {
            try DDIMSchedule(
                ConfigurationTests.reader(#"{"_class_name": "\#(name)", "beta_start": 0.1, "beta_end": 0.2}"#)
            ).spacing
        }
        #expect(try spacing("EulerDiscreteScheduler") == .linspace)
        #expect(try spacing("PNDMScheduler") == .leading)
    }
}
