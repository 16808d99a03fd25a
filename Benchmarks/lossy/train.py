"""A small latent diffusion model with a lossy autoencoder: TAEF2, and a U-Net of convolutions that is trained in its latents.

    python Benchmarks/lossy/train.py --taef2 TAEF2_FOLDER --data PICTURES ... --out lossy-model --minutes 60

It stands in for SDXL where a default is to be tried with an autoencoder that loses detail (Docs/LossyCodecs.md). Crops are
encoded once, into --latents, and go through the U-Net in parts of --side latents. The same command goes on from --checkpoint.
"""

import argparse
import json
import math
import pathlib
import sys
import time

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Training"))
import export
import network as networks
import optimizers
import pictures
import taef2
from noise_schedule import SCHEDULER_CONFIG, SOLVER_TIMESTEPS, TRAIN_STEPS, abar_table
from safetensors.torch import save_file
from train_prior import BINS, Average, draw_timesteps, follow, noisy

CROP = 256  # pixels


def encoded(codec, sampler, count, path):
    """(count, 32, CROP / 8, CROP / 8) latents in float16: of the file where it is there."""
    if path.exists():
        return torch.load(path, weights_only=True)
    parts = []
    for index in range(0, count, 8):
        crops = torch.from_numpy(sampler.batch(8, index)).float() / 127.5 - 1
        parts.append(codec.encode(crops).half())
        if index % 200 == 0:
            print(f"encoded {index} of {count}", flush=True)
    latents = torch.cat(parts)
    torch.save(latents, path)
    return latents


def write(network, codec, options):
    """The folder in diffusers' layout, weights in float16."""
    out = pathlib.Path(options.out)
    taef2.write(codec, out / "vae")
    export.write_json(out / "scheduler" / "scheduler_config.json", SCHEDULER_CONFIG)
    export.write_json(out / "model_index.json", {"_class_name": "VisionXLLossyRig", "unet": ["diffusers", "UNet2DConditionModel"]})
    config = {"_class_name": "UNet2DConditionModel"} | {k: v for k, v in dict(network.config).items() if not k.startswith("_")}
    export.write_json(out / "unet" / "config.json", config)
    weights = {k: v.detach().half().contiguous() for k, v in network.state_dict().items()}
    save_file(weights, out / "unet" / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})


@torch.no_grad()
def held_out(network, codec, latents, abar):
    """Mean PSNR of Tweedie's estimate in decoded pixels, against the decode of the clean latents, by timestep."""
    figures, clean = {}, codec.decode(latents)
    for t in SOLVER_TIMESTEPS[1::2]:
        x, _ = noisy(latents, torch.full((len(latents),), t), abar, torch.Generator().manual_seed(t))
        guess = (x - (1 - abar[t]) ** 0.5 * networks.predict(network, x, torch.tensor(t))) / abar[t] ** 0.5
        error = (codec.decode(guess) - clean).square().mean((1, 2, 3))
        figures[t] = round((10 * torch.log10(4 / error)).mean().item(), 2)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pictures.add_arguments(parser)
    parser.add_argument("--taef2", required=True, help="folder with encoder.safetensors and decoder.safetensors")
    parser.add_argument("--out", required=True)
    parser.add_argument("--latents", default="lossy-latents.pt")
    parser.add_argument("--checkpoint", default="lossy-training.pt")
    parser.add_argument("--crops", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=60, help="of the processor, all threads together")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--side", type=int, default=16)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--widths", type=int, nargs="+", default=(96, 128, 160))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    codec, abar = taef2.TAEF2(options.taef2), abar_table().float()
    train, held = pictures.load(options.data, options.cache)
    latents = encoded(codec, pictures.CropSampler(train, CROP, options.seed), options.crops, pathlib.Path(options.latents))
    scale = round(1 / latents.float().std().item(), 4)
    codec.scale = scale
    unseen = codec.encode(torch.from_numpy(pictures.CropSampler(held, CROP, 1).batch(8, 0)).float() / 127.5 - 1)
    network = networks.build(32, tuple(options.widths), 1)
    level = abar[150]
    networks.prepare(network, level * (latents[:256].float() * scale).square().mean((0, 2, 3)) + 1 - level)
    network.to(memory_format=torch.channels_last)
    made, average, running = optimizers.for_network(network, options.lr), Average(network, 0.998), torch.zeros(BINS)
    step, elapsed, checkpoint = 0, 0.0, pathlib.Path(options.checkpoint)
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(saved["network"])
        average.weights, average.updates, running = saved["average"], saved["step"], saved["running"]
        for optimizer, state in zip(made, saved["optimizers"]):
            optimizer.load_state_dict(state)
        step, elapsed = saved["step"], saved["elapsed"]
    began, losses = time.process_time() - elapsed, []

    def keep():
        state = dict(network=network.state_dict(), average=average.weights, running=running, step=step,
                     elapsed=time.process_time() - began, optimizers=[o.state_dict() for o in made])
        torch.save(state, checkpoint.with_suffix(".part"))
        checkpoint.with_suffix(".part").replace(checkpoint)
        copy = networks.build(32, tuple(options.widths), 1)
        copy.load_state_dict(average.weights)
        print(json.dumps(dict(step=step, held_out_psnr=held_out(copy.eval(), codec, unseen, abar))), flush=True)
        write(copy, codec, options)

    while (progress := (time.process_time() - began) / (60 * options.minutes)) < 1:
        for group in (group for optimizer in made for group in optimizer.param_groups):
            group["lr"] = options.lr * min(1, (step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
        rng = np.random.default_rng([options.seed, step])
        y, x = rng.integers(CROP // 8 - options.side + 1, size=2)
        chosen = latents[torch.from_numpy(rng.integers(len(latents), size=options.batch)), :, y : y + options.side, x : x + options.side]
        times = torch.from_numpy(draw_timesteps(options.batch, rng))
        noised, eps = noisy(chosen.float() * scale, times, abar, torch.Generator().manual_seed(step))
        each = (networks.predict(network, noised.contiguous(memory_format=torch.channels_last), times) - eps).square().mean((1, 2, 3))
        bins = ((times - 1) * BINS // TRAIN_STEPS).clamp(max=BINS - 1)
        running = follow(running, bins, each.detach())
        for optimizer in made:
            optimizer.zero_grad(set_to_none=True)
        (each / running[bins].clamp(min=1e-4)).mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer in made:
            optimizer.step()
        average.update(network)
        step += 1
        losses.append(each.detach().mean())
        if step % 100 == 0:
            print(json.dumps(dict(step=step, seconds=round(time.process_time() - began), eps_mse=round(torch.stack(losses).mean().item(), 5))), flush=True)
            losses.clear()
        if step % 1000 == 0:
            keep()
    keep()


if __name__ == "__main__":
    main()
