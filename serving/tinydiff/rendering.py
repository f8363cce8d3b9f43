"""Load a variant and paint prompts with it, one core, fixed seeds."""

from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any, Final

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray

from serving.tinydiff.variants import MAX_SEQUENCE_LENGTH, Variant
from serving.tinydiff.vocabulary import HEIGHT_PX, WIDTH_PX

Pixels = NDArray[np.uint8]
BATCH: Final = 8


@dataclass(frozen=True, slots=True)
class Request:
    """One picture to paint."""

    prompt: str
    seed: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Time of one picture by the clock, and of the processor: the latter tells more on a busy machine."""

    wall_ms: float
    cpu_ms: float


def load(variant: Variant) -> Any:
    """The variant's pipeline in fp32, its scheduler swapped as the variant says."""
    pipeline = diffusers.DiffusionPipeline.from_pretrained(variant.folder, dtype=torch.float32)
    pipeline.scheduler = getattr(diffusers, variant.scheduler).from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def paint(pipeline: Any, variant: Variant, requests: list[Request]) -> list[Pixels]:
    """Paint all requests, eight at a time; each has its own generator, so its noise is its own."""
    painted: list[Pixels] = []
    for start in range(0, len(requests), BATCH):
        batch = requests[start : start + BATCH]
        answer = pipeline(
            [request.prompt for request in batch],
            width=WIDTH_PX,
            height=HEIGHT_PX,
            num_inference_steps=variant.steps,
            guidance_scale=variant.guidance_scale,
            max_sequence_length=MAX_SEQUENCE_LENGTH,
            generator=[torch.Generator("cpu").manual_seed(request.seed) for request in batch],
            output_type="np",
        )
        painted.extend((np.nan_to_num(answer.images) * 255).round().astype(np.uint8))
    return painted


def timings(pipeline: Any, variant: Variant, requests: list[Request]) -> list[Timing]:
    """Time of each request painted alone, after one that warms up."""
    paint(pipeline, variant, requests[:1])
    taken = []
    for request in requests:
        wall_s, cpu_s = perf_counter(), process_time()
        paint(pipeline, variant, [request])
        taken.append(Timing((perf_counter() - wall_s) * 1000, (process_time() - cpu_s) * 1000))
    return taken
