"""Train the autoencoder on crops around strokes."""

from collections.abc import Callable
from random import Random
from typing import Final

import torch
from diffusers import AutoencoderTiny
from torch.nn import functional

from serving.tinydiff.drawing import draw
from serving.tinydiff.samples import crops_around_ink, to_tensor
from serving.tinydiff.scenes import random_scene

BATCH: Final = 32
LEARNING_RATE: Final = 2e-3
LATENT_NOISE: Final = 0.1  # the decoder must bear the transformer's small errors
MAGNITUDE_WEIGHT: Final = 1e-3  # keeps latents from growing until that noise is nothing
MEASURE_SCENES: Final = 128


def _decode(vae: AutoencoderTiny, latents: torch.Tensor) -> torch.Tensor:
    return vae.decode(latents).sample


def train_autoencoder(vae: AutoencoderTiny, steps: int, rng: Random, report: Callable[[int, float], None]) -> None:
    """Fit ``vae`` in place and write the scale and shift of its latents into its config."""
    optimizer = torch.optim.AdamW(vae.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps + 1, pct_start=0.05)
    vae.train().to(memory_format=torch.channels_last)
    for step in range(steps):
        pixels = crops_around_ink(BATCH, rng).contiguous(memory_format=torch.channels_last)
        latents = vae.encode(pixels).latents
        error = _decode(vae, latents + LATENT_NOISE * torch.randn_like(latents)) - pixels
        loss = error.abs().mean() + error.square().mean() + MAGNITUDE_WEIGHT * latents.square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        report(step, loss.item())
    vae.eval().to(memory_format=torch.contiguous_format)
    standardise_latents(vae, rng)


def standardise_latents(vae: AutoencoderTiny, rng: Random) -> None:
    """Measure latents on whole pictures so that the transformer sees zero mean and unit deviation."""
    pixels = to_tensor([draw(random_scene(rng), rng) for _ in range(MEASURE_SCENES)])
    with torch.no_grad():
        latents = vae.encode(pixels).latents
    vae.register_to_config(shift_factor=latents.mean().item(), scaling_factor=1 / latents.std().item())


def psnr_db(vae: AutoencoderTiny, rng: Random) -> float:
    """Peak signal-to-noise ratio of reconstructions of whole fresh pictures, in dB."""
    pixels = to_tensor([draw(random_scene(rng), rng) for _ in range(MEASURE_SCENES)])
    with torch.no_grad():
        error = (_decode(vae, vae.encode(pixels).latents).clamp(-1, 1) - pixels) / 2
    return float(-10 * torch.log10(functional.mse_loss(error, torch.zeros_like(error))))
