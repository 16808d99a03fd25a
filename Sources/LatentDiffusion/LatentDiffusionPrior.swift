import Diffusion
import TensorKit

/// A latent diffusion model under its text: one U-Net pass for each frame and timestep, two where guidance was asked for.
public struct LatentDiffusionPrior: DiffusionPrior {
    public let model: LatentDiffusionModel

    public init(_ model: LatentDiffusionModel) { self.model = model }

    public var schedule: DDIMSchedule { model.schedule }
    public var device: Device { model.device }
    public var frameMultiple: Int { model.autoencoder.downscale }

    public func latentShape(frames: Int, height: Int, width: Int) -> [Int] {
        let factor = model.autoencoder.downscale
        return [frames, model.autoencoder.latentChannels, height / factor, width / factor]
    }

    public func encode(_ frames: Tensor, samplingWith noise: Tensor?) throws -> Tensor {
        try encode(frames, samplingWith: noise, CodecPass())
    }

    public func decode(_ latents: Tensor) throws -> Tensor { try decode(latents, CodecPass()) }

    public var tileSizes: [Int] { model.autoencoder.tileSizes }
    public var decoderGain: Double? { model.autoencoder.decoderGain }

    public func encode(_ frames: Tensor, samplingWith noise: Tensor?, _ pass: CodecPass) throws -> Tensor {
        try codec(pass).encode(frames.to(model.autoencoderType), samplingWith: noise, tile: pass.tile).to(.float32)
    }

    public func decode(_ latents: Tensor, _ pass: CodecPass) throws -> Tensor {
        try codec(pass).decode(latents.to(model.autoencoderType), tile: pass.tile).to(.float32).contiguous()
    }

    private func codec(_ pass: CodecPass) -> Autoencoder {
        pass.isDraft ? model.draftAutoencoder ?? model.autoencoder : model.autoencoder
    }

    public func predictNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        try model.predictNoise(latents, timestep: timestep)
    }

    public func prepare(timesteps: [Int], latents shape: [Int]) throws {
        try model.prepare(timesteps: timesteps, latents: shape)
    }

    public func predictInversionNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        try model.predictUnguidedNoise(latents, timestep: timestep)
    }

    public var relativeCost: PriorCost {
        let passes = model.text.guidance == nil ? 1.0 : 2.0
        return switch model.autoencoder {
        // SDXL's networks, TFLOP at 768 x 1280, and twice SPAN's.
        case .kl: PriorCost(prediction: 6.3 * passes, decoding: 9.8, encoding: 4.5, estimating: 0.12)
        case .tiny: PriorCost(prediction: 6.3 * passes, decoding: 0.3, encoding: 0.2, estimating: 0.12)
        // Those of a small model take less time than it.
        case .linear: PriorCost(prediction: passes, decoding: 0.05, encoding: 0.05, estimating: 3)
        }
    }
}
