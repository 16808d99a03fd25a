"""Finding, reading and cropping the pictures that the prior is trained on: photographs, and frames of videos.

Every program here takes them from folders (--data), or from one file (--cache) that holds them reduced, or cut to crops by cut_crops.py.
"""

import hashlib
import io
import itertools
import pathlib
import subprocess
import sys

import numpy as np
import torch
import torch.utils.data
from PIL import Image, UnidentifiedImageError

Image.MAX_IMAGE_PIXELS = None
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
VIDEO_SUFFIXES = {".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".ogv", ".ts", ".webm"}
#: Frames nearer to each other show the same again, and a long film must not drown the photographs.
SECONDS_APART, FRAMES_OF_A_VIDEO = 2.0, 12
#: Every picture is reduced to these long sides (pixels). A picture is always reduced by 2 or more, so that
#: compression artefacts and the camera's own blur vanish and detail is dense.
LONG_SIDES = (1600, 1100, 720)
SMALLEST_REDUCTION = 2.0


def add_arguments(parser):
    """--data and --cache, as `load` takes them."""
    parser.add_argument("--data", nargs="+", help="folders of training pictures and videos")
    parser.add_argument("--cache", help=".npz file of the reduced pictures, written if missing; or of crops (cut_crops.py), which want no --data")


def find(folders) -> list[pathlib.Path]:
    """All pictures and videos below the folders, in an order that does not depend on the file system."""
    paths = [p for f in folders for p in pathlib.Path(f).rglob("*") if p.suffix.lower() in SUFFIXES | VIDEO_SUFFIXES]
    return sorted(paths, key=lambda p: (p.name, str(p)))


def is_held_out(path: pathlib.Path, one_in: int = 16) -> bool:
    """Whether a picture or video is kept for validation: decided by its name alone, the same on every machine."""
    return int(hashlib.sha256(path.name.encode()).hexdigest(), 16) % one_in == 0


def run(*command) -> bytes:
    """What a program of ffmpeg's says."""
    try:
        return subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL).stdout
    except FileNotFoundError:
        raise SystemExit("frames of videos are read by ffmpeg, which is missing: install it (apt-get install ffmpeg)") from None
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(why[-1] if why else f"{command[0]} failed") from None


def frames(path) -> list[Image.Image]:
    """Frames of a video, evenly over its length."""
    said = run("ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)).decode().strip()
    try:
        seconds = float(said)
    except ValueError:
        raise ValueError("its length is unknown") from None
    count = max(1, min(FRAMES_OF_A_VIDEO, int(seconds / SECONDS_APART)))
    found = []
    for i in range(count):
        at = f"{(i + 0.5) * seconds / count:.3f}"
        picture = run("ffmpeg", "-v", "error", "-ss", at, "-i", str(path), "-frames:v", "1", "-f", "image2pipe", "-c:v", "ppm", "-")
        # A container may promise more than there is.
        if picture:
            found.append(Image.open(io.BytesIO(picture)).convert("RGB"))
    return found


def scales(image) -> list[np.ndarray]:
    """One picture at up to three sizes, uint8 [H, W, 3]."""
    longest = max(image.size)
    factors = [longest / side for side in LONG_SIDES if longest / side >= SMALLEST_REDUCTION]
    reduced = []
    for factor in factors or [SMALLEST_REDUCTION]:
        size = tuple(max(1, round(side / factor)) for side in image.size)
        reduced.append(np.asarray(image.resize(size, Image.Resampling.LANCZOS)))
    return reduced


def read(path) -> list[np.ndarray]:
    """A picture, or a video's frames, at up to three sizes each; nothing, and why, where a file cannot be read."""
    try:
        images = frames(path) if path.suffix.lower() in VIDEO_SUFFIXES else [Image.open(path).convert("RGB")]
    except (OSError, UnidentifiedImageError, ValueError) as error:
        print(f"{path} is left out: {error}", file=sys.stderr)
        return []
    return [reduced for image in images for reduced in scales(image)]


def decoded(array) -> np.ndarray:
    """A cached picture: pixels as they are, or the bytes of a file (cut_crops.py)."""
    return array if array.ndim == 3 else np.asarray(Image.open(io.BytesIO(array.tobytes())))


def load(folders, cache=None) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(training, held-out) pictures: of `cache` where that file is there; else of the folders, kept in `cache` when one is named."""
    if cache and pathlib.Path(cache).exists():
        with np.load(cache) as stored:
            arrays = {key: decoded(stored[key]) for key in stored.files}
    elif not folders:
        raise SystemExit(f"there is no {cache}; name folders of pictures with --data" if cache else "name folders of pictures with --data")
    else:
        arrays = {}
        for i, path in enumerate(find(folders)):
            part = "held" if is_held_out(path) else "train"
            for j, picture in enumerate(read(path)):
                arrays[f"{part}-{i:04d}-{j:02d}"] = picture
        if cache:
            np.savez(cache, **arrays)
    pick = lambda part: [arrays[key] for key in sorted(arrays) if key.startswith(part)]
    train, held = pick("train"), pick("held")
    if not train:
        raise SystemExit(f"no picture to train on in {', '.join(map(str, folders or [cache]))}")
    return train, held


class CropSampler:
    """Random square crops, flipped and transposed; of two candidates the one with more detail is kept.

    Pictures are drawn in proportion to the square root of their area. The crops of a step depend on the seed and
    the step alone, so a resumed run sees what an uninterrupted one would have seen.
    """

    def __init__(self, pictures, size: int, seed: int):
        self.pictures = [p for p in pictures if min(p.shape[:2]) >= size]
        if not self.pictures:
            raise SystemExit(f"no picture is at least {size} pixels high and wide after being reduced by {SMALLEST_REDUCTION:g} or more")
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


class Batches(torch.utils.data.Dataset):
    """What the updates of a training see, by their number: crops, uint8 [count, 3, size, size], and a timestep for each."""

    def __init__(self, sampler, count: int, timesteps):
        self.sampler, self.count, self.timesteps = sampler, count, timesteps

    def __getitem__(self, step: int):
        rng = np.random.default_rng([self.sampler.seed, step, 1])
        return torch.from_numpy(self.sampler.batch(self.count, step)), torch.from_numpy(self.timesteps(self.count, rng))


def feed(batches: Batches, first: int, workers: int, pinned: bool):
    """The batches from update `first` on, made ahead by `workers` processes (0: when asked for)."""
    return iter(torch.utils.data.DataLoader(
        batches, batch_size=None, sampler=itertools.count(first), num_workers=workers, pin_memory=pinned,
        prefetch_factor=4 if workers else None))
