import Diffusion
import TensorKit

/// A diffusion prior in pixel space, made of a denoiser for Gaussian noise: latents are the frames themselves.
///
/// The schedule's variance-preserving Z = sqrt(abar) X + sqrt(1 - abar) n is the variance-exploding x = Z / sqrt(abar) = X + sigma n with
/// sigma = sqrt((1 - abar) / abar), and the noise in it is eps = (x - D(x, sigma)) / sigma (Tweedie's formula; Karras et al. 2022,
/// Eq. 3), so that the clean estimate of the solver is D(x, sigma). Beyond what the denoiser was trained for, `estimate` of its protocol stands in.
public struct PixelSpacePrior<Denoiser: NoiseConditionalDenoiser>: DiffusionPrior {
    public let denoiser: Denoiser
    public let schedule: DDIMSchedule

    /// - Parameter schedule: the noise levels that a sampling walks through; a denoiser has none of its own.
    public init(_ denoiser: Denoiser, schedule: DDIMSchedule = .linear()) {
        self.denoiser = denoiser
        self.schedule = schedule
    }

    public var device: Device { denoiser.device }
    public var frameMultiple: Int { denoiser.frameMultiple }
    public var decoderGain: Double? { 1 }
    public var relativeCost: PriorCost { PriorCost(prediction: 1, decoding: 0, encoding: 0, estimating: 0.3) }

    public func latentShape(frames: Int, height: Int, width: Int) -> [Int] { [frames, 3, height, width] }
    public func encode(_ frames: Tensor, samplingWith noise: Tensor?) throws -> Tensor { frames }
    public func decode(_ latents: Tensor) throws -> Tensor { latents }

    public func predictNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        let abar = schedule.alphaBar(timestep)
        let sigma = ((1 - abar) / abar).squareRoot()
        // Before the first step there is no noise, and the quotient would be 0/0.
        guard sigma > 0 else { return try .zeros(latents.shape, device: latents.device) }
        let x = try latents / abar.squareRoot()
        return try (x - denoiser.estimate(x, sigma: sigma)) / sigma
    }
}

/// The unconditional pixel-space diffusion model of guided-diffusion as a prior: latents are the frames themselves.
public struct ADMPrior: DiffusionPrior {
    public let network: ADMUNet
    public let schedule: DDIMSchedule

    public init(_ network: ADMUNet) {
        self.network = network
        schedule = network.configuration.schedule
    }

    public var device: Device { network.device }
    public var frameMultiple: Int { network.configuration.multiple }
    public var decoderGain: Double? { 1 }
    public var relativeCost: PriorCost { PriorCost(prediction: 1, decoding: 0, encoding: 0, estimating: 0.01) }

    public func latentShape(frames: Int, height: Int, width: Int) -> [Int] { [frames, 3, height, width] }
    public func encode(_ frames: Tensor, samplingWith noise: Tensor?) throws -> Tensor { frames }
    public func decode(_ latents: Tensor) throws -> Tensor { latents }

    public func predictNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        // The network counts from 0: its timestep t has the product of t + 1 factors, the schedule's timestep t + 1.
        let output = try network(latents, timestep: max(timestep - 1, 0))
        return try output.narrow(1, from: 0, count: 3).to(.float32).contiguous()
    }
}
