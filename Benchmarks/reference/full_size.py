"""What diffusers computes with a model of SDXL's own size, for Tests/LatentDiffusionTests/GoldenFullSizeTests.swift.

    visionxl models random sdxl FOLDER
    python full_size.py FOLDER                       # writes FOLDER/reference.safetensors; float32, 512x512, 17 GB of memory
    VISIONXL_FULL_SIZE=FOLDER swift test --filter GoldenFullSizeTests
"""

import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file


@torch.no_grad()
def main(folder):
    torch.manual_seed(0)
    found = {"latents": torch.randn(1, 4, 64, 64), "frames": 2 * torch.rand(1, 3, 512, 512) - 1}
    vae = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    scale = vae.config.scaling_factor
    found["decoded"] = vae.decode(found["latents"] / scale).sample
    found["encoded"] = vae.encode(found["frames"]).latent_dist.mean * scale
    del vae
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    conditions = {"text_embeds": torch.zeros(1, 1280), "time_ids": torch.tensor([[1024.0, 1024, 0, 0, 512, 512]])}
    context = torch.zeros(1, 77, unet.config.cross_attention_dim)
    found["noise"] = unet(found["latents"], 281, context, added_cond_kwargs=conditions).sample
    save_file({name: value.contiguous() for name, value in found.items()}, folder / "reference.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1])) if len(sys.argv) == 2 else sys.exit(__doc__)
