"""The local model runtime: any diffusers pipeline, from a folder or a pinned revision of a hub repository.

What is settled here, because diffusers is silent about it: the dtype is always explicit (without it parts
of a pipeline load in different ones), components that `model_index.json` lists as null are passed as None
(some pipelines demand them), every image has its own CPU generator (the same noise on every device),
safetensors only, no code from repositories, one thread (more are slower for one image and stall under
load). A scheduler of the wrong family loads without a word and draws garbage; noticing that is the linter's
and the gate's business, not this file's.
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controller.content import content_digest
from controller.core.spec import ModelSpec
from serving.providers.meter import CpuMeter, CudaMeter
from serving.providers.options import parse_options
from serving.providers.png import to_png
from serving.providers.protocol import (
    Ask,
    BadConfigError,
    MemoryExhaustedError,
    Meter,
    RefusedError,
    Stop,
)
from serving.worker_env import code_folder

PRECISIONS: Final = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class DiffusersOptions:
    """Arguments of the pipeline call that a spec may set; a pipeline that doesn't know one refuses it."""

    max_sequence_length: int | None = field(default=None, metadata={"low": 1, "high": 4096, "whole": True})


class DiffusersProvider:
    """Draws with one `DiffusionPipeline`."""

    def __init__(self, spec: ModelSpec) -> None:
        if spec.precision not in PRECISIONS:
            raise BadConfigError(f"model.precision: {spec.precision!r} is unknown; known are {', '.join(PRECISIONS)}")
        self._spec = spec
        self._options = parse_options(DiffusersOptions, spec.options)
        self._pipeline: Any = None
        self._device = "cpu"

    @property
    def steps(self) -> int:
        """Return the steps of an image, clamped to what the scheduler is allowed."""
        return min(self._spec.sampling.steps, self._spec.scheduler.max_steps)

    def load(self) -> None:
        """Load the pipeline onto the GPU if there is one, else the CPU."""
        import torch

        torch.set_num_threads(1)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        pipeline = _open(self._spec, getattr(torch, self._spec.precision))
        self._swap_scheduler(pipeline)
        pipeline.set_progress_bar_config(disable=True)
        self._pipeline = pipeline.to(self._device)
        self._arguments(Ask("", (0,), self._spec.sampling.width_px, self._spec.sampling.height_px))

    def meter(self) -> Meter:
        """Start to measure a job."""
        return CudaMeter(self._spec.resources.num_gpus) if self._device == "cuda" else CpuMeter()

    def draw(self, ask: Ask, stop: Stop) -> list[bytes]:
        """Return one PNG a seed, drawn in batches of the spec's size."""
        import torch

        try:
            return [to_png(image) for image in self._batches(ask, stop)]
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise MemoryExhaustedError(f"out of GPU memory: {error}") from error
        except ValueError as error:
            raise BadConfigError(f"the pipeline refused the request: {error}") from error
        except RuntimeError as error:
            if "can't allocate memory" in str(error):
                raise MemoryExhaustedError(f"out of memory: {error}") from error
            raise

    def _batches(self, ask: Ask, stop: Stop) -> Iterator[Any]:
        import torch

        def on_step_end(_pipe: Any, _step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            stop.check()  # raising aborts at once and leaves the pipeline usable
            return tensors

        arguments = self._arguments(ask)
        for start in range(0, len(ask.seeds), self._spec.sampling.batch_size):
            stop.check()
            seeds = ask.seeds[start : start + self._spec.sampling.batch_size]
            torch.manual_seed(seeds[0])  # for schedulers that draw from the global generator
            output = self._pipeline(
                prompt=[ask.prompt] * len(seeds),
                generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
                callback_on_step_end=on_step_end,
                **arguments,
            )
            if any(getattr(output, "nsfw_content_detected", None) or ()):
                raise RefusedError("the pipeline's safety checker refused the image")
            yield from output.images

    def _arguments(self, ask: Ask) -> Mapping[str, Any]:
        arguments = {
            "num_inference_steps": self.steps,
            "guidance_scale": self._spec.sampling.guidance_scale,
            "width": ask.width_px,
            "height": ask.height_px,
        }
        if self._options.max_sequence_length is not None:
            arguments["max_sequence_length"] = self._options.max_sequence_length
        unknown = arguments.keys() - inspect.signature(self._pipeline.__call__).parameters.keys()
        if unknown:
            raise BadConfigError(
                f"{type(self._pipeline).__name__} takes no {', '.join(sorted(unknown))}: "
                "leave it out of the spec, or use another pipeline"
            )
        return arguments

    def _swap_scheduler(self, pipeline: Any) -> None:
        wanted = self._spec.scheduler.class_name
        if type(pipeline.scheduler).__name__ != wanted:
            pipeline.scheduler = _scheduler_class(wanted).from_config(pipeline.scheduler.config)


def _open(spec: ModelSpec, dtype: Any) -> Any:
    from diffusers import DiffusionPipeline

    # A relative folder starts where the code lies, never at a worker's working directory; an absolute one stays.
    place = code_folder() / spec.source
    folder = place.is_dir()
    source = str(place) if folder else spec.source
    where = {} if folder else {"revision": spec.revision}
    if folder and (found := content_digest(place)) != spec.revision:
        raise BadConfigError(
            f"model.source: {place} holds {found[:12]}, but {spec.revision[:12]} was proposed: its files have changed "
            "since; propose the model anew"
        )
    try:
        index = DiffusionPipeline.load_config(source, **where)
        absent = {name: None for name, kind in index.items() if isinstance(kind, list | tuple) and kind[0] is None}
        return DiffusionPipeline.from_pretrained(
            source, **where, dtype=dtype, use_safetensors=True, trust_remote_code=False, **absent
        )
    except (OSError, ValueError, TypeError) as error:
        kind = "folder" if folder else f"hub repository at {spec.revision}"
        raise BadConfigError(f"model.source: can't load the {kind} {source}: {error}") from error


def _scheduler_class(name: str) -> Any:
    import diffusers

    found = getattr(diffusers, name, None)
    if not (inspect.isclass(found) and issubclass(found, diffusers.SchedulerMixin)):
        raise BadConfigError(f"model.scheduler.class: diffusers has no scheduler {name!r}")
    return found
