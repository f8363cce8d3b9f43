"""What the judge says: a verdict per criterion, an assessment of the whole, and the sentences that explain both."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from controller.core.policy import METRICS, Criterion, Role
from controller.stats.criterion import Summary


class Verdict(StrEnum):
    """Only `pass` promotes, only `fail` blames the candidate."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NO_EVIDENCE = "no_evidence"


@dataclass(frozen=True, slots=True)
class CriterionVerdict:
    """A criterion's verdict with every number behind it."""

    title: str
    role: Role
    allowed: str
    verdict: Verdict
    reason: str
    summary: Summary


@dataclass(frozen=True, slots=True)
class Assessment:
    """The whole evidence at one moment.

    `log_harm` is the log of the weighted average of the guardrails' harm e-processes; `log_needed` is what it takes
    to revert. `images` counts the candidate images of `stage`, the latest of which evidence was read, that every
    guardrail has read. `elevated` says that harm is suspected but not proven: no further traffic. `untrusted` and
    `environment` hold the reason when the evidence can't be trusted or both arms are bad.
    """

    verdicts: tuple[CriterionVerdict, ...]
    log_harm: float
    log_needed: float
    harm: str | None
    safe: bool
    evident: bool
    elevated: bool
    images: int
    log_sample_ratio: float
    untrusted: str | None
    environment: str | None
    last_evidence_s: float | None
    stage: int = 0

    @property
    def in_numbers(self) -> "Assessment":
        """Return the assessment without its sentences, which a later version may word in another way."""
        return replace(
            self,
            verdicts=tuple(replace(item, title="", allowed="", reason="") for item in self.verdicts),
            harm=_unworded(self.harm),
            untrusted=_unworded(self.untrusted),
            environment=_unworded(self.environment),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Assessment":
        """Parse what `to_json` returned."""
        verdicts = tuple(
            CriterionVerdict(
                **{
                    **item,
                    "role": Role(item["role"]),
                    "verdict": Verdict(item["verdict"]),
                    "summary": Summary(**item["summary"]),
                }
            )
            for item in value["verdicts"]
        )
        return Assessment(**{**value, "verdicts": verdicts})


def _unworded(sentence: str | None) -> str | None:
    return None if sentence is None else ""


def allowed_text(criterion: Criterion) -> str:
    """Return the allowed change as people write it: `<= 1.25x`, `<= +0.5 pp`, `>= -0.02`, `<= 20 GiB`, `>= 0.95`."""
    if criterion.max_ratio is not None:
        return f"<= {criterion.max_ratio:.2f}x"
    if criterion.max_increase is not None:
        return f"<= +{100 * criterion.max_increase:.3g} pp"
    if criterion.max_drop is not None:
        return f">= -{criterion.max_drop:.3g}"
    sign = "<=" if METRICS[criterion.metric].higher_is_worse else ">="
    return f"{sign} {value_text(criterion, criterion.limit)}"


def value_text(criterion: Criterion, value: float | None) -> str:
    """Return an estimate in the metric's unit, `-` when there is none."""
    if value is None:
        return "-"
    metric = METRICS[criterion.metric]
    if criterion.statistic == "rate":
        return f"{100 * value:.2f} %"
    if metric.unit == "$":
        return f"${value:.3g}"
    if metric.unit:
        return f"{value:.3g} {metric.unit}"
    return f"{value:.3f}"


def change_text(criterion: Criterion, summary: Summary) -> str:
    """Return the estimated change with its bounds: `1.05x [0.88, 1.31]` or `-0.24 [-0.33, -0.16]`."""
    if summary.change is None:
        return "-"
    low, high = summary.change_low, summary.change_high
    if criterion.max_ratio is not None:
        bounds = f" [{low:.2f}, {high:.2f}]" if low is not None and high is not None else ""
        return f"{summary.change:.2f}x{bounds}"
    if criterion.statistic == "rate":
        bounds = f" [{100 * low:+.2f}, {100 * high:+.2f}]" if low is not None and high is not None else ""
        return f"{100 * summary.change:+.2f} pp{bounds}"
    bounds = f" [{low:+.3f}, {high:+.3f}]" if low is not None and high is not None else ""
    return f"{summary.change:+.3f}{bounds}"


def finding(criterion: Criterion, summary: Summary) -> str:
    """Return the numbers as half a sentence: `latency p99 1.79 s against 1.70 s (94 and 31 images, ...)`.

    Of a whole law, which may be worse where its median is not, what one image in ten takes is said as well.
    """
    slow = ""
    if summary.candidate_slow is not None and summary.incumbent_slow is not None:
        slowest, usual = value_text(criterion, summary.candidate_slow), value_text(criterion, summary.incumbent_slow)
        slow = f", p90 {slowest} against {usual}"
    at_least = "at least " if summary.candidate_at_least else ""
    return (
        f"{criterion.title} {at_least}{value_text(criterion, summary.candidate)} against "
        f"{value_text(criterion, summary.incumbent)} ({summary.n_candidate} and {summary.n_incumbent} images, "
        f"change {change_text(criterion, summary)}{slow}, allowed {allowed_text(criterion)})"
    )
