import Foundation
import Networks
import TensorKit
import Weights

/// What a model takes of a device's memory, known from its configurations and its files' headers: no weight is read.
///
///     let memory = try ModelMemory(at: url, dtype: .bfloat16)
///     memory.weightBytes + memory.decoding(frames: 1, height: 768, width: 1280)
public struct ModelMemory: Sendable {
    /// Bytes of the U-Net's weights and of the autoencoder's, in the types that they run in.
    public let weightBytes: Int
    /// Pixels of a latent's edge.
    public let downscale: Int
    /// As `Autoencoder.tileSizes`.
    public let tileSizes: [Int]
    /// Bytes that the engine keeps to convolve with, from the first pass on.
    public var workBytes: Int { unetArithmetic.isWinograd || codecArithmetic.isWinograd ? Tensor.winogradBytes : 0 }
    private let unet: UNet2DCondition.Configuration
    private let codec: Codec
    private let unetArithmetic: Arithmetic
    private let codecArithmetic: Arithmetic
    private let codecType: DType

    private enum Codec: Sendable {
        case kl(AutoencoderKL.Configuration)
        case tiny(AutoencoderTiny.Configuration)
        case linear(AutoencoderLinear.Configuration)

        /// As `Autoencoder` takes them to choose its memory format.
        var channels: Int {
            if case .kl(let c) = self { c.blockChannels.min() ?? 0 } else { 0 }
        }
    }

    /// - Parameters: as for `LatentDiffusionModel`.
    public init(
        at url: URL, dtype: DType = .float32, device: Device = .cpu, variant: String? = nil,
        autoencoder autoencoderURL: URL? = nil
    ) throws {
        codecType = dtype == .float16 ? .float32 : dtype
        let source = try ModelSource(at: url)
        let vae =
            try autoencoderURL.map { try NetworkSource(autoencoderAt: $0, variant: variant) }
            ?? source.network("vae", variant: variant)
        let network = try source.network("unet", variant: variant)
        unet = try UNet2DCondition.Configuration(network.configuration)
        let name = try vae.configuration.string("_class_name")
        switch name {
        case "AutoencoderKL":
            let c = try AutoencoderKL.Configuration(vae.configuration)
            (codec, downscale, tileSizes) = (.kl(c), c.downscale, Autoencoder.usualTiles)
        case "AutoencoderTiny":
            let c = try AutoencoderTiny.Configuration(vae.configuration)
            (codec, downscale, tileSizes) = (.tiny(c), c.downscale, Autoencoder.usualTiles)
        case "AutoencoderLinear":
            let c = try AutoencoderLinear.Configuration(vae.configuration)
            (codec, downscale, tileSizes) = (.linear(c), c.patchSize, [])
        default:
            throw ModelError.unsupported(
                path: vae.configuration.path, key: "_class_name", value: name,
                supported: "AutoencoderKL, AutoencoderTiny or AutoencoderLinear")
        }
        unetArithmetic = Arithmetic(dtype: dtype, device: device, channels: unet.blockChannels.min() ?? 0)
        codecArithmetic = Arithmetic(dtype: codecType, device: device, channels: codec.channels)
        weightBytes =
            try Self.count(network.weights()) * dtype.byteCount + Self.count(vae.weights()) * codecType.byteCount
    }

    private static func count(_ store: WeightStore) -> Int {
        store.keys.reduce(0) { $0 + (store.shape(of: $1) ?? []).reduce(1, *) }
    }

    /// Bytes at the peak of predicting the noise of `count` latents of frames of a size in pixels.
    public func prediction(count: Int, height: Int, width: Int) -> Int {
        unet.bytes(count: count, height: height / downscale, width: width / downscale, unetArithmetic)
    }

    /// Bytes at the peak of encoding frames of a size in pixels.
    /// - Parameter tile: as for `Autoencoder.encode`.
    public func encoding(frames: Int, height: Int, width: Int, tile: Int? = nil) -> Int {
        switch codec {
        case .kl(let c): c.encodingBytes(frames: frames, height: height, width: width, codecArithmetic, tile: tile)
        case .tiny(let c): c.encodingBytes(frames: frames, height: height, width: width, dtype: codecType, tile: tile)
        case .linear(let c): c.bytes(frames: frames, height: height, width: width, dtype: codecType)
        }
    }

    /// Bytes at the peak of decoding them.
    public func decoding(frames: Int, height: Int, width: Int, tile: Int? = nil) -> Int {
        switch codec {
        case .kl(let c): c.decodingBytes(frames: frames, height: height, width: width, codecArithmetic, tile: tile)
        case .tiny(let c): c.decodingBytes(frames: frames, height: height, width: width, dtype: codecType, tile: tile)
        case .linear(let c): c.bytes(frames: frames, height: height, width: width, dtype: codecType)
        }
    }
}
