"""Videos, folders of PNG pictures and safetensors in and out, as float32 (N, 3, H, W) in [-1, 1]."""

import json
import pathlib
import re
import subprocess

import numpy
import torch
from safetensors.torch import load_file, save_file


def read(path, frames=None, size=None, first=0):
    """Frames of a video, of a folder of PNG pictures in the order of their names, or of a .safetensors file's `measurement` or `frames`.

    Components of more than 8 bits are read as 16. `frames` and `first` choose a part, `size` (height, width) shrinks by averaging.
    """
    path = pathlib.Path(path)
    if path.suffix == ".safetensors":
        tensors = load_file(path)
        name = next((name for name in ("measurement", "frames") if name in tensors), None)
        if name is None:
            raise SystemExit(f"{path} has neither 'measurement' nor 'frames'.")
        last = None if frames is None else first + frames
        return tensors[name][first:last].float()
    source = ["-pattern_type", "glob", "-i", f"{path}/*.png"] if path.is_dir() else ["-i", f"file:{path}"]
    probe = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height,pix_fmt", "-of", "json"]
    if path.is_dir():
        probe += ["-f", "image2"]
    stream = json.loads(subprocess.run(probe + source, check=True, stdout=subprocess.PIPE).stdout)["streams"][0]
    deep = re.search(r"(9|1[0246]|48|64)(le|be)$", stream["pix_fmt"]) is not None
    height, width = size or (stream["height"], stream["width"])
    filters = [f"trim=start_frame={first}"]
    if size:
        filters.append(f"scale={width}:{height}:flags=area")
    command = ["ffmpeg", "-nostdin", "-v", "error", *source, "-vf", ",".join(filters)]
    command += [] if frames is None else ["-frames:v", str(frames)]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb48le" if deep else "rgb24", "-"]
    data = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    values = numpy.frombuffer(data, dtype="<u2" if deep else "u1").reshape(-1, height, width, 3)
    pixels = values.astype(numpy.float64) * (2 / (65535 if deep else 255)) - 1
    return torch.from_numpy(pixels.astype(numpy.float32)).permute(0, 3, 1, 2).contiguous()


def write(frames, path):
    """Frames as `frames` of a .safetensors file, unclamped, or as PNG pictures of 16 bits in a folder."""
    path = pathlib.Path(path)
    if path.suffix == ".safetensors":
        save_file({"frames": frames.contiguous().cpu()}, path)
        return
    path.mkdir(parents=True, exist_ok=True)
    values = ((frames.double().clamp(-1, 1) + 1) * (65535 / 2)).round().permute(0, 2, 3, 1).cpu().numpy().astype("<u2")
    n, height, width, _ = values.shape
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb48le", "-s", f"{width}x{height}"]
    command += ["-i", "-", "-pix_fmt", "rgb48be", f"{path}/%06d.png"]
    subprocess.run(command, check=True, input=values.tobytes())


def psnr(frames, truth):
    """Mean over the frames of 10 log10 (4 / mean squared error), of frames clamped to [-1, 1], in dB."""
    error = (frames.double().clamp(-1, 1) - truth.double()).square().mean(dim=(1, 2, 3))
    return float((10 * torch.log10(4 / error)).mean())
