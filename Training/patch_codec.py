"""A linear patch codec: pixels to latents by the principal components of small patches.

    encode(x) = conv2d(x, W, stride f)          decode(z) = conv_transpose2d(z, W, stride f)

W is [c, 3, f, f] with orthonormal rows, so decode is both the adjoint and the pseudo-inverse of encode: the codec is
an orthogonal projection of every f x f patch. Pixels are in [-1, 1] and no mean is taken off, so the first component
is nearly the patch's mean. Diffusers' convention holds for the scale: latents = encode(x) * scaling_factor.

As a program: fits a codec to a folder of pictures and saves it.
"""

import argparse
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import pictures


class PatchCodec:
    """The codec `AutoencoderLinear`: one weight tensor and a scale."""

    def __init__(self, weight: torch.Tensor, scaling_factor: float = 1.0):
        self.weight, self.scaling_factor = weight, scaling_factor

    @property
    def patch(self) -> int:
        return self.weight.shape[-1]

    @property
    def channels(self) -> int:
        return self.weight.shape[0]

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels in [-1, 1], [N, 3, H, W] with H and W multiples of the patch, to SCALED latents."""
        return F.conv2d(pixels, self.weight * self.scaling_factor, stride=self.patch)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Scaled latents to pixels."""
        return F.conv_transpose2d(latents, self.weight / self.scaling_factor, stride=self.patch)

    def to(self, device) -> "PatchCodec":
        return PatchCodec(self.weight.to(device), self.scaling_factor)

    def save(self, folder):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "_class_name": "AutoencoderLinear",
            "in_channels": 3,
            "patch_size": self.patch,
            "latent_channels": self.channels,
            "scaling_factor": self.scaling_factor,
        }
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        save_file({"encoder.weight": self.weight.float().contiguous()}, folder / "diffusion_pytorch_model.safetensors")

    @staticmethod
    def load(folder) -> "PatchCodec":
        folder = pathlib.Path(folder)
        config = json.loads((folder / "config.json").read_text())
        weight = load_file(folder / "diffusion_pytorch_model.safetensors")["encoder.weight"].float()
        return PatchCodec(weight, config["scaling_factor"])


def second_moment(images, patch: int, count: int, seed: int) -> np.ndarray:
    """The sum of p p' over about `count` random patches p, drawn evenly from the pictures."""
    rng = np.random.default_rng([seed, 1])
    each = max(1, count // len(images))
    moment = np.zeros((3 * patch * patch,) * 2)
    for image in images:
        ys = rng.integers(image.shape[0] - patch + 1, size=each)
        xs = rng.integers(image.shape[1] - patch + 1, size=each)
        rows = np.arange(patch)
        block = image[(ys[:, None] + rows)[:, :, None], (xs[:, None] + rows)[:, None, :]]
        block = block.transpose(0, 3, 1, 2).reshape(each, -1).astype(np.float64) / 127.5 - 1
        moment += block.T @ block
    return moment


def leading(moment: np.ndarray, count: int) -> np.ndarray:
    """The `count` leading eigenvectors, as rows."""
    _, vectors = np.linalg.eigh(moment)
    basis = vectors[:, ::-1][:, :count].T
    # An eigenvector's sign is arbitrary: fix it, so that the same pictures give the same codec.
    return basis * np.where(np.take_along_axis(basis, np.abs(basis).argmax(1)[:, None], 1) < 0, -1, 1)


def fit(images, patch: int, channels: int, count: int = 400_000, seed: int = 0) -> PatchCodec:
    """Principal components (about the origin) of about `count` random patches."""
    basis = leading(second_moment(images, patch, count, seed), channels)
    if basis[0].sum() < 0:
        basis[0] *= -1
    return PatchCodec(torch.tensor(basis.reshape(channels, 3, patch, patch).copy(), dtype=torch.float32))


def extended(codec: PatchCodec, images, channels: int, count: int = 400_000, seed: int = 0) -> PatchCodec:
    """The codec with more components: the leading ones of what it leaves out, after its own, which stay as they are."""
    old = codec.weight.flatten(1).double().numpy()
    rest = np.eye(old.shape[1]) - np.linalg.pinv(old) @ old
    new = leading(rest @ second_moment(images, codec.patch, count, seed) @ rest, channels - len(old))
    weight = torch.tensor(np.concatenate([old, new]), dtype=torch.float32)
    return PatchCodec(weight.reshape(channels, *codec.weight.shape[1:]), codec.scaling_factor)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pictures.add_arguments(parser)
    parser.add_argument("--out", required=True, help="model folder; the codec goes into its vae/")
    parser.add_argument("--patch", type=int, default=4)
    parser.add_argument("--channels", type=int, default=24)
    parser.add_argument("--scaling-factor", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    train, _ = pictures.load(options.data, options.cache)
    codec = fit(train, options.patch, options.channels, seed=options.seed)
    codec.scaling_factor = options.scaling_factor
    codec.save(pathlib.Path(options.out) / "vae")


if __name__ == "__main__":
    main()
