"""The degradations of the paper in plain PyTorch, videos (N, C, H, W) in [-1, 1], each with its exact adjoint."""

import math

import numpy
import philox
import torch
import torch.nn.functional as F

TASKS = "sr4", "deblur", "inpaint", "average", "sr4+", "deblur+", "inpaint+"
# The random stream of masks: "mask" in ASCII.
MASK_STREAM = 0x6D61736B


class Pooling:
    """Means of factor x factor blocks."""

    def __init__(self, factor=4):
        self.factor = factor

    def apply(self, x):
        return F.avg_pool2d(x, self.factor)

    def adjoint(self, y):
        return F.interpolate(y / self.factor**2, scale_factor=self.factor, mode="nearest")

    def full_size(self, height, width):
        return height * self.factor, width * self.factor


class Blur:
    """Gaussian, mirrored about the border pixels; one pass along each side. Sides must be longer than half of the kernel."""

    def __init__(self, size=61, sigma=3.0):
        distance = torch.arange(size, dtype=torch.float64) - size // 2
        kernel = torch.exp(-0.5 * (distance / sigma) ** 2)
        self.kernel = kernel / kernel.sum()
        self.reach = size // 2

    def apply(self, x):
        return self.pass_along(3, self.pass_along(2, x))

    def adjoint(self, y):
        return self.pass_back(2, self.pass_back(3, y))

    def full_size(self, height, width):
        return height, width

    def convolved(self, axis, x):
        """Without padding; the kernel is symmetric."""
        channels = x.shape[1]
        kernel = self.kernel.to(x).reshape((1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1))
        return F.conv2d(x, kernel.repeat(channels, 1, 1, 1), groups=channels)

    def padded(self, axis, x, width, mode):
        return F.pad(x, (0, 0, width, width) if axis == 2 else (width, width, 0, 0), mode=mode)

    def pass_along(self, axis, x):
        return self.convolved(axis, self.padded(axis, x, self.reach, "reflect"))

    def pass_back(self, axis, y):
        spread = self.convolved(axis, self.padded(axis, y, 2 * self.reach, "constant"))
        length, reach = y.shape[axis], self.reach
        x = spread.narrow(axis, reach, length).clone()
        # What fell beyond the border came from the pixel that is mirrored there; the border pixel itself is not repeated.
        x.narrow(axis, 1, reach).add_(spread.narrow(axis, 0, reach).flip(axis))
        x.narrow(axis, length - 1 - reach, reach).add_(spread.narrow(axis, length + reach, reach).flip(axis))
        return x


class Mask:
    """1 where pixels are known, 0 where they are missing: (H, W), the same in every frame and channel."""

    def __init__(self, mask):
        self.mask = mask

    def apply(self, x):
        return x * self.mask.to(x)

    adjoint = apply

    def full_size(self, height, width):
        return height, width


class TemporalAverage:
    """The mean of `window` successive frames, of which the frame itself is the middle one; the video's ends are joined."""

    def __init__(self, window=7):
        self.shifts = range(-(window // 2), window - window // 2)

    def apply(self, x):
        return sum(torch.roll(x, -shift, dims=0) for shift in self.shifts) / len(self.shifts)

    def adjoint(self, y):
        return sum(torch.roll(y, shift, dims=0) for shift in self.shifts) / len(self.shifts)

    def full_size(self, height, width):
        return height, width


class Sequence:
    """Operators one after the other."""

    def __init__(self, *parts):
        self.parts = parts

    def apply(self, x):
        for part in self.parts:
            x = part.apply(x)
        return x

    def adjoint(self, y):
        for part in reversed(self.parts):
            y = part.adjoint(y)
        return y

    def full_size(self, height, width):
        for part in reversed(self.parts):
            height, width = part.full_size(height, width)
        return height, width


def random_mask(ratio, seed, height, width):
    """Without `ratio` of its pixels, rounded to a whole number of them: the mask that the Swift program draws for a seed."""
    count = height * width
    mask = numpy.ones(count, dtype=numpy.float32)
    mask[philox.permutation(seed, MASK_STREAM, count)[: math.floor(ratio * count + 0.5)]] = 0
    return torch.from_numpy(mask.reshape(height, width))


def of_task(task, height, width, mask_seed=0):
    """The operator of a task of the paper for frames of height x width. `parts` are its operators in order."""
    if task not in TASKS:
        raise SystemExit(f"There is no task {task}; the tasks are {', '.join(TASKS)}.")
    spatial = {
        "sr4": lambda: [Pooling(4)],
        "deblur": lambda: [Blur(61, 3.0)],
        "inpaint": lambda: [Mask(random_mask(0.5, mask_seed, height, width))],
        "average": lambda: [],
    }[task.rstrip("+")]()
    temporal = [TemporalAverage(7)] if task == "average" or task.endswith("+") else []
    return Sequence(*temporal, *spatial)


def of_measurement(task, height, width, mask_seed=0):
    """The operator of a task whose measurements are of height x width."""
    factor = 4 if task.startswith("sr4") else 1
    return of_task(task, factor * height, factor * width, mask_seed)
