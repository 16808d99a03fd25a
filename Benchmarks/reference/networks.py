"""The same work in Python: diffusers' networks and Algorithm 1 in plain PyTorch, one timed piece of work at a time.

Started by visionxl-bench. Reads one JSON request a line from standard input, answers with one JSON line each:
  {"op": "load", "folder": F, "format": "contiguous" | "channels_last", "dtype": "float32"}          -> {"seconds": s}
  {"op": "unet" | "encode" | "decode", "folder": ..., "format": ..., "dtype": ..., "input": TENSOR,
   "height": H, "width": W, "timestep": t, "output": PATH or nothing}                                -> {"seconds": s}
  {"op": "sr4", ..., "input": MEASUREMENT, "noise": TENSOR, "output": ...}                            -> {"seconds": s, "peak": bytes}
TENSOR is {"path": raw float32, "shape": [...]}. Reading, writing and loading are not timed unless they are the work.
"""

import argparse
import contextlib
import json
import math
import os
import sys
import time

import numpy
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file

arguments = argparse.ArgumentParser()
arguments.add_argument("--device", default="cpu")
arguments.add_argument("--threads", type=int, default=0)
arguments = arguments.parse_args()
device = torch.device(arguments.device)
if arguments.threads:
    torch.set_num_threads(arguments.threads)


def synchronize():
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class LinearCodec:
    """The patch codec (AutoencoderLinear), which diffusers does not have: a strided convolution and its transpose."""

    def __init__(self, folder, configuration, dtype):
        self.size = configuration["patch_size"]
        self.weight = load_file(f"{folder}/diffusion_pytorch_model.safetensors")["encoder.weight"].to(device, dtype)
        self.scale = configuration.get("scaling_factor", 1)

    def encode(self, frames):
        return F.conv2d(frames, self.weight, stride=self.size) * self.scale

    def decode(self, latents):
        return F.conv_transpose2d(latents / self.scale, self.weight, stride=self.size)


class KLCodec:
    def __init__(self, folder, configuration, dtype, memory_format):
        self.network = AutoencoderKL.from_pretrained(folder, torch_dtype=dtype).to(device, memory_format=memory_format).eval()
        self.scale = self.network.config.scaling_factor

    def encode(self, frames):
        return self.network.encode(frames).latent_dist.mean * self.scale

    def decode(self, latents):
        return self.network.decode(latents / self.scale).sample


class Model:
    def __init__(self, folder, memory_format, dtype):
        self.dtype = dtype
        self.memory_format = memory_format
        self.unet = UNet2DConditionModel.from_pretrained(f"{folder}/unet", torch_dtype=dtype)
        self.unet = self.unet.to(device, memory_format=memory_format).eval()
        self.scheduler = DDIMScheduler.from_pretrained(f"{folder}/scheduler")
        with open(f"{folder}/vae/config.json") as file:
            configuration = json.load(file)
        if configuration["_class_name"] == "AutoencoderLinear":
            self.codec = LinearCodec(f"{folder}/vae", configuration, dtype)
        else:
            self.codec = KLCodec(f"{folder}/vae", configuration, dtype, memory_format)
        c = self.unet.config
        self.context = torch.zeros(1, 77, c.cross_attention_dim, dtype=dtype, device=device)
        self.pooled = None
        if c.addition_embed_type == "text_time":
            channels = c.projection_class_embeddings_input_dim - 6 * c.addition_time_embed_dim
            self.pooled = torch.zeros(1, channels, dtype=dtype, device=device)

    def predict(self, latents, timestep, height, width):
        added = None
        if self.pooled is not None:
            ids = torch.tensor([[1024, 1024, 0, 0, height, width]], dtype=self.dtype, device=device)
            added = {"text_embeds": self.pooled, "time_ids": ids}
        return self.unet(latents, timestep, encoder_hidden_states=self.context, added_cond_kwargs=added).sample


models = {}
tensors = {}
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def model(request):
    key = request["folder"], request["format"], request["dtype"]
    if key not in models:
        models[key] = Model(key[0], FORMATS[key[1]], getattr(torch, key[2]))
    return models[key]


def tensor(description):
    path = description["path"]
    if path not in tensors:
        tensors[path] = torch.from_numpy(numpy.fromfile(path, dtype=numpy.float32)).reshape(description["shape"]).to(device)
    return tensors[path]


def super_resolution(m, measurement, noise):
    """Algorithm 1 for x4 average pooling with VISION-XL's default options: the inversion of the first frame, enlarged bicubically;
    25 steps, tau 0.3, eta 0.2, ten CG steps, the low-pass filter at lambda = sqrt(2), and CG from the last decode."""
    n, _, h, w = measurement.shape
    height, width = 4 * h, 4 * w
    abar = lambda t: float(m.scheduler.alphas_cumprod[t - 1]) if t > 0 else 1.0
    timesteps = [t for t in (i * 40 + 1 for i in reversed(range(25))) if t <= 300]
    apply = lambda x: F.avg_pool2d(x, 4)
    adjoint = lambda y: F.interpolate(y / 16, scale_factor=4, mode="nearest")
    to_network = lambda x: x.to(m.dtype).contiguous(memory_format=m.memory_format)

    def frame_by_frame(function, batch):
        return torch.cat([function(to_network(batch[i : i + 1])).float() for i in range(batch.shape[0])])

    predict = lambda z, t: frame_by_frame(lambda x: m.predict(x, t, height, width), z)
    dot = lambda a, b: float(torch.dot(a.reshape(-1), b.reshape(-1)))

    def solve(x):
        s = measurement - apply(x)
        r = adjoint(s)
        smallest = 2.0**-23 * (float(measurement.norm()) + float(s.norm()))
        p, rr = r, dot(r, r)
        for _ in range(10):
            if math.sqrt(rr) <= smallest:
                break
            q = apply(p)
            step = rr / dot(q, q)
            x, s = x + step * p, s - step * q
            r = adjoint(s)
            following = dot(r, r)
            p, rr = r + following / rr * p, following
        return x

    def low_pass(x, sigma):
        taps = max(15, 2 * math.ceil(4 * sigma) + 1)
        kernel = torch.exp(-0.5 * (torch.arange(taps, device=device) - taps // 2) ** 2 / sigma**2)
        kernel = (kernel / kernel.sum()).expand(3, 1, 1, taps).contiguous()
        x = F.conv2d(F.pad(x, (taps // 2, taps // 2, 0, 0), mode="reflect"), kernel, groups=3)
        return F.conv2d(F.pad(x, (0, 0, taps // 2, taps // 2), mode="reflect"), kernel.transpose(2, 3), groups=3)

    first = F.interpolate(measurement[:1], size=(height, width), mode="bicubic")
    z = frame_by_frame(m.codec.encode, first)
    previous = 1.0
    for t in reversed(timesteps):
        prediction = predict(z, t)
        clean = (z - math.sqrt(1 - previous) * prediction) / math.sqrt(previous)
        previous = abar(t)
        z = math.sqrt(previous) * clean + math.sqrt(1 - previous) * prediction
    z = z.expand(n, -1, -1, -1)
    for index, t in enumerate(timesteps):
        prediction = predict(z, t)
        x = frame_by_frame(m.codec.decode, (z - math.sqrt(1 - abar(t)) * prediction) / math.sqrt(abar(t)))
        x = solve(x)
        if index == len(timesteps) - 1:
            return x
        z = frame_by_frame(m.codec.encode, low_pass(x, math.sqrt(2) * math.sqrt(1 - abar(t))))
        following = abar(timesteps[index + 1])
        mixed = 0.2 * noise[index] + math.sqrt(1 - 0.04) * prediction
        z = math.sqrt(following) * z + math.sqrt(1 - following) * mixed


def peak_memory():
    """Of this process's own memory: ru_maxrss begins with that of the process that started it."""
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def answer(request):
    op = request["op"]
    if op == "load":
        began = time.perf_counter()
        Model(request["folder"], FORMATS[request["format"]], getattr(torch, request["dtype"]))
        synchronize()
        return {"seconds": time.perf_counter() - began}
    m = model(request)
    x = tensor(request["input"])
    if op == "sr4":
        work = lambda: super_resolution(m, x, tensor(request["noise"]))
    else:
        x = x.to(m.dtype).contiguous(memory_format=m.memory_format)
        if op == "unet":
            work = lambda: m.predict(x, request["timestep"], request["height"], request["width"])
        else:
            work = lambda: getattr(m.codec, op)(x)
    synchronize()
    began = time.perf_counter()
    result = work()
    synchronize()
    seconds = time.perf_counter() - began
    if request.get("output"):
        result.float().contiguous().cpu().numpy().tofile(request["output"])
    return {"seconds": seconds, "peak": peak_memory()}


def main():
    # Whatever a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    import diffusers

    description = f"diffusers {diffusers.__version__}, PyTorch {torch.__version__}, {torch.get_num_threads()} threads"
    print(json.dumps({"description": description}), file=answers)
    with torch.inference_mode():
        for line in sys.stdin:
            try:
                reply = answer(json.loads(line))
            except Exception as error:
                reply = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(reply), file=answers)


main()
