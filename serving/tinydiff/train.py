"""Train the tiny model: ``python -m serving.tinydiff.train --seed 1 --out serving/tinydiff/model``."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads stall on a shared machine, so before torch
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import shutil
from pathlib import Path
from random import Random
from time import monotonic
from typing import Annotated, Final

import torch
import typer
from diffusers import AutoencoderTiny, StableDiffusion3Pipeline
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from serving.tinydiff import flow
from serving.tinydiff.architecture import build_pipeline
from serving.tinydiff.autoencoder import psnr_db, train_autoencoder
from serving.tinydiff.parallel import Team, team_of
from serving.tinydiff.samples import EncodedSamples, encode_samples
from serving.tinydiff.shipping import save_half_precision

VAE_STEPS: Final = 1200
FLOW_STEPS: Final = 8000
SAMPLES: Final = 24_000
CHECKPOINT_S: Final = 180
LOG_STEPS: Final = 50

Weights = dict[str, torch.nn.Module]

console = Console()


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)


def _seed_stage(seed: int, stage: str) -> Random:
    """Each stage has its own random stream, so that one can be rerun alone with the same result."""
    rng = Random(f"{stage} {seed}")  # noqa: S311 - reproducible pictures, not secrets
    torch.manual_seed(rng.randrange(2**31))
    return rng


def autoencoder_stage(vae: AutoencoderTiny, seed: int, steps: int) -> None:
    """Train the autoencoder and print its reconstruction quality."""
    rng = _seed_stage(seed, "autoencoder")
    with _bar() as bar:
        task = bar.add_task("autoencoder", total=steps)

        def report(step: int, loss: float) -> None:
            bar.update(task, advance=1, description=f"autoencoder loss {loss:.4f}")
            if step % LOG_STEPS == 0:
                console.log(f"autoencoder step {step} loss {loss:.4f}")

        train_autoencoder(vae, steps, rng, report)
    console.log(f"autoencoder PSNR {psnr_db(vae, rng):.1f} dB, scale {vae.config.scaling_factor:.3f}")


def reuse_autoencoder(vae: AutoencoderTiny, model: Path) -> None:
    """Copy weights and latent scale from a model's folder, so that a rerun can skip the first stage."""
    trained = AutoencoderTiny.from_pretrained(model, subfolder="vae", dtype=torch.float32)
    vae.load_state_dict(trained.state_dict())
    vae.eval()
    scale, shift = trained.config.scaling_factor, trained.config.shift_factor
    vae.register_to_config(scaling_factor=scale, shift_factor=shift)


def sample_stage(vae: AutoencoderTiny, seed: int, count: int) -> EncodedSamples:
    """Draw and encode the training pictures."""
    rng = _seed_stage(seed, "samples")
    bar = _bar()
    task = bar.add_task("drawing", total=count)
    with bar:
        samples = encode_samples(vae, count, rng, lambda added: bar.update(task, advance=added))
    console.log(f"drew and encoded {count} pictures")
    return samples


def follow(team: Team, vae: AutoencoderTiny, samples: EncodedSamples, run: flow.Run) -> None:
    """The part of a helper process: the same steps as rank 0, on its share of each batch."""
    pipeline = build_pipeline(run.seed)
    pipeline.register_modules(vae=vae)
    flow.train_flow(flow.FlowTrainer(pipeline, samples, team), team, run, lambda _: None)


def lead(team: Team, pipeline: StableDiffusion3Pipeline, samples: EncodedSamples, run: flow.Run, out: Path) -> Weights:
    """Train the transformer, save a usable model every three minutes, and return the averaged weights."""
    trainer = flow.FlowTrainer(pipeline, samples, team)
    saved_s = monotonic()
    with _bar() as bar:
        task = bar.add_task("transformer", total=run.steps)

        def report(progress: flow.Progress) -> None:
            nonlocal saved_s
            bar.update(task, advance=1, description=f"transformer loss {progress.loss:.3f}")
            if progress.step % LOG_STEPS == 0:
                console.log(f"step {progress.step} loss {progress.loss:.4f} alignment {progress.alignment:.4f}")
            if monotonic() - saved_s > CHECKPOINT_S:
                save_half_precision(pipeline, progress.average, out.with_name(f"{out.name}.partial"))
                saved_s = monotonic()

        taken = flow.train_flow(trainer, team, run, report)
    if taken < run.steps:
        console.log(f"time limit: {taken} of {run.steps} steps, so these weights depend on this machine's speed")
    return trainer.average


def main(
    out: Annotated[Path, typer.Option(help="Folder to write the model to; replaced.")],
    seed: Annotated[int, typer.Option(help="Same seed, same process count, same weights.")] = 1,
    steps: Annotated[int, typer.Option(help="Optimizer steps of the transformer.")] = FLOW_STEPS,
    processes: Annotated[int, typer.Option(help="Processes of one thread each.")] = 2,
    limit_min: Annotated[float, typer.Option(help="Limit for the transformer's training, in minutes.")] = 60,
    autoencoder: Annotated[Path | None, typer.Option(help="A model whose autoencoder is reused as it is.")] = None,
) -> None:
    """Draw pictures, train the autoencoder and the transformer on them, and save an fp16 pipeline."""
    torch.set_num_threads(processes)
    pipeline = build_pipeline(seed)
    if autoencoder:
        reuse_autoencoder(pipeline.vae, autoencoder)
    else:
        autoencoder_stage(pipeline.vae, seed, VAE_STEPS)
    samples = sample_stage(pipeline.vae, seed, SAMPLES)
    run = flow.Run(seed, len(samples), steps, limit_min * 60)
    with team_of(processes, follow, (pipeline.vae, samples, run)) as team:
        average = lead(team, pipeline, samples, run, out)
    save_half_precision(pipeline, average, out)
    shutil.rmtree(out.with_name(f"{out.name}.partial"), ignore_errors=True)
    console.log(f"saved {out}")


if __name__ == "__main__":
    typer.run(main)
