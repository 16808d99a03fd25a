"""The ADM U-Net (Dhariwal & Nichol 2021) in plain PyTorch, written from the paper and from the names of guided-diffusion's tensors,
to hold Sources/PixelPriors/ADMUNet.swift against.

    python adm.py fixture Tests/PixelPriorsTests/Fixtures     writes adm.safetensors, adm.json and adm-names.txt
"""

import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn


class Resize(nn.Module):
    """Without parameters: half or twice the size."""

    def __init__(self, direction):
        super().__init__()
        self.direction = direction

    def forward(self, x):
        if self.direction == "down":
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2, mode="nearest") if self.direction == "up" else x


class ResBlock(nn.Module):
    def __init__(self, inputs, outputs, embedding, scale_shift, direction=None):
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(32, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, outputs * (2 if scale_shift else 1)))
        self.out_layers = nn.Sequential(nn.GroupNorm(32, outputs), nn.SiLU(), nn.Dropout(0.0), nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip_connection = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        self.resize = Resize(direction)
        self.scale_shift = scale_shift

    def forward(self, x, embedding):
        norm, activation, conv = self.in_layers
        h = conv(self.resize(activation(norm(x))))
        e = self.emb_layers(embedding)[:, :, None, None]
        norm, activation, _, conv = self.out_layers
        if self.scale_shift:
            scale, shift = e.chunk(2, dim=1)
            h = conv(activation(norm(h) * (1 + scale) + shift))
        else:
            h = conv(activation(norm(h + e)))
        return self.skip_connection(self.resize(x)) + h


class AttentionBlock(nn.Module):
    def __init__(self, channels, heads, new_order):
        super().__init__()
        self.norm = nn.GroupNorm(32, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)
        self.heads = heads
        self.new_order = new_order

    def forward(self, x):
        n, c, height, width = x.shape
        flat = x.reshape(n, c, height * width)
        qkv = self.qkv(self.norm(flat))
        d = c // self.heads
        if self.new_order:
            q, k, v = qkv.reshape(n, 3, self.heads, d, -1).unbind(1)
        else:
            q, k, v = qkv.reshape(n, self.heads, 3, d, -1).unbind(2)
        weights = torch.softmax(torch.einsum("nhdt,nhds->nhts", q, k) / math.sqrt(d), dim=-1)
        attended = torch.einsum("nhts,nhds->nhdt", weights, v).reshape(n, c, -1)
        return (flat + self.proj_out(attended)).reshape(x.shape)


class Downsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x):
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class Block(nn.Sequential):
    def forward(self, x, embedding):
        for layer in self:
            x = layer(x, embedding) if isinstance(layer, ResBlock) else layer(x)
        return x


class UNet(nn.Module):
    def __init__(self, c):
        super().__init__()
        width = c["num_channels"]
        widths = [int(float(m) * width) for m in c["channel_mult"].split(",")]
        sides = [int(s) for s in c["attention_resolutions"].split(",")]
        embedding, scale_shift = 4 * width, c["use_scale_shift_norm"]

        def attention(channels):
            d = c.get("num_head_channels", -1)
            return AttentionBlock(channels, channels // d if d > 0 else c.get("num_heads", 4), c.get("use_new_attention_order", False))

        def block(inputs, outputs, direction=None):
            return ResBlock(inputs, outputs, embedding, scale_shift, direction)

        self.width = width
        self.time_embed = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        channels = widths[0]
        self.input_blocks = nn.ModuleList([Block(nn.Conv2d(3, channels, 3, padding=1))])
        skips, side = [channels], c["image_size"]
        for level, outputs in enumerate(widths):
            for _ in range(c["num_res_blocks"]):
                layers = [block(channels, outputs)]
                channels = outputs
                if side in sides:
                    layers.append(attention(channels))
                self.input_blocks.append(Block(*layers))
                skips.append(channels)
            if level + 1 < len(widths):
                self.input_blocks.append(Block(block(channels, channels, "down") if c["resblock_updown"] else Downsample(channels)))
                skips.append(channels)
                side //= 2
        self.middle_block = Block(block(channels, channels), attention(channels), block(channels, channels))
        self.output_blocks = nn.ModuleList()
        for level, outputs in reversed(list(enumerate(widths))):
            for index in range(c["num_res_blocks"] + 1):
                layers = [block(channels + skips.pop(), outputs)]
                channels = outputs
                if side in sides:
                    layers.append(attention(channels))
                if level > 0 and index == c["num_res_blocks"]:
                    layers.append(block(channels, channels, "up") if c["resblock_updown"] else Upsample(channels))
                    side *= 2
                self.output_blocks.append(Block(*layers))
        self.out = nn.Sequential(nn.GroupNorm(32, channels), nn.SiLU(), nn.Conv2d(channels, 6 if c["learn_sigma"] else 3, 3, padding=1))

    def forward(self, x, timesteps):
        half = self.width // 2
        angles = timesteps[:, None].float() * torch.exp(-math.log(10000) * torch.arange(half).float() / half)[None]
        embedding = self.time_embed(torch.cat([angles.cos(), angles.sin()], dim=1))
        skips = []
        for block in self.input_blocks:
            x = block(x, embedding)
            skips.append(x)
        x = self.middle_block(x, embedding)
        for block in self.output_blocks:
            x = block(torch.cat([x, skips.pop()], dim=1), embedding)
        return self.out(x)


# A small network as the 256 x 256 model is, and one with every switch the other way.
TINY = {"image_size": 32, "num_channels": 32, "num_res_blocks": 1, "channel_mult": "1,1", "attention_resolutions": "16",
        "num_head_channels": 16, "resblock_updown": True, "use_scale_shift_norm": True, "learn_sigma": True, "class_cond": False,
        "noise_schedule": "linear", "diffusion_steps": 1000}
OTHER = {"image_size": 32, "num_channels": 32, "num_res_blocks": 1, "channel_mult": "1,1", "attention_resolutions": "16,8",
         "num_heads": 2, "resblock_updown": False, "use_scale_shift_norm": False, "use_new_attention_order": True, "learn_sigma": False}
# The names and shapes of the unconditional 256 x 256 model, an eighth as wide.
LARGE = TINY | {"image_size": 256, "num_res_blocks": 2, "channel_mult": "1,1,2,2,4,4", "attention_resolutions": "32,16,8"}


def fixture(folder):
    """Weights are random numbers of 8 bits times a power of two (NAME and NAME:scale), so that they lie small and exact. The other
    network has those of the tiny one where a tensor has the same name and shape."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, 16, 24)
    tensors = {"input": x}
    configurations = {"tiny": TINY, "other": OTHER, "large": LARGE}
    with torch.no_grad():
        for name in ("tiny", "other"):
            network = UNet(configurations[name]).eval()
            for key, parameter in network.named_parameters():
                shared = tensors.get(f"tiny/{key}")
                if shared is not None and shared.shape == parameter.shape:
                    parameter.copy_(shared * tensors[f"tiny/{key}:scale"])
                    continue
                if parameter.dim() == 1:
                    parameter.add_(0.1 * torch.randn_like(parameter))
                scale = 2.0 ** (math.ceil(math.log2(parameter.abs().max().item())) - 7)
                levels = (parameter / scale).round().clamp(-127, 127)
                parameter.copy_(levels * scale)
                tensors[f"{name}/{key}"] = levels.to(torch.int8)
                tensors[f"{name}/{key}:scale"] = torch.tensor(scale)
            for t in (0, 990):
                tensors[f"{name}:output:{t}"] = network(x, torch.tensor([t, t]))
    save_file(tensors, folder / "adm.safetensors")
    (folder / "adm.json").write_text(json.dumps(configurations, indent=1) + "\n")
    with torch.device("meta"):
        large = UNet(LARGE)
    (folder / "adm-names.txt").write_text(
        "".join(f"{name} {' '.join(map(str, value.shape))}\n" for name, value in large.state_dict().items()))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "fixture":
        sys.exit(__doc__)
    fixture(Path(sys.argv[2]))
