"""Draw training data: pictures for the autoencoder, encoded pictures and prompts for the transformer."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch import Tensor
from torch.nn import functional

from serving.tinydiff.drawing import Drawing, draw
from serving.tinydiff.scenes import random_scene
from serving.tinydiff.spelling import build_tokenizer
from serving.tinydiff.vocabulary import HEIGHT_PX, WIDTH_PX

LATENT_PX: Final = 4
CROP_PX: Final = 32
INK_WEIGHT: Final = 3.0
ENCODE_BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class EncodedSamples:
    """``latents`` (n, 8, 16, 24), ``weight`` (n, 1, 16, 24), ``ids`` (n, 20), ``token_of_patch`` (n, 96)."""

    latents: Tensor
    weight: Tensor
    ids: Tensor
    token_of_patch: Tensor

    def __len__(self) -> int:
        return len(self.ids)


def to_tensor(drawings: list[Drawing]) -> Tensor:
    """Pixels of many drawings as (n, 3, height, width) in -1..1."""
    pixels = torch.from_numpy(np.stack([drawing.pixels for drawing in drawings]))
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


def crops_around_ink(count: int, rng: Random) -> Tensor:
    """Square crops (n, 3, 32, 32) that show strokes, as empty ground teaches an autoencoder nothing."""
    crops = []
    for _ in range(count):
        drawing = draw(random_scene(rng), rng)
        rows, columns = np.nonzero(drawing.ink > 0.5)
        pick = rng.randrange(len(rows))
        top = min(max(int(rows[pick]) - rng.randrange(CROP_PX), 0), HEIGHT_PX - CROP_PX)
        left = min(max(int(columns[pick]) - rng.randrange(CROP_PX), 0), WIDTH_PX - CROP_PX)
        crops.append(drawing.pixels[top : top + CROP_PX, left : left + CROP_PX])
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1


def ink_weight(drawings: list[Drawing]) -> Tensor:
    """Loss weight per latent cell: 1 on empty ground, 4 where the cell holds ink."""
    ink = torch.from_numpy(np.stack([drawing.ink for drawing in drawings]))[:, None]
    return 1 + INK_WEIGHT * functional.max_pool2d(ink, LATENT_PX)


def _encode_batch(vae: AutoencoderTiny, drawings: list[Drawing]) -> Tensor:
    with torch.no_grad():
        latents = vae.encode(to_tensor(drawings)).latents
    return (latents - vae.config.shift_factor) * vae.config.scaling_factor


def encode_samples(vae: AutoencoderTiny, count: int, rng: Random, advance: Callable[[int], None]) -> EncodedSamples:
    """Draw and encode ``count`` scenes; ``advance`` is told how many were added."""
    tokenizer = build_tokenizer()
    parts: list[tuple[Tensor, ...]] = []
    for start in range(0, count, ENCODE_BATCH):
        scenes = [random_scene(rng) for _ in range(min(ENCODE_BATCH, count - start))]
        drawings = [draw(scene, rng) for scene in scenes]
        prompts = [scene.prompt for scene in scenes]
        ids = tokenizer(prompts, padding="max_length", return_tensors="pt").input_ids
        tokens = torch.from_numpy(np.stack([drawing.token_of_patch.ravel() for drawing in drawings]))
        parts.append((_encode_batch(vae, drawings).half(), ink_weight(drawings).half(), ids, tokens))
        advance(len(scenes))
    return EncodedSamples(*(torch.cat(column) for column in zip(*parts, strict=True)))
