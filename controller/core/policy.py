"""The declared rollback criteria, stages, error budgets and deadlines of a rollout."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from controller.core.spec import Digest, digest_of
from controller.stats.bins import Axis


class Role(StrEnum):
    """What a failing criterion does.

    A guardrail reverts, and stands in the way of promotion until it is proven. A watch only reports, and is judged
    alone: it may spend the whole false-revert budget on itself. A dry run only reports too, but as the guardrail that
    it may become: it fails when the rollout would have been reverted for it, with its weight among the guardrails', so
    what it says on past rollouts is what it would have done to them.
    """

    GUARDRAIL = "guardrail"
    WATCH = "watch"
    DRY_RUN = "dry_run"


class Mode(StrEnum):
    """How a stage reaches the candidate: a mirrored request whose answer is thrown away, or a real share."""

    SHADOW = "shadow"
    SHARE = "share"


class Assignment(StrEnum):
    """Whom a coin is tossed for: every request, or every user once, who then stays on an arm and has one vote."""

    REQUEST = "request"
    STICKY = "sticky"


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
    """A measured quantity: its bins, the direction that hurts, and its unit for sentences.

    `offline`: needs a suite that says what to expect, or several images of one prompt, so only a bench measures it.
    """

    name: str
    axis: Axis
    higher_is_worse: bool
    unit: str
    title: str
    offline: bool = False


def _offline_score(name: str, title: str) -> Metric:
    return Metric(name, Axis.SCORE, higher_is_worse=False, unit="", title=title, offline=True)


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
        _offline_score("words", "words read exactly"),
        _offline_score("no_text", "absence of text"),
        _offline_score("objects", "objects as asked"),
        _offline_score("logo", "logo match"),
        _offline_score("soundness", "soundness"),
        _offline_score("sharpness", "sharpness"),
        _offline_score("alignment", "prompt alignment"),
        _offline_score("stability", "stability over seeds"),
        _offline_score("reproducibility", "reproducibility"),
        _offline_score("likeness", "likeness to the incumbent"),
    )
}


@dataclass(frozen=True, slots=True)
class Criterion:
    """One declared limit: metric, statistic, exactly one allowed change, and what breaching it does.

    `min_images`: candidate images whose value it must have read, over all stages, before the rollout goes on.
    `block_s`: judge blocks of so many seconds as one observation each (`test: block`), because replicas differ by
    more than the allowed change; None judges every request.
    """

    metric: str
    statistic: str
    max_ratio: float | None = None
    max_increase: float | None = None
    max_drop: float | None = None
    limit: float | None = None
    role: Role = Role.GUARDRAIL
    weight: float = 1.0
    min_images: int = 0
    block_s: float | None = None

    @property
    def title(self) -> str:
        """Return the name used in every sentence and table, such as `latency p99`."""
        title = METRICS[self.metric].title
        title = title if self.statistic in {"mean", "rate"} else f"{title} {self.statistic}"
        return title if self.block_s is None else f"{title} by blocks"

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Criterion":
        """Parse plain JSON values."""
        return Criterion(**{**value, "role": Role(value["role"])})


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
    """The offline gate before any traffic.

    `suite_digest`: which suite that name meant, "" until a bench or a proposal has read it. A repeat draws every
    prompt once on both arms; the bench may end from `min_repeats` on and ends after `max_repeats`. Each of
    `concurrency` above 1, and `rate_per_s` (requests arriving by chance, so many a second), is a load that is
    measured apart and reported, not judged. `criteria` are judged on the pairs.
    """

    suite: str
    suite_digest: str
    min_repeats: int
    max_repeats: int
    concurrency: tuple[int, ...]
    rate_per_s: float | None
    criteria: tuple[Criterion, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Gate":
        """Parse what `to_json` returned."""
        return Gate(
            **{
                **value,
                "concurrency": tuple(value["concurrency"]),
                "criteria": tuple(Criterion.from_json(criterion) for criterion in value["criteria"]),
            }
        )


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
    assignment: Assignment = Assignment.REQUEST

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
                "criteria": tuple(Criterion.from_json(criterion) for criterion in value["criteria"]),
                "on_deadline": OnDeadline(value["on_deadline"]),
                "gate": Gate.from_json(value["gate"]) if value.get("gate") else None,
                "assignment": Assignment(value.get("assignment", Assignment.REQUEST)),
            }
        )

    @property
    def is_sticky(self) -> bool:
        """Say whether users, not requests, are assigned."""
        return self.assignment is Assignment.STICKY

    @property
    def digest(self) -> Digest:
        """Return the SHA-256 (hex) of the policy's canonical JSON."""
        return digest_of(self.to_json())
