import Foundation
import TensorKit
import Weights

/// A latent diffusion model: autoencoder, noise prediction and schedule, from a folder in diffusers' layout or from a single file of SDXL.
///
/// Stable Diffusion XL and the built-in prior are opened by the same code:
///
///     let model = try LatentDiffusionModel(at: url, dtype: .bfloat16, device: .cuda(0))
///     let latents = try model.autoencoder.encode(frames)
public struct LatentDiffusionModel: Sendable {
    /// The folder or file.
    public let url: URL
    public let unet: UNet2DCondition
    public let autoencoder: Autoencoder
    /// A quicker approximation of it, for the same latents.
    public let draftAutoencoder: Autoencoder?
    public let schedule: DDIMSchedule
    public let dtype: DType
    public let autoencoderType: DType
    public let device: Device
    /// The text that every noise prediction is conditioned on: the null prompt unless another was asked for.
    public var text: TextConditioning

    /// Opens `unet/`, `vae/` and `scheduler/` of a folder, or a `.safetensors` file of SDXL in its original layout (`SingleFileModel`).
    /// Cost: the weights are mapped, and read once if they are converted.
    /// - Parameters:
    ///   - dtype: the type that the networks run in.
    ///   - format: channels last is quicker; PyTorch's group norm is more exact in the other on a CPU (4e-6 against 1e-5 over the
    ///     golden inversion).
    ///   - autoencoder: a folder or file to take in place of the model's own `vae`, for example that of the tiny autoencoder.
    ///   - draft: a folder or file of a quicker autoencoder for the same latents, to have beside it.
    ///   - variant: `fp16` prefers files of that name where a folder has several.
    ///   - text: what is asked for in words; the encoders are closed before the other networks are opened.
    ///   - cache: where the null prompt is kept, so that it is encoded once; encoded every time when nil.
    public init(
        at url: URL, dtype: DType = .float32, device: Device = .cpu, format: MemoryFormat = .channelsLast, variant: String? = nil,
        autoencoder autoencoderURL: URL? = nil, draft draftURL: URL? = nil, text request: TextRequest = TextRequest(), cache: PromptCache? = nil
    ) throws {
        try Engine.require(device)
        self.url = url
        self.dtype = dtype
        self.device = device
        let source = try ModelSource(at: url)
        schedule = try DDIMSchedule(source.schedule)
        text = try TextConditioning(
            request, model: url, unet: UNet2DCondition.configuration(of: source), variant: variant, device: device, cache: cache)
        // SDXL's own VAE overflows in float16; its fp16-fix does not, but nothing in its configuration says which one it is.
        autoencoderType = dtype == .float16 ? .float32 : dtype
        autoencoder = try Autoencoder(
            autoencoderURL.map { try NetworkSource(autoencoderAt: $0, variant: variant) } ?? source.network("vae", variant: variant),
            dtype: autoencoderType, device: device, format: format)
        draftAutoencoder = try draftURL.map {
            try Autoencoder(NetworkSource(autoencoderAt: $0, variant: variant), dtype: dtype == .float16 ? .float32 : dtype, device: device, format: format)
        }
        unet = try UNet2DCondition(source.network("unet", variant: variant), dtype: dtype, device: device, format: format)
        if let draftURL, let draft = draftAutoencoder, draft.latentChannels != autoencoder.latentChannels || draft.downscale != autoencoder.downscale {
            throw ModelError.mismatch(
                "\(draftURL.path): its latents have \(draft.latentChannels) channels of 1/\(draft.downscale) of the frames' size, the model's "
                    + "\(autoencoder.latentChannels) of 1/\(autoencoder.downscale); only an autoencoder for the same latents can stand in.")
        }
        let c = unet.configuration
        guard c.inChannels == autoencoder.latentChannels, c.outChannels == c.inChannels else {
            throw ModelError.mismatch(
                "\(url.path): the U-Net takes \(c.inChannels) and gives \(c.outChannels) channels, the autoencoder's latents have "
                    + "\(autoencoder.latentChannels); only models with the same number everywhere can be used.")
        }
    }

    /// The conditioning of a text, the prompt's when nil, for frames of a size in pixels: original size 1024 x 1024, no crop.
    public func conditioning(_ embedding: PromptEmbedding? = nil, height: Int, width: Int) -> Conditioning {
        let embedding = embedding ?? text.prompt
        return Conditioning(context: embedding.context, pooled: embedding.pooled, timeIDs: [1024, 1024, 0, 0, Double(height), Double(width)])
    }

    /// The noise in latents (N, C, h, w) at a timestep, in float32: one pass of the U-Net for each, or two in one call under guidance.
    public func predictNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        let (height, width) = (latents.size(2) * autoencoder.downscale, latents.size(3) * autoencoder.downscale)
        guard let guidance = text.guidance else {
            return try unet(latents, timestep: timestep, conditioning: conditioning(height: height, width: width)).to(.float32).contiguous()
        }
        let count = latents.size(0)
        let both = try Conditioning(
            repeating: [conditioning(guidance.negative, height: height, width: width), conditioning(height: height, width: width)], count: count)
        let noise = try unet(Tensor.concatenate([latents, latents], along: 0), timestep: timestep, conditioning: both).to(.float32).contiguous()
        let unguided = try noise.rows(0..<count)
        return try unguided.adding(noise.rows(count..<2 * count) - unguided, times: guidance.scale)
    }

    /// The noise that data is inverted with: without guidance, whose two predictions would not be undone by each other. With guidance it is
    /// that of the negative prompt, as the authors' code has it.
    public func predictUnguidedNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        guard let guidance = text.guidance else { return try predictNoise(latents, timestep: timestep) }
        var unguided = self
        unguided.text = TextConditioning(prompt: guidance.negative, source: text.source)
        return try unguided.predictNoise(latents, timestep: timestep)
    }
}
