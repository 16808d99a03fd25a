"""Train the small built-in prior: a linear patch codec and a convolutional noise-prediction UNet in its latent space.

    python Training/train_prior.py --data PICTURES ... --out Models/builtin --device cpu --seed 0 --minutes 90

The learning rate warms up and then follows a cosine that ends when the time (--minutes) or the number of updates
(--steps) is used up. With --steps a run depends on the seed alone; with --minutes the crops and the noise do, and the
learning rate follows the clock. The work is saved to --checkpoint from time to time; --resume goes on from there, within
the same schedule, and --restart begins a new schedule from the checkpoint's weights. --begin-with takes codec, size and weights
from a model folder instead, for training on where no checkpoint is left, with other pictures, or with more --channels.
"""

import argparse
import json
import math
import os
import pathlib
import time

import numpy as np
import torch

import export
import network as networks
import optimizers
import patch_codec
import pictures
import prior
from noise_schedule import SOLVER_TIMESTEPS, TRAIN_STEPS, abar_table

#: Most training happens where the solver works (timesteps 1...281), the rest keeps the network a whole diffusion model.
WORKING_RANGE, WORKING_SHARE = 400, 0.9
CHANNELS = 32  # of the latents, where nothing else is said
HELD_OUT_SIDE = 192  # of the crops that the figures in the log are of, pixels
BINS = 50  # of the running loss, each 20 timesteps wide


def draw_timesteps(count: int, rng) -> np.ndarray:
    """Stratified timesteps in 1...1000: `WORKING_SHARE` of them evenly in 1...WORKING_RANGE, the others above."""
    u = (np.arange(count) + rng.random()) / count
    low = 1 + u / WORKING_SHARE * WORKING_RANGE
    high = 1 + WORKING_RANGE + (u - WORKING_SHARE) / (1 - WORKING_SHARE) * (TRAIN_STEPS - WORKING_RANGE)
    return np.minimum(np.where(u < WORKING_SHARE, low, high), TRAIN_STEPS).astype(np.int64)


def noisy(latents, timesteps, abar, generator):
    """(x_t, eps) of clean latents."""
    eps = torch.randn(latents.shape, generator=generator, device=generator.device).to(latents.device)
    level = abar[timesteps].to(latents)[:, None, None, None]
    return level.sqrt() * latents + (1 - level).sqrt() * eps, eps


def follow(running, bins, errors, share=0.02):
    """The running mean error of each bin after one more batch, of which every crop counts `share`."""
    count = torch.zeros_like(running).index_add_(0, bins, torch.ones_like(errors))
    mean = torch.zeros_like(running).index_add_(0, bins, errors) / count.clamp(min=1)
    kept = torch.where(running == 0, 0, (1 - share) ** count)
    return torch.where(count == 0, running, kept * running + (1 - kept) * mean)


class Average:
    """Exponential moving average of the weights, with a horizon that grows with the training at first."""

    def __init__(self, network, decay):
        self.decay, self.updates = decay, 0
        self.weights = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network):
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        mine, theirs = list(self.weights.values()), list(network.state_dict().values())
        torch._foreach_lerp_(mine, theirs, 1 - decay)


@torch.no_grad()
def held_out_figures(network, codec, crops, abar, device) -> dict:
    """Mean PSNR (dB, pixels) of the Tweedie estimate of held-out crops, per solver timestep."""
    pixels = torch.from_numpy(crops).to(device).float() / 127.5 - 1
    latents = codec.encode(pixels)
    figures = {}
    for t in SOLVER_TIMESTEPS[::2]:
        times = torch.full((len(latents),), t)
        x, _ = noisy(latents, times, abar, torch.Generator().manual_seed(t))
        x = x.contiguous(memory_format=torch.channels_last)
        clean = (x - (1 - abar[t]) ** 0.5 * networks.predict(network, x, times.to(device))) / abar[t] ** 0.5
        error = (codec.decode(clean.float()).clamp(-1, 1) - pixels).square().mean((1, 2, 3))
        figures[str(t)] = round((10 * torch.log10(4 / error)).mean().item(), 3)
    return figures


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pictures.add_arguments(parser)
    parser.add_argument("--out", required=True, help="model folder to write, diffusers layout")
    parser.add_argument("--checkpoint", default="prior-training.pt", help="state to resume from; keep it out of git")
    parser.add_argument("--log", default="prior-training.jsonl", help="one JSON object a line: loss, held-out PSNR")
    parser.add_argument("--resume", action="store_true", help="go on within the checkpoint's schedule")
    parser.add_argument("--restart", action="store_true", help="a new schedule from the checkpoint's averaged weights")
    parser.add_argument("--begin-with", metavar="MODEL", help="a model folder whose codec and weights to start from")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of the CPU")
    parser.add_argument("--workers", type=int, help="processes that cut crops ahead: none on a CPU, 8 or as many as there are cores for a GPU")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="length of the schedule by the clock")
    parser.add_argument("--steps", type=int, help="length of the schedule in updates")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--warmup", type=int, default=200, help="updates")
    parser.add_argument("--average", type=float, default=0.998, help="decay of the averaged weights")
    parser.add_argument("--no-muon", action="store_true", help="AdamW for every weight")
    parser.add_argument("--compile", action="store_true", help="torch.compile (needs a C++ compiler on the CPU)")
    parser.add_argument("--widths", type=int, nargs="+", default=(64, 96, 128))
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--patch", type=int, default=4)
    parser.add_argument("--channels", type=int, help="latent channels: 32, or those of --begin-with")
    parser.add_argument("--scaling-factor", type=float, default=4.0)
    parser.add_argument("--evaluate-every", type=int, default=1000, help="updates")
    parser.add_argument("--save-every", type=int, default=1000, help="updates")
    options = parser.parse_args()
    if not options.minutes and not options.steps:
        parser.error("say how long to train: --minutes or --steps")
    if options.begin_with and (options.resume or options.restart):
        parser.error("a checkpoint has weights of its own: leave out --begin-with")
    return options


def main():
    options = arguments()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    cuda = device.type == "cuda"
    torch.manual_seed(options.seed)
    layout = torch.channels_last
    train, held = pictures.load(options.data, options.cache)
    log_file = open(options.log, "a")

    def log(**entry):
        print(json.dumps(entry), file=log_file, flush=True)
        print(entry, flush=True)

    sampler = pictures.CropSampler(train, options.crop, options.seed)
    large = [picture for picture in held if min(picture.shape[:2]) >= HELD_OUT_SIDE]
    unseen = pictures.CropSampler(large, HELD_OUT_SIDE, 1).batch(12, 0) if large else None
    abar = abar_table().float()

    saved = torch.load(options.checkpoint, weights_only=True) if options.resume or options.restart else None
    if saved:
        codec = patch_codec.PatchCodec(saved["codec"], saved["scaling_factor"])
        options.widths, options.layers = saved["widths"], saved["layers"]
    elif options.begin_with:
        start = prior.Prior(options.begin_with)
        codec, config = start.codec, start.network.config
        if (options.channels or codec.channels) < codec.channels:
            raise SystemExit(f"{options.begin_with} has {codec.channels} latent channels: --channels can add to them, not take away")
        if options.channels and options.channels > codec.channels:
            codec = patch_codec.extended(codec, train, options.channels, seed=options.seed)
        options.widths, options.layers = tuple(config.block_out_channels), config.layers_per_block
    else:
        codec = patch_codec.fit(train, options.patch, options.channels or CHANNELS, seed=options.seed)
        codec.scaling_factor = options.scaling_factor
    sample = torch.from_numpy(sampler.batch(64, 0)).float() / 127.5 - 1
    level = abar[WORKING_RANGE // 3]
    moment = level * codec.encode(sample).square().mean((0, 2, 3)) + 1 - level
    if options.begin_with:
        network = networks.widened(start.network, codec.channels, moment)
    else:
        network = networks.build(codec.channels, options.widths, options.layers)
        if not saved:
            networks.prepare(network, moment)
    network.to(device, memory_format=layout)
    if cuda:
        networks.keep_entry_exact(network)
    codec = codec.to(device)
    made = optimizers.for_network(network, options.lr, not options.no_muon)
    average = Average(network, options.average)
    step, elapsed, total = 0, 0.0, 0  # of this schedule; and updates since the very beginning
    running = torch.zeros(BINS, device=device)
    if saved:
        network.load_state_dict(saved["network" if options.resume else "average"])
        average.weights = {k: saved["average"][k].to(v) for k, v in average.weights.items()}
        running, total = saved["running"].to(device), saved["total"]
        for optimizer, state in zip(made, saved["optimizers"]):
            optimizer.load_state_dict(state)
        if options.resume:
            step, elapsed, average.updates = saved["step"], saved["elapsed"], saved["averaged"]

    def checkpoint():
        state = dict(
            network=network.state_dict(), average=average.weights, averaged=average.updates,
            optimizers=[o.state_dict() for o in made], running=running.cpu(), step=step, elapsed=elapsed, total=total,
            codec=codec.weight.cpu(), scaling_factor=codec.scaling_factor,
            widths=list(options.widths), layers=options.layers,
        )
        temporary = pathlib.Path(str(options.checkpoint) + ".part")
        torch.save(state, temporary)
        temporary.replace(options.checkpoint)

    def averaged():
        copy = networks.build(codec.channels, options.widths, options.layers)
        copy.load_state_dict(average.weights)
        return copy.to(device, memory_format=layout).eval()

    log(event="start", options={k: v for k, v in vars(options).items() if k not in ("data", "cache", "out", "checkpoint", "log", "begin_with")},
        pictures=len(train), held_out=len(held), teraflops_per_megapixel=round(networks.teraflops(network, codec.patch), 4),
        parameters=sum(p.numel() for p in network.parameters()))
    forward = torch.compile(network) if options.compile else network
    workers = options.workers if options.workers is not None else min(8, os.cpu_count() or 1) if cuda else 0
    batches = pictures.feed(pictures.Batches(sampler, options.batch, draw_timesteps), total, workers, pinned=cuda)
    levels = abar.to(device)
    losses = []
    began = time.monotonic() - elapsed
    while True:
        elapsed = time.monotonic() - began
        progress = step / options.steps if options.steps else elapsed / (60 * options.minutes)
        if progress >= 1:
            break
        lr = options.lr * min(1, (step + 1) / options.warmup) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
        for optimizer in made:
            for group in optimizer.param_groups:
                group["lr"] = lr

        # Nothing here waits for the device: the next update is on its way while this one is computed.
        crops, times = (part.to(device, non_blocking=True) for part in next(batches))
        generator = torch.Generator(device).manual_seed(options.seed * 1_000_003 + total)
        x, eps = noisy(codec.encode(crops.float() / 127.5 - 1), times, levels, generator)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=cuda):
            guess = networks.predict(forward, x.contiguous(memory_format=layout), times)
        # The error in eps falls tenfold from t = 1 to t = 300; dividing by its running mean gives every noise level
        # the same say: the gradient of the logarithm, which is what PSNR measures.
        each = (guess.float() - eps).square().mean((1, 2, 3))
        bins = ((times - 1) * BINS // TRAIN_STEPS).clamp(max=BINS - 1)
        running = follow(running, bins, each.detach())
        loss = (each / running[bins].clamp(min=1e-4)).mean()
        for optimizer in made:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer in made:
            optimizer.step()
        average.update(network)
        step, total = step + 1, total + 1
        losses.append(each.detach().mean())

        if step % 100 == 0:
            log(step=step, total=total, seconds=round(time.monotonic() - began, 1), lr=round(lr, 7), eps_mse=round(torch.stack(losses).mean().item(), 5))
            losses.clear()
        if unseen is not None and step % options.evaluate_every == 0:
            log(step=step, held_out_psnr=held_out_figures(averaged(), codec, unseen, abar, device))
        if step % options.save_every == 0:
            elapsed = time.monotonic() - began
            checkpoint()
            export.write(averaged(), codec, options.out)

    checkpoint()
    final = averaged()
    if unseen is not None:
        log(step=step, total=total, seconds=round(elapsed, 1), held_out_psnr=held_out_figures(final, codec, unseen, abar, device))
    export.write(final, codec, options.out)
    log(event="end", step=step, total=total, seconds=round(elapsed, 1))


if __name__ == "__main__":
    main()
