"""Writing the prior as a folder in diffusers' layout."""

import json
import pathlib

import torch
from safetensors.torch import save_file

from noise_schedule import SCHEDULER_CONFIG

MODEL_INDEX = {
    "_class_name": "VisionXLBuiltinPrior",
    "_diffusers_version": "0.42.1",
    "scheduler": ["diffusers", "DDIMScheduler"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["visionxl", "AutoencoderLinear"],
}


def write_json(path: pathlib.Path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


def write(network, codec, folder):
    """Write model_index.json, unet/ (float16), vae/ and scheduler/ into a folder."""
    folder = pathlib.Path(folder)
    write_json(folder / "model_index.json", MODEL_INDEX)
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER_CONFIG)
    codec.to("cpu").save(folder / "vae")
    config = {"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.42.1"}
    config |= {k: v for k, v in dict(network.config).items() if not k.startswith("_")}
    write_json(folder / "unet" / "config.json", config)
    weights = {k: v.detach().to("cpu", torch.float16).contiguous() for k, v in network.state_dict().items()}
    save_file(weights, folder / "unet" / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
