"""What the arms of a scenario do: a law per metric, rates, bursts of failures."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from controller.core.policy import METRICS
from controller.schema.document import shown
from controller.schema.faults import Fault, FileModel, nearest, refuse
from controller.schema.laws import QUANTITIES, SCORES, Law, LawFile, Part, Positive
from controller.stats.bins import Axis

SCALED = tuple(metric.name for metric in METRICS.values() if metric.axis is Axis.LOG)
RATES = ("failure", "refusal", "invalid")


@dataclass(frozen=True, slots=True)
class Arm:
    """What one arm does: a law per metric, rates, bursts of failures, and scales against the laws."""

    laws: Mapping[str, Law]
    rates: Mapping[str, float]
    scale: Mapping[str, float]
    oom_per_image: float
    oom_burst: int


class OomFile(FileModel):
    """`oom:` a replica dies and takes a burst of requests with it."""

    per_1000_images: Annotated[float, Field(gt=0, le=1000)]
    burst: Annotated[int, Field(ge=1, le=1000)] = 1


class ArmFile(FileModel):
    """What one arm does; what is left out is never measured, rates are 0."""

    like: Literal["incumbent"] | None = None
    scale: dict[str, Positive] = Field(default_factory=dict)
    from_image: Annotated[int, Field(ge=0)] = 0
    latency_s: LawFile | None = None
    service_s: LawFile | None = None
    queue_s: LawFile | None = None
    cost_usd: LawFile | None = None
    memory_gib: LawFile | None = None
    text_accuracy: LawFile | None = None
    failure_rate: Part | None = None
    refusal_rate: Part | None = None
    invalid_rate: Part | None = None
    oom: OomFile | None = None

    @model_validator(mode="after")
    def _laws_fit(self) -> Self:
        refuse(self._faults())
        return self

    def _faults(self) -> Iterator[Fault]:
        yield from ((("scale", *loc), text) for loc, text in scale_faults(self.scale))
        for metric, law in self.given.items():
            families = SCORES if METRICS[metric].axis is Axis.SCORE else QUANTITIES
            if law.family not in families:
                yield (metric, "family"), f"{law.family} does not fit {metric}; allowed: {', '.join(families)}"
            if law.exact_share is not None and families is QUANTITIES:
                yield (metric, "exact_share"), "is for scores only, it is the mass at 1"
            if law.tail is not None and families is SCORES:
                yield (metric, "tail"), "is for quantities only; scores take exact_share"

    @property
    def given(self) -> Mapping[str, LawFile]:
        """Return the laws that are given."""
        metrics = [*SCALED, "text_accuracy"]
        return {metric: getattr(self, metric) for metric in metrics if getattr(self, metric) is not None}

    def core(self, base: Path, like: Arm | None) -> Arm:
        """Return the value; `like` is what it starts from."""
        rates = {name: getattr(self, f"{name}_rate") for name in RATES}
        before = like or Arm({}, dict.fromkeys(RATES, 0.0), {}, 0.0, 1)
        return Arm(
            laws={**before.laws, **{metric: law.core(base) for metric, law in self.given.items()}},
            rates={**before.rates, **{name: float(rate) for name, rate in rates.items() if rate is not None}},
            scale={**before.scale, **self.scale},
            oom_per_image=self.oom.per_1000_images / 1000 if self.oom else before.oom_per_image,
            oom_burst=self.oom.burst if self.oom else before.oom_burst,
        )


class ArmsFile(FileModel):
    """`arms:` the two sides."""

    incumbent: ArmFile
    candidate: ArmFile

    @model_validator(mode="after")
    def _incumbent_stands_alone(self) -> Self:
        faults: list[Fault] = []
        if self.incumbent.like is not None:
            faults.append((("incumbent", "like"), "the incumbent is where the other starts from; give its laws"))
        if self.incumbent.from_image:
            faults.append((("incumbent", "from_image"), "only the candidate has a first image"))
        refuse(faults)
        return self


def scale_faults(scale: Mapping[str, float]) -> Iterator[Fault]:
    """Yield what is wrong with factors by metric."""
    for metric in scale:
        if metric not in SCALED:
            yield (metric,), f"{shown(metric)} can't be scaled; {nearest(metric, SCALED)}"
