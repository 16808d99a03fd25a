"""Makes a golden set: a tiny model of SDXL's shape with random weights, and what diffusers and PyTorch compute with it.

    python Benchmarks/reference/golden.py                              # the repository's, Tests/Golden: a minute
    python Benchmarks/reference/golden.py DIR --seed 7 --window 4      # another, for VISIONXL_GOLDEN=DIR

Networks and degradations are computed in float64, the algorithm between them in float32. All is stored in float32, but
the weights in float16. The degradations are those of operators.py with the set's window, blur and mask. The algorithm
is visionxl.py's with the paper's options.

tiny-sdxl/          the model in diffusers' layout: unet, vae, vae_tiny (an AutoencoderTiny), scheduler
ddim                alphas_cumprod (1000), final_alpha_cumprod (1), timesteps_25 (int64)
unet                noise_pred_T at timestep T for sample, encoder_hidden_states, text_embeds, time_ids; two of each
vae                 latent_mean and latent_logvar of pixels, decoded of latent_mean, decoded_from_latent_in of
                    latent_in; unscaled
vae_tiny            latents of pixels, decoded of latents
operators           params (temporal window, kernel size, sigma), mask (H, W), video (N, 3, H, W); TASK.forward is
                    A(video), TASK.adjoint is A'(y) with y = TASK.adjoint_in of the task without its +; lowpass.S is the
                    video through a Gaussian of sigma S and 15 taps
pipeline-TASK       Algorithm 1 on measurement = A(video): context, pooled and time_ids are the text, stepI.noise the
                    latent that renoises after step I; the rest is what visionxl.py's restore shows, and result
MADE_WITH.json      the numbers that were asked for, and versions
"""

import argparse
import json
import pathlib

import diffusers
import operators
import torch
import visionxl
from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIRST_STEP = "denoised", "consistent", "filtered", "encoded", "next"
KEPT = ["first_frame", "z_y1", "z_tau", *(f"step0.{name}" for name in FIRST_STEP)]


def make_networks():
    unet = UNet2DConditionModel(
        sample_size=16, block_out_channels=(8, 16, 32), layers_per_block=2, norm_num_groups=4, cross_attention_dim=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 3), attention_head_dim=(1, 2, 4), use_linear_projection=True,
        addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=32,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 16, 16, 16), layers_per_block=2, norm_num_groups=2, latent_channels=4, sample_size=128,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, scaling_factor=0.13025,
        force_upcast=False,
    )
    tiny = AutoencoderTiny(encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4)
    return {"unet": unet, "vae": vae, "vae_tiny": tiny}


def make_model(folder):
    for name, network in make_networks().items():
        for key, parameter in network.named_parameters():
            # Biases and norms of fresh networks are 0 and 1, which would hide that they are not used.
            if key.endswith("bias") or "norm" in key:
                parameter.data += 0.1 * torch.randn_like(parameter)
            # The tests run in bfloat16, too, and a decoder of random weights makes much of its rounding: branches
            # smaller than what they are added to make less.
            if name == "vae" and key.endswith(("conv2.weight", "conv2.bias", "to_out.0.weight")):
                parameter.data *= 0.5
            if name == "vae" and key == "quant_conv.weight":
                parameter.data *= 4
            # It has no norms: what PyTorch begins with would dwindle from layer to layer.
            if name == "vae_tiny" and key.endswith("weight"):
                parameter.data *= 1.7
        network.half().save_pretrained(folder / name)
    DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    ).save_pretrained(folder / "scheduler")


def make_video(frames, height, width):
    """Waves that travel, and noise: what is smooth and what is not, nothing of it at rest."""
    n, y, x = (axis.double() for axis in torch.meshgrid(*map(torch.arange, (frames, height, width)), indexing="ij"))
    result = 0.1 * torch.randn(frames, 3, height, width, dtype=torch.float64)
    for channel in range(3):
        for _ in range(8):
            vertical, horizontal, speed = (torch.rand(3, dtype=torch.float64) - 0.5).tolist()
            phase = 6.28 * torch.rand(1, dtype=torch.float64)
            result[:, channel] += 0.2 * torch.sin(vertical * y + horizontal * x + 2 * speed * n + phase)
    # What is stored is what was computed with.
    return result.clamp(-1, 1).float().double()


def normal(*shape):
    """Random numbers that float32 holds."""
    return torch.randn(*shape).double()


def make_ddim(model):
    model.scheduler.set_timesteps(25)
    return {
        "alphas_cumprod": model.scheduler.alphas_cumprod,
        "final_alpha_cumprod": model.scheduler.final_alpha_cumprod.reshape(1),
        "timesteps_25": model.scheduler.timesteps,
    }


def make_unet(model, height, width):
    result = {
        "sample": normal(2, 4, height, width),
        "encoder_hidden_states": normal(2, *model.context.shape[1:]),
        "text_embeds": normal(2, *model.pooled.shape[1:]),
        "time_ids": torch.tensor([[128, 192, 0, 0, 128, 192], [1024, 1024, 16, 8, 96, 160]], dtype=torch.float64),
    }
    added = {name: result[name] for name in ("text_embeds", "time_ids")}
    sample, context = result["sample"], result["encoder_hidden_states"]
    for t in 1, 281, 721:
        prediction = model.unet(sample, t, encoder_hidden_states=context, added_cond_kwargs=added)
        result[f"noise_pred_{t}"] = prediction.sample
    return result


def make_vae(vae, height, width):
    pixels = make_video(2, 8 * height, 8 * width)
    latents = normal(2, 4, height, width)
    moments = vae.encode(pixels).latent_dist
    mean = moments.mean.float().double()
    return {
        "pixels": pixels, "latent_mean": mean, "latent_logvar": moments.logvar, "decoded": vae.decode(mean).sample,
        "latent_in": latents, "decoded_from_latent_in": vae.decode(latents).sample,
    }


def make_vae_tiny(vae, height, width):
    pixels = make_video(1, 8 * height, 8 * width)
    latents = vae.encode(pixels).latents.float().double()
    return {"pixels": pixels, "latents": latents, "decoded": vae.decode(latents).sample}


def make_operators(arguments, height, width):
    """The tensors, and the operator of each task."""
    video = make_video(arguments.frames, height, width)
    mask = operators.random_mask(0.5, arguments.seed, height, width)
    average = operators.TemporalAverage(arguments.window)
    tasks = {
        "sr4": [operators.Pooling(4)],
        "deblur": [operators.Blur(arguments.blur_size, arguments.blur_sigma)],
        "inpaint": [operators.Mask(mask)],
    }
    tasks |= {f"{task}+": [average, *parts] for task, parts in tasks.items()}
    tasks = {task: operators.Sequence(*parts) for task, parts in tasks.items()}
    params = torch.tensor([arguments.window, arguments.blur_size, arguments.blur_sigma], dtype=torch.float64)
    result = {"params": params, "mask": mask, "video": video}
    for task, A in tasks.items():
        result[f"{task}.forward"] = A.apply(video)
        if not task.endswith("+"):
            result[f"{task}.adjoint_in"] = normal(*result[f"{task}.forward"].shape)
        result[f"{task}.adjoint"] = A.adjoint(result[f"{task.rstrip('+')}.adjoint_in"])
    for sigma in "0.5", "1.0", "2.0":
        result[f"lowpass.{sigma}"] = operators.Blur(15, float(sigma)).apply(video)
    return result, tasks


def make_pipeline(models, A, video):
    """The tensors, and by how much the same in float32 differs."""
    exact, single = models
    measurement = A.apply(video).float()
    height, width = video.shape[2:]
    # The solver's own type is float32; only the networks take another.
    text = {name: torch.randn(getattr(exact, name).shape) for name in ("context", "pooled")}
    result = {"measurement": measurement, "time_ids": torch.tensor([[1024.0, 1024, 0, 0, height, width]]), **text}
    options = visionxl.Options.paper()
    steps = len(exact.timesteps(options))
    shape = 1, exact.codec.channels, height // exact.codec.factor, width // exact.codec.factor
    noise = [torch.randn(shape) for _ in range(steps - 1)]
    result |= {f"step{i}.noise": noise[i] for i in range(steps - 1)}

    def run(model):
        model.context, model.pooled = (text[name].to(model.dtype) for name in ("context", "pooled"))
        seen = {}
        return visionxl.restore(model, A, measurement, noise.__getitem__, options, seen.__setitem__), seen

    frames, seen = run(exact)
    result |= {name: seen[name] for name in [*KEPT, f"step{steps - 1}.denoised"]} | {"result": frames}
    return result, difference(run(single)[0], frames)


def difference(a, b):
    return float((a.double() - b.double()).norm() / b.double().norm())


def bfloat16_differences(exact, rough, vae):
    """By how much one pass of each network differs in bfloat16."""
    latents, mean, pixels = (vae[name].double() for name in ("latent_in", "latent_mean", "pixels"))
    passes = {
        "noise prediction": lambda m: m.predict(latents[:1].to(m.dtype), 281, 40, 56),
        "encoder": lambda m: m.codec.encode(pixels.to(m.dtype)),
        "decoder": lambda m: m.codec.network.decode(latents.to(m.dtype)).sample,
        "decoder of the encoder's": lambda m: m.codec.network.decode(mean.to(m.dtype)).sample,
    }
    return {name: difference(run(rough), run(exact)) for name, run in passes.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=ROOT / "Tests/Golden")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--size", default="24x40", help="HEIGHTxWIDTH of the video, multiples of 8")
    parser.add_argument("--window", type=int, default=5, help="frames that are averaged")
    parser.add_argument("--blur-size", type=int, default=15)
    parser.add_argument("--blur-sigma", type=float, default=2.0)
    arguments = parser.parse_args()
    height, width = map(int, arguments.size.split("x"))
    if height % 8 or width % 8:
        raise SystemExit(f"The model takes frames whose sides are multiples of 8, not {height}x{width}.")

    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(arguments.seed)
    make_model(folder / "tiny-sdxl")

    def save(name, tensors):
        # Copies: views of one memory are refused.
        tensors = {key: x.clone(memory_format=torch.contiguous_format) for key, x in tensors.items()}
        tensors = {key: x.float() if x.is_floating_point() else x for key, x in tensors.items()}
        save_file(tensors, folder / f"{name}.safetensors")

    models = [visionxl.Model(str(folder / "tiny-sdxl"), dtype=dtype) for dtype in (torch.float64, torch.float32)]
    tiny = AutoencoderTiny.from_pretrained(folder / "tiny-sdxl/vae_tiny", torch_dtype=torch.float64).eval()
    with torch.inference_mode():
        save("ddim", make_ddim(models[0]))
        save("unet", make_unet(models[0], 10, 14))
        vae = make_vae(models[0].codec.network, 5, 7)
        save("vae", vae)
        save("vae_tiny", make_vae_tiny(tiny, 5, 7))
        tensors, tasks = make_operators(arguments, height, width)
        save("operators", tensors)
        # The tests allow 3e-2 for a pass in bfloat16 and 1e-3 for a whole pipeline, and rounding alone may take that.
        rough = visionxl.Model(str(folder / "tiny-sdxl"), dtype=torch.bfloat16)
        rounding = bfloat16_differences(models[0], rough, vae)
        differences = {f"{name} in bfloat16": (value, 3e-2) for name, value in rounding.items()}
        for task in "sr4+", "deblur+", "inpaint":
            result, rounding = make_pipeline(models, tasks[task], tensors["video"])
            save(f"pipeline-{task}", result)
            differences[f"pipeline-{task} in float32"] = rounding, 2e-4
    for name, (value, limit) in differences.items():
        print(f"{name}: differs by {value:.1e}")
        if value > limit:
            raise SystemExit("This model makes too much of rounding to test with; take another --seed.")
    made = {name: value for name, value in vars(arguments).items() if name != "folder"}
    made |= {"diffusers": diffusers.__version__, "torch": torch.__version__}
    (folder / "MADE_WITH.json").write_text(json.dumps(made, indent=1) + "\n")
    print(f"{folder}: {sum(file.stat().st_size for file in folder.rglob('*') if file.is_file())} bytes")


if __name__ == "__main__":
    main()
