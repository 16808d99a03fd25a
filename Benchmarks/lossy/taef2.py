"""TAEF2, FLUX.2's tiny autoencoder (MIT), as `vae/` of a model folder; and in PyTorch, to train and to compare with.

    python Benchmarks/lossy/taef2.py TAEF2_FOLDER OUT/vae

The names become those of diffusers' AutoencoderTiny. `use_midblock_gn` stands for the branches that diffusers' class does not have.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from torch import nn

CONFIG = {
    "_class_name": "AutoencoderTiny",
    "act_fn": "relu",
    "in_channels": 3,
    "out_channels": 3,
    "num_encoder_blocks": [1, 3, 3, 3],
    "num_decoder_blocks": [3, 3, 3, 1],
    "upsampling_scaling_factor": 2,
    "use_midblock_gn": True,
}


class Block(nn.Module):
    def __init__(self, channels, normed=False):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1))
        inside = 4 * channels
        self.pool = nn.Sequential(
            nn.Conv2d(channels, inside, 1, bias=False), nn.GroupNorm(4, inside), nn.ReLU(),
            nn.Conv2d(inside, channels, 1, bias=False)) if normed else None

    def forward(self, x):
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class TAEF2(nn.Module):
    """Frames (N, 3, H, W) in [-1, 1] to latents (N, 32, H/8, W/8) and back; latents times `scale`."""

    def __init__(self, folder=None, scale=1.0, width=64, channels=32):
        """Random without a folder."""
        super().__init__()
        layers, normed = [nn.Conv2d(3, width, 3, padding=1)], [False, False, False, True]
        for level, count in enumerate((1, 3, 3, 3)):
            if level:
                layers.append(nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False))
            layers += [Block(width, normed[level]) for _ in range(count)]
        self.encoder = nn.Sequential(*layers, nn.Conv2d(width, channels, 3, padding=1))
        layers = [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        for level, count in enumerate((3, 3, 3)):
            layers += [Block(width, level == 0) for _ in range(count)]
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1, bias=False)]
        self.decoder = nn.Sequential(*layers, Block(width), nn.Conv2d(width, 3, 3, padding=1))
        self.scale = scale
        if folder:
            self.load_state_dict(renamed(folder))
        self.eval().requires_grad_(False)

    def encode(self, frames):
        return self.encoder((frames + 1) / 2) * self.scale

    def decode(self, latents):
        return self.decoder(torch.tanh(latents / self.scale / 3) * 3) * 2 - 1


def renamed(folder):
    """The weights of both files under the names of `TAEF2`: a decoder's first layer, which has none, is left out."""
    folder = pathlib.Path(folder)
    weights = {f"encoder.{name}": value.float() for name, value in load_file(folder / "encoder.safetensors").items()}
    for name, value in load_file(folder / "decoder.safetensors").items():
        index, rest = name.split(".", 1)
        weights[f"decoder.{int(index) - 1}.{rest}"] = value.float()
    return weights


def write(codec, out):
    """The folder of a component in diffusers' layout."""
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    widths = [codec.encoder[0].out_channels] * 4
    config = CONFIG | {
        "scaling_factor": codec.scale, "latent_channels": codec.decoder[0].in_channels,
        "encoder_block_out_channels": widths, "decoder_block_out_channels": widths}
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    weights = {}
    for name, value in codec.state_dict().items():
        part, rest = name.split(".", 1)
        weights[f"{part}.layers.{rest}"] = value.half()
    save_file(weights, out / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    write(TAEF2(sys.argv[1]), sys.argv[2])
