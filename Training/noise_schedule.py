"""The diffusion noise schedule of Stable Diffusion XL, indexed the way VISION-XL's solver indexes it.

The solver's timestep t in 1...1000 uses the cumulative product of t factors, `alphas_cumprod[t - 1]`, so that
"timestep 0" is the clean latent (abar = 1). A latent at timestep t is

    x_t = sqrt(abar_t) z + sqrt(1 - abar_t) eps,

and x_t / sqrt(abar_t) is z under white noise of standard deviation sigma_t = sqrt((1 - abar_t) / abar_t).
"""

import torch

BETA_START, BETA_END, TRAIN_STEPS = 0.00085, 0.012, 1000

#: The timesteps that VISION-XL visits: 25 'leading' DDIM steps with offset 1, those up to 0.3 of the way.
SOLVER_TIMESTEPS = tuple(range(1, 300, 40))

SCHEDULER_CONFIG = {
    "_class_name": "DDIMScheduler",
    "_diffusers_version": "0.42.1",
    "beta_end": BETA_END,
    "beta_schedule": "scaled_linear",
    "beta_start": BETA_START,
    "clip_sample": False,
    "clip_sample_range": 1.0,
    "dynamic_thresholding_ratio": 0.995,
    "num_train_timesteps": TRAIN_STEPS,
    "prediction_type": "epsilon",
    "rescale_betas_zero_snr": False,
    "sample_max_value": 1.0,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "thresholding": False,
    "timestep_spacing": "leading",
    "trained_betas": None,
}


def abar_table() -> torch.Tensor:
    """abar_t for t = 0...1000 (float64, abar_0 = 1)."""
    betas = torch.linspace(BETA_START**0.5, BETA_END**0.5, TRAIN_STEPS, dtype=torch.float64) ** 2
    return torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - betas, 0)])


def sigma_table() -> torch.Tensor:
    """sigma_t = sqrt((1 - abar_t) / abar_t) for t = 0...1000."""
    abar = abar_table()
    return ((1 - abar) / abar).sqrt()
