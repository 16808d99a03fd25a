"""Makes the tiny models of `models/` and what diffusers makes of them: python make_models.py OUT (diffusers 0.42.1, torch 2.15, safetensors).

Each is a folder in diffusers' layout with random weights of some kind of model, in float16, and `expected.safetensors`:
`latents`, `context`, and by timestep `output_T` (the U-Net's) and `noise_T` (the noise that it says), in float32.
"""
import json
import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "Benchmarks/lossy"))
import taef2
from diffusers import AutoencoderKL, DDIMScheduler, LCMScheduler, EulerDiscreteScheduler, UNet2DConditionModel
from safetensors.torch import save_file

COMMON = dict(in_channels=4, out_channels=4, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
              down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
              cross_attention_dim=24, sample_size=16)
BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000)
SDXL = dict(addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=8 * 6 + 12,
            use_linear_projection=True, attention_head_dim=(2, 4))
KINDS = {
    # Stable Diffusion 1.5: heads by an old name, projections that are convolutions, no mid_block_type in the file.
    "sd15": (dict(attention_head_dim=4), DDIMScheduler(**BETAS, clip_sample=False, steps_offset=1, set_alpha_to_one=False)),
    # Stable Diffusion 2.1: a number of heads for each level, linear projections, v-prediction.
    "sd21-v": (dict(attention_head_dim=(2, 4), use_linear_projection=True),
               DDIMScheduler(**BETAS, clip_sample=False, steps_offset=1, prediction_type="v_prediction")),
    # v-prediction without signal at the last step (Lin et al. 2024).
    "zero-snr": (dict(attention_head_dim=4), DDIMScheduler(
        **BETAS, clip_sample=False, prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing")),
    # A latent consistency model: the scale of guidance is an input.
    "lcm": (dict(attention_head_dim=4, time_cond_proj_dim=16), LCMScheduler(**BETAS)),
    # SDXL in few steps.
    "sdxl-few": (SDXL, EulerDiscreteScheduler(**BETAS, timestep_spacing="trailing")),
}
TIMESTEPS = [41, 499, 999]


def embedded(scale, channels):
    """LatentConsistencyModelPipeline.get_guidance_scale_embedding."""
    half = channels // 2
    steps = torch.exp(torch.arange(half) * -(torch.log(torch.tensor(10000.0)) / (half - 1)))
    angles = 1000.0 * (scale - 1) * steps
    return torch.cat([torch.sin(angles), torch.cos(angles)])[None]


def main(out):
    torch.manual_seed(99)
    codec = taef2.TAEF2(width=8, channels=4, scale=1.5).half().float()
    taef2.write(codec, out / "normed" / "vae")
    frames = torch.rand(2, 3, 24, 32) * 2 - 1
    latents = codec.encode(frames)
    save_file(dict(frames=frames, latents=latents, decoded=codec.decode(latents)), out / "normed" / "expected.safetensors")
    for index, (name, (kind, scheduler)) in enumerate(KINDS.items()):
        folder = out / name
        torch.manual_seed(index)
        unet = UNet2DConditionModel(**{**COMMON, **kind}).half().float().eval()
        vae = AutoencoderKL(block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2, layers_per_block=1,
                            up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=4, latent_channels=4, sample_size=32).half().float()
        vae.half().save_pretrained(folder / "vae")
        scheduler.save_pretrained(folder / "scheduler")
        latents, context = torch.randn(2, 4, 12, 16), torch.randn(1, 7, 24)
        expected = dict(latents=latents, context=context)
        added = None
        if name == "sdxl-few":
            expected["pooled"] = torch.randn(1, 12)
            added = dict(text_embeds=expected["pooled"].expand(2, -1), time_ids=torch.tensor([[1024.0, 1024, 0, 0, 24, 32]] * 2))
        condition = None
        if name == "lcm":
            condition = embedded(torch.tensor(4.0), 16).expand(2, -1)
        for t in TIMESTEPS:
            with torch.no_grad():
                output = unet(latents, t, context.expand(2, -1, -1), timestep_cond=condition, added_cond_kwargs=added).sample
            expected[f"output_{t}"] = output
            # A timestep counts the noising steps that were made: the entry before it.
            abar = scheduler.alphas_cumprod[t - 1]
            if scheduler.config.prediction_type == "v_prediction":
                output = abar.sqrt() * output + (1 - abar).sqrt() * latents
            expected[f"noise_{t}"] = output
        unet.half().save_pretrained(folder / "unet")
        if name == "sd15":
            # The files of its time have not all of today's keys.
            path = folder / "unet/config.json"
            config = json.loads(path.read_text())
            kept = ["act_fn", "attention_head_dim", "block_out_channels", "center_input_sample", "cross_attention_dim",
                    "down_block_types", "downsample_padding", "flip_sin_to_cos", "freq_shift", "in_channels", "layers_per_block",
                    "mid_block_scale_factor", "norm_eps", "norm_num_groups", "out_channels", "sample_size", "up_block_types"]
            path.write_text(json.dumps({"_class_name": config["_class_name"], **{key: config[key] for key in kept}}, indent=2) + "\n")
        scheduler.set_timesteps(4)
        expected["timesteps"] = scheduler.timesteps.long()
        expected["alphas"] = scheduler.alphas_cumprod.double()
        save_file({key: value.contiguous().clone() for key, value in expected.items()}, folder / "expected.safetensors")


main(pathlib.Path(sys.argv[1]))
