"""The part of a candidate and of a lane that says what a model is."""

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    JsonValue,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from controller.core.spec import CPU, ModelSpec, Resources, Sampling, Scheduler
from controller.schema.document import shown
from controller.schema.faults import NAME_PATTERN, Fault, FileModel, nearest, refuse
from controller.schema.sources import Sources

SCHEMA_VERSION = 1
DIFFUSERS = "diffusers"
DECLARED_PROVIDERS = frozenset({"openai", "ideogram", "stability"})
"""Providers that manifests may name one day; this version has no adapter for them."""


def _is_read_here(version: int) -> int:
    if version != SCHEMA_VERSION:
        refuse([((), f"this version reads files of schema_version {SCHEMA_VERSION}, found {version}")])
    return version


SchemaVersion = Annotated[int, AfterValidator(_is_read_here), WithJsonSchema({"const": SCHEMA_VERSION})]
"""Not a Literal: `true` equals 1."""
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Text = Annotated[str, Field(min_length=1, max_length=1000)]


@dataclass(frozen=True, slots=True)
class Known:
    """What a file may refer to. None for `lanes` or `gpus`: not known here, so not checked."""

    sources: Sources
    lanes: Collection[str] | None = None
    gpus: Collection[str] | None = None


class SchedulerFile(FileModel):
    """`scheduler:` the diffusers class and the largest number of steps a request may ask for."""

    class_name: Annotated[str, Field(alias="class", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
    max_steps: Annotated[int, Field(ge=1, le=1000)]


class SamplingFile(FileModel):
    """`sampling:` how one image is drawn; sizes in pixels."""

    steps: Annotated[int, Field(ge=1, le=1000)]
    guidance_scale: Annotated[float, Field(ge=0, le=100)]
    width_px: Annotated[int, Field(ge=8, le=8192)]
    height_px: Annotated[int, Field(ge=8, le=8192)]
    batch_size: Annotated[int, Field(ge=1, le=64)] = 1
    seeds: Literal["per_image"] = "per_image"


class ResourcesFile(FileModel):
    """`resources:` what one replica occupies; `gpu` names a class of the price book, `cpu` for none."""

    gpu: Annotated[str, Field(min_length=1, max_length=48)]
    num_gpus: Annotated[float, Field(ge=0, le=64)]
    replicas: Annotated[int, Field(ge=1, le=256)]

    @model_validator(mode="after")
    def _is_priced_and_whole(self, info: ValidationInfo) -> Self:
        refuse(self._faults(info.context))
        return self

    def _faults(self, known: Known | None) -> Iterator[Fault]:
        if (self.gpu == CPU) != (self.num_gpus == 0):
            yield (
                ("num_gpus",),
                f"{self.num_gpus:g} does not fit gpu {self.gpu}; `gpu: cpu` goes with `num_gpus: 0`",
            )
        if known and known.gpus is not None and self.gpu not in known.gpus:
            yield (
                ("gpu",),
                f"{shown(self.gpu)} has no price in the price book; {nearest(self.gpu, known.gpus)}",
            )


class ModelFile(FileModel):
    """`model:` who makes the images, from which weights, in which precision."""

    provider: Literal["diffusers", "fake"]
    source: Annotated[str, Field(min_length=1, max_length=255)]
    revision: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    precision: Literal["float32", "float16", "bfloat16"]
    scheduler: SchedulerFile
    options: dict[str, JsonValue] = Field(default_factory=dict)
    variant: Name | None = None
    license_ack: Text | None = None
    """Which agreement covers the weights, where their licence asks for one; it decides nothing about images."""

    @field_validator("provider", mode="before")
    @classmethod
    def _is_implemented(cls, provider: object) -> object:
        if isinstance(provider, str) and provider in DECLARED_PROVIDERS:
            refuse([((), f"{provider} is not supported by this version; supported: diffusers, fake")])
        return provider

    @model_validator(mode="after")
    def _source_is_there(self, info: ValidationInfo) -> Self:
        if isinstance(info.context, Known) and self.provider == DIFFUSERS:
            refuse(info.context.sources.faults(self.source, self.revision))
        return self


def arm_manifest(spec: ModelSpec, license_ack: str = "") -> dict[str, Any]:
    """Return the part of a manifest that declares a spec; what a file may leave out is left out."""
    model = {
        "provider": spec.provider,
        "source": spec.source,
        "revision": spec.revision,
        "precision": spec.precision,
        "scheduler": {"class": spec.scheduler.class_name, "max_steps": spec.scheduler.max_steps},
        "options": dict(spec.options),
        "variant": spec.variant,
        "license_ack": license_ack,
    }
    return {
        "model": {key: value for key, value in model.items() if value not in ("", {})},
        "sampling": asdict(spec.sampling),
        "resources": asdict(spec.resources),
    }


class ArmFile(FileModel):
    """Model, sampling and resources together: everything that determines what an arm does."""

    model: ModelFile
    sampling: SamplingFile
    resources: ResourcesFile

    def spec(self, sources: Sources) -> ModelSpec:
        """Return the core value; a folder's revision is the digest of its content."""
        model, sampling, resources = self.model, self.sampling, self.resources
        local = model.provider == DIFFUSERS
        return ModelSpec(
            provider=model.provider,
            source=sources.identity(model.source) if local else model.source,
            revision=sources.revision(model.source, model.revision) if local else model.revision or "",
            precision=model.precision,
            scheduler=Scheduler(model.scheduler.class_name, model.scheduler.max_steps),
            sampling=Sampling(**sampling.model_dump()),
            resources=Resources(resources.gpu, float(resources.num_gpus), resources.replicas),
            options=dict(model.options),
            variant=model.variant or "",
        )
