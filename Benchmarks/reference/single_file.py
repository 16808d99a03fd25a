"""SDXL in a single file: the original (Stability, "sgm") layout against diffusers'.

    python single_file.py names          # writes the fixture of Tests/LatentDiffusionTests: which name stands for which
    python single_file.py convert FOLDER FILE.safetensors    # a folder in diffusers' layout as such a file

The original names are listed here as sgm's modules count their blocks; which of diffusers' names each one has is asked of diffusers' own
converter, run on the list. Nothing is shared with the program that is tested.
"""

import hashlib
import json
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils as reference
from safetensors import safe_open
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]
UNET, VAE = "model.diffusion_model.", "first_stage_model."
CLIP, OPEN_CLIP = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."


def both(*names):
    return [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]


def unet_names(channels, depths):
    """sgm.modules.diffusionmodules.openaimodel.UNetModel with num_res_blocks 2 and transformers of `depths` on each level."""

    def residual(name, changes):
        return both(*[f"{name}.{part}" for part in ("in_layers.0", "in_layers.2", "emb_layers.1", "out_layers.0", "out_layers.3")]
                    + ([f"{name}.skip_connection"] if changes else []))

    def transformer(name, depth):
        names = both(f"{name}.norm", f"{name}.proj_in", f"{name}.proj_out")
        for block in (f"{name}.transformer_blocks.{index}" for index in range(depth)):
            names += [f"{block}.attn{a}.to_{x}.weight" for a in (1, 2) for x in "qkv"]
            names += both(*[f"{block}.{part}" for part in ("attn1.to_out.0", "attn2.to_out.0", "norm1", "norm2", "norm3", "ff.net.0.proj", "ff.net.2")])
        return names

    names = both("time_embed.0", "time_embed.2", "label_emb.0.0", "label_emb.0.2", "input_blocks.0.0", "out.0", "out.2")
    width, skips, block = channels[0], [channels[0]], 1
    for level, output in enumerate(channels):
        for _ in range(2):
            names += residual(f"input_blocks.{block}.0", width != output)
            if depths[level]:
                names += transformer(f"input_blocks.{block}.1", depths[level])
            width, block = output, block + 1
            skips.append(width)
        if level + 1 < len(channels):
            names += both(f"input_blocks.{block}.0.op")
            block += 1
            skips.append(width)
    names += residual("middle_block.0", False) + transformer("middle_block.1", depths[-1]) + residual("middle_block.2", False)
    block = 0
    for level in reversed(range(len(channels))):
        for layer in range(3):
            names += residual(f"output_blocks.{block}.0", width + skips.pop() != channels[level])
            width, inner = channels[level], 1
            if depths[level]:
                names += transformer(f"output_blocks.{block}.1", depths[level])
                inner = 2
            if layer == 2 and level > 0:
                names += both(f"output_blocks.{block}.{inner}.conv")
            block += 1
    return names


def vae_names(channels):
    """sgm.modules.diffusionmodules.model.Encoder and Decoder with num_res_blocks 2."""

    def residual(name, changes):
        return both(*[f"{name}.{part}" for part in ("norm1", "conv1", "norm2", "conv2")] + ([f"{name}.nin_shortcut"] if changes else []))

    names = both("quant_conv", "post_quant_conv")
    for part in ("encoder", "decoder"):
        names += both(f"{part}.conv_in", f"{part}.norm_out", f"{part}.conv_out")
        names += residual(f"{part}.mid.block_1", False) + residual(f"{part}.mid.block_2", False)
        names += both(*[f"{part}.mid.attn_1.{x}" for x in ("norm", "q", "k", "v", "proj_out")])
    last = len(channels) - 1
    for level, output in enumerate(channels):
        for block in range(2):
            names += residual(f"encoder.down.{level}.block.{block}", block == 0 and channels[max(level - 1, 0)] != output)
        if level < last:
            names += both(f"encoder.down.{level}.downsample.conv")
        for block in range(3):
            names += residual(f"decoder.up.{level}.block.{block}", block == 0 and channels[min(level + 1, last)] != output)
        if level > 0:
            names += both(f"decoder.up.{level}.upsample.conv")
    return names


def open_clip_names(layers):
    names = ["positional_embedding", "text_projection", "token_embedding.weight", *both("ln_final")]
    for block in (f"transformer.resblocks.{index}" for index in range(layers)):
        names += [f"{block}.attn.in_proj_weight", f"{block}.attn.in_proj_bias"]
        names += both(*[f"{block}.{part}" for part in ("attn.out_proj", "ln_1", "ln_2", "mlp.c_fc", "mlp.c_proj")])
    return names


class Marked(dict):
    """Original names with a number for each in place of its tensor."""

    def __init__(self, names, shape=(1,)):
        assert len(set(names)) == len(names)
        super().__init__((name, torch.full(shape, float(number))) for number, name in enumerate(names))
        self.names = names

    def name(self, tensor):
        return self.names[int(tensor.flatten()[0])]


def pairs(unet, vae):
    """(component, diffusers' name, original name, reading) of every tensor of networks of these configurations."""
    found = []
    marked = Marked([UNET + name for name in unet_names(unet["block_out_channels"], depths(unet))])
    converted = reference.convert_ldm_unet_checkpoint(marked, unet)
    found += [("unet", key, marked.name(value), "") for key, value in converted.items()]
    marked = Marked([VAE + name for name in vae_names(vae["block_out_channels"])])
    converted = reference.convert_ldm_vae_checkpoint(marked, vae)
    found += [("vae", key, marked.name(value), "squeezed" if ".attentions." in key and "group_norm" not in key and key.endswith("weight") else "")
              for key, value in converted.items()]
    for component, network, config in (("unet", UNet2DConditionModel, unet), ("vae", AutoencoderKL, vae)):
        with torch.device("meta"):
            expected = set(network.from_config(config).state_dict())
        assert expected == {key for name, key, _, _ in found if name == component}
    assert len({original for _, _, original, _ in found}) == len(found)
    return found


def open_clip_pairs(layers):
    class Configured:
        config = type("Config", (), {"hidden_size": 2})

    marked = Marked([OPEN_CLIP + name for name in open_clip_names(layers)], (2, 2))
    for name in marked.names:
        if ".in_proj" in name:
            number = marked[name][0, 0].item()
            marked[name] = torch.stack([torch.full((2,), number + part / 4) for part in (0, 0, 1, 1, 2, 2)])
    marked[OPEN_CLIP + "text_projection"][1, 0] += 0.5
    found = []
    for key, value in reference.convert_open_clip_checkpoint(Configured, marked, prefix=OPEN_CLIP).items():
        original, reading = marked.name(value), ""
        if ".in_proj" in original:
            reading = f"part {round(4 * (value[0, 0].item() % 1))}"
        elif value[0, 1] != value[0, 0]:
            reading = "transposed"
        found.append(("text_encoder_2", key, original, reading))
    return found


def depths(config):
    layers = config["transformer_layers_per_block"]
    return [layers[level] if kind.startswith("CrossAttn") else 0 for level, kind in enumerate(config["down_block_types"])]


def lines(found):
    return "".join("\t".join(line).rstrip("\t") + "\n" for line in sorted(found))


def configurations(size):
    """Those of the program's own random models; `size` is tiny or full."""
    sizes = {
        "full": dict(channels=[320, 640, 1280], depths=[1, 2, 10], heads=[5, 10, 20], context=2048, pooled=1280, vae=[128, 256, 512, 512]),
        "tiny": dict(channels=[32, 64, 128], depths=[1, 1, 2], heads=[1, 1, 2], context=64, pooled=32, vae=[32, 32, 64, 64]),
    }[size]
    unet = dict(
        act_fn="silu", addition_embed_type="text_time", addition_time_embed_dim=256, attention_head_dim=sizes["heads"],
        block_out_channels=sizes["channels"], cross_attention_dim=sizes["context"],
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"], in_channels=4, layers_per_block=2, out_channels=4,
        projection_class_embeddings_input_dim=sizes["pooled"] + 1536, transformer_layers_per_block=sizes["depths"],
        up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], use_linear_projection=True)
    vae = dict(
        block_out_channels=sizes["vae"], down_block_types=["DownEncoderBlock2D"] * 4, latent_channels=4, layers_per_block=2,
        up_block_types=["UpDecoderBlock2D"] * 4)
    return unet, vae


def write_names():
    small = pairs(*configurations("tiny")) + open_clip_pairs(2)
    full = pairs(*configurations("full"))
    text = lines(full).encode()
    count = {name: sum(line[0] == name for line in full) for name in ("unet", "vae")}
    hash = 0xCBF29CE484222325
    for byte in text:
        hash = (hash ^ byte) * 0x100000001B3 % 2**64
    target = ROOT / "Tests/LatentDiffusionTests/Fixtures/single-file-names.txt"
    target.write_text(lines(small))
    print(f"{target}: {len(small)} names; full size: {count}, FNV-1a 0x{hash:016X}, sha256 {hashlib.sha256(text).hexdigest()}")


def convert(folder, file):
    folder = Path(folder)
    configs = [json.loads((folder / name / "config.json").read_text()) for name in ("unet", "vae")]
    stored = {}
    for name in ("unet", "vae"):
        weights = sorted((folder / name).glob("*.safetensors"))[0]
        with safe_open(weights, "pt") as opened:
            stored.update(((name, key), opened.get_tensor(key)) for key in opened.keys())
    result = {}
    for component, key, original, reading in pairs(*configs):
        value = stored.pop((component, key))
        result[original] = value[..., None, None].contiguous() if reading == "squeezed" else value
    assert not stored, sorted(stored)
    # What such files have besides.
    result["denoiser.sigmas"] = torch.linspace(0, 1, 1000)
    save_file(result, file, {"format": "pt"})


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["names"]: write_names()
        case ["convert", folder, file]: convert(folder, file)
        case _: sys.exit(__doc__)
