import Foundation
import Networks
import TensorKit
import Weights

/// An autoencoder of any of the classes that a model folder's `vae/config.json` can name.
public enum Autoencoder: Sendable {
    case kl(AutoencoderKL)
    case tiny(AutoencoderTiny)
    case linear(AutoencoderLinear)

    /// Opens a diffusers component folder (`config.json` and safetensors weights).
    public init(
        folder: URL, variant: String? = nil, dtype: DType = .float32, device: Device = .cpu, format: MemoryFormat? = nil
    ) throws {
        try self.init(NetworkSource(folder: folder, variant: variant), dtype: dtype, device: device, format: format)
    }

    /// - Parameter isExact: whether float32 is asked for and not made do with; true for float32 when nil.
    init(
        _ source: NetworkSource, dtype: DType, device: Device, format: MemoryFormat?, isExact: Bool? = nil
    ) throws {
        let json = source.configuration
        let name = try json.string("_class_name")
        func build<Network>(channels: Int = 0, _ body: (WeightScope) throws -> Network) throws -> Network {
            try source.weights()
                .build(
                    dtype: dtype, device: device,
                    format: format ?? .fastest(for: dtype, on: device, channels: channels),
                    isExact: isExact ?? (dtype == .float32), body)
        }
        switch name {
        case "AutoencoderKL":
            let configuration = try AutoencoderKL.Configuration(json)
            let narrowest = configuration.blockChannels.min() ?? 0
            self = .kl(
                try build(channels: narrowest) {
                    try AutoencoderKL($0, exact: $0.converted(to: .float32, on: device, isExact: true), configuration)
                })
        case "AutoencoderTiny":
            let configuration = try AutoencoderTiny.Configuration(json)
            self = .tiny(try build { try AutoencoderTiny($0, configuration) })
        case "AutoencoderLinear":
            let configuration = try AutoencoderLinear.Configuration(json)
            self = .linear(try build { try AutoencoderLinear($0, configuration) })
        default:
            throw ModelError.unsupported(
                path: json.path, key: "_class_name", value: name,
                supported: "AutoencoderKL, AutoencoderTiny or AutoencoderLinear")
        }
    }

    /// Pixels of a latent's edge: frames must be multiples of it.
    public var downscale: Int {
        switch self {
        case .kl(let network): network.configuration.downscale
        case .tiny(let network): network.configuration.downscale
        case .linear(let network): network.configuration.patchSize
        }
    }

    public var latentChannels: Int {
        switch self {
        case .kl(let network): network.configuration.latentChannels
        case .tiny(let network): network.configuration.latentChannels
        case .linear(let network): network.configuration.latentChannels
        }
    }

    /// Sides of tiles, in pixels, that are worth their margins, from large to small. AutoencoderLinear has none: it needs no memory beside its
    /// input and output; nor has an AutoencoderTiny with norms.
    public var tileSizes: [Int] {
        switch self {
        case .kl: Self.usualTiles
        case .tiny(let network): network.configuration.tileSizes
        case .linear: []
        }
    }

    static let usualTiles = [1024, 768, 512, 384, 256, 192, 128]

    /// The standard deviation, in decoded pixels, of white noise of standard deviation 1 in the latents; nil where it depends on them.
    public var decoderGain: Double? {
        switch self {
        case .kl, .tiny: nil
        case .linear(let network): network.decoderGain
        }
    }

    private var scale: (factor: Double, shift: Double) {
        switch self {
        case .kl(let network): (network.configuration.scalingFactor, network.configuration.shiftFactor)
        case .tiny(let network): (network.configuration.scalingFactor, network.configuration.shiftFactor)
        case .linear(let network): (network.configuration.scalingFactor, 0)
        }
    }

    /// Latents in the diffusion model's scale, (N, latentChannels, H/f, W/f), of frames (N, 3, H, W) in [-1, 1].
    /// - Parameter noise: standard normal numbers of the latents' shape to sample AutoencoderKL's distribution with; its mean when
    ///   nil. The other classes have no distribution.
    /// - Parameter tile: the side of a tile in pixels, for frames that are too large to go through at once: the same latents but for
    ///   rounding, in less memory and about twice the time. Whole frames when nil; AutoencoderLinear has no use for it.
    public func encode(_ frames: Tensor, samplingWith noise: Tensor? = nil, tile: Int? = nil) throws -> Tensor {
        let latents: Tensor
        switch self {
        case .kl(let network):
            let (mean, logVariance) = try tile.map { try network.moments(frames, tile: $0) } ?? network.moments(frames)
            latents = try noise.map { try mean + (logVariance * 0.5).exponential() * $0 } ?? mean
        case .tiny(let network):
            latents = try tile.map { try network.encodeUnscaled(frames, tile: $0) } ?? network.encodeUnscaled(frames)
        case .linear(let network): latents = try network.encodeUnscaled(frames)
        }
        let (factor, shift) = scale
        return try shift == 0 ? latents * factor : (latents - shift) * factor
    }

    /// Frames (N, 3, H, W), about [-1, 1], of latents in the diffusion model's scale.
    /// - Parameter tile: as for `encode`.
    public func decode(_ latents: Tensor, tile: Int? = nil) throws -> Tensor {
        let (factor, shift) = scale
        let unscaled = try shift == 0 ? latents / factor : latents / factor + shift
        switch self {
        case .kl(let network):
            return try tile.map { try network.decodeUnscaled(unscaled, tile: $0) } ?? network.decodeUnscaled(unscaled)
        case .tiny(let network):
            return try tile.map { try network.decodeUnscaled(unscaled, tile: $0) } ?? network.decodeUnscaled(unscaled)
        case .linear(let network): return try network.decodeUnscaled(unscaled)
        }
    }
}
