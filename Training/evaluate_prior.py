"""How good is the prior? Codec PSNR and denoising PSNR on pictures it was not trained on, beside FFDNet's.

    python Training/evaluate_prior.py --model Models/builtin --pictures kodak24 --ffdnet ffdnet_color.pth

Both denoisers get the same noisy pixels (not clipped, not rounded). The noise level is that of the prior's timestep
nearest to each asked one. FFDNet was trained for levels up to 75/255.
"""

import argparse

import numpy as np
import torch
from PIL import Image

import ffdnet
import network as networks
import pictures
from prior import Prior


def psnr(estimate, truth) -> float:
    return (10 * torch.log10(4 / (estimate.clamp(-1, 1) - truth).square().mean())).item()


def read(path, multiple: int):
    """A picture in [-1, 1], cut to a multiple of the codec's patch."""
    pixels = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None].float() / 127.5 - 1
    height, width = (side // multiple * multiple for side in pixels.shape[-2:])
    return pixels[..., :height, :width]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="model folder")
    parser.add_argument("--pictures", nargs="+", required=True, help="folders of test pictures")
    parser.add_argument("--ffdnet", help="ffdnet_color.pth, to compare with")
    parser.add_argument("--levels", type=float, nargs="+", default=(15, 25, 50, 75, 125), help="noise sigma, of 255")
    parser.add_argument("--limit", type=int, help="only the first pictures")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    prior = Prior(options.model, options.device)
    rival = ffdnet.load(options.ffdnet, options.device) if options.ffdnet else None
    paths = pictures.find(options.pictures)[: options.limit]
    images = [read(path, prior.codec.patch).to(options.device) for path in paths]

    round_trips = [psnr(prior.codec.decode(prior.codec.encode(image)), image) for image in images]
    print(f"UNet: {networks.teraflops(prior.network, prior.codec.patch):.3f} TFLOP per megapixel and pass")
    print(f"codec on {len(images)} pictures: {np.mean(round_trips):.2f} dB (lowest {min(round_trips):.2f})\n")
    print("| noise sigma, of 255 | timestep | noisy, dB | prior, dB | FFDNet, dB |\n|---|---|---|---|---|")
    for level in options.levels:
        t = prior.timestep_for(level / 127.5)
        sigma = prior.pixel_sigma(t)
        rows = []
        for i, image in enumerate(images):
            noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(i)).to(image)
            noisy = image + sigma * noise
            with torch.no_grad():
                theirs = psnr(rival(noisy, sigma), image) if rival else float("nan")
            rows.append((10 * np.log10(4 / sigma**2), psnr(prior.denoise(noisy, t), image), theirs))
        means = " | ".join(f"{value:.2f}" for value in np.mean(rows, axis=0))
        print(f"| {sigma * 127.5:.1f} | {t} | {means} |", flush=True)


if __name__ == "__main__":
    main()
