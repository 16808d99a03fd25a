import Foundation
import Networks
import TensorKit
import Weights

/// A linear autoencoder of square patches: the latents of an f x f patch are its products with c orthonormal patches, the
/// principal components of natural ones. Encoding and decoding cost next to nothing and decode(encode(x)) is the orthogonal
/// projection of x onto the components, so white noise in the latents is white noise in the pixels.
public struct AutoencoderLinear: Sendable {
    public let configuration: Configuration
    /// (c, 3, f, f).
    let components: Tensor

    /// `config.json`.
    public struct Configuration: Sendable, Equatable {
        public var inChannels: Int
        public var patchSize: Int
        public var latentChannels: Int
        public var scalingFactor: Double

        // Orthonormal components: a patch receives c of its 3 f^2 dimensions.
        var decoderGain: Double {
            (Double(latentChannels) / Double(inChannels * patchSize * patchSize)).squareRoot() / scalingFactor
        }
    }

    init(_ w: WeightScope, _ c: Configuration) throws {
        configuration = c
        components = try w["encoder"].tensor("weight", [c.latentChannels, c.inChannels, c.patchSize, c.patchSize])
    }

    /// The standard deviation, in decoded pixels, of white noise of standard deviation 1 in the scaled latents.
    public var decoderGain: Double { configuration.decoderGain }

    /// Unscaled latents (N, c, H/f, W/f) of frames (N, 3, H, W) in [-1, 1].
    public func encodeUnscaled(_ frames: Tensor) throws -> Tensor {
        try frames.convolved(components, stride: configuration.patchSize)
    }

    /// Frames (N, 3, H, W) of unscaled latents.
    public func decodeUnscaled(_ latents: Tensor) throws -> Tensor {
        try latents.transposeConvolved(components, stride: configuration.patchSize)
    }
}

extension AutoencoderLinear.Configuration {
    /// Reads `config.json`.
    init(_ json: ConfigurationReader) throws {
        inChannels = try json.positive("in_channels", default: 3)
        patchSize = try json.positive("patch_size")
        latentChannels = try json.positive("latent_channels")
        scalingFactor = try json.double("scaling_factor", default: 1)
        try json.finish()
    }
}
