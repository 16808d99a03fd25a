"""Which scaling factor should the linear codec have? A cheap answer before any training.

With an orthonormal codec, latent noise of standard deviation sigma_t is white pixel noise of sigma_t / s. So a
pixel-space denoiser (FFDNet) stands in for the prior that does not exist yet, VISION-XL's Algorithm 1 is run with it
for several s, and the s with the best restored video is the one to train for.
"""

import argparse
import subprocess

import numpy as np
import torch
import torch.nn.functional as F

import ffdnet
from noise_schedule import SOLVER_TIMESTEPS, abar_table


def read_video(path, width, height, count):
    """The first frames of a video, area-scaled, in [-1, 1]."""
    command = ["ffmpeg", "-v", "error", "-i", path, "-frames:v", str(count), "-vf", f"scale={width}:{height}:flags=area",
               "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
    return torch.tensor(frames.copy()).permute(0, 3, 1, 2).float() / 127.5 - 1


def gaussian(x, sigma, taps):
    """Separable Gaussian blur with reflected borders."""
    offsets = torch.arange(taps, dtype=torch.float32) - taps // 2
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).repeat(3, 1)
    x = F.pad(x, (taps // 2,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(x, kernel[:, None, None, :], groups=3), kernel[:, None, :, None], groups=3)


def operators(shape):
    """Name -> A, the linear degradations that the choice is made on."""
    mask = (torch.rand(shape[-2:], generator=torch.Generator().manual_seed(0)) < 0.5).float()
    return {
        "sr4": lambda x: F.avg_pool2d(x, 4),
        "deblur": lambda x: gaussian(x, 3.0, 61),
        "inpaint": lambda x: x * mask,
    }


def adjoint(operator, like, y):
    """A'y by automatic differentiation of <A x, y>."""
    with torch.enable_grad():
        x = like.detach().clone().requires_grad_()
        return torch.autograd.grad((operator(x) * y).sum(), x)[0]


def conjugate_gradients(operator, y, x, steps=10):
    """CG on the normal equations A'A x = A'y from x; inner products over all frames together."""
    residual = adjoint(operator, x, y - operator(x))
    direction, energy = residual, (residual**2).sum()
    start = energy
    for _ in range(steps):
        if energy <= 1e-10 * start or energy == 0:
            break
        image = operator(direction)
        step = energy / (image**2).sum()
        x = x + step * direction
        residual = residual - step * adjoint(operator, x, image)
        new = (residual**2).sum()
        direction, energy = residual + new / energy * direction, new
    return x


def low_pass(x, sigma):
    return gaussian(x, sigma, 2 * int(3 * sigma + 1) + 1) if sigma > 0.05 else x


@torch.no_grad()
def restore(denoise, operator, y, shape, scale, eta=0.2, strength=2**0.5, seed=0):
    """Algorithm 1 with latents z = scale * x; returns the last Tweedie estimate."""
    abar = abar_table().tolist()
    noise_source = torch.Generator().manual_seed(seed)
    times = [0, *SOLVER_TIMESTEPS]

    def split(z, level, t):
        """(Tweedie estimate in pixels, predicted noise) of z at noise level abar[level], denoised as timestep t."""
        sigma = ((1 - abar[t]) / abar[t]) ** 0.5
        clean = z / abar[level] ** 0.5 / scale
        xhat = denoise(clean, sigma / scale)
        return xhat, (clean - xhat) * scale / sigma

    first = y[:1] if y.shape[-2:] == shape[-2:] else F.interpolate(y[:1], size=shape[-2:], mode="nearest")
    z = first * scale
    for before, t in zip(times, times[1:]):  # inversion: walk the noise up
        xhat, eps = split(z, before, t)
        clean = z / abar[before] ** 0.5 - ((1 - abar[before]) / abar[before]) ** 0.5 * eps
        z = abar[t] ** 0.5 * clean + (1 - abar[t]) ** 0.5 * eps
    z = z.repeat(shape[0], 1, 1, 1)
    for t, after in zip(reversed(times), list(reversed(times))[1:]):
        xhat, eps = split(z, t, t)
        if after == 0:
            return xhat
        xbar = low_pass(conjugate_gradients(operator, y, xhat), strength * (1 - abar[t]) ** 0.5)
        fresh = torch.randn(1, *shape[1:], generator=noise_source)
        eps = eta * fresh + (1 - eta**2) ** 0.5 * eps
        z = abar[after] ** 0.5 * scale * xbar + (1 - abar[after]) ** 0.5 * eps


def psnr(a, b):
    return (10 * torch.log10(4 / ((a.clamp(-1, 1) - b) ** 2).mean((1, 2, 3)))).mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ffdnet", required=True, help="ffdnet_color.pth")
    parser.add_argument("--video", required=True)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 288), help="width and height")
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--scales", type=float, nargs="+", default=(0.5, 1, 2, 4))
    options = parser.parse_args()
    network = ffdnet.load(options.ffdnet)
    denoise = lambda x, sigma: network(x.contiguous(memory_format=torch.channels_last), sigma)
    video = read_video(options.video, *options.size, options.frames)
    print("| s | task | result, dB | and final CG, dB |\n|---|---|---|---|")
    for scale in options.scales:
        for name, operator in operators(video.shape).items():
            y = operator(video)
            x = restore(denoise, operator, y, video.shape, scale)
            after = conjugate_gradients(operator, y, x)
            print(f"| {scale:g} | {name} | {psnr(x, video):.2f} | {psnr(after, video):.2f} |", flush=True)


if __name__ == "__main__":
    main()
