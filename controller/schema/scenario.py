"""Scenario files: a synthetic world for `gatectl simulate`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from controller.core.policy import Assignment, Policy
from controller.errors import InvalidFileError
from controller.schema.arms import RATES, Arm, ArmsFile, scale_faults
from controller.schema.document import Document, read
from controller.schema.faults import Fault, FileModel, accept, refuse
from controller.schema.laws import Part, Positive
from controller.schema.model import Name, SchemaVersion
from controller.schema.policy import POLICIES, StageFile, load_policy, stage_faults
from controller.stats.baseline import MAX_CLASSES
from controller.stats.tally import WINDOW_S

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class RequestClass:
    """A kind of request: its share of the traffic at the start and at the end, and its scales."""

    name: str
    share: float
    share_end: float
    scale: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Outage:
    """A time, in seconds from the start, in which either arm fails at a rate."""

    start_s: float
    end_s: float
    failure_rate: float


@dataclass(frozen=True, slots=True)
class UsersInWorld:
    """Who sends the requests: how many users, how far their log latencies differ, how unevenly they come."""

    count: int
    sigma: float
    activity_sigma: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """A synthetic world; times in seconds, `candidate` behaves like the incumbent before image `from_image`.

    `window_requests`: exactly so many requests in each window, else they arrive at `rate_per_s`. `within`: the
    candidate stays within every allowed change, so that reverting it is an error. `users`: None where every request
    is somebody else's.
    """

    name: str
    policy: Policy
    rate_per_s: float
    window_requests: int | None
    duration_s: float
    timeout_s: float
    history_requests: int
    approve_after_s: float
    within: bool
    trend: float
    daily_amplitude: float
    noise_sigma: float
    noise_correlation_s: float
    score_delay_s: float
    score_delay_sigma: float
    score_missing: float
    classes: tuple[RequestClass, ...]
    outages: tuple[Outage, ...]
    incumbent: Arm
    candidate: Arm
    from_image: int
    users: UsersInWorld | None = None


class DriftFile(FileModel):
    """`drift:` what multiplies both arms' latency over the run."""

    trend: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    daily_amplitude: Annotated[float, Field(ge=0, lt=1)] = 0.0


class NoiseFile(FileModel):
    """`replica_noise:` a slow wave of each arm's own on log latency."""

    sigma: Annotated[float, Field(ge=0, le=2)]
    correlation_s: Positive


class ScoresFile(FileModel):
    """`scores:` when scores come and how many never do."""

    median_delay_s: Annotated[float, Field(ge=0, le=3600)] = 1.0
    sigma: Annotated[float, Field(ge=0, le=5)] = 0.5
    missing_share: Part = 0.0


class UsersFile(FileModel):
    """`users:` who sends the requests; needed where the assignment is sticky."""

    count: Annotated[int, Field(ge=1, le=10_000_000)]
    sigma: Annotated[float, Field(ge=0, le=2)] = 0.0
    activity_sigma: Annotated[float, Field(ge=0, le=3)] = 0.0

    def core(self) -> UsersInWorld:
        """Return the value."""
        return UsersInWorld(self.count, self.sigma, self.activity_sigma)


class ClassFile(FileModel):
    """One entry of `classes:`."""

    name: Name
    share: Annotated[float, Field(gt=0, le=1)]
    share_end: Part | None = None
    scale: dict[str, Positive] = Field(default_factory=dict)

    @field_validator("scale")
    @classmethod
    def _scales_quantities(cls, scale: dict[str, float]) -> dict[str, float]:
        refuse(scale_faults(scale))
        return scale


class OutageFile(FileModel):
    """One entry of `outages:` of the provider behind both arms."""

    start_h: Annotated[float, Field(ge=0)]
    duration_h: Annotated[float, Field(gt=0)]
    failure_rate: Annotated[float, Field(gt=0, le=1)] = 1.0


class ScenarioFile(FileModel):
    """A scenario file, whole."""

    schema_version: SchemaVersion
    kind: Literal["scenario"]
    name: Name
    policy: Annotated[str, Field(min_length=1, max_length=255)]
    stages: Annotated[tuple[StageFile, ...], Field(min_length=1)] | None = None
    assignment: Literal["request", "sticky"] | None = None
    rate_per_s: Annotated[float, Field(gt=0, le=1e6)] | None = None
    window_requests: Annotated[int, Field(ge=1, le=5_000_000)] | None = None
    max_duration_h: Annotated[float, Field(gt=0, le=24 * 365)] | None = None
    max_requests: Annotated[int, Field(ge=1, le=10**9)] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    history_requests: Annotated[int, Field(ge=0, le=1_000_000)] = 5000
    approve_after_s: Annotated[float, Field(ge=0)] = 0.0
    expect: Literal["promoted", "reverted"] | None = None
    drift: DriftFile = DriftFile()
    replica_noise: NoiseFile | None = None
    scores: ScoresFile = ScoresFile()
    classes: Annotated[tuple[ClassFile, ...], Field(max_length=MAX_CLASSES)] = ()
    outages: tuple[OutageFile, ...] = ()
    users: UsersFile | None = None
    arms: ArmsFile

    @field_validator("stages")
    @classmethod
    def _stages_climb(cls, stages: tuple[StageFile, ...] | None) -> tuple[StageFile, ...] | None:
        refuse(stage_faults(stages) if stages else ())
        return stages

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        refuse(self._faults())
        return self

    def _faults(self) -> Iterator[Fault]:
        if (self.rate_per_s is None) == (self.window_requests is None):
            yield (), "needs either `rate_per_s` or `window_requests` (exactly so many in each window)"
        if (self.max_duration_h is None) == (self.max_requests is None):
            yield (), "needs either `max_duration_h` or `max_requests`, where a run ends at the latest"
        for name in ("share", "share_end"):
            total = sum(_share(item, name) for item in self.classes)
            if self.classes and abs(total - 1) > 1e-6:
                yield ("classes",), f"the {name} of all classes must add up to 1, found {total:g}"

    @property
    def rate(self) -> float:
        """Return requests a second."""
        return self.rate_per_s or (self.window_requests or 1) / WINDOW_S

    def core(self, base: Path, policy: Policy) -> Scenario:
        """Return the value; stages and assignment given here replace the policy's."""
        if self.stages:
            last = len(self.stages) - 1
            policy = replace(policy, stages=tuple(s.core(last=at == last) for at, s in enumerate(self.stages)))
        if self.assignment:
            policy = replace(policy, assignment=Assignment(self.assignment))
        incumbent = self.arms.incumbent.core(base, None)
        candidate = self.arms.candidate.core(base, incumbent if self.arms.candidate.like else None)
        noise = self.replica_noise or NoiseFile(sigma=0.0, correlation_s=1.0)
        classes = self.classes or (ClassFile(name="all", share=1.0),)
        return Scenario(
            name=self.name,
            policy=policy,
            rate_per_s=self.rate,
            window_requests=self.window_requests,
            duration_s=self.max_requests / self.rate if self.max_requests else (self.max_duration_h or 0) * _HOUR_S,
            timeout_s=self.timeout_s,
            history_requests=self.history_requests,
            approve_after_s=self.approve_after_s,
            within=candidate == incumbent if self.expect is None else self.expect == "promoted",
            trend=self.drift.trend,
            daily_amplitude=self.drift.daily_amplitude,
            noise_sigma=noise.sigma,
            noise_correlation_s=noise.correlation_s,
            score_delay_s=self.scores.median_delay_s,
            score_delay_sigma=self.scores.sigma,
            score_missing=self.scores.missing_share,
            classes=tuple(RequestClass(c.name, c.share, _share(c, "share_end"), dict(c.scale)) for c in classes),
            outages=tuple(
                Outage(o.start_h * _HOUR_S, (o.start_h + o.duration_h) * _HOUR_S, o.failure_rate) for o in self.outages
            ),
            incumbent=incumbent,
            candidate=candidate,
            from_image=self.arms.candidate.from_image,
            users=self.users.core() if self.users else None,
        )


def _share(item: ClassFile, name: str) -> float:
    return item.share_end if name == "share_end" and item.share_end is not None else item.share


def load_scenario(path: Path, policies: Path = POLICIES) -> Scenario:
    """Return the scenario that a file declares; InvalidFileError with every fault of it and its policy."""
    return parse_scenario(read(path), path.parent, policies)


def parse_scenario(document: Document, base: Path, policies: Path = POLICIES) -> Scenario:
    """Return the scenario that a document declares; files and policies it names by path start at `base`."""
    file = accept(document, ScenarioFile, base)
    policy = load_policy(file.policy, policies, base)
    scenario = file.core(base, policy)
    problems = [document.problem(("arms", arm), text) for arm, text in _unmeasured(scenario)]
    if scenario.policy.is_sticky and scenario.users is None:
        problems.append(document.problem((), "needs `users`: the assignment is sticky, so it matters who comes again"))
    if problems:
        raise InvalidFileError(tuple(problems))
    return scenario


def _unmeasured(scenario: Scenario) -> Sequence[tuple[str, str]]:
    """Return the metrics that the policy judges and an arm does not draw."""
    judged = dict.fromkeys(item.metric for item in scenario.policy.criteria if item.metric not in RATES)
    reasons = {"latency_s": "every request takes its time", **dict.fromkeys(judged, "the policy judges it")}
    return [
        (arm, f"has no law for {metric}, and {reason}; give it one")
        for arm, drawn in (("incumbent", scenario.incumbent), ("candidate", scenario.candidate))
        for metric, reason in reasons.items()
        if metric not in drawn.laws
    ]
