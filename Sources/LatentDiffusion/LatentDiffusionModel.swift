import Diffusion
import Foundation
import Networks
import Synchronization
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
    public var text: TextConditioning {
        didSet { steps = StepCache() }
    }
    private var steps = StepCache()

    /// Opens `unet/`, `vae/` and `scheduler/` of a folder, or a `.safetensors` file of SDXL in its original layout (`SingleFileModel`).
    /// Cost: the weights are mapped, and read once if they are converted.
    /// - Parameters:
    ///   - dtype: the type that the networks run in.
    ///   - format: of the images between the layers; the fastest when nil.
    ///   - autoencoder: a folder or file to take in place of the model's own `vae`, for example that of the tiny autoencoder.
    ///   - draft: a folder or file of a quicker autoencoder for the same latents, to have beside it.
    ///   - variant: `fp16` prefers files of that name where a folder has several.
    ///   - text: what is asked for in words; the encoders are closed before the other networks are opened.
    ///   - cache: where the null prompt is kept, so that it is encoded once; encoded every time when nil.
    public init(
        at url: URL, dtype: DType = .float32, device: Device = .cpu, format: MemoryFormat? = nil,
        variant: String? = nil,
        autoencoder autoencoderURL: URL? = nil, draft draftURL: URL? = nil, text request: TextRequest = TextRequest(),
        cache: PromptCache? = nil
    ) throws {
        try Engine.require(device)
        self.url = url
        self.dtype = dtype
        self.device = device
        let source = try ModelSource(at: url)
        schedule = try DDIMSchedule(source.schedule)
        text = try TextConditioning(
            request, model: url, unet: UNet2DCondition.configuration(of: source), variant: variant, device: device,
            cache: cache)
        // SDXL's own VAE overflows in float16; its fp16-fix does not, but nothing in its configuration says which one it is.
        autoencoderType = dtype == .float16 ? .float32 : dtype
        autoencoder = try Autoencoder(
            autoencoderURL.map { try NetworkSource(autoencoderAt: $0, variant: variant) }
                ?? source.network("vae", variant: variant),
            dtype: autoencoderType, device: device, format: format, isExact: dtype == .float32)
        draftAutoencoder = try draftURL.map {
            try Autoencoder(
                NetworkSource(autoencoderAt: $0, variant: variant), dtype: dtype == .float16 ? .float32 : dtype,
                device: device, format: format, isExact: dtype == .float32)
        }
        unet = try UNet2DCondition(
            source.network("unet", variant: variant), dtype: dtype, device: device, format: format)
        if let draftURL, let draft = draftAutoencoder,
            draft.latentChannels != autoencoder.latentChannels || draft.downscale != autoencoder.downscale
        {
            throw ModelError.mismatch(
                "\(draftURL.path): its latents have \(draft.latentChannels) channels of 1/\(draft.downscale) of the frames' size, the model's "
                    + "\(autoencoder.latentChannels) of 1/\(autoencoder.downscale); only an autoencoder for the same latents can stand in."
            )
        }
        let c = unet.configuration
        guard c.inChannels == autoencoder.latentChannels, c.outChannels == c.inChannels else {
            throw ModelError.mismatch(
                "\(url.path): the U-Net takes \(c.inChannels) and gives \(c.outChannels) channels, the autoencoder's latents have "
                    + "\(autoencoder.latentChannels); only models with the same number everywhere can be used.")
        }
    }

    /// The schedule of the model at `url` and its `Autoencoder.decoderGain`, read from configurations alone.
    /// - Parameters: as for `init`.
    public static func outline(
        at url: URL, variant: String? = nil, autoencoder autoencoderURL: URL? = nil
    ) throws -> (schedule: DDIMSchedule, decoderGain: Double?) {
        let source = try ModelSource(at: url)
        let codec =
            try autoencoderURL.map { try NetworkSource(autoencoderAt: $0, variant: variant) }
            ?? source.network("vae", variant: variant)
        let isLinear = try codec.configuration.string("_class_name") == "AutoencoderLinear"
        return (
            try DDIMSchedule(source.schedule),
            isLinear ? try AutoencoderLinear.Configuration(codec.configuration).decoderGain : nil
        )
    }

    /// The conditioning of a text, the prompt's when nil, for frames of a size in pixels: original size 1024 x 1024, no crop.
    public func conditioning(_ embedding: PromptEmbedding? = nil, height: Int, width: Int) -> Conditioning {
        let embedding = embedding ?? text.prompt
        return Conditioning(
            context: embedding.context, pooled: embedding.pooled,
            timeIDs: [1024, 1024, 0, 0, Double(height), Double(width)], guidance: text.embeddedGuidance)
    }

    /// The noise in latents (N, C, h, w) at a timestep, in float32: one pass of the U-Net for each, or two in one call under guidance.
    public func predictNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        guard let guidance = text.guidance else { return try noise(in: latents, timestep, .prompt) }
        let count = latents.size(0)
        let noise = try noise(in: Tensor.concatenate([latents, latents], along: 0), timestep, .both)
        let unguided = try noise.rows(0..<count)
        return try unguided.adding(noise.rows(count..<2 * count) - unguided, times: guidance.scale)
    }

    /// The noise that data is inverted with: without guidance, whose two predictions would not be undone by each other. With guidance it is
    /// that of the negative prompt, as the authors' code has it.
    public func predictUnguidedNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        try noise(in: latents, timestep, text.guidance == nil ? .prompt : .negative)
    }

    /// Makes what `predictNoise` needs of timesteps and of the text for latents of a shape, (n, C, h, w).
    public func prepare(timesteps: [Int], latents shape: [Int]) throws {
        let (count, side): (Int, StepCache.Side) = text.guidance == nil ? (1, .prompt) : (2, .both)
        let whole = [count * shape[0]] + shape[1...]
        for timestep in timesteps { _ = try step(timestep, side, latents: whole) }
    }

    private func noise(in latents: Tensor, _ timestep: Int, _ side: StepCache.Side) throws -> Tensor {
        let output = try unet(latents, at: step(timestep, side, latents: latents.shape)).to(.float32).contiguous()
        return try schedule.noise(from: output, in: latents, timestep: timestep)
    }

    private func step(_ timestep: Int, _ side: StepCache.Side, latents shape: [Int]) throws -> UNet2DCondition.Step {
        let (height, width) = (shape[2] * autoencoder.downscale, shape[3] * autoencoder.downscale)
        let key = StepCache.Key(
            side: side, timestep: timestep, height: height, width: width, rows: side == .both ? shape[0] : 1)
        func conditioning() throws -> Conditioning {
            let prompt = self.conditioning(height: height, width: width)
            guard side != .prompt, let guidance = text.guidance else { return prompt }
            let negative = self.conditioning(guidance.negative, height: height, width: width)
            return side == .negative
                ? negative : try Conditioning(repeating: [negative, prompt], count: shape[0] / 2)
        }
        return try steps.step(key, of: unet, conditioning)
    }
}

/// What the U-Net needs of a timestep and of a text, kept from one pass to the next: all frames share it.
private final class StepCache: Sendable {
    /// Which text a pass has.
    enum Side { case prompt, negative, both }

    struct Key: Hashable {
        var side: Side
        var timestep: Int
        var height: Int
        var width: Int
        /// Texts side by side.
        var rows: Int
    }

    private struct State {
        var texts: [Key: [Attention.Memory]] = [:]
        var steps: [Key: UNet2DCondition.Step] = [:]
    }

    private let state = Mutex(State())

    func step(
        _ key: Key, of unet: UNet2DCondition, _ conditioning: () throws -> Conditioning
    ) throws -> UNet2DCondition.Step {
        if let step = state.withLock({ $0.steps[key] }) { return step }
        let conditioning = try conditioning()
        // The same at every timestep and size.
        let textKey = Key(side: key.side, timestep: 0, height: 0, width: 0, rows: key.rows)
        let known = state.withLock { $0.texts[textKey] }
        let text = try known ?? unet.text(conditioning)
        let step = try unet.step(key.timestep, conditioning, text: text)
        state.withLock {
            // A pass of fewer frames comes at the end of every timestep; more sizes than that do not come.
            if $0.texts.count > 4 { $0.texts = [:] }
            $0.texts[textKey] = text
            // A few hundred kilobytes each for SDXL.
            if $0.steps.count >= 128 { $0.steps = [:] }
            $0.steps[key] = step
        }
        return step
    }
}
