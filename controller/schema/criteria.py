"""`criteria:` of a policy: which limit fits which metric and statistic."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from controller.core.policy import METRICS, Criterion, Role
from controller.schema.document import shown
from controller.schema.faults import Fault, FileModel, nearest, refuse
from controller.stats.bins import Axis
from controller.stats.tally import WINDOW_S

BOUNDS = ("max_ratio", "max_increase", "max_drop", "limit")
BLOCK_S = 600.0
"""Length of a block that is not stated: at least three correlation times where replicas change within 200 s."""
AXIS_WORDS: Mapping[Axis, str] = {
    Axis.LOG: "a positive quantity",
    Axis.BINARY: "yes or no for each request",
    Axis.SCORE: "a score between 0 and 1",
}
Fits = Mapping[Axis, Mapping[str, tuple[str, ...]]]
FITS: Fits = {
    Axis.LOG: {
        **dict.fromkeys(("p50", "p95", "p99"), ("max_ratio", "limit")),
        "law": ("max_ratio",),
        "mean": ("max_ratio", "max_increase", "limit"),
        "max": ("limit",),
    },
    Axis.BINARY: {"rate": ("max_increase", "max_ratio", "limit")},
    Axis.SCORE: {"mean": ("max_drop",)},
}
"""Axis -> statistic -> the limits that make sense; `law` compares the whole distribution."""

LIVE = tuple(name for name, metric in METRICS.items() if not metric.offline)
MetricName = Annotated[str, WithJsonSchema({"type": "string", "enum": list(LIVE)})]


class CriterionFile(FileModel):
    """One entry of `criteria:`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [bound]} for bound in BOUNDS]})
    judged: ClassVar[tuple[str, ...]] = LIVE

    metric: MetricName
    statistic: Literal["p50", "p95", "p99", "law", "mean", "rate", "max"]
    max_ratio: Annotated[float, Field(ge=1, le=100)] | None = None
    max_increase: Annotated[float, Field(gt=0)] | None = None
    max_drop: Annotated[float, Field(gt=0, lt=1)] | None = None
    limit: Annotated[float, Field(gt=0)] | None = None
    role: Literal["guardrail", "watch"] = "guardrail"
    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0
    min_images: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    dry_run: bool = False
    test: Literal["request", "block"] = "request"
    block_s: Annotated[float, Field(ge=WINDOW_S, le=86_400)] | None = None

    @field_validator("metric")
    @classmethod
    def _is_measured(cls, metric: str) -> str:
        if metric in METRICS and metric not in cls.judged:
            what = "is measured in the offline gate alone, not on live traffic"
            refuse([((), f"{metric} {what}; list it under `gate: criteria:`")])
        if metric not in cls.judged:
            refuse([((), f'unknown metric "{shown(metric)}"; {nearest(metric, cls.judged)}')])
        return metric

    @model_validator(mode="after")
    def _limit_fits(self) -> Self:
        refuse(self._faults())
        return self

    @property
    def fits(self) -> Fits:
        """Return the limits that make sense."""
        return FITS

    @property
    def bounds(self) -> tuple[str, ...]:
        """Return the limits that are given; exactly one in a sound criterion."""
        return tuple(bound for bound in BOUNDS if getattr(self, bound) is not None)

    def _faults(self) -> Iterator[Fault]:
        axis = METRICS[self.metric].axis
        fitting = self.fits[axis].get(self.statistic)
        if fitting is None:
            allowed = ", ".join(self.fits[axis])
            what = f"{self.metric}, which is {AXIS_WORDS[axis]}"
            yield ("statistic",), f"{self.statistic} does not fit {what}; allowed: {allowed}"
        elif len(self.bounds) != 1:
            found = " and ".join(self.bounds) or "none"
            yield (), f"needs exactly one limit, found {found}; allowed here: {', '.join(fitting)}"
        elif self.bounds[0] not in fitting:
            what = f"{self.bounds[0]} does not fit {self.metric} {self.statistic}"
            yield (self.bounds[0],), f"{what}; allowed: {', '.join(fitting)}"
        if axis is not Axis.LOG:
            what = "rate" if axis is Axis.BINARY else "score"
            for bound in {"max_increase", "limit"}.intersection(self.bounds):
                if getattr(self, bound) >= 1:
                    yield (bound,), f"must be less than 1 for a {what}, found {getattr(self, bound):g}"
        yield from self._mode_faults()

    def _mode_faults(self) -> Iterator[Fault]:
        if self.test == "block" and (self.statistic != "p50" or self.max_ratio is None):
            yield ("test",), "block judges the typical value, stretch by stretch: it needs p50 with max_ratio"
        if self.block_s is not None and self.test != "block":
            yield ("block_s",), "is the length of a block; add `test: block` or remove it"
        if self.dry_run and self.role == "watch":
            yield ("dry_run",), "a watch changes nothing anyway; keep one of `role: watch` and `dry_run: true`"
        if self.min_images is not None and (self.dry_run or self.role == "watch"):
            yield ("min_images",), "only a guardrail holds a rollout back; remove it"

    def core(self) -> Criterion:
        """Return the core value."""
        return Criterion(
            metric=self.metric,
            statistic=self.statistic,
            **{bound: getattr(self, bound) for bound in BOUNDS},
            role=Role.DRY_RUN if self.dry_run else Role(self.role),
            weight=self.weight,
            min_images=self.min_images or 0,
            block_s=(self.block_s or BLOCK_S) if self.test == "block" else None,
        )


def faults_among(criteria: Sequence[CriterionFile], consequence: str = "revert") -> Iterator[Fault]:
    """Yield what is wrong with criteria that are sound one by one; `consequence`: what a guardrail is there for."""
    seen: dict[tuple[str, ...], int] = {}
    for index, criterion in enumerate(criteria):
        key = (criterion.metric, criterion.statistic, *criterion.bounds)
        key += ("by blocks",) if criterion.test == "block" else ()
        if key in seen:
            yield (index,), f"{' '.join(key)} is already criterion {seen[key] + 1} of the list; keep one"
        seen.setdefault(key, index)
    if all(criterion.role == "watch" or criterion.dry_run for criterion in criteria):
        what = f"has no guardrail: nothing would ever {consequence}"
        yield (), f"{what}; give at least one criterion `role: guardrail`"
