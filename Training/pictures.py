"""Finding, reading and cropping the pictures that the prior is trained on."""

import hashlib
import pathlib

import numpy as np
from PIL import Image

Image.MAX_IMAGE_PIXELS = None
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
#: Every picture is reduced to these long sides (pixels). A picture is always reduced by 2 or more, so that
#: compression artefacts and the camera's own blur vanish and detail is dense.
LONG_SIDES = (1600, 1100, 720)
SMALLEST_REDUCTION = 2.0


def find(folders) -> list[pathlib.Path]:
    """All pictures below the folders, in an order that does not depend on the file system."""
    paths = [p for f in folders for p in pathlib.Path(f).rglob("*") if p.suffix.lower() in SUFFIXES]
    return sorted(paths, key=lambda p: (p.name, str(p)))


def is_held_out(path: pathlib.Path, one_in: int = 16) -> bool:
    """Whether a picture is kept for validation: decided by its name alone, the same on every machine."""
    return int(hashlib.sha256(path.name.encode()).hexdigest(), 16) % one_in == 0


def read_scales(path) -> list[np.ndarray]:
    """One picture at up to three sizes, uint8 [H, W, 3]."""
    image = Image.open(path).convert("RGB")
    longest = max(image.size)
    factors = [longest / side for side in LONG_SIDES if longest / side >= SMALLEST_REDUCTION]
    scales = []
    for factor in factors or [SMALLEST_REDUCTION]:
        size = tuple(round(side / factor) for side in image.size)
        scales.append(np.asarray(image.resize(size, Image.Resampling.LANCZOS)))
    return scales


def load(folders, cache=None) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(training, held-out) pictures, from `cache` (an .npz file, written if missing) when one is named."""
    if cache and pathlib.Path(cache).exists():
        with np.load(cache) as stored:
            arrays = {key: stored[key] for key in stored.files}
    else:
        arrays = {}
        for i, path in enumerate(find(folders)):
            part = "held" if is_held_out(path) else "train"
            for j, picture in enumerate(read_scales(path)):
                arrays[f"{part}-{i:04d}-{j}"] = picture
        if cache:
            np.savez(cache, **arrays)
    pick = lambda part: [arrays[key] for key in sorted(arrays) if key.startswith(part)]
    return pick("train"), pick("held")


class CropSampler:
    """Random square crops, flipped and transposed; of two candidates the one with more detail is kept.

    Pictures are drawn in proportion to the square root of their area. The crops of a step depend on the seed and
    the step alone, so a resumed run sees what an uninterrupted one would have seen.
    """

    def __init__(self, pictures, size: int, seed: int):
        self.pictures = [p for p in pictures if min(p.shape[:2]) >= size]
        if not self.pictures:
            raise ValueError(f"no picture is at least {size} pixels high and wide after reduction")
        self.size, self.seed = size, seed
        weights = np.array([np.sqrt(p.shape[0] * p.shape[1]) for p in self.pictures])
        self.weights = weights / weights.sum()

    def _crop(self, rng) -> np.ndarray:
        picture = self.pictures[rng.choice(len(self.pictures), p=self.weights)]
        y = rng.integers(picture.shape[0] - self.size + 1)
        x = rng.integers(picture.shape[1] - self.size + 1)
        return picture[y : y + self.size, x : x + self.size]

    @staticmethod
    def _detail(crop) -> float:
        green = crop[::2, ::2, 1].astype(np.int16)
        return float(np.abs(np.diff(green, axis=0)).mean() + np.abs(np.diff(green, axis=1)).mean())

    def batch(self, count: int, step: int) -> np.ndarray:
        """`count` crops for a step, uint8 [count, 3, size, size]."""
        rng = np.random.default_rng([self.seed, step])
        crops = []
        for _ in range(count):
            crop = max(self._crop(rng), self._crop(rng), key=self._detail)
            if rng.random() < 0.5:
                crop = crop[::-1]
            if rng.random() < 0.5:
                crop = crop[:, ::-1]
            if rng.random() < 0.5:
                crop = crop.transpose(1, 0, 2)
            crops.append(crop.transpose(2, 0, 1))
        return np.stack(crops)
