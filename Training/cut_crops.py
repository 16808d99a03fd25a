"""Cut pictures and videos into crops and pack them into one file of a given size, to carry to the machine that trains.

    python Training/cut_crops.py --data PICTURES ... --out crops.npz --megabytes 60

The file takes the place of the pictures: `train_prior.py --cache crops.npz`. Crops are stored without loss, at the sizes the pictures are
reduced to. Where the file is too small for all, each picture gives as many as the square root of its area asks for.
"""

import argparse
import io
import pathlib

import numpy as np
from PIL import Image

import pictures

HELD_OUT_SHARE = 1 / 16  # of the file


def tiles(picture, size: int, rng) -> list[np.ndarray]:
    """Squares that do not overlap, in random order, from a grid that begins anywhere."""
    height, width = picture.shape[:2]
    rows, columns = height // size, width // size
    top, left = rng.integers(height - rows * size + 1), rng.integers(width - columns * size + 1)
    found = [picture[top + y * size : top + (y + 1) * size, left + x * size : left + (x + 1) * size] for y in range(rows) for x in range(columns)]
    return [found[i] for i in rng.permutation(len(found))]


def packed(all_pictures, size: int, budget: int, rng) -> list[np.ndarray]:
    """Encoded crops, uint8, of no more than `budget` bytes together."""
    waiting = [(np.sqrt(p.shape[0] * p.shape[1]), tiles(p, size, rng)) for p in all_pictures if min(p.shape[:2]) >= size]
    files = []
    while waiting:
        weights = np.array([weight for weight, _ in waiting])
        chosen = rng.choice(len(waiting), p=weights / weights.sum())
        file = io.BytesIO()
        Image.fromarray(waiting[chosen][1].pop()).save(file, "webp", lossless=True, quality=100)
        budget -= file.tell()
        if budget < 0:
            break
        files.append(np.frombuffer(file.getvalue(), np.uint8))
        if not waiting[chosen][1]:
            del waiting[chosen]
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pictures.add_arguments(parser)
    parser.add_argument("--out", required=True, help=".npz file to write")
    parser.add_argument("--megabytes", type=float, default=60)
    parser.add_argument("--size", type=int, default=256, help="of a crop, pixels")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    train, held = pictures.load(options.data, options.cache)
    rng = np.random.default_rng(options.seed)
    budget = options.megabytes * 1e6
    kept = packed(held, options.size, int(budget * HELD_OUT_SHARE), rng)
    used = packed(train, options.size, int(budget) - sum(len(file) for file in kept), rng)
    if not used:
        raise SystemExit(f"no picture is at least {options.size} pixels high and wide after being reduced, or {options.megabytes:g} MB hold none")
    out = pathlib.Path(options.out)
    partial = out.with_name(out.name + ".part")
    with open(partial, "wb") as file:
        np.savez(file, **{f"{part}-{i:05d}": crop for part, crops in (("train", used), ("held", kept)) for i, crop in enumerate(crops)})
    partial.replace(out)
    print(f"{out}: {len(used)} crops of {options.size}x{options.size} to train on, {len(kept)} held out, {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
