"""`gate:` of a policy: the offline gate before any traffic, and which limits fit a bench."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Self

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from controller.core.policy import METRICS, Criterion, Gate, Role
from controller.schema.criteria import FITS, CriterionFile, Fits, faults_among
from controller.schema.faults import Fault, FileModel, refuse
from controller.schema.model import Name
from controller.stats.bins import Axis

MAX_REPEATS = 400
REPEATS_RATIO = 4
"""`max_repeats` that is not stated, as a multiple of `min_repeats`."""
GATE_FITS: Fits = {
    **FITS,
    Axis.BINARY: {"rate": ("max_increase", "limit")},
    Axis.SCORE: {"mean": ("max_drop", "limit")},
}
"""A ratio of rates is left to live traffic: a bench hardly sees a failure, and none proves no ratio."""
LIKENESS_FITS: Fits = {Axis.SCORE: {"mean": ("limit",)}}
"""Likeness compares with the incumbent already."""

GateMetricName = Annotated[str, WithJsonSchema({"type": "string", "enum": list(METRICS)})]


class GateCriterionFile(CriterionFile):
    """One entry of the gate's `criteria:`; a score may have a `limit`, which it must reach."""

    judged: ClassVar[tuple[str, ...]] = tuple(METRICS)

    metric: GateMetricName

    @property
    def fits(self) -> Fits:
        """Return the limits that make sense in a bench."""
        return LIKENESS_FITS if self.metric == "likeness" else GATE_FITS

    @model_validator(mode="after")
    def _is_of_a_bench(self) -> Self:
        refuse(self._live_only())
        return self

    def _live_only(self) -> Iterator[Fault]:
        if self.test == "block":
            yield ("test",), "blocks are stretches of live traffic; a bench compares pairs, so remove it"
        if self.min_images is not None:
            yield ("min_images",), "is for live traffic; a bench draws min_repeats of every prompt"


class GateFile(FileModel):
    """`gate:` the offline gate before any traffic."""

    suite: Name
    min_repeats: Annotated[int, Field(ge=1, le=100)]
    max_repeats: Annotated[int, Field(ge=1, le=MAX_REPEATS)] | None = None
    concurrency: Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=8)] = (1,)
    rate_per_s: Annotated[float, Field(gt=0, le=1000)] | None = None
    criteria: Annotated[tuple[GateCriterionFile, ...], Field(min_length=1)] | None = None

    @field_validator("criteria")
    @classmethod
    def _criteria_agree(cls, criteria: tuple[GateCriterionFile, ...] | None) -> tuple[GateCriterionFile, ...] | None:
        if criteria is not None:
            refuse(faults_among(criteria, "refuse a candidate"))
            refuse(((), fault) for fault in unprovable(tuple(item.core() for item in criteria)))
        return criteria

    @model_validator(mode="after")
    def _repeats_suffice(self) -> Self:
        refuse(self._faults())
        return self

    @property
    def most_repeats(self) -> int:
        """Return `max_repeats` or its default."""
        return self.max_repeats or REPEATS_RATIO * self.min_repeats

    def _faults(self) -> Iterator[Fault]:
        if self.most_repeats < self.min_repeats:
            yield ("max_repeats",), f"must be at least min_repeats, {self.min_repeats}; found {self.max_repeats}"
        if len(set(self.concurrency)) < len(self.concurrency):
            yield ("concurrency",), "names a level twice; keep one"
        for index, item in enumerate(self.criteria or ()):
            if item.metric == "stability" and self.most_repeats < 2:
                yield (
                    ("criteria", index, "metric"),
                    "stability compares seeds of one prompt: it needs max_repeats of at least 2",
                )

    def core(self, policy_criteria: Sequence[Criterion]) -> Gate:
        """Return the core value; without criteria of its own the gate judges the policy's."""
        given = [item.core() for item in self.criteria] if self.criteria is not None else policy_criteria
        return Gate(
            suite=self.suite,
            suite_digest="",
            min_repeats=self.min_repeats,
            max_repeats=self.most_repeats,
            concurrency=self.concurrency,
            rate_per_s=None if self.rate_per_s is None else float(self.rate_per_s),
            criteria=tuple(replace(item, min_images=0, block_s=None) for item in given),
        )


def unprovable(criteria: Sequence[Criterion]) -> Iterator[str]:
    """Yield why a bench could never pass these criteria, whatever the candidate does."""
    for index, item in enumerate(criteria):
        if item.statistic == "rate" and item.max_ratio is not None and item.role is Role.GUARDRAIL:
            yield (
                f"criteria[{index}], {item.title} as a ratio, can't be proven where hardly anything fails; list the "
                "gate's own criteria under `gate: criteria:` with max_increase or limit"
            )
    if not any(item.role is Role.GUARDRAIL and item.statistic != "law" for item in criteria):
        yield "law only looks for harm and proves nothing; give at least one guardrail of another statistic"
