"""Makes the files that the Swift tests hold the program against, with the Python references on a real clip.

    python Benchmarks/reference/make_fixtures.py visionxl     # seconds; again whenever Models/builtin changes
    python Benchmarks/reference/make_fixtures.py admm_tv      # minutes: in float64

The clip is that of `make setup`: Big Buck Bunny, (c) 2008 Blender Foundation, www.bigbuckbunny.org, CC BY 3.0; its frames from 32 on,
shrunk by averaging.

Tests/VisionXLTests/Fixtures/visionxl.safetensors: Algorithm 1 with the built-in prior, seed 1, the other numbers as `--data-step cg --start inversion
--first-estimate measurement --steadiness 0 --lambda 1.4142135623730951` has them; 8 frames of 48x64.
    TASK.measurement   uint8 (8, 3, h, w): Y = value 2/255 - 1, for the tasks sr4+, deblur+ and inpaint (mask of seed 0, holes at 128
                       in the file: what stands there must be masked away)
    TASK.frames        float32 (2, 3, 48, 64): frames 0 and 4 of the result
    sr4+.paper         the same of the paper's own algorithm (nearest start, no final step)

Tests/BaselinesTests/Fixtures/admm_tv.safetensors: ADMM-TV as admm_tv.py specifies it, in float64, on exact measurements (not rounded); 9 frames of 64x96.
    truth              uint8 (9, 3, 64, 96): X = value 2/255 - 1
    inpaint.mask       uint8 (64, 96): 1 known, 0 missing; that of ratio 0.5 and seed 0, also for inpaint+
    TASK.objective     float64 (30): F(X) = 1/2 |Y - A X|^2 + 1e-3 |D X|_1 after each outer iteration; the last is the final one
    TASK.psnr          float64 (30): mean over the frames of their PSNR in dB, of X clamped to [-1, 1] against the truth
for the tasks sr4, deblur, inpaint, sr4+, deblur+ and inpaint+.
"""

import argparse
import pathlib

import admm_tv
import media
import operators
import torch
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = {"visionxl": ROOT / "Tests/VisionXLTests/Fixtures", "admm_tv": ROOT / "Tests/BaselinesTests/Fixtures"}


def to_bytes(x):
    return ((x.double().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def from_bytes(values):
    return values.double() * (2 / 255) - 1


def make_visionxl(clip):
    import visionxl

    truth = media.read(clip, frames=8, size=(48, 64), first=32)
    model = visionxl.Model(str(ROOT / "Models/builtin"))
    result = {}
    for task in "sr4+", "deblur+", "inpaint":
        A = operators.of_task(task, 48, 64)
        stored = to_bytes(A.apply(truth))
        Y = visionxl.measured(A, from_bytes(stored).float())
        noise = visionxl.seeded_noise(model, A, Y, seed=1)
        result[f"{task}.measurement"] = stored
        frames = visionxl.restore(model, A, Y, noise)
        result[f"{task}.frames"] = frames[[0, 4]]
        print(f"{task}: PSNR {media.psnr(frames, truth):.2f} dB")
        if task == "sr4+":
            result[f"{task}.paper"] = visionxl.restore(model, A, Y, noise, visionxl.Options.paper())[[0, 4]]
    return result


def make_admm_tv(clip):
    stored = to_bytes(media.read(clip, frames=9, size=(64, 96), first=32))
    truth = from_bytes(stored)
    result = {"truth": stored, "inpaint.mask": operators.random_mask(0.5, 0, 64, 96).to(torch.uint8)}
    for task in (task for task in operators.TASKS if task != "average"):
        A = operators.of_task(task, 64, 96)
        Y = A.apply(truth)
        course = []
        admm_tv.restore(
            A, Y, each_iteration=lambda _, X: course.append((admm_tv.objective(A, Y, X, 1e-3), media.psnr(X, truth)))
        )
        result[f"{task}.objective"], result[f"{task}.psnr"] = torch.tensor(course, dtype=torch.float64).unbind(1)
        print(f"{task}: objective {course[-1][0]:.6f}, PSNR {course[-1][1]:.4f} dB", flush=True)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fixture", choices=["visionxl", "admm_tv"])
    parser.add_argument("--clip", default=ROOT / ".deps/clips/bigbuckbunny.mp4")
    arguments = parser.parse_args()
    with torch.inference_mode():
        tensors = {"visionxl": make_visionxl, "admm_tv": make_admm_tv}[arguments.fixture](arguments.clip)
    path = FIXTURES[arguments.fixture] / f"{arguments.fixture}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
