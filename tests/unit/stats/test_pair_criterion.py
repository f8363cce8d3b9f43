import math

import pytest

from controller.stats import limit, paired
from controller.stats.bins import Axis
from controller.stats.criterion import CriterionSetting, Statistic
from controller.stats.pair_criterion import (
    CAP_PAIRS,
    THRESHOLD_PAIRS,
    LimitEvidence,
    PairState,
    fold,
    log_evidence,
    start,
    summary,
)
from controller.stats.paired import PairedRatio
from controller.stats.quantile import LOG_ODDS


def quantity(statistic: Statistic = Statistic.P50, **margin: float) -> CriterionSetting:
    return CriterionSetting("latency_s", Axis.LOG, True, statistic, interval=False, **margin)


def after(setting: CriterionSetting, pairs: list[tuple[float | None, float | None]]) -> PairState:
    state = start(setting)
    for incumbent, candidate in pairs:
        state = fold(state, incumbent, candidate)
    return state


SETTINGS = [
    quantity(max_ratio=1.25),
    quantity(Statistic.P99, max_ratio=1.25),
    quantity(Statistic.MEAN, max_ratio=1.25),
    quantity(Statistic.MEAN, max_increase=0.5),
    quantity(Statistic.LAW, max_ratio=1.25),
    quantity(Statistic.P95, limit=2.0),
    quantity(Statistic.MEAN, limit=2.0),
    quantity(Statistic.MAX, limit=2.0),
    CriterionSetting("failure", Axis.BINARY, True, Statistic.RATE, max_increase=0.1),
    CriterionSetting("failure", Axis.BINARY, True, Statistic.RATE, max_ratio=2.0),
    CriterionSetting("failure", Axis.BINARY, True, Statistic.RATE, limit=0.1),
    CriterionSetting("words", Axis.SCORE, False, Statistic.MEAN, max_drop=0.1),
    CriterionSetting("words", Axis.SCORE, False, Statistic.MEAN, limit=0.9),
]


@pytest.mark.parametrize(
    "setting", SETTINGS, ids=lambda setting: f"{setting.statistic}-{setting.margin}-{setting.axis}"
)
def test_no_pair_is_no_evidence(setting: CriterionSetting) -> None:
    """Without a pair nothing is proven and nothing estimated, and pairs that lack both values change nothing."""
    empty = after(setting, [(None, None)] * 3)
    assert empty == start(setting)
    assert log_evidence(empty) == pytest.approx((0.0, 0.0))
    assert (summary(empty).incumbent, summary(empty).candidate, summary(empty).n_candidate) == (None, None, 0)


@pytest.mark.parametrize(
    "setting", SETTINGS, ids=lambda setting: f"{setting.statistic}-{setting.margin}-{setting.axis}"
)
def test_evidence_stays_finite(setting: CriterionSetting) -> None:
    """The worst pairs there are, either way round, give numbers that can be written as JSON."""
    worst = {Axis.LOG: (1e-6, math.inf), Axis.BINARY: (0.0, 1.0), Axis.SCORE: (1.0, 0.0)}[setting.axis]
    for pair in (worst, worst[::-1], (worst[1], worst[1])):
        found = summary(after(setting, [pair] * 50))
        numbers = (found.log_harm, found.log_safety, found.incumbent, found.candidate)
        assert all(number is not None and math.isfinite(number) for number in numbers)


def test_the_first_pairs_only_tune() -> None:
    """A quantile judges from its 21st pair on, a mean of quantities from its 11th."""
    for setting, n in (
        (quantity(max_ratio=1.25), THRESHOLD_PAIRS),
        (quantity(Statistic.MEAN, max_ratio=1.25), CAP_PAIRS),
    ):
        assert log_evidence(after(setting, [(1.0, 9.0)] * n)) == (0.0, 0.0)
        assert log_evidence(after(setting, [(1.0, 9.0)] * (n + 1)))[0] > 0


@pytest.mark.parametrize("level", [Statistic.P50, Statistic.P95])
def test_equal_values_pass_a_quantile(level: Statistic) -> None:
    """An incumbent that always takes the same time has its quantile exceeded as often as any other."""
    assert log_evidence(after(quantity(level, max_ratio=1.25), [(1.0, 1.0)] * 200))[1] > math.log(20)
    slow_tenth = [(1.0, 2.0 if n % 10 == 0 else 1.0) for n in range(400)]
    assert log_evidence(after(quantity(Statistic.P95, max_ratio=1.25), slow_tenth))[0] > math.log(2)


def test_a_stall_does_not_blunt_the_law() -> None:
    """After one pair with a stall of a thousand times, twice the latency is found within a dozen pairs more."""
    law = quantity(Statistic.LAW, max_ratio=1.25)
    twice = [(1.0, 2.0), (1.1, 2.0), (0.9, 2.0)] * 5
    calm, stalled = after(law, [(1.0, 1.0), *twice]), after(law, [(1000.0, 1.0), *twice, *twice[:12]])
    assert log_evidence(calm)[0] > math.log(100)
    assert log_evidence(stalled)[0] > math.log(100)


def test_a_failed_drawing_is_beyond_every_threshold() -> None:
    """Infinitely late on the candidate is harm to a quantile, on both arms it says nothing."""
    ready = [(1.0, 1.0)] * THRESHOLD_PAIRS
    quantile = quantity(max_ratio=1.25)
    assert log_evidence(after(quantile, [*ready, *[(1.0, math.inf)] * 20]))[0] > math.log(100)
    assert log_evidence(after(quantile, [*ready, (math.inf, math.inf)])) == (0.0, 0.0)
    assert summary(after(quantile, [(1.0, math.inf)] * 30)).candidate_at_least


def test_a_limit_reads_the_candidate_alone() -> None:
    """Without an incumbent's value an absolute limit is judged all the same, a change is not."""
    limited = after(quantity(Statistic.P95, limit=2.0), [(None, 1.0)] * 100)
    assert log_evidence(limited)[1] > math.log(20)
    assert summary(limited).incumbent is None
    assert log_evidence(after(quantity(max_ratio=1.25), [(None, 1.0)] * 100)) == (0.0, 0.0)


def test_a_score_must_reach_its_limit() -> None:
    """A score above its limit is safe, one below is harm."""
    setting = CriterionSetting("soundness", Axis.SCORE, False, Statistic.MEAN, limit=0.9)
    assert log_evidence(after(setting, [(None, 1.0)] * 60))[1] > math.log(20)
    assert log_evidence(after(setting, [(None, 0.5)] * 60))[0] > math.log(100)


def test_changes_are_in_the_units_of_the_margin() -> None:
    """A ratio of estimates for max_ratio, a difference for drops and increases, none for limits."""
    pairs: list[tuple[float | None, float | None]] = [(1.0, 1.2)] * 30
    assert summary(after(quantity(max_ratio=1.25), pairs)).change == pytest.approx(1.2)
    assert summary(after(quantity(Statistic.MEAN, max_increase=0.5), pairs)).change == pytest.approx(0.2)
    assert summary(after(quantity(limit=2.0), pairs)).change is None
    drop = CriterionSetting("words", Axis.SCORE, False, Statistic.MEAN, max_drop=0.1)
    assert summary(after(drop, [(0.9, 0.7)] * 30)).change == pytest.approx(-0.2)


@pytest.mark.parametrize("value", [math.nan, -1.0])
def test_absurd_values_are_refused(value: float) -> None:
    """A value that the axis can't hold raises instead of being judged."""
    with pytest.raises(ValueError, match="finite value of at least 0"):
        fold(start(quantity(max_ratio=1.25)), 1.0, value)
    with pytest.raises(ValueError, match="score"):
        fold(start(SETTINGS[-1]), None, 1.5)


SURE = CriterionSetting("failure", Axis.BINARY, True, Statistic.RATE, limit=0.1)


@pytest.mark.parametrize(
    ("setting", "candidate", "event", "q"),
    [
        (SURE, 0.0, 0, 0.1),
        (SURE, 1.0, 1, 0.1),
        (quantity(Statistic.P95, limit=2.0), 2.0, 0, 0.05),
        (quantity(Statistic.P95, limit=2.0), 2.0001, 1, 0.05),
        (quantity(Statistic.P95, limit=0.5), 0.6, 1, 0.05),
    ],
)
def test_one_image_is_one_event_against_a_limit(
    setting: CriterionSetting, candidate: float, event: int, q: float
) -> None:
    """A value at its limit keeps it; each image multiplies each bet by r / q or (1 - r) / (1 - q)."""
    found = after(setting, [(None, candidate)]).evidence
    assert isinstance(found, LimitEvidence)
    for k, odds in enumerate(LOG_ODDS):
        r = q * math.exp(odds) / (1 - q + q * math.exp(odds))
        assert found.harm[k] == pytest.approx(math.log(r / q if event else (1 - r) / (1 - q)))
    for k, fraction in enumerate(limit.SAFETY_FRACTIONS):
        assert found.safety[k] == pytest.approx(math.log(fraction if event else (1 - fraction * q) / (1 - q)))


@pytest.mark.parametrize(
    ("setting", "candidate", "most", "cap", "loss"),
    [
        (quantity(Statistic.MEAN, limit=2.0), 1.5, 2.0, 4.0, 1.5),
        (quantity(Statistic.MEAN, limit=2.0), 30.0, 2.0, 4.0, 4.0),
        (CriterionSetting("words", Axis.SCORE, False, Statistic.MEAN, limit=0.9), 0.25, 0.1, 1.0, 0.75),
    ],
)
def test_one_image_is_one_bet_on_a_mean(
    setting: CriterionSetting, candidate: float, most: float, cap: float, loss: float
) -> None:
    """Quantities are cut at twice their limit, scores not at all; a bet is a part of the largest safe one."""
    found = after(setting, [(None, candidate)]).evidence
    assert isinstance(found, LimitEvidence)
    for k, fraction in enumerate(limit.FRACTIONS):
        assert found.harm[k] == pytest.approx(math.log1p(0.99 * fraction * (loss - most) / most))
        assert found.safety[k] == pytest.approx(math.log1p(0.99 * fraction * (most - loss) / (cap - most)))


@pytest.mark.parametrize(("incumbent", "candidate"), [(1.0, 1.3), (2.0, 0.5), (1.0, 1e6), (1e6, 1.0)])
def test_a_pair_is_judged_by_its_log_ratio_about_the_margin(incumbent: float, candidate: float) -> None:
    """The first pair is cut four times the weak prior's scale from the margin, on either side alike."""
    setting = quantity(Statistic.LAW, max_ratio=1.25)
    found, fresh = after(setting, [(incumbent, candidate)]).evidence, start(setting).evidence
    assert isinstance(found, PairedRatio)
    assert isinstance(fresh, PairedRatio)
    reach = 4.0 * fresh.scale
    excess = max(-reach, min(reach, math.log(candidate / incumbent / 1.25)))
    expected = paired.fold_ratios(fresh, [math.log(1.25) + excess])
    assert found.harm == pytest.approx(expected.harm)
    assert found.safety == pytest.approx(expected.safety)
