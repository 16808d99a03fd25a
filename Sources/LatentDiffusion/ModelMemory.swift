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
    /// Whether guidance takes two passes of the network, side by side.
    public var guidesInTwoPasses: Bool { unet.guidanceChannels == nil }
    /// Whether the autoencoder loses detail, so that what it lost may be kept beside the frames.
    public var losesDetail: Bool { if case .linear = codec { false } else { true } }
    private let codec: Codec
    private let unetArithmetic: Arithmetic
    private let codecArithmetic: Arithmetic
    private let codecType: DType

    private enum Codec: Sendable {
        case kl(AutoencoderKL.Configuration)
        case tiny(AutoencoderTiny.Configuration)
        case linear(AutoencoderLinear.Configuration)

        /// As `Autoencoder` takes them to choose its memory format.
        var channels: Int { enlarged.min() ?? 0 }

        /// The channels of levels between which upsamplers stand.
        var enlarged: [Int] {
            if case .kl(let c) = self { c.blockChannels } else { [] }
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
            (codec, downscale, tileSizes) = (.tiny(c), c.downscale, c.tileSizes)
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
            try (Self.count(network.weights()) + Self.summed(unet.blockChannels, unetArithmetic)) * dtype.byteCount
            + (Self.count(vae.weights()) + Self.summed(codec.enlarged, codecArithmetic)) * codecType.byteCount
    }

    /// Numbers that upsamplers have beside their weights: 4 x 4 sums for every 3 x 3.
    /// - Parameter channels: of the levels, all of which but the first are enlarged.
    private static func summed(_ channels: [Int], _ how: Arithmetic) -> Int {
        how.enlargedQuarters == 8 ? 0 : channels.dropFirst().reduce(0) { $0 + 16 * $1 * $1 }
    }

    private static func count(_ store: WeightStore) -> Int {
        store.keys.reduce(0) { $0 + (store.shape(of: $1) ?? []).reduce(1, *) }
    }

    /// Whether the kernels of the device can count the elements of every map in a prediction's pass. Parameters as for `prediction`.
    public func canPredict(count: Int, height: Int, width: Int) -> Bool {
        unet.largestMap(count: count, height: height / downscale, width: width / downscale)
            <= unetArithmetic.largestTensor
    }

    /// The same for encoding.
    public func canEncode(frames: Int, height: Int, width: Int, tile: Int? = nil) -> Bool {
        largestMap(decodes: false, frames, height, width, tile) <= codecArithmetic.largestTensor
    }

    /// The same for decoding.
    public func canDecode(frames: Int, height: Int, width: Int, tile: Int? = nil) -> Bool {
        largestMap(decodes: true, frames, height, width, tile) <= codecArithmetic.largestTensor
    }

    private func largestMap(decodes: Bool, _ frames: Int, _ height: Int, _ width: Int, _ tile: Int?) -> Int {
        switch codec {
        case .kl(let c): c.largestMap(decodes: decodes, frames: frames, height: height, width: width, tile: tile)
        case .tiny(let c): c.largestMap(frames: frames, height: height, width: width, tile: tile)
        case .linear: 3 * frames * height * width
        }
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
