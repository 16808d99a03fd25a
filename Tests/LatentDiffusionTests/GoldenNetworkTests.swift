import Diffusion
import Foundation
import Networks
import TensorKit
import TestSupport
import Testing

@testable import LatentDiffusion

/// The networks against diffusers, on tiny SDXL-shaped models.
@Suite struct GoldenNetworkTests {
    /// A type, where it runs, and the relative error that is allowed in it.
    struct Running: Sendable, CustomTestStringConvertible {
        let dtype: DType
        let device: Device
        let tolerance: Double
        /// The device's own when nil.
        var kernels: Kernels?
        var testDescription: String {
            "\(dtype.rawValue) on \(device)" + (kernels == nil ? "" : " with a GPU's kernels")
        }

        static let all: [Running] = {
            var all = [
                Running(dtype: .float32, device: .cpu, tolerance: 1e-4),
                Running(dtype: .bfloat16, device: .cpu, tolerance: 3e-2),
                Running(dtype: .float32, device: .cpu, tolerance: 1e-4, kernels: .usual(on: .cuda(0))),
                Running(dtype: .bfloat16, device: .cpu, tolerance: 3e-2, kernels: .usual(on: .cuda(0))),
            ]
            if Engine.cudaDeviceCount > 0 {
                all += [
                    Running(dtype: .float32, device: .cuda(0), tolerance: 1e-3),
                    Running(dtype: .bfloat16, device: .cuda(0), tolerance: 3e-2),
                ]
            }
            return all
        }()
    }

    @Test(arguments: Running.all, Golden.sets) func noisePrediction(running: Running, set: Golden) throws {
        try Kernels.$chosen.withValue(running.kernels) { try noisePredictionUnderKernels(running, set) }
    }

    private func noisePredictionUnderKernels(_ running: Running, _ set: Golden) throws {
        let golden = try set.tensors("unet")
        let unet = try UNet2DCondition(
            folder: set.model.appendingPathComponent("unet"), dtype: running.dtype, device: running.device)
        let sample = try golden.require("sample").to(running.device)
        for (name, expected) in golden where name.hasPrefix("noise_pred_") {
            let timestep = try #require(Int(name.dropFirst("noise_pred_".count)))
            // Every latent on its own: the golden conditioning differs between the two.
            for index in 0..<sample.size(0) {
                func row(_ key: String) throws -> Tensor { try golden.require(key).rows(index..<index + 1) }
                let conditioning = try Conditioning(
                    context: row("encoder_hidden_states"), pooled: row("text_embeds"), timeIDs: row("time_ids").array())
                let prediction = try unet(
                    sample.rows(index..<index + 1), timestep: timestep, conditioning: conditioning)
                #expect(try relativeError(prediction, expected.rows(index..<index + 1)) < running.tolerance)
            }
        }
    }

    @Test(arguments: Running.all, Golden.sets) func autoencoderKL(running: Running, set: Golden) throws {
        try Kernels.$chosen.withValue(running.kernels) { try autoencoderKLUnderKernels(running, set) }
    }

    private func autoencoderKLUnderKernels(_ running: Running, _ set: Golden) throws {
        let golden = try set.tensors("vae")
        let autoencoder = try Autoencoder(
            folder: set.model.appendingPathComponent("vae"), dtype: running.dtype, device: running.device)
        guard case .kl(let network) = autoencoder else { throw ModelError.mismatch("not an AutoencoderKL") }
        let pixels = try golden.require("pixels").to(running.dtype).to(running.device)
        let (mean, logVariance) = try network.moments(pixels)
        #expect(try relativeError(mean, golden.require("latent_mean")) < running.tolerance)
        #expect(try relativeError(logVariance, golden.require("latent_logvar")) < running.tolerance)
        let decoded = try network.decodeUnscaled(golden.require("latent_mean").to(running.dtype).to(running.device))
        let decodeError = try relativeError(decoded, golden.require("decoded"))
        #expect(decodeError < running.tolerance)
        let latents = try golden.require("latent_in").to(running.dtype).to(running.device)
        #expect(
            try relativeError(network.decodeUnscaled(latents), golden.require("decoded_from_latent_in"))
                < running.tolerance)
    }

    @Test(arguments: Running.all, Golden.sets) func autoencoderTiny(running: Running, set: Golden) throws {
        try Kernels.$chosen.withValue(running.kernels) { try autoencoderTinyUnderKernels(running, set) }
    }

    private func autoencoderTinyUnderKernels(_ running: Running, _ set: Golden) throws {
        let golden = try set.tensors("vae_tiny")
        let autoencoder = try Autoencoder(
            folder: set.model.appendingPathComponent("vae_tiny"), dtype: running.dtype, device: running.device)
        guard case .tiny(let network) = autoencoder else { throw ModelError.mismatch("not an AutoencoderTiny") }
        let pixels = try golden.require("pixels").to(running.dtype).to(running.device)
        #expect(try relativeError(network.encodeUnscaled(pixels), golden.require("latents")) < running.tolerance)
        let latents = try golden.require("latents").to(running.dtype).to(running.device)
        #expect(try relativeError(network.decodeUnscaled(latents), golden.require("decoded")) < running.tolerance)
    }

    @Test(arguments: Golden.sets) func schedule(set: Golden) throws {
        let golden = try set.tensors("ddim")
        let schedule = try DDIMSchedule(contentsOf: set.model.appendingPathComponent("scheduler/scheduler_config.json"))
        let alphas = try Tensor(schedule.cumulativeAlphas, shape: [schedule.trainingSteps])
        #expect(try relativeError(alphas, golden.require("alphas_cumprod")) < 1e-5)
        for (name, expected) in golden where name.hasPrefix("timesteps_") {
            let count = try #require(Int(name.dropFirst("timesteps_".count)))
            #expect(try schedule.timesteps(count) == expected.array(of: Int.self))
        }
    }
}
