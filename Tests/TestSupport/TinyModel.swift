import Foundation
import Weights

/// A model folder of the built-in prior's kind, so small that a restoration takes a moment: patches of 4 x 4 pixels as latents
/// and a U-Net of two levels with random weights. It restores nothing; it makes everything run.
public enum TinyModel {
    static let patch = 4
    static let latentChannels = 24
    static let channels = 16

    /// Writes the folder.
    public static func write(to folder: URL) throws {
        let texts = [
            "model_index.json":
                #"{"_class_name": "VisionXLBuiltinPrior", "unet": ["diffusers", "UNet2DConditionModel"]}"#,
            "scheduler/scheduler_config.json": """
            {"_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
             "num_train_timesteps": 1000, "prediction_type": "epsilon", "clip_sample": false, "set_alpha_to_one": false,
             "steps_offset": 1, "timestep_spacing": "leading", "trained_betas": null}
            """,
            "vae/config.json": """
            {"_class_name": "AutoencoderLinear", "in_channels": 3, "patch_size": \(patch), "latent_channels": \(latentChannels),
             "scaling_factor": 0.5}
            """,
            "unet/config.json": """
            {"_class_name": "UNet2DConditionModel", "in_channels": \(latentChannels), "out_channels": \(latentChannels),
             "block_out_channels": [\(channels), \(channels)], "down_block_types": ["DownBlock2D", "DownBlock2D"],
             "mid_block_type": "UNetMidBlock2D", "up_block_types": ["UpBlock2D", "UpBlock2D"], "layers_per_block": 1,
             "norm_num_groups": 8, "cross_attention_dim": 8, "attention_head_dim": 8}
            """,
        ]
        for (name, text) in texts {
            let file = folder.appendingPathComponent(name)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        let weights = "diffusion_pytorch_model.safetensors"
        try SafetensorsWriter.write(autoencoder, to: folder.appendingPathComponent("vae/\(weights)"))
        try SafetensorsWriter.write(unet, to: folder.appendingPathComponent("unet/\(weights)"))
    }

    /// Orthonormal patches, as in the built-in prior: each the mean of two neighbouring components.
    private static var autoencoder: [String: SafetensorsWriter.Array] {
        let size = 3 * patch * patch
        var values = [Float](repeating: 0, count: latentChannels * size)
        for row in 0..<latentChannels {
            for column in [2 * row, 2 * row + 1] { values[row * size + column] = Float(0.5).squareRoot() }
        }
        return ["encoder.weight": array(values, [latentChannels, 3, patch, patch])]
    }

    private static var unet: [String: SafetensorsWriter.Array] {
        var result: [String: SafetensorsWriter.Array] = [:]
        var random = Random()
        func matrix(_ name: String, _ shape: [Int]) {
            // The variance of what goes through is kept, about.
            let bound = Float((3 / Double(shape.dropFirst().reduce(1, *))).squareRoot())
            result[name + ".weight"] = array((0..<shape.reduce(1, *)).map { _ in bound * random.next() }, shape)
            result[name + ".bias"] = array([Float](repeating: 0, count: shape[0]), [shape[0]])
        }
        func norm(_ name: String, _ width: Int) {
            result[name + ".weight"] = array([Float](repeating: 1, count: width), [width])
            result[name + ".bias"] = array([Float](repeating: 0, count: width), [width])
        }
        func residual(_ name: String, _ input: Int) {
            norm(name + ".norm1", input)
            matrix(name + ".conv1", [channels, input, 3, 3])
            matrix(name + ".time_emb_proj", [channels, 4 * channels])
            norm(name + ".norm2", channels)
            matrix(name + ".conv2", [channels, channels, 3, 3])
            if input != channels { matrix(name + ".conv_shortcut", [channels, input, 1, 1]) }
        }
        matrix("conv_in", [channels, latentChannels, 3, 3])
        matrix("time_embedding.linear_1", [4 * channels, channels])
        matrix("time_embedding.linear_2", [4 * channels, 4 * channels])
        for level in 0..<2 {
            residual("down_blocks.\(level).resnets.0", channels)
            for layer in 0..<2 { residual("up_blocks.\(level).resnets.\(layer)", 2 * channels) }
        }
        matrix("down_blocks.0.downsamplers.0.conv", [channels, channels, 3, 3])
        residual("mid_block.resnets.0", channels)
        matrix("up_blocks.0.upsamplers.0.conv", [channels, channels, 3, 3])
        norm("conv_norm_out", channels)
        matrix("conv_out", [latentChannels, channels, 3, 3])
        return result
    }

    private static func array(_ values: [Float], _ shape: [Int]) -> SafetensorsWriter.Array {
        SafetensorsWriter.Array(dtype: .f32, shape: shape, bytes: values.withUnsafeBytes { Data($0) })
    }

    /// SplitMix64: needs no engine, so that a folder can be written where there is none.
    private struct Random {
        var state: UInt64 = 1

        /// Uniform in [-1, 1).
        mutating func next() -> Float {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return Float(Int64(bitPattern: z ^ (z >> 31)) >> 40) / Float(1 << 23)
        }
    }
}
