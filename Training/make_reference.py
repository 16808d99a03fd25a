"""Write inputs and outputs of an exported prior, for testing another implementation against it.

    python Training/make_reference.py --model Models/builtin

The file `reference.safetensors` holds, in float32 and computed from the exported float16 weights:
    latent [1, C, 20, 28]; noise_t1, noise_t161, noise_t281: the UNet's prediction for it at those timesteps;
    picture [1, 3, 48, 64] in [-1, 1]; encoded: its scaled latents; decoded: their pixels (not clamped).
"""

import argparse
import pathlib

import torch
from safetensors.torch import save_file

from prior import Prior


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="model folder; the file is written into it")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    prior = Prior(options.model)
    generator = torch.Generator().manual_seed(options.seed)
    latent = torch.randn(1, prior.codec.channels, 20, 28, generator=generator)
    picture = torch.rand(1, 3, 48, 64, generator=generator) * 2 - 1
    encoded = prior.codec.encode(picture)
    tensors = {"latent": latent, "picture": picture, "encoded": encoded, "decoded": prior.codec.decode(encoded)}
    for t in (1, 161, 281):
        tensors[f"noise_t{t}"] = prior.noise(latent, t)
    save_file({k: v.contiguous() for k, v in tensors.items()}, pathlib.Path(options.model) / "reference.safetensors")


if __name__ == "__main__":
    main()
