"""What one declared criterion means to the mathematics, and which test that makes it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from controller.stats.bins import Axis
from controller.stats.tally import WINDOW_S

ELAPSED_METRICS = frozenset({"latency_s"})
"""Metrics whose value is the age at which a request resolves: a threshold x on them is decided at age x.
Every other metric is known only when the request is over, so it is read at the timeout."""


class Statistic(StrEnum):
    """The property of an arm that a criterion compares."""

    P50 = "p50"
    P95 = "p95"
    P99 = "p99"
    LAW = "law"
    MEAN = "mean"
    RATE = "rate"
    MAX = "max"


class Kind(StrEnum):
    """The test that judges a criterion; one module each."""

    QUANTILE = "quantile"
    LAW = "law"
    BLOCK = "block"
    MEAN = "mean"
    COIN = "coin"
    LIMIT_EVENT = "limit_event"
    LIMIT_MEAN = "limit_mean"
    LIMIT_MAX = "limit_max"


QUANTILE_LEVEL = {Statistic.P50: 0.50, Statistic.P95: 0.95, Statistic.P99: 0.99, Statistic.LAW: 0.50}


_QUANTILE_KINDS = {"max_ratio": Kind.QUANTILE, "limit": Kind.LIMIT_EVENT}
_DIFFERENCE_KINDS = {"max_increase": Kind.MEAN, "max_drop": Kind.MEAN}
KINDS: Mapping[Statistic, Mapping[str, Kind]] = {
    Statistic.P50: _QUANTILE_KINDS,
    Statistic.P95: _QUANTILE_KINDS,
    Statistic.P99: _QUANTILE_KINDS,
    Statistic.LAW: {"max_ratio": Kind.LAW},
    Statistic.MEAN: {"max_ratio": Kind.MEAN, **_DIFFERENCE_KINDS, "limit": Kind.LIMIT_MEAN},
    Statistic.RATE: {"max_ratio": Kind.COIN, **_DIFFERENCE_KINDS, "limit": Kind.LIMIT_EVENT},
    Statistic.MAX: {"limit": Kind.LIMIT_MAX},
}
"""Statistic -> margin -> the test that judges it; a pair that is absent is refused."""


@dataclass(frozen=True, slots=True)
class CriterionSetting:
    """Everything the mathematics needs about a criterion.

    `metric`: name in the tally's cells. Exactly one of `max_ratio` (candidate / incumbent), `max_increase`
    and `max_drop` (candidate against incumbent, in the metric's unit) and `limit` (candidate alone) is given;
    this one number is the margin of both tests: harm rejects "within it", safety rejects "at or beyond it".
    `cap_ratio`: means of positive quantities are means of min(X, cap), cap = cap_ratio x the incumbent's
    historical mean, frozen when it is first known (an uncapped mean can't be bounded, statistics.md §3);
    tails beyond it belong to a rate. `timeout_s`: age at which a request is decided; `settle_s`: extra age
    for values that come later (scores). `block_s`: judge the typical value by blocks of so many seconds (p50 and
    `max_ratio` only), None: request by request. `interval`: keep the confidence sequence of the change (reporting
    only).
    """

    metric: str
    axis: Axis
    higher_is_worse: bool
    statistic: Statistic
    max_ratio: float | None = None
    max_increase: float | None = None
    max_drop: float | None = None
    limit: float | None = None
    cap_ratio: float = 10.0
    timeout_s: float = 30.0
    settle_s: float = 0.0
    block_s: float | None = None
    interval: bool = True

    def __post_init__(self) -> None:
        """Refuse a combination that no test judges (ValueError)."""
        given = [v for v in (self.max_ratio, self.max_increase, self.max_drop, self.limit) if v is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of max_ratio, max_increase, max_drop, limit")
        if not math.isfinite(given[0]) or given[0] < 0 or (self.max_ratio is not None and self.max_ratio <= 0):
            raise ValueError(
                f"the margin {given[0]!r} of {self.metric} must be finite and positive (a difference may be 0)"
            )
        if self.axis is Axis.LOG and not self.higher_is_worse:
            raise ValueError(f"{self.metric}: quantities on the log axis must be worse when higher")
        if self.max_increase is not None and not self.higher_is_worse:
            raise ValueError(f"{self.metric}: max_increase is for metrics that are worse when higher; use max_drop")
        if self.max_drop is not None and self.higher_is_worse:
            raise ValueError(f"{self.metric}: max_drop is for metrics that are worse when lower; use max_increase")
        if min(self.timeout_s, self.cap_ratio - 1) <= 0 or self.settle_s < 0:
            raise ValueError("timeout_s must be positive, settle_s at least 0, cap_ratio above 1")
        self._check_statistic()

    def _check_statistic(self) -> None:
        match self.statistic:
            case Statistic.P50 | Statistic.P95 | Statistic.P99 | Statistic.LAW | Statistic.MAX:
                needs_axis = Axis.LOG
            case Statistic.RATE:
                needs_axis = Axis.BINARY
            case Statistic.MEAN:
                needs_axis = self.axis
        if self.axis is not needs_axis:
            raise ValueError(f"{self.statistic} of {self.metric} needs a metric on the {needs_axis} axis")
        if self.statistic is Statistic.MEAN and self.max_ratio is not None and self.axis is not Axis.LOG:
            raise ValueError(f"the mean of {self.metric} takes max_increase, max_drop or limit")
        if self.limit is not None and not 0 < self.limit < (math.inf if self.axis is Axis.LOG else 1.0):
            raise ValueError(f"the limit of {self.metric} must be positive, and below 1 for a rate or score")
        if self.block_s is not None and (self.statistic is not Statistic.P50 or self.max_ratio is None):
            raise ValueError(f"{self.metric}: blocks judge the typical value: p50 with max_ratio")
        if self.block_s is not None and not WINDOW_S <= self.block_s < math.inf:
            raise ValueError(f"{self.metric}: a block holds at least one window of {WINDOW_S} s")
        _ = self.kind

    @property
    def margin(self) -> str:
        """Return the name of the margin that is given."""
        if self.max_ratio is not None:
            return "max_ratio"
        if self.max_increase is not None:
            return "max_increase"
        return "limit" if self.limit is not None else "max_drop"

    @property
    def kind(self) -> Kind:
        """Return the test that judges this criterion; ValueError names the margins the statistic can have."""
        kinds = KINDS[self.statistic]
        if self.margin not in kinds:
            raise ValueError(f"{self.statistic} of {self.metric} takes {' or '.join(kinds)}, not {self.margin}")
        return kinds[self.margin] if self.block_s is None else Kind.BLOCK

    @property
    def level(self) -> float:
        """Return p of the quantile p (0.5 for the whole law, which is displayed by its median)."""
        return QUANTILE_LEVEL[self.statistic]

    @property
    def is_elapsed(self) -> bool:
        """Say whether the metric is the request's own age, so a threshold is decided before the timeout."""
        return self.metric in ELAPSED_METRICS

    @property
    def decided_s(self) -> float:
        """Return the age at which every value of the metric is known or never will be."""
        return self.timeout_s + self.settle_s

    @property
    def lag_windows(self) -> int:
        """Return L: what is used on window w may depend only on windows up to w - L.

        The last possible reading of those was before w began (P4 of statistics.md §0.1).
        """
        return 1 + math.ceil(self.decided_s / WINDOW_S)

    def loss_of(self, value: float) -> float:
        """Return the value turned so that higher is worse."""
        return value if self.higher_is_worse else 1.0 - value
