"""Algorithm 1 as the authors' published code computes it: what its speed is compared with on a GPU.

The same networks and steps as visionxl.py, in float16, with what makes that code slow: every U-Net pass is done for two equal prompts at once
(guidance between them), frames go through the networks one by one, the blur is a dense 61x61 convolution that stands for its own adjoint, and
frames are encoded once more after the last timestep.
"""

import operators
import torch
import torch.nn.functional as F
import visionxl


class DenseBlur:
    """Gaussian, mirrored about the border pixels, as one convolution with the whole kernel."""

    def __init__(self, size=61, sigma=3.0):
        profile = operators.Blur(size, sigma).kernel
        kernel = torch.outer(profile, profile)
        # Denormal products of the far taps would slow the convolution down on a CPU.
        self.kernel = torch.where(kernel < 1e-12, 0, kernel)
        self.reach = size // 2

    def apply(self, x):
        channels = x.shape[1]
        padded = F.pad(x, (self.reach,) * 4, mode="reflect")
        return F.conv2d(padded, self.kernel.to(x).expand(channels, 1, -1, -1), groups=channels)

    adjoint = apply

    def full_size(self, height, width):
        return height, width


class GuidedModel(visionxl.Model):
    """Predicts noise for an empty prompt and an equal one, and goes from the one towards the other."""

    guidance = 7.5

    def predict(self, latents, timestep, height, width):
        added = None
        if self.pooled is not None:
            ids = torch.tensor([[1024, 1024, 0, 0, height, width]], dtype=self.dtype, device=self.device)
            added = {"text_embeds": self.pooled.repeat(2, 1), "time_ids": ids.repeat(2, 1)}
        both = self.unet(
            torch.cat([latents, latents]), timestep, encoder_hidden_states=self.context.repeat(2, 1, 1), added_cond_kwargs=added
        ).sample
        empty, prompted = both.chunk(2)
        return empty + self.guidance * (prompted - empty)


def operator(task, height, width):
    """The operator of a task for measurements of height x width, with the dense blur."""
    if not task.startswith("deblur"):
        return operators.of_measurement(task, height, width)
    return operators.Sequence(*([operators.TemporalAverage(7)] if task.endswith("+") else []), DenseBlur())


def restore(model, task, Y):
    """Frames (N, 3, H, W) in [-1, 1] of a measurement Y on the model's device, with noise of the device's own."""
    A = operator(task, *Y.shape[2:])
    height, width = A.full_size(*Y.shape[2:])
    factor = model.codec.factor
    shape = 1, model.codec.channels, -(-height // factor), -(-width // factor)
    frames = visionxl.restore(model, A, Y, lambda i: torch.randn(shape, device=Y.device), visionxl.Options.paper())
    visionxl.Frames(model, height, width).encode(frames)
    return frames
