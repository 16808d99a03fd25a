"""A stand-in for a tiny autoencoder: the built-in prior's codec with all but its leading components taken to be zero.

    python draft_codec.py 12 FOLDER     # for visionxl evaluate --fast tiny-vae --tiny-vae FOLDER

SDXL's weights and TAESD's are where they can be fetched only; how much of a draft's loss reaches the result can be measured with any draft.
"""

import json
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

source = Path(__file__).resolve().parents[2] / "Models/builtin/vae"
kept, folder = int(sys.argv[1]), Path(sys.argv[2])
weight = load_file(source / "diffusion_pytorch_model.safetensors")["encoder.weight"]
weight[kept:] = 0
folder.mkdir(parents=True)
save_file({"encoder.weight": weight}, folder / "diffusion_pytorch_model.safetensors")
(folder / "config.json").write_text((source / "config.json").read_text())
