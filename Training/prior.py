"""The exported prior, read back: codec, network, and Tweedie's estimate."""

import json
import pathlib

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file

import network as networks
import patch_codec
from noise_schedule import abar_table


class Prior:
    """A model folder's codec and UNet; weights stored as float16 are computed with as float32."""

    def __init__(self, folder, device="cpu"):
        folder = pathlib.Path(folder)
        self.codec = patch_codec.PatchCodec.load(folder / "vae").to(device)
        config = json.loads((folder / "unet" / "config.json").read_text())
        self.network = UNet2DConditionModel.from_config(config)
        weights = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
        self.network.load_state_dict({name: value.float() for name, value in weights.items()})
        self.network.to(device, memory_format=torch.channels_last).eval()
        self.abar = abar_table().tolist()

    @torch.no_grad()
    def noise(self, latents, timestep: int):
        """The noise predicted in scaled latents at a timestep."""
        times = torch.full((len(latents),), timestep, device=latents.device)
        return networks.predict(self.network, latents.contiguous(memory_format=torch.channels_last), times)

    @torch.no_grad()
    def denoise(self, pixels, timestep: int):
        """Pixels under white noise of sigma_t / scaling_factor to their Tweedie estimate."""
        root = self.abar[timestep] ** 0.5
        x = root * self.codec.encode(pixels)
        return self.codec.decode((x - (1 - self.abar[timestep]) ** 0.5 * self.noise(x, timestep)) / root)

    def pixel_sigma(self, timestep: int) -> float:
        """The pixel noise, of [-1, 1], that a timestep stands for."""
        a = self.abar[timestep]
        return ((1 - a) / a) ** 0.5 / self.codec.scaling_factor

    def timestep_for(self, sigma: float) -> int:
        """The timestep whose pixel noise is nearest to `sigma` (of [-1, 1])."""
        return min(range(1, len(self.abar)), key=lambda t: abs(self.pixel_sigma(t) - sigma))
