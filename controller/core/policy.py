"""The declared rollback criteria, stages, error budgets and deadlines of a rollout."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from controller.core.spec import Digest, digest_of
from controller.stats.bins import Axis


class Role(StrEnum):
    """What a failing criterion does: a guardrail reverts, a watch only reports."""

    GUARDRAIL = "guardrail"
    WATCH = "watch"


class Mode(StrEnum):
    """How a stage reaches the candidate: a mirrored request whose answer is thrown away, or a real share."""

    SHADOW = "shadow"
    SHARE = "share"


class OnDeadline(StrEnum):
    """What happens when a rollout is undecided at its deadline."""

    REVERT = "revert"
    HOLD = "hold"


class Requires(StrEnum):
    """What a stage needs before the next one: `images` bounds exposure, `pass` asks for proof of every guardrail."""

    IMAGES = "images"
    PASS = "pass"


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured quantity: its bins, the direction that hurts, and its unit for sentences."""

    name: str
    axis: Axis
    higher_is_worse: bool
    unit: str
    title: str


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("latency_s", Axis.LOG, higher_is_worse=True, unit="s", title="latency"),
        Metric("service_s", Axis.LOG, higher_is_worse=True, unit="s", title="service time"),
        Metric("queue_s", Axis.LOG, higher_is_worse=True, unit="s", title="queue time"),
        Metric("cost_usd", Axis.LOG, higher_is_worse=True, unit="$", title="cost per image"),
        Metric("memory_gib", Axis.LOG, higher_is_worse=True, unit="GiB", title="memory"),
        Metric("failure", Axis.BINARY, higher_is_worse=True, unit="", title="failure rate"),
        Metric("refusal", Axis.BINARY, higher_is_worse=True, unit="", title="refusal rate"),
        Metric("text_accuracy", Axis.SCORE, higher_is_worse=False, unit="", title="text accuracy"),
    )
}


@dataclass(frozen=True, slots=True)
class Criterion:
    """One declared limit: metric, statistic, exactly one allowed change, and what breaching it does."""

    metric: str
    statistic: str
    max_ratio: float | None = None
    max_increase: float | None = None
    max_drop: float | None = None
    limit: float | None = None
    role: Role = Role.GUARDRAIL
    weight: float = 1.0

    @property
    def title(self) -> str:
        """Return the name used in every sentence and table, such as `latency p99`."""
        title = METRICS[self.metric].title
        return title if self.statistic in {"mean", "rate"} else f"{title} {self.statistic}"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of exposure. `share` in (0, 1); `min_images` candidate images read before the next stage."""

    mode: Mode
    share: float
    min_images: int
    requires: Requires
    approval: bool = False


@dataclass(frozen=True, slots=True)
class Budget:
    """Error probabilities of the whole rollout: over all criteria, all stages and all looks together."""

    false_revert: float
    false_promote: float


@dataclass(frozen=True, slots=True)
class Gate:
    """The offline gate before any traffic: a suite's name and how often each prompt is drawn at least."""

    suite: str
    min_repeats: int


@dataclass(frozen=True, slots=True)
class Policy:
    """A frozen policy; times in seconds."""

    name: str
    budget: Budget
    stages: tuple[Stage, ...]
    criteria: tuple[Criterion, ...]
    deadline_s: float
    on_deadline: OnDeadline
    bake_s: float
    holdback: float
    ready_timeout_s: float
    evidence_timeout_s: float
    max_invalid_share: float
    gate: Gate | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Policy":
        """Parse what `to_json` returned."""
        return Policy(
            **{
                **value,
                "budget": Budget(**value["budget"]),
                "stages": tuple(
                    Stage(**{**stage, "mode": Mode(stage["mode"]), "requires": Requires(stage["requires"])})
                    for stage in value["stages"]
                ),
                "criteria": tuple(
                    Criterion(**{**criterion, "role": Role(criterion["role"])}) for criterion in value["criteria"]
                ),
                "on_deadline": OnDeadline(value["on_deadline"]),
                "gate": Gate(**value["gate"]) if value.get("gate") else None,
            }
        )

    @property
    def digest(self) -> Digest:
        """Return the SHA-256 (hex) of the policy's canonical JSON."""
        return digest_of(self.to_json())
