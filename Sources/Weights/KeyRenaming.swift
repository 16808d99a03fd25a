/// How two layouts name the same tensors: pairs of prefixes, each with a renaming of what stands below it where that differs too.
///
/// Renames are data, so that one table serves both directions. The first rule that fits decides.
struct KeyRenaming: Sendable {
    struct Rule: Sendable {
        let diffusers: String
        let original: String
        let below: KeyRenaming?
    }

    var rules: [Rule] = []

    init() {}

    /// A renaming of pairs under which the names are the same.
    init(_ pairs: KeyValuePairs<String, String>) {
        for (diffusers, original) in pairs { add(diffusers, original) }
    }

    mutating func add(_ diffusers: String, _ original: String, _ below: KeyRenaming? = nil) {
        rules.append(Rule(diffusers: diffusers, original: original, below: below))
    }

    /// Diffusers' name of what is `key` in the original layout; nil where it has none. Linear in the rules.
    func diffusers(_ key: String) -> String? { translated(key, from: \.original, to: \.diffusers) }

    /// The original name of what is `key` in diffusers' layout; nil where it has none.
    func original(_ key: String) -> String? { translated(key, from: \.diffusers, to: \.original) }

    private func translated(_ key: String, from: KeyPath<Rule, String>, to: KeyPath<Rule, String>) -> String? {
        for rule in rules {
            let prefix = rule[keyPath: from]
            guard key.hasPrefix(prefix) else { continue }
            let rest = key.dropFirst(prefix.count)
            if rest.isEmpty, rule.below == nil { return rule[keyPath: to] }
            guard rest.first == "." else { continue }
            guard let below = rule.below else { return rule[keyPath: to] + rest }
            if let name = below.translated(String(rest.dropFirst()), from: from, to: to) {
                return "\(rule[keyPath: to]).\(name)"
            }
        }
        return nil
    }
}

// MARK: - Stable Diffusion XL

extension KeyRenaming {
    /// The U-Net below `model.diffusion_model.`, whose blocks the original counts through from the first to the last.
    /// - Parameter hasAttention: for each level, the finest first.
    static func unet(layers: Int, hasAttention: [Bool]) -> KeyRenaming {
        let residual = KeyRenaming([
            "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
            "conv2": "out_layers.3",
            "conv_shortcut": "skip_connection",
        ])
        var renaming = KeyRenaming([
            "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
            "add_embedding.linear_1": "label_emb.0.0",
            "add_embedding.linear_2": "label_emb.0.2", "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0",
            "conv_out": "out.2",
            "mid_block.attentions.0": "middle_block.1",
        ])
        renaming.add("mid_block.resnets.0", "middle_block.0", residual)
        renaming.add("mid_block.resnets.1", "middle_block.2", residual)
        let levels = hasAttention.count
        for level in 0..<levels {
            for layer in 0..<layers {
                let block = "input_blocks.\(level * (layers + 1) + layer + 1)"
                renaming.add("down_blocks.\(level).resnets.\(layer)", "\(block).0", residual)
                if hasAttention[level] { renaming.add("down_blocks.\(level).attentions.\(layer)", "\(block).1") }
            }
            if level < levels - 1 {
                renaming.add(
                    "down_blocks.\(level).downsamplers.0.conv", "input_blocks.\((level + 1) * (layers + 1)).0.op")
            }

            // On the way up the coarsest level comes first.
            let attends = hasAttention[levels - 1 - level]
            for layer in 0...layers {
                let block = "output_blocks.\(level * (layers + 1) + layer)"
                renaming.add("up_blocks.\(level).resnets.\(layer)", "\(block).0", residual)
                if attends { renaming.add("up_blocks.\(level).attentions.\(layer)", "\(block).1") }
                if layer == layers, level < levels - 1 {
                    renaming.add("up_blocks.\(level).upsamplers.0.conv", "\(block).\(attends ? 2 : 1).conv")
                }
            }
        }
        return renaming
    }

    /// The autoencoder, whose decoder the original counts from the finest level too.
    static func autoencoder(levels: Int, layers: Int) -> KeyRenaming {
        let residual = KeyRenaming([
            "norm1": "norm1", "conv1": "conv1", "norm2": "norm2", "conv2": "conv2", "conv_shortcut": "nin_shortcut",
        ])
        let attention = KeyRenaming([
            "group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out",
        ])
        var renaming = KeyRenaming(["quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"])
        for part in ["encoder", "decoder"] {
            renaming.add("\(part).conv_in", "\(part).conv_in")
            renaming.add("\(part).conv_norm_out", "\(part).norm_out")
            renaming.add("\(part).conv_out", "\(part).conv_out")
            renaming.add("\(part).mid_block.resnets.0", "\(part).mid.block_1", residual)
            renaming.add("\(part).mid_block.attentions.0", "\(part).mid.attn_1", attention)
            renaming.add("\(part).mid_block.resnets.1", "\(part).mid.block_2", residual)
        }
        for level in 0..<levels {
            for layer in 0..<layers {
                renaming.add(
                    "encoder.down_blocks.\(level).resnets.\(layer)", "encoder.down.\(level).block.\(layer)", residual)
            }
            renaming.add("encoder.down_blocks.\(level).downsamplers.0.conv", "encoder.down.\(level).downsample.conv")
            let reversed = levels - 1 - level
            for layer in 0...layers {
                renaming.add(
                    "decoder.up_blocks.\(level).resnets.\(layer)", "decoder.up.\(reversed).block.\(layer)", residual)
            }
            renaming.add("decoder.up_blocks.\(level).upsamplers.0.conv", "decoder.up.\(reversed).upsample.conv")
        }
        return renaming
    }

    /// OpenAI's text encoder, which the original has under the names of transformers.
    static let clip = KeyRenaming(["text_model": "text_model"])

    /// OpenCLIP's text encoder. Its three projections of the input are one tensor, `in_proj`, and stay so under that name here.
    static func openCLIP(layers: Int) -> KeyRenaming {
        var renaming = KeyRenaming([
            "text_model.embeddings.token_embedding": "token_embedding",
            "text_model.embeddings.position_embedding.weight": "positional_embedding",
            "text_model.final_layer_norm": "ln_final", "text_projection.weight": "text_projection",
        ])
        let layer = KeyRenaming([
            "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
            "self_attn.out_proj": "attn.out_proj",
            "self_attn.in_proj.weight": "attn.in_proj_weight", "self_attn.in_proj.bias": "attn.in_proj_bias",
        ])
        for index in 0..<layers {
            renaming.add("text_model.encoder.layers.\(index)", "transformer.resblocks.\(index)", layer)
        }
        return renaming
    }
}
