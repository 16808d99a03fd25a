"""The prior's network: diffusers' UNet2DConditionModel without attention, and its cost."""

import torch
from diffusers import UNet2DConditionModel

#: The width of the text condition that nothing reads: the class wants one, convolutions have no use for it.
NULL_CONTEXT = 8


def build(channels: int, widths=(64, 96, 128), layers: int = 2, groups: int = 16) -> UNet2DConditionModel:
    """A UNet of convolutions only, so that crops generalise to frames of any size."""
    levels = len(widths)
    return UNet2DConditionModel(
        in_channels=channels,
        out_channels=channels,
        down_block_types=("DownBlock2D",) * levels,
        up_block_types=("UpBlock2D",) * levels,
        mid_block_type="UNetMidBlock2D",
        block_out_channels=tuple(widths),
        layers_per_block=layers,
        norm_num_groups=groups,
        cross_attention_dim=NULL_CONTEXT,
        attention_head_dim=8,
        addition_embed_type=None,
    )


@torch.no_grad()
def prepare(network, second_moment: torch.Tensor):
    """Start the training from a better place than diffusers' default.

    Latent components differ in size by a factor of hundreds: the first convolution divides by each one's expected
    root mean square, so that every component is heard from the start. Every residual branch and the prediction start
    at zero, so that the network begins as a shallow one.
    """
    network.conv_in.weight /= second_moment.sqrt()[None, :, None, None]
    for name, parameter in network.named_parameters():
        if name.startswith("conv_out") or ".conv2." in name:
            parameter.zero_()


@torch.no_grad()
def widened(old, channels: int, second_moment: torch.Tensor) -> UNet2DConditionModel:
    """The network with more latent channels: at first nothing is predicted for the new ones, and little heard of them."""
    network = build(channels, old.config.block_out_channels, old.config.layers_per_block, old.config.norm_num_groups)
    prepare(network, second_moment)
    network.conv_in.weight *= 0.3
    for name, value in old.state_dict().items():
        mine = network.state_dict()[name]
        mine[tuple(slice(size) for size in value.shape)] = value
    return network


def keep_entry_exact(network):
    """Let the first convolution run in float32 inside autocast.

    Unwhitened latents reach a hundred while the noise at timestep 1 is 0.03: bfloat16 would round that noise away.
    After the first convolution, which can take differences, the common part is gone.
    """
    convolve = network.conv_in.forward

    def forward(latents):
        with torch.autocast(latents.device.type, enabled=False):
            return convolve(latents.float())

    network.conv_in.forward = forward


def predict(network, latents, timesteps):
    """The noise predicted for [N, C, h, w] at timesteps [N] (or one for all)."""
    context = latents.new_zeros(latents.shape[0], 1, NULL_CONTEXT)
    return network(latents, timesteps, encoder_hidden_states=context, return_dict=False)[0]


def teraflops(network, patch: int, height: int = 1024, width: int = 1024) -> float:
    """Multiplications and additions of all convolutions in one forward pass over a frame, in 10^12."""
    total, hooks = 0, []

    def count(module, _, output):
        nonlocal total
        total += 2 * output.numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            hooks.append(module.register_forward_hook(count))
    side = 64
    with torch.no_grad():
        predict(network, next(network.parameters()).new_zeros(1, network.config.in_channels, side, side), 1)
    for hook in hooks:
        hook.remove()
    return total / side**2 * (height // patch) * (width // patch) / 1e12
