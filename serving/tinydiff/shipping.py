"""Write a pipeline to a folder as fp16, ready for DiffusionPipeline.from_pretrained."""

import shutil
from copy import deepcopy
from pathlib import Path

import torch
from diffusers import StableDiffusion3Pipeline
from torch import nn

from serving.tinydiff.architecture import build_silent_t5, build_silent_tokenizer

MODEL_PARTS = ("vae", "transformer", "text_encoder", "text_encoder_2")


def save_half_precision(pipeline: StableDiffusion3Pipeline, replaced: dict[str, nn.Module], out: Path) -> None:
    """Save ``pipeline`` with some parts replaced; the folder appears whole or not at all."""
    parts = {name: deepcopy(replaced.get(name) or getattr(pipeline, name)).half().eval() for name in MODEL_PARTS}
    shipped = StableDiffusion3Pipeline(
        scheduler=pipeline.scheduler,
        tokenizer=pipeline.tokenizer,
        tokenizer_2=pipeline.tokenizer_2,
        tokenizer_3=build_silent_tokenizer(),
        text_encoder_3=build_silent_t5().half().eval(),
        **parts,
    )
    fresh = out.with_name(f".{out.name}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    with torch.no_grad():
        shipped.save_pretrained(fresh, safe_serialization=True)
    shutil.rmtree(out, ignore_errors=True)
    fresh.rename(out)
