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
    public let schedule: DDIMSchedule
    public let dtype: DType
    public let autoencoderType: DType
    public let device: Device
    /// The text that every noise prediction is conditioned on: the null prompt, zeros unless the folder has `null_prompt.safetensors`.
    public var nullContext: Tensor
    public var nullPooled: Tensor?

    /// Opens `unet/`, `vae/` and `scheduler/` of a folder, or a `.safetensors` file of SDXL in its original layout (`SingleFileModel`).
    /// Cost: the weights are mapped, and read once if they are converted.
    /// - Parameters:
    ///   - dtype: the type that the networks run in.
    ///   - format: channels last is quicker; PyTorch's group norm is more exact in the other on a CPU (4e-6 against 1e-5 over the
    ///     golden inversion).
    ///   - autoencoder: a folder or file to take in place of the model's own `vae`, for example that of the tiny autoencoder.
    ///   - variant: `fp16` prefers files of that name where a folder has several.
    public init(
        at url: URL, dtype: DType = .float32, device: Device = .cpu, format: MemoryFormat = .channelsLast, variant: String? = nil,
        autoencoder autoencoderURL: URL? = nil
    ) throws {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
            throw ModelError.unreadable(path: url.path, reason: "there is no such model folder or file")
        }
        try Engine.require(device)
        self.url = url
        self.dtype = dtype
        self.device = device
        let source: ModelSource = isFolder.boolValue ? .folder(url) : .file(try SingleFileModel(at: url))
        schedule = try DDIMSchedule(source.schedule)
        // SDXL's own VAE overflows in float16; its fp16-fix does not, but nothing in its configuration says which one it is.
        autoencoderType = dtype == .float16 ? .float32 : dtype
        autoencoder = try Autoencoder(
            autoencoderURL.map { try NetworkSource(autoencoderAt: $0, variant: variant) } ?? source.network("vae", variant: variant),
            dtype: autoencoderType, device: device, format: format)
        unet = try UNet2DCondition(source.network("unet", variant: variant), dtype: dtype, device: device, format: format)
        let c = unet.configuration
        guard c.inChannels == autoencoder.latentChannels, c.outChannels == c.inChannels else {
            throw ModelError.mismatch(
                "\(url.path): the U-Net takes \(c.inChannels) and gives \(c.outChannels) channels, the autoencoder's latents have "
                    + "\(autoencoder.latentChannels); only models with the same number everywhere can be used.")
        }
        let cached = url.appendingPathComponent("null_prompt.safetensors")
        if isFolder.boolValue, FileManager.default.fileExists(atPath: cached.path) {
            let tensors = try SafetensorsFile(at: cached)
            nullContext = try tensors.tensor("context")
            nullPooled = c.addition == nil ? nil : try tensors.tensor("pooled")
        } else {
            // SDXL's pipeline takes zeros for an empty prompt (force_zeros_for_empty_prompt).
            nullContext = try Tensor.zeros([1, 77, c.contextChannels])
            nullPooled = try c.addition.map { try Tensor.zeros([1, max($0.inputChannels - 6 * $0.timeChannels, 0)]) }
        }
    }

    /// The conditioning of the null prompt for frames of a size in pixels: original size 1024 x 1024, no crop.
    public func nullConditioning(height: Int, width: Int) -> Conditioning {
        Conditioning(context: nullContext, pooled: nullPooled, timeIDs: [1024, 1024, 0, 0, Double(height), Double(width)])
    }
}
