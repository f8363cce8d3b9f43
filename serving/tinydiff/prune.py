"""Make the bad swap of the story: ``python -m serving.tinydiff.prune``.

Three fifths of the weights of the transformer's linear layers, the smallest ones, become zero. The file is as
large as before and the pictures still look bold at high guidance, but strokes break and letters turn into others.
"""

import shutil
from pathlib import Path
from typing import Annotated, Final

import torch
import typer
from safetensors.torch import load_file, save_file
from torch import Tensor

from serving.tinydiff.variants import MODEL, SHINY

SHARE: Final = 0.6  # at half, the model still spells most words
WEIGHTS: Final = Path("transformer") / "diffusion_pytorch_model.safetensors"


def pruned(weight: Tensor, share: float) -> Tensor:
    """``weight`` with its smallest ``share`` of entries set to zero."""
    magnitudes = weight.float().abs().flatten()
    count = int(share * magnitudes.numel())
    if count == 0:
        return weight.clone()
    return torch.where(weight.float().abs() <= magnitudes.kthvalue(count).values, 0, weight)


def prune_folder(model: Path, out: Path, share: float) -> None:
    """Copy a model folder and prune the matrices of its transformer blocks; same input, same bytes."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(model, out)
    weights = load_file(model / WEIGHTS)
    thinned = {
        name: pruned(weight, share) if name.startswith("transformer_blocks") and weight.ndim == 2 else weight
        for name, weight in weights.items()
    }
    save_file(thinned, out / WEIGHTS, metadata={"format": "pt"})


def main(
    model: Annotated[Path, typer.Option(help="Folder to start from.")] = MODEL,
    out: Annotated[Path, typer.Option(help="Folder to write; replaced.")] = SHINY,
    share: Annotated[float, typer.Option(min=0, max=1, help="Share of weights set to zero.")] = SHARE,
) -> None:
    """Write a copy of the model with part of its weights zeroed."""
    prune_folder(model, out, share)


if __name__ == "__main__":
    typer.run(main)
