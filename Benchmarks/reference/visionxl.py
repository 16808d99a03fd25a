"""VISION-XL's Algorithm 1 in PyTorch with diffusers' networks: what the Swift program is held against.

    python Benchmarks/reference/visionxl.py --model Models/builtin --input measurement.mkv --task sr4+ --seed 0 --output frames.safetensors

Written from the paper's algorithm (the steps are those of Docs/Algorithm.md), not from the Swift sources; shared are the model folder, the
measurement and the random numbers, which philox.py draws for the same seed. float32 throughout. The input is a video or a folder of PNG
pictures, best RGB of 16 bits (`visionxl degrade` writes it), or a .safetensors file's `measurement`; the output a folder of PNG pictures of
16 bits or a .safetensors file's `frames`. Needs requirements.txt, and ffmpeg for anything but .safetensors.
"""

import argparse
import dataclasses
import json
import math
import os
import sys

import media
import operators
import philox
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file


@dataclasses.dataclass
class Options:
    """The numbers of Algorithm 1 as `visionxl restore --data-step cg --start inversion --first-estimate measurement --steadiness 0 --lambda 1.4142135623730951` has them."""

    steps: int = 25  # T
    tau: float = 0.3  # tau / T
    cg_steps: int = 10  # l
    low_pass: float = math.sqrt(2)  # lambda
    eta: float = 0.2
    upsampling: str = "bicubic"
    final_cg_steps: int = 10

    @classmethod
    def paper(cls):
        return cls(upsampling="nearest", final_cg_steps=0)


# Networks


class LinearCodec:
    """The patch codec (AutoencoderLinear), which diffusers does not have: a strided convolution and its transpose."""

    def __init__(self, folder, configuration, dtype, device):
        self.factor = configuration["patch_size"]
        self.channels = configuration["latent_channels"]
        self.weight = load_file(f"{folder}/diffusion_pytorch_model.safetensors")["encoder.weight"].to(device, dtype)
        self.scale = configuration.get("scaling_factor", 1)

    def encode(self, frames):
        return F.conv2d(frames, self.weight, stride=self.factor) * self.scale

    def decode(self, latents):
        return F.conv_transpose2d(latents / self.scale, self.weight, stride=self.factor)


class KLCodec:
    def __init__(self, folder, dtype, device, memory_format):
        self.network = AutoencoderKL.from_pretrained(folder, torch_dtype=dtype, variant=variant(folder))
        self.network = self.network.to(device, memory_format=memory_format).eval()
        self.factor = 2 ** (len(self.network.config.block_out_channels) - 1)
        self.channels = self.network.config.latent_channels
        self.scale = self.network.config.scaling_factor

    def encode(self, frames):
        return self.network.encode(frames).latent_dist.mean * self.scale

    def decode(self, latents):
        return self.network.decode(latents / self.scale).sample


def variant(folder):
    """The files' variant for from_pretrained: None, or fp16 where there are no others."""
    names = os.listdir(folder)
    plain = any(name.startswith("diffusion_pytorch_model") and "fp16" not in name for name in names)
    return None if plain else "fp16"


class Model:
    """A folder in diffusers' layout. The three maps take and give `dtype`."""

    def __init__(self, folder, device="cpu", dtype=torch.float32, memory_format=torch.contiguous_format):
        self.device, self.dtype, self.memory_format = torch.device(device), dtype, memory_format
        unet = UNet2DConditionModel.from_pretrained(f"{folder}/unet", torch_dtype=dtype, variant=variant(f"{folder}/unet"))
        self.unet = unet.to(device, memory_format=memory_format).eval()
        self.scheduler = DDIMScheduler.from_pretrained(f"{folder}/scheduler")
        with open(f"{folder}/vae/config.json") as file:
            configuration = json.load(file)
        kind = configuration["_class_name"]
        if kind == "AutoencoderLinear":
            self.codec = LinearCodec(f"{folder}/vae", configuration, dtype, device)
        elif kind == "AutoencoderKL":
            self.codec = KLCodec(f"{folder}/vae", dtype, device, memory_format)
        else:
            raise SystemExit(f"{folder}/vae is an {kind}; this script knows AutoencoderKL and AutoencoderLinear.")
        # The null prompt: zeros unless the folder has another. The program encodes the empty text where the folder has text encoders.
        c = self.unet.config
        self.context = torch.zeros(1, 77, c.cross_attention_dim)
        self.pooled = None
        if c.addition_embed_type == "text_time":
            self.pooled = torch.zeros(1, c.projection_class_embeddings_input_dim - 6 * c.addition_time_embed_dim)
        if os.path.exists(f"{folder}/null_prompt.safetensors"):
            prompt = load_file(f"{folder}/null_prompt.safetensors")
            self.context = prompt["context"]
            self.pooled = self.pooled if self.pooled is None else prompt["pooled"]
        self.context = self.context.to(device, dtype)
        self.pooled = self.pooled if self.pooled is None else self.pooled.to(device, dtype)

    def predict(self, latents, timestep, height, width):
        """The noise in latents of frames of height x width."""
        added = None
        if self.pooled is not None:
            ids = torch.tensor([[1024, 1024, 0, 0, height, width]], dtype=self.dtype, device=self.device)
            added = {"text_embeds": self.pooled, "time_ids": ids}
        return self.unet(latents, timestep, encoder_hidden_states=self.context, added_cond_kwargs=added).sample

    def alphas(self):
        """abar in float64, entry t the product of the first t factors, so entry 0 is 1. (diffusers' own are float32, whose 1 - abar is
        wrong in the fourth digit at the start.)"""
        c = self.scheduler.config
        n = c.num_train_timesteps
        if c.beta_schedule == "scaled_linear":
            betas = torch.linspace(c.beta_start**0.5, c.beta_end**0.5, n, dtype=torch.float64) ** 2
        elif c.beta_schedule == "linear":
            betas = torch.linspace(c.beta_start, c.beta_end, n, dtype=torch.float64)
        else:
            raise SystemExit(f"This script does not know the schedule {c.beta_schedule}.")
        return [1.0] + torch.cumprod(1 - betas, 0).tolist()

    def timesteps(self, options):
        """The timesteps up to tau, from noise to data."""
        self.scheduler.set_timesteps(options.steps)
        every = self.scheduler.timesteps.tolist()
        return [t for t in every if t <= options.tau * self.scheduler.config.num_train_timesteps] or every[-1:]


# Algorithm 1


def restore(model, A, Y, noise, options=Options(), see=lambda name, tensor: None):
    """X from Y = A(X).

    noise(i) is the latent (1, C, h, w) that renoises after the timestep of number i. see(name, tensor) is shown what comes out on the way:
    first_frame, z_y1 and z_tau, then for the timestep of number i step{i}.denoised, .consistent, .filtered, .encoded and .next.
    """
    n = Y.shape[0]
    height, width = A.full_size(*Y.shape[2:])
    frames = Frames(model, height, width)
    abar = model.alphas()
    timesteps = model.timesteps(options)

    # 1. Batch-consistent inversion: the first measured frame at full size, encoded, walks up the timesteps; all frames start from there.
    first = Y[:1]
    if first.shape[2:] != (height, width):
        first = F.interpolate(first, size=(height, width), mode=options.upsampling)
    see("first_frame", first)
    z = frames.encode(first)
    see("z_y1", z)
    below = 0
    for t in reversed(timesteps):
        eps = frames.predict(z, t)
        z = ddim(z, eps, abar[below], abar[t])
        below = t
    see("z_tau", z)
    Z = z.expand(n, -1, -1, -1)

    for i, t in enumerate(timesteps):
        # 2. Every frame on its own: predicted noise, Tweedie's estimate, its decode.
        eps = frames.predict(Z, t)
        Xhat = frames.decode((Z - math.sqrt(1 - abar[t]) * eps) / math.sqrt(abar[t]))
        see(f"step{i}.denoised", Xhat)
        # 6. The last one is the result.
        if i == len(timesteps) - 1:
            break
        # 3. Data consistency.
        Xbar = conjugate_gradients(A, Y, Xhat, options.cg_steps)
        see(f"step{i}.consistent", Xbar)
        # 4. The low-pass filter, narrower in every step, and the encoder.
        Xbar = low_pass(Xbar, options.low_pass * math.sqrt(1 - abar[t]))
        see(f"step{i}.filtered", Xbar)
        Zbar = frames.encode(Xbar)
        see(f"step{i}.encoded", Zbar)
        # 5. Renoising to the next timestep, with one new noise for all frames.
        a = abar[timesteps[i + 1]]
        direction = options.eta * noise(i) + math.sqrt(1 - options.eta**2) * eps
        Z = math.sqrt(a) * Zbar + math.sqrt(1 - a) * direction
        see(f"step{i}.next", Z)

    # 7. Beyond the paper: the data once more.
    return conjugate_gradients(A, Y, Xhat, options.final_cg_steps)


def ddim(z, eps, a, b):
    """Latents at abar = a, moved to abar = b along the predicted noise (Song et al. 2021, eq. 12 without new noise)."""
    clean = (z - math.sqrt(1 - a) * eps) / math.sqrt(a)
    return math.sqrt(b) * clean + math.sqrt(1 - b) * eps


def conjugate_gradients(A, Y, X, steps):
    """`steps` of the method of conjugate gradients for A'A X = A'Y from X, all frames as one vector."""
    if steps == 0:
        return X
    residual = A.adjoint(Y - A.apply(X))
    rounding = 1e-7 * (math.sqrt(dot(Y, Y)) + math.sqrt(dot(residual, residual)))
    direction, size = residual, dot(residual, residual)
    for _ in range(steps):
        # A mask or pooling is solved by one step; what is left then is rounding, and no direction.
        if math.sqrt(size) <= rounding:
            break
        image = A.apply(direction)
        length = size / dot(image, image)
        X = X + length * direction
        residual = residual - length * A.adjoint(image)
        before, size = size, dot(residual, residual)
        direction = residual + size / before * direction
    return X


def dot(a, b):
    return float(torch.dot(a.reshape(-1), b.reshape(-1)))


def low_pass(X, sigma):
    """X * h_sigma: a kernel that reaches four sigma, of 15 taps at least."""
    if sigma == 0:
        return X
    return operators.Blur(max(15, 2 * math.ceil(4 * sigma) + 1), sigma).apply(X)


class Frames:
    """The networks for frames of a size, a frame at a time. Frames are padded to the codec's multiple by repeating their last pixels."""

    def __init__(self, model, height, width):
        self.model, self.height, self.width = model, height, width
        factor = model.codec.factor
        self.padded = [math.ceil(side / factor) * factor for side in (height, width)]

    def one_by_one(self, network, batch):
        form = lambda x: x.to(self.model.dtype).contiguous(memory_format=self.model.memory_format)
        return torch.cat([network(form(x)).float() for x in batch.split(1)])

    def encode(self, X):
        missing = (0, self.padded[1] - self.width, 0, self.padded[0] - self.height)
        return self.one_by_one(self.model.codec.encode, F.pad(X, missing, mode="replicate") if any(missing) else X)

    def decode(self, Z):
        return self.one_by_one(self.model.codec.decode, Z)[:, :, : self.height, : self.width]

    def predict(self, Z, t):
        return self.one_by_one(lambda z: self.model.predict(z, t, *self.padded), Z)


def seeded_noise(model, A, Y, seed):
    """The Swift solver's noise: stream i + 1 of the seed for the renoising of number i."""
    factor = model.codec.factor
    h, w = (math.ceil(side / factor) for side in A.full_size(*Y.shape[2:]))
    shape = 1, model.codec.channels, h, w
    return lambda i: torch.from_numpy(philox.normal(seed, i + 1, shape)).to(Y.device)


def measured(A, Y):
    """What was measured of Y: not what stands in a mask's holes."""
    for part in A.parts:
        if isinstance(part, operators.Mask):
            Y = part.apply(Y)
    return Y


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder in diffusers' layout")
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--task", required=True, choices=operators.TASKS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mask-seed", type=int, default=0)
    parser.add_argument("--paper", action="store_true", help="the paper's start and result; without it those of --data-step cg --start inversion --first-estimate measurement --steadiness 0 --lambda 1.4142135623730951")
    parser.add_argument("--steps", type=int, help="T (25)")
    parser.add_argument("--tau", type=float, help="tau / T (0.3)")
    parser.add_argument("--cg-steps", type=int, help="l (10)")
    parser.add_argument("--lambda", type=float, dest="low_pass", help="(sqrt 2)")
    parser.add_argument("--eta", type=float, help="(0.2)")
    parser.add_argument("--upsampling", choices=["nearest", "bicubic"], help="for the start (bicubic; with --paper nearest)")
    parser.add_argument("--final-cg-steps", type=int, help="step 7 (10; with --paper 0)")
    parser.add_argument("--window", type=int, default=25, help="frames restored together")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()

    options = Options.paper() if arguments.paper else Options()
    given = {name: getattr(arguments, name) for name in vars(options) if getattr(arguments, name) is not None}
    options = dataclasses.replace(options, **given)
    Y = media.read(arguments.input).to(arguments.device)
    A = operators.of_measurement(arguments.task, *Y.shape[2:], arguments.mask_seed)
    model = Model(arguments.model, arguments.device)

    def tell(name, X):
        if name.endswith(("denoised", "consistent")):
            print(f"{name}: |Y - A X| {float((Y0 - A.apply(X)).norm()):.4g}", file=sys.stderr)

    results = []
    with torch.inference_mode():
        for window in Y.split(arguments.window):
            Y0 = measured(A, window)
            results.append(restore(model, A, Y0, seeded_noise(model, A, Y0, arguments.seed), options, tell))
    media.write(torch.cat(results), arguments.output)


if __name__ == "__main__":
    main()
