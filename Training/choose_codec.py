"""What a linear codec loses: reconstruction PSNR for patch sizes and numbers of components, and what a U-Net in its latents costs.

    python Training/choose_codec.py --data PICTURES ... --pictures kodak24

Each codec is fitted to the training pictures as train_prior.py does it, and tried on whole test pictures.
"""

import argparse

import numpy as np
import torch

import network as networks
import patch_codec
import pictures
from evaluate_prior import psnr, read

CANDIDATES = {2: (4, 6, 8, 12), 4: (4, 8, 12, 16, 24, 32, 48), 8: (16, 32, 48, 96)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pictures.add_arguments(parser)
    parser.add_argument("--pictures", nargs="+", required=True, help="folders of test pictures")
    parser.add_argument("--widths", type=int, nargs="+", default=(64, 96, 128), help="of the U-Net whose cost is given")
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    train, _ = pictures.load(options.data, options.cache)
    images = [read(path, 8) for path in pictures.find(options.pictures)]
    print("| patch | components | kept | PSNR, dB | lowest, dB | U-Net, TFLOP per megapixel |\n|---|---|---|---|---|---|")
    for patch, counts in CANDIDATES.items():
        whole = patch_codec.fit(train, patch, max(counts))
        for count in counts:
            codec = patch_codec.PatchCodec(whole.weight[:count])
            results = [psnr(codec.decode(codec.encode(image)), image) for image in images]
            size = 3 * patch * patch
            # All components lose rounding errors only.
            figures = "– | –" if count == size else f"{np.mean(results):.1f} | {min(results):.1f}"
            cost = networks.teraflops(networks.build(count, options.widths, options.layers), patch)
            print(f"| {patch} | {count} | 1/{size / count:.3g} | {figures} | {cost:.3f} |", flush=True)


if __name__ == "__main__":
    main()
