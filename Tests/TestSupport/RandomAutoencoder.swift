import Foundation
import Weights

/// An AutoencoderKL of any widths with random weights, as a component's folder.
public enum RandomAutoencoder {
    /// Writes it to `folder`.
    /// - Parameter channels: `block_out_channels`, multiples of 32.
    public static func write(to folder: URL, channels: [Int], layers: Int = 2) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let levels = channels.count
        func list(_ word: String) -> String {
            "[" + Array(repeating: "\"\(word)\"", count: levels).joined(separator: ", ") + "]"
        }
        let text = """
            {"_class_name": "AutoencoderKL", "block_out_channels": \(channels), "layers_per_block": \(layers), "latent_channels": 4,
             "norm_num_groups": 32, "scaling_factor": 0.13025, "down_block_types": \(list("DownEncoderBlock2D")),
             "up_block_types": \(list("UpDecoderBlock2D"))}
            """
        try Data(text.utf8).write(to: folder.appendingPathComponent("config.json"))
        var weights = RandomWeights()
        func middle(_ name: String) {
            let widest = channels[levels - 1]
            for index in 0..<2 { weights.residual("\(name).mid_block.resnets.\(index)", widest, widest) }
            weights.norm("\(name).mid_block.attentions.0.group_norm", widest)
            for part in ["to_q", "to_k", "to_v", "to_out.0"] {
                weights.matrix("\(name).mid_block.attentions.0.\(part)", [widest, widest])
            }
        }
        weights.matrix("encoder.conv_in", [channels[0], 3, 3, 3])
        for level in 0..<levels {
            for layer in 0..<layers {
                weights.residual(
                    "encoder.down_blocks.\(level).resnets.\(layer)",
                    layer == 0 ? channels[max(level - 1, 0)] : channels[level], channels[level])
            }
            if level < levels - 1 {
                weights.matrix(
                    "encoder.down_blocks.\(level).downsamplers.0.conv", [channels[level], channels[level], 3, 3])
            }
        }
        middle("encoder")
        weights.norm("encoder.conv_norm_out", channels[levels - 1])
        weights.matrix("encoder.conv_out", [8, channels[levels - 1], 3, 3])
        weights.matrix("quant_conv", [8, 8, 1, 1])
        weights.matrix("post_quant_conv", [4, 4, 1, 1])
        let upwards = Array(channels.reversed())
        weights.matrix("decoder.conv_in", [upwards[0], 4, 3, 3])
        middle("decoder")
        for index in 0..<levels {
            for layer in 0...layers {
                weights.residual(
                    "decoder.up_blocks.\(index).resnets.\(layer)",
                    layer == 0 ? upwards[max(index - 1, 0)] : upwards[index], upwards[index])
            }
            if index < levels - 1 {
                weights.matrix("decoder.up_blocks.\(index).upsamplers.0.conv", [upwards[index], upwards[index], 3, 3])
            }
        }
        weights.norm("decoder.conv_norm_out", upwards[levels - 1])
        weights.matrix("decoder.conv_out", [3, upwards[levels - 1], 3, 3])
        try SafetensorsWriter.write(
            weights.arrays, to: folder.appendingPathComponent("diffusion_pytorch_model.safetensors"))
    }
}

/// Arrays of random numbers for layers.
struct RandomWeights {
    private(set) var arrays: [String: SafetensorsWriter.Array] = [:]
    private var state: UInt64 = 1

    mutating func matrix(_ name: String, _ shape: [Int]) {
        // The variance of what goes through is kept, about; biases and norms that are not trivial, so that leaving one out would show.
        let bound = Float((3 / Double(shape.dropFirst().reduce(1, *))).squareRoot())
        add(name + ".weight", shape) { bound * $0 }
        add(name + ".bias", [shape[0]]) { 0.2 * $0 }
    }

    mutating func norm(_ name: String, _ width: Int) {
        add(name + ".weight", [width]) { 1 + 0.3 * $0 }
        add(name + ".bias", [width]) { 0.2 * $0 }
    }

    mutating func residual(_ name: String, _ input: Int, _ output: Int) {
        norm(name + ".norm1", input)
        matrix(name + ".conv1", [output, input, 3, 3])
        norm(name + ".norm2", output)
        matrix(name + ".conv2", [output, output, 3, 3])
        if input != output { matrix(name + ".conv_shortcut", [output, input, 1, 1]) }
    }

    private mutating func add(_ name: String, _ shape: [Int], _ value: (Float) -> Float) {
        let values = (0..<shape.reduce(1, *)).map { _ in value(next()) }
        arrays[name] = .init(dtype: .f32, shape: shape, bytes: values.withUnsafeBytes { Data($0) })
    }

    /// SplitMix64, uniform in [-1, 1).
    private mutating func next() -> Float {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Float(Int64(bitPattern: z ^ (z >> 31)) >> 40) / Float(1 << 23)
    }
}
