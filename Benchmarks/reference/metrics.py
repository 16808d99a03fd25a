"""LPIPS, I3D and the Fréchet distance in plain PyTorch and SciPy, written from their papers' programs: what the Swift ones must agree with.

    pip install torch scipy safetensors
    python3 Benchmarks/reference/metrics.py .deps/networks Tests/MetricsTests/Fixtures/metrics.safetensors

writes the expected numbers (no inputs: `picture` and `features` below are computed again by the tests).
"""

import sys

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save_file

networks, fixture = sys.argv[1:]
torch.set_grad_enabled(False)


def picture(n, h, w):
    """`pictures` of Tests/MetricsTests: a video and a damaged copy, (n, 3, h, w) in [-1, 1]."""
    n, c, y, x = np.ogrid[:n, :3, :h, :w]
    a = 0.6 * np.sin(0.3 * x + 0.5 * c + 0.2 * n) * np.cos(0.2 * y) + 0.3 * ((7 * x + 13 * y + 5 * c) % 17) / 17
    b = 0.9 * a + 0.2 * ((11 * x + 3 * y + 7 * c + 5 * n) % 13) / 13 * (1 + n) / 2
    return torch.from_numpy(a).float(), torch.from_numpy(b).float()


def features(count, width, seed):
    """`features` of Tests/MetricsTests: numbers of a linear congruential generator, column j around j/width, spread by 1 + j % 5."""
    values, state = [], seed
    for index in range(count * width):
        state = (state * 1664525 + 1013904223) % 2**32
        column = index % width
        values.append(column / width + (1 + column % 5) * (state / 2**32 - 0.5))
    return np.array(values).reshape(count, width)


# --- LPIPS (richzhang/PerceptualSimilarity: lpips.py, pretrained_networks.py) ---

# torchvision's `features`: (output channels, kernel, stride, padding), M a maximum pool; * marks where features are taken.
ALEXNET = [(64, 11, 4, 2), "*", "M3", (192, 5, 1, 2), "*", "M3", (384, 3, 1, 1), "*", (256, 3, 1, 1), "*", (256, 3, 1, 1), "*"]
VGG16 = []
for width, count in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]:
    VGG16 += [(width, 3, 1, 1)] * count + ["*", "M2"]


def lpips(weights, plan, first, second):
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)

    def stages(x):
        x, result, layer = (x - shift) / scale, [], 0
        for step in plan:
            if step == "*":
                result.append(x)
            elif isinstance(step, str):
                x = F.max_pool2d(x, int(step[1]), 2)
            else:
                kernel = torch.from_numpy(weights[f"conv.{layer}.weight"])
                assert kernel.shape[0] == step[0] and kernel.shape[2] == step[1]
                x = F.relu(F.conv2d(x, kernel, torch.from_numpy(weights[f"conv.{layer}.bias"]), step[2], step[3]))
                layer += 1
        return result

    total = 0
    for index, (a, b) in enumerate(zip(stages(first), stages(second))):
        a, b = (x / (torch.sqrt(torch.sum(x**2, dim=1, keepdim=True)) + 1e-10) for x in (a, b))
        total = total + F.conv2d((a - b) ** 2, torch.from_numpy(weights[f"lin.{index}.weight"])).mean([2, 3], keepdim=True)
    return total.flatten().numpy()


# --- I3D (deepmind/kinetics-i3d: i3d.py) and the FVD authors' preprocessing ---


def same(x, kernel, stride, value):
    pads = []
    for size, k, s in reversed(list(zip(x.shape[2:], kernel, stride))):
        total = max(k - s, 0) if size % s == 0 else max(k - size % s, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value)


def pool(x, kernel, stride):
    return F.max_pool3d(same(x, kernel, stride, float("-inf")), kernel, stride)


class I3D:
    def __init__(self, weights):
        self.weights = {name: torch.from_numpy(value) for name, value in weights.items()}

    def unit(self, name, x, stride=1):
        w = self.weights
        kernel = w[name + ".conv.weight"]
        x = F.conv3d(same(x, kernel.shape[2:], [stride] * 3, 0.0), kernel, stride=stride)
        x = F.batch_norm(x, w[name + ".norm.mean"], w[name + ".norm.variance"], bias=w[name + ".norm.bias"], eps=1e-3)
        return F.relu(x)

    def mixed(self, name, x):
        return torch.cat(
            [
                self.unit(f"{name}.Branch_0.Conv3d_0a_1x1", x),
                self.unit(f"{name}.Branch_1.Conv3d_0b_3x3", self.unit(f"{name}.Branch_1.Conv3d_0a_1x1", x)),
                self.unit(f"{name}.Branch_2.Conv3d_0b_3x3", self.unit(f"{name}.Branch_2.Conv3d_0a_1x1", x)),
                self.unit(f"{name}.Branch_3.Conv3d_0b_1x1", pool(x, (3, 3, 3), (1, 1, 1))),
            ],
            dim=1,
        )

    def __call__(self, frames):
        x = resize(frames, 224).permute(1, 0, 2, 3)[None]
        x = self.unit("Conv3d_1a_7x7", x, stride=2)
        x = pool(x, (1, 3, 3), (1, 2, 2))
        x = self.unit("Conv3d_2c_3x3", self.unit("Conv3d_2b_1x1", x))
        x = pool(x, (1, 3, 3), (1, 2, 2))
        x = self.mixed("Mixed_3c", self.mixed("Mixed_3b", x))
        x = pool(x, (3, 3, 3), (2, 2, 2))
        for letter in "bcdef":
            x = self.mixed(f"Mixed_4{letter}", x)
        x = pool(x, (2, 2, 2), (2, 2, 2))
        x = self.mixed("Mixed_5c", self.mixed("Mixed_5b", x))
        x = F.avg_pool3d(x, (2, 7, 7), 1)
        name = "Logits.Conv3d_0c_1x1.conv"
        return F.conv3d(x, self.weights[name + ".weight"], self.weights[name + ".bias"])[:, :, :, 0, 0].mean(dim=2).numpy()


def resize(frames, side):
    """TensorFlow 1's resize_bilinear with align_corners=False: pixel i is taken at i * size / side."""
    _, _, h, w = frames.shape
    # grid_sample with align_corners=True has pixel p at 2 p / (size - 1) - 1.
    y = torch.arange(side, dtype=torch.float64) * h / side * 2 / (h - 1) - 1
    x = torch.arange(side, dtype=torch.float64) * w / side * 2 / (w - 1) - 1
    grid = torch.stack([x[None, :].expand(side, side), y[:, None].expand(side, side)], dim=-1)[None]
    sample = F.grid_sample(frames.double(), grid.expand(len(frames), -1, -1, -1), padding_mode="border", align_corners=True)
    return sample.float()


# --- The Fréchet distance, by its formula ---


def frechet(a, b):
    covariances = [np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    shift = np.sum((a.mean(0) - b.mean(0)) ** 2)
    return shift + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.trace(root).real


def main():
    expected = {}
    for name, plan in [("alexnet", ALEXNET), ("vgg16", VGG16)]:
        weights = load_file(f"{networks}/lpips-{name}.safetensors")
        for h, w in [(64, 80), (45, 71)]:
            expected[f"lpips.{name}.{h}x{w}"] = lpips(weights, plan, *picture(3, h, w))
    network = I3D(load_file(f"{networks}/i3d-kinetics400.safetensors"))
    for n, h, w in [(9, 60, 50), (12, 240, 250), (17, 48, 64)]:
        clip, _ = picture(n, h, w)
        expected[f"i3d.{n}x{h}x{w}"] = network(clip)
    for width, first, second in [(16, 60, 45), (16, 10, 12), (400, 500, 450)]:
        value = frechet(features(first, width, 1), features(second, width, 2) * 1.25)
        expected[f"frechet.{width}.{first}.{second}"] = np.array([value])
    for name, value in expected.items():
        print(name, value.flatten()[:4])
    save_file(expected, fixture)


main()
