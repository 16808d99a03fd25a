import Foundation
import Networks
import Weights

/// Stable Diffusion XL's architecture (Podell et al. 2023), as far as checkpoints of its structure can differ, and the configurations
/// that say the rest. Three levels, transformers on the two coarser ones, heads of 64 channels, norms in 32 groups.
public struct StableDiffusionXL: Sendable, Equatable {
    /// Channels of the U-Net's levels, the finest first: multiples of 32, and of 64 where there are transformers.
    public var channels: [Int]
    /// Layers of a transformer on each level; the finest has none.
    public var transformerLayers: [Int]
    /// Channels of the text's tokens, and of the text as a whole.
    public var contextChannels: Int
    public var pooledChannels: Int
    /// Channels of the autoencoder's levels, multiples of 32.
    public var autoencoderChannels: [Int]
    public var latentChannels = 4
    /// The edge of the pictures that the networks are meant for, in pixels.
    public var pictureSize: Int

    /// SDXL 1.0: 2.6 thousand million parameters.
    public static let full = StableDiffusionXL(
        channels: [320, 640, 1280], transformerLayers: [0, 2, 10], contextChannels: 2048, pooledChannels: 1280,
        autoencoderChannels: [128, 256, 512, 512], pictureSize: 1024)

    /// The same structure with 10 million parameters, for tests.
    public static let tiny = StableDiffusionXL(
        channels: [32, 64, 128], transformerLayers: [0, 1, 2], contextChannels: 64, pooledChannels: 32,
        autoencoderChannels: [32, 32, 64, 64], pictureSize: 128)

    private static let headChannels = 64
    private static let normGroups = 32
    private static let layers = 2
    /// Original size, crop and target size, in sinusoids of this many channels each.
    private static let (timeIDs, timeIDChannels) = (6, 256)
    private static let downscale = 8

    // MARK: Configurations

    /// `unet/config.json`.
    public var unetConfiguration: String {
        """
        {
          "_class_name": "UNet2DConditionModel",
          "act_fn": "silu",
          "addition_embed_type": "text_time",
          "addition_time_embed_dim": \(Self.timeIDChannels),
          "attention_head_dim": \(channels.map { max($0 / Self.headChannels, 1) }),
          "block_out_channels": \(channels),
          "center_input_sample": false,
          "cross_attention_dim": \(contextChannels),
          "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
          "downsample_padding": 1,
          "flip_sin_to_cos": true,
          "freq_shift": 0,
          "in_channels": \(latentChannels),
          "layers_per_block": \(Self.layers),
          "mid_block_scale_factor": 1,
          "mid_block_type": "UNetMidBlock2DCrossAttn",
          "norm_eps": 1e-05,
          "norm_num_groups": \(Self.normGroups),
          "out_channels": \(latentChannels),
          "projection_class_embeddings_input_dim": \(pooledChannels + Self.timeIDs * Self.timeIDChannels),
          "sample_size": \(pictureSize / Self.downscale),
          "transformer_layers_per_block": \(transformerLayers.map { max($0, 1) }),
          "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
          "use_linear_projection": true
        }

        """
    }

    /// `vae/config.json`.
    public var autoencoderConfiguration: String {
        let blocks = autoencoderChannels.count
        func list(_ kind: String) -> String {
            "[" + Array(repeating: "\"\(kind)\"", count: blocks).joined(separator: ", ") + "]"
        }
        return """
            {
              "_class_name": "AutoencoderKL",
              "act_fn": "silu",
              "block_out_channels": \(autoencoderChannels),
              "down_block_types": \(list("DownEncoderBlock2D")),
              "force_upcast": true,
              "in_channels": 3,
              "latent_channels": \(latentChannels),
              "layers_per_block": \(Self.layers),
              "norm_num_groups": \(Self.normGroups),
              "out_channels": 3,
              "sample_size": \(pictureSize),
              "scaling_factor": 0.13025,
              "up_block_types": \(list("UpDecoderBlock2D"))
            }

            """
    }

    /// `scheduler/scheduler_config.json`, as SDXL's repository has it.
    public static let scheduleConfiguration = """
        {
          "_class_name": "EulerDiscreteScheduler",
          "beta_end": 0.012,
          "beta_schedule": "scaled_linear",
          "beta_start": 0.00085,
          "interpolation_type": "linear",
          "num_train_timesteps": 1000,
          "prediction_type": "epsilon",
          "steps_offset": 1,
          "timestep_spacing": "leading",
          "trained_betas": null,
          "use_karras_sigmas": false
        }

        """

    // MARK: From weights

    /// The configuration of a U-Net, from the shapes of its weights.
    static func unetConfiguration(of store: WeightStore) throws -> String {
        var sizes = full
        sizes.channels = try (0..<3).map { try store.size("down_blocks.\($0).resnets.0.conv1.weight", 0) }
        sizes.transformerLayers = (0..<3).map { level in
            let prefix = "down_blocks.\(level).attentions.0.transformer_blocks."
            return Set(
                store.keys.filter { $0.hasPrefix(prefix) }.map { $0.dropFirst(prefix.count).prefix { $0 != "." } }
            ).count
        }
        sizes.contextChannels = try store.size("mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", 1)
        sizes.pooledChannels = try store.size("add_embedding.linear_1.weight", 1) - timeIDs * timeIDChannels
        sizes.latentChannels = try store.size("conv_in.weight", 1)
        return sizes.unetConfiguration
    }

    /// The configuration of an autoencoder, from the shapes of its weights.
    static func autoencoderConfiguration(of store: WeightStore) throws -> String {
        var sizes = full
        let levels = (0..<16).prefix { store.contains("encoder.down_blocks.\($0).resnets.0.conv1.weight") }
        sizes.autoencoderChannels = try levels.map {
            try store.size("encoder.down_blocks.\($0).resnets.0.conv1.weight", 0)
        }
        sizes.latentChannels = try store.size("decoder.conv_in.weight", 1)
        return sizes.autoencoderConfiguration
    }

    // MARK: Names and shapes

    /// The names and shapes of all weights, by component.
    public func inventory() throws -> [String: [String: [Int]]] {
        let unet = try UNet2DCondition.Configuration(
            ConfigurationReader(data: Data(unetConfiguration.utf8), path: "unet/config.json"))
        let vae = try AutoencoderKL.Configuration(
            ConfigurationReader(data: Data(autoencoderConfiguration.utf8), path: "vae/config.json"))
        return [
            "unet": try WeightStore.inventory { try UNet2DCondition($0, exact: $0, unet) },
            "vae": try WeightStore.inventory { try AutoencoderKL($0, exact: $0, vae) },
        ]
    }
}

extension WeightStore {
    /// One size of a tensor that must be there.
    fileprivate func size(_ key: String, _ dimension: Int) throws -> Int {
        guard let shape = shape(of: key), dimension < shape.count else {
            throw WeightsError.missingKey(path: url.path, key: key)
        }
        return shape[dimension]
    }
}
