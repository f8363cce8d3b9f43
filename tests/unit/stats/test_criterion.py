import math
from dataclasses import replace

import numpy as np
import pytest

from controller.stats.bins import Axis, cell_of, lower_edge, value_of
from controller.stats.criterion import (
    CriterionSetting,
    Kind,
    ProcessState,
    Reading,
    Statistic,
    age_s,
    fold,
    start,
    summary,
)
from controller.stats.law import CLIPS, TILTS, LawTuning
from controller.stats.mean import CEILINGS, STEPS, MeanTuning
from controller.stats.quantile import HARM_ODDS, QuantileTuning
from controller.stats.tally import Arm, ClassTally, WindowTally
from tests.unit.stats.build import cost, counts, fold_all, fresh, latency, rate, readings, score, tally

CAN, INC = Arm.CANDIDATE, Arm.INCUMBENT
HISTORY = {-20: 250, -5: 250, 0: 200, 8: 200, 30: 80, 60: 20}
REQUESTS = [
    (CAN, "a", 70),
    (CAN, "a", -4),
    (INC, "a", 31),
    (INC, "a", 0),
    (CAN, "b", None),
    (INC, "b", None),
    (INC, "a", -20),
]
ALL = [
    latency(Statistic.P50),
    latency(Statistic.P95),
    latency(Statistic.P99),
    latency(Statistic.LAW),
    cost(),
    score(),
    rate(),
    rate(max_ratio=2.0),
    rate(limit=0.1),
    latency(Statistic.P95, limit=2.0),
    cost(limit=2.0),
    score(limit=0.9),
    latency(Statistic.MAX, limit=2.0),
]


def one_by_one(state: ProcessState, requests: list, share: float) -> ProcessState:
    """Fold each request as a reading of its own, all in one window."""
    metric = state.setting.metric
    return fold_all(state, [Reading(k, 100, share, tally(metric, [request])) for k, request in enumerate(requests)])


@pytest.mark.parametrize("setting", ALL)
def test_a_tally_equals_the_product_of_its_requests(setting: CriterionSetting) -> None:
    """Folding counts, or the requests one at a time and in any order, multiplies the same wealth."""
    cells = {0: 900, 1: 100} if setting.axis is not Axis.LOG else HISTORY
    requests = [(arm, name, cell and abs(cell) % 2) for arm, name, cell in REQUESTS]
    requests = REQUESTS if setting.axis is Axis.LOG else requests
    begun = fresh(setting, cells)
    whole = fold_all(begun, readings(setting.metric, 0.2, [requests]))
    for order in (requests, requests[::-1]):
        single = one_by_one(begun, order, 0.2)
        assert single.harm.total == pytest.approx(whole.harm.total, abs=1e-12)
        assert single.safety == pytest.approx(whole.safety, abs=1e-12)
        assert np.frombuffer(single.interval) == pytest.approx(np.frombuffer(whole.interval), abs=1e-10)
        assert (single.candidate.n, single.incumbent.n) == (whole.candidate.n, whole.incumbent.n)


def test_quantile_factors_are_the_formula() -> None:
    """Each bet's wealth is the product of q_A(c) / (pi q1(c) + (1 - pi) q0(c))."""
    begun = fresh(latency(Statistic.P95), HISTORY)
    tuning, share = begun.tuning, 0.2
    assert isinstance(tuning, QuantileTuning)
    folded = fold_all(begun, readings("latency_s", share, [REQUESTS]))
    for k, odds in enumerate(HARM_ODDS):
        q0, log_e = tuning.q0, 0.0
        q1 = q0 * math.exp(odds) / (1 - q0 + q0 * math.exp(odds))
        for arm, _, cell in REQUESTS:
            scaled = math.inf if cell is None else cell - tuning.shifts.other + (10 if arm is INC else 0)
            over = scaled >= tuning.cell + 10
            of = [(q1 if over else 1 - q1), (q0 if over else 1 - q0)]
            log_e += math.log(of[0 if arm is CAN else 1] / (share * of[0] + (1 - share) * of[1]))
        assert folded.harm.total[k] == pytest.approx(log_e, abs=1e-12)


def test_law_factors_are_the_formula() -> None:
    """Each tilt's wealth is the product of LR or 1 over pi LR + 1 - pi."""
    begun = fresh(latency(Statistic.LAW), HISTORY)
    tuning, share = begun.tuning, 0.2
    assert isinstance(tuning, LawTuning)
    folded = fold_all(begun, readings("latency_s", share, [REQUESTS]))
    for k, tilt in enumerate(TILTS):
        log_e = 0.0
        for arm, _, cell in REQUESTS:
            plain = 1000 if cell is None else cell - tuning.median.shifts.other - (10 if arm is CAN else 0)
            z = (min(plain, tuning.clip_cell) - tuning.centre) / tuning.scale
            z = max(-CLIPS[k], min(CLIPS[k], z))
            lr = math.exp(tilt * z - tuning.psi[k])
            log_e += math.log((lr if arm is CAN else 1.0) / (share * lr + 1 - share))
        assert folded.harm.total[k] == pytest.approx(log_e, abs=1e-12)


def test_mean_factors_are_the_formula() -> None:
    """Each wealth is the product of 1 + lam Z, lam a step in spreads within the bound of statistics.md section 5."""
    begun = fresh(score(), {200: 700, 180: 300})
    tuning, share, d = begun.tuning, 0.2, 0.02
    assert isinstance(tuning, MeanTuning)
    requests = [(CAN, "a", 100), (CAN, "a", 200), (INC, "a", 180), (INC, "a", None)]
    folded = fold_all(begun, readings("text_accuracy", share, [requests]))
    centre = tuning.other + d
    bound = 0.99 * min(share / centre, (1 - share) / (1 + d - centre))
    spread = math.sqrt((0.7 * 0.03**2 + 0.3 * 0.07**2) + d)  # losses 0 and .1 about .03, and up to d for the change
    for k, (step, ceiling) in enumerate(zip(STEPS, CEILINGS, strict=True)):
        bet, log_e = min(ceiling * bound, share * step / spread), 0.0
        for arm, _, cell in requests:
            if cell is not None:
                loss = 1 - cell / 200
                z = (loss - centre) / share if arm is CAN else -(loss + d - centre) / (1 - share)
                log_e += math.log(1 + bet * z)
        assert folded.harm.total[k] == pytest.approx(log_e, abs=1e-12)


@pytest.mark.parametrize("setting", ALL)
def test_no_reading_is_no_evidence(setting: CriterionSetting) -> None:
    """At the start both logs are exactly 0 and nothing is estimated."""
    said = summary(start(setting, WindowTally()))
    assert (said.log_harm, said.log_safety) == (0.0, 0.0)
    assert (said.incumbent, said.candidate, said.change, said.change_low, said.change_high) == (None,) * 5
    assert (said.n_candidate, said.n_incumbent) == (0, 0)


@pytest.mark.parametrize("setting", ALL)
def test_one_request_is_finite(setting: CriterionSetting) -> None:
    """One candidate request moves both logs by a finite amount."""
    cells = {0: 900, 1: 100} if setting.axis is not Axis.LOG else HISTORY
    said = summary(fold_all(fresh(setting, cells), readings(setting.metric, 0.01, [[(CAN, "a", 1)]])))
    assert math.isfinite(said.log_harm)
    assert math.isfinite(said.log_safety)
    assert said.n_candidate == 1


@pytest.mark.parametrize("setting", ALL)
def test_ten_million_requests_do_not_overflow(setting: CriterionSetting) -> None:
    """Huge counts, degenerate history and extreme shares give logs within [-300, 300]."""
    for share in (1e-4, 0.5, 1 - 1e-4):
        state = fresh(setting, {1: 10**7})
        mine = {0: 10**7, 1: 10**7}
        arms = {CAN: {"a": mine}, INC: {"a": mine}}
        said = summary(fold(state, Reading(1, 100, share, counts(setting.metric, arms))))
        assert -300 <= said.log_harm <= 300
        assert -300 <= said.log_safety <= 300


@pytest.mark.parametrize(
    ("tight", "loose", "bad"),
    [
        (latency(Statistic.P95), latency(Statistic.P95, max_ratio=1.5), 80),
        (latency(Statistic.LAW), latency(Statistic.LAW, max_ratio=1.5), 40),
        (cost(), cost(max_ratio=1.5), 60),
        (score(), score(max_drop=0.1), 120),
        (rate(), rate(max_increase=0.2), 1),
        (rate(max_ratio=1.5), rate(max_ratio=4.0), 1),
        (rate(limit=0.05), rate(limit=0.2), 1),
        (latency(Statistic.P95, limit=1.2), latency(Statistic.P95, limit=3.0), 40),
    ],
)
def test_a_looser_margin_shows_less_harm_and_more_safety(
    tight: CriterionSetting, loose: CriterionSetting, bad: int
) -> None:
    """The same evidence is less harmful and safer under a larger allowed change."""
    metric = tight.metric
    usual = {200: 900, 190: 100} if tight.axis is Axis.SCORE else {0: 950, 1: 50}
    usual = HISTORY if tight.axis is Axis.LOG else usual
    ordinary = {Axis.SCORE: 200, Axis.LOG: 0, Axis.BINARY: 0}[tight.axis]
    requests = [(CAN, "a", bad)] * 12 + [(CAN, "a", ordinary)] * 8 + [(INC, "a", ordinary)] * 76 + [(INC, "a", bad)] * 4
    said = [summary(fold_all(fresh(s, usual), readings(metric, 0.2, [requests] * 3))) for s in (tight, loose)]
    assert said[0].log_harm > said[1].log_harm
    assert said[0].log_safety <= said[1].log_safety


def test_quantile_is_read_at_the_threshold_and_others_at_the_timeout() -> None:
    """The age is the slowest class's threshold; means wait for the timeout and scores for their allowance."""
    state = start(latency(Statistic.P50), counts("latency_s", {INC: {"small": {0: 100}, "large": {100: 100}}}))
    tuning = state.tuning
    assert isinstance(tuning, QuantileTuning)
    assert age_s(state, 0) == pytest.approx(10 ** ((100 + tuning.cell + 10) / 232))
    assert age_s(fresh(replace(score(), settle_s=20.0), {200: 100}), 0) == 50.0
    assert age_s(fresh(latency(Statistic.P95, limit=2.0), {}), 0) == pytest.approx(2.0, rel=0.01)
    assert age_s(fresh(latency(Statistic.LAW), HISTORY), 0) > age_s(fresh(latency(Statistic.P50), HISTORY), 0)
    assert age_s(start(latency(Statistic.P50), WindowTally()), 0) == 30.0
    assert age_s(fresh(latency(Statistic.P50), {900: 100}), 0) == 30.0
    memory = CriterionSetting("memory_gib", Axis.LOG, True, Statistic.P95, max_ratio=1.1)
    assert age_s(fresh(memory, HISTORY), 0) == 30.0


def test_reading_later_than_the_age_changes_nothing() -> None:
    """What resolves beyond the threshold after the age does not change the wealth."""
    begun = fresh(latency(Statistic.P50), HISTORY)
    early = [(CAN, "a", None), (CAN, "a", -10), (INC, "a", None), (INC, "a", -20)]
    late = [(CAN, "a", 300), (CAN, "a", -10), (INC, "a", 250), (INC, "a", -20)]
    first, second = (fold_all(begun, readings("latency_s", 0.3, [r])) for r in (early, late))
    assert first.harm == second.harm
    assert first.safety == second.safety


def test_tuning_uses_only_windows_a_lag_ago() -> None:
    """A window feeds thresholds only L windows later, whatever was folded between."""
    setting = replace(latency(Statistic.P50), timeout_s=20.0)
    assert setting.lag_windows == 5
    slow = [(INC, "a", 100)] * 500
    state = fold(fresh(setting, {0: 100}), Reading(1, 10, 0.1, tally("latency_s", slow)))
    before = age_s(state, 14)
    assert before == age_s(state, 10)
    assert age_s(state, 15) > before * 1.5
    assert fold(state, Reading(1, 14, 0.1, WindowTally())).tuning == state.tuning
    assert fold(state, Reading(1, 15, 0.1, WindowTally())).tuning != state.tuning


def test_without_history_nothing_is_compared_until_a_baseline_exists() -> None:
    """The first readings only build the baseline; then the comparison begins."""
    state = start(latency(Statistic.P50), WindowTally())
    requests = [(INC, "a", 0)] * 30 + [(CAN, "a", 100)] * 10
    state = fold_all(state, readings("latency_s", 0.25, [requests] * 7))
    assert (summary(state).log_harm, summary(state).change) == (pytest.approx(0.0, abs=1e-15), None)
    assert summary(state).n_candidate == 70
    state = fold(state, Reading(1, 107, 0.25, tally("latency_s", requests)))
    assert summary(state).log_harm > 1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_reading_without_a_coin_compares_nothing(share: float) -> None:
    """At share 0 or 1 the wealth stands still, the baseline and counts go on."""
    begun = fresh(latency(Statistic.P50), HISTORY)
    folded = fold_all(begun, readings("latency_s", share, [[(INC, "a", 0), (CAN, "a", 200)]]))
    assert (folded.harm, folded.safety, folded.interval) == (begun.harm, begun.safety, begun.interval)
    assert folded.pending
    assert summary(folded).n_incumbent == 1


def test_shares_outside_the_unit_interval_are_refused() -> None:
    """A share that is no probability raises."""
    with pytest.raises(ValueError, match="probability"):
        fold(fresh(latency(), HISTORY), Reading(1, 1, 1.5, WindowTally()))


def test_classes_are_compared_with_their_own_median() -> None:
    """A candidate that is given the slow class more often is not blamed; one slower in every class is."""
    setting = latency(Statistic.P50)
    begun = start(setting, counts("latency_s", {INC: {"small": {0: 500, 5: 500}, "large": {200: 500, 205: 500}}}))
    fair = {CAN: {"large": {200: 50, 205: 50}}, INC: {"small": {0: 50, 5: 50}}}
    slow = {CAN: {"small": {20: 50, 25: 50}, "large": {220: 50, 225: 50}}, INC: {"small": {0: 50, 5: 50}}}
    said = [summary(fold(begun, Reading(1, 100, 0.5, counts("latency_s", arms)))) for arms in (fair, slow)]
    assert said[0].log_harm < 0
    assert said[0].change == pytest.approx(1.0)
    assert said[1].log_harm > math.log(100)
    assert said[1].change == pytest.approx(10 ** (20 / 232))


def test_a_rare_class_uses_the_pooled_distribution() -> None:
    """A class without 20 historical requests is compared on the pooled scale."""
    begun = start(latency(Statistic.P50), counts("latency_s", {INC: {"a": {0: 100}, "rare": {200: 19}}}))
    assert isinstance(begun.tuning, QuantileTuning)
    assert begun.tuning.shifts.of_class == {"a": 0}
    assert begun.tuning.shifts.of("rare") == begun.tuning.shifts.other == 0


def test_change_is_not_fooled_by_a_ramp_with_drift() -> None:
    """Two equal arms whose load doubles while the share ramps have a change of 1 (no Simpson's paradox)."""
    first = {INC: {"a": {0: 990}}, CAN: {"a": {0: 10}}}
    second = {INC: {"a": {70: 500}}, CAN: {"a": {70: 500}}}
    state = fresh(cost(), {0: 500, 1: 500})
    state = fold(state, Reading(1, 100, 0.01, counts("cost_usd", first)))
    state = fold(state, Reading(2, 101, 0.5, counts("cost_usd", second)))
    assert summary(state).change == pytest.approx(1.0, abs=1e-9)


def test_a_hung_candidate_has_only_a_lower_bound() -> None:
    """Requests that never resolve are harm, and the candidate's estimate says "at least"."""
    requests = [(CAN, "a", None)] * 10 + [(INC, "a", -20)] * 10
    said = summary(fold_all(fresh(latency(Statistic.P50), HISTORY), readings("latency_s", 0.5, [requests])))
    assert said.log_harm > 1
    assert said.candidate_at_least
    assert said.candidate is not None
    assert said.incumbent is not None
    assert said.candidate > said.incumbent
    assert said.change_high is None


def test_missing_scores_are_counted_and_move_nothing() -> None:
    """Requests without a score appear as missing on their arm and leave the wealth alone."""
    begun = fresh(score(), {200: 100})
    folded = fold_all(begun, readings("text_accuracy", 0.2, [[(CAN, "a", None)] * 3 + [(INC, "a", None)] * 2]))
    said = summary(folded)
    assert (said.missing_candidate, said.missing_incumbent, said.n_candidate) == (3, 2, 0)
    assert folded.harm == begun.harm
    assert said.candidate is None


def test_missing_latencies_exceed_and_are_counted() -> None:
    """A latency that will never be known counts as slow on its arm, and as missing."""
    arms = {CAN: {"a": ClassTally(4, {"latency_s": {0: 1}}, {"latency_s": {"nan": 2}})}}
    said = summary(fold(fresh(latency(Statistic.P50), HISTORY), Reading(1, 100, 0.5, WindowTally(arms))))
    assert (said.n_candidate, said.missing_candidate) == (4, 2)
    assert said.candidate_at_least


def test_law_never_earns_a_promotion() -> None:
    """The whole-law test has no safety evidence."""
    said = summary(
        fold_all(fresh(latency(Statistic.LAW), HISTORY), readings("latency_s", 0.5, [[(CAN, "a", -9)] * 50]))
    )
    assert said.log_safety == 0.0
    assert said.log_harm < 0


def test_max_is_a_fact_about_what_was_seen() -> None:
    """Below the limit everything seen is safe; one observation above it is harm for good."""
    state = fresh(latency(Statistic.MAX, limit=2.0), {})
    fine, above = cell_of(Axis.LOG, 2.0), cell_of(Axis.LOG, 2.0) + 1
    state = fold(state, Reading(1, 1, 0.5, tally("latency_s", [(INC, "a", above)])))
    assert (summary(state).log_harm, summary(state).log_safety) == (0.0, 0.0)
    state = fold(state, Reading(1, 2, 1.0, tally("latency_s", [(CAN, "a", fine)])))
    assert (summary(state).log_harm, summary(state).log_safety) == (-300.0, 300.0)
    state = fold(state, Reading(1, 3, 0.5, tally("latency_s", [(CAN, "a", above)])))
    state = fold(state, Reading(1, 4, 0.5, tally("latency_s", [(CAN, "a", fine)] * 50)))
    assert (summary(state).log_harm, summary(state).log_safety) == (300.0, -300.0)
    assert summary(state).candidate == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize(
    ("setting", "bad", "good"),
    [
        (rate(limit=0.05), 1, 0),
        (latency(Statistic.P95, limit=2.0), 200, 0),
        (cost(limit=2.0), 200, 0),
        (score(limit=0.9), 0, 200),
    ],
)
def test_limits_judge_the_candidate_alone(setting: CriterionSetting, bad: int, good: int) -> None:
    """A breaching candidate is harm, a clean one safe, at any share and whatever the incumbent does."""
    for share in (0.5, 1.0):
        worse, fine = (
            summary(
                fold_all(
                    fresh(setting, {}), readings(setting.metric, share, [[(CAN, "a", cell)] * 200, [(INC, "a", bad)]])
                )
            )
            for cell in (bad, good)
        )
        assert worse.log_harm > math.log(100)
        assert fine.log_safety > math.log(20)
        assert worse.change is None


def test_rates_report_ratio_and_difference() -> None:
    """A rate of 2 against 1 in 100 is a ratio of 2 or an increase of 0.01."""
    arms = {CAN: {"a": {0: 98, 1: 2}}, INC: {"a": {0: 99, 1: 1}}}
    by_ratio = summary(fold(fresh(rate(max_ratio=2.0), {}), Reading(1, 1, 0.5, counts("failure", arms))))
    by_difference = summary(fold(fresh(rate(), {0: 99, 1: 1}), Reading(1, 1, 0.5, counts("failure", arms))))
    assert by_ratio.change == pytest.approx(2.0)
    assert by_difference.change == pytest.approx(0.01)
    assert by_difference.change_low is not None
    assert by_difference.change_high is not None
    assert by_difference.change_low < 0.01 < by_difference.change_high


def test_a_drop_is_reported_in_the_metrics_own_direction() -> None:
    """A score of .8 against .9 is a change of -0.1, with its interval around it."""
    arms = {CAN: {"a": {160: 500}}, INC: {"a": {180: 500}}}
    said = summary(fold(fresh(score(), {180: 100}), Reading(1, 1, 0.5, counts("text_accuracy", arms))))
    assert said.change == pytest.approx(-0.1)
    assert said.change_low is not None
    assert said.change_high is not None
    assert said.change_low < -0.1 < said.change_high < -0.02


def test_a_ratio_without_incumbent_events_is_unknown() -> None:
    """With no event on the incumbent the ratio of rates is None, the evidence still counts."""
    arms = {CAN: {"a": {1: 9}}, INC: {"a": {0: 9}}}
    said = summary(fold(fresh(rate(max_ratio=2.0), {}), Reading(1, 1, 0.5, counts("failure", arms))))
    assert said.change is None
    assert said.log_harm > 1


def test_restarts_begin_at_a_new_share_and_after_many_images() -> None:
    """The harm mixture starts anew when the share moved after 10 candidate images, and every 50 of them."""
    state = fresh(rate(max_ratio=2.0), {})
    few, many = ({INC: {"a": {0: 500}}, CAN: {"a": {0: n}}} for n in (5, 50))
    for share, arms, begun in [
        (0.1, few, 1),
        (0.2, few, 1),
        (0.2, many, 2),
        (0.2, few, 3),
        (0.2, few, 3),
        (0.5, few, 4),
    ]:
        state = fold(state, Reading(1, 1, share, counts("failure", arms)))
        assert state.harm.begun == begun


def test_the_cap_of_a_cost_never_moves() -> None:
    """The cap is frozen at the first tuning, while the centres follow the incumbent."""
    state = fresh(cost(), {0: 1000})
    assert isinstance(state.tuning, MeanTuning)
    cap = state.tuning.cap
    for window in range(0, 200, 10):
        state = fold(state, Reading(1, window, 0.5, counts("cost_usd", {INC: {"a": {100: 500}}})))
    assert isinstance(state.tuning, MeanTuning)
    assert state.tuning.cap == cap
    assert state.tuning.other > 2


def test_memory_is_bounded_whatever_the_traffic() -> None:
    """After hundreds of windows the state keeps two generations, L pending windows and one number a bet."""
    state = fresh(replace(latency(), interval=False), HISTORY)
    for window in range(400):
        state = fold(state, Reading(1, window, 0.5, counts("latency_s", {INC: {"a": {0: 300}}, CAN: {"a": {0: 300}}})))
    assert state.baseline.n < 10_000
    assert len(state.pending) <= state.setting.lag_windows
    assert len(state.harm.total) == len(HARM_ODDS)
    assert state.harm.begun > 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_ratio": None}, "exactly one"),
        ({"limit": 2.0}, "exactly one"),
        ({"max_ratio": -1.0}, "positive"),
        ({"max_ratio": math.nan}, "finite"),
        ({"higher_is_worse": False}, "log axis"),
        ({"max_ratio": None, "max_drop": 0.1}, "worse when lower"),
        ({"max_ratio": None, "max_increase": 0.1}, "takes max_ratio or limit"),
        ({"axis": Axis.SCORE}, "needs a metric on the log axis"),
        ({"statistic": Statistic.RATE}, "needs a metric on the binary axis"),
        ({"statistic": Statistic.MEAN, "axis": Axis.SCORE}, "takes max_increase, max_drop or limit"),
        ({"statistic": Statistic.MAX}, "takes limit"),
        ({"statistic": Statistic.LAW, "max_ratio": None, "limit": 1.0}, "takes max_ratio"),
        ({"max_ratio": None, "limit": 0.0}, "must be positive"),
        ({"timeout_s": 0.0}, "timeout_s"),
        ({"cap_ratio": 1.0}, "cap_ratio"),
        ({"settle_s": -1.0}, "settle_s"),
    ],
)
def test_settings_that_no_test_judges_are_refused(change: dict, message: str) -> None:
    """A combination without a test raises and says what would do."""
    with pytest.raises(ValueError, match=message):
        replace(latency(), **change)


def test_a_cap_may_lie_just_above_the_mean() -> None:
    """Any cap above the incumbent's mean is one."""
    assert replace(latency(), cap_ratio=1.5, timeout_s=0.5).cap_ratio == 1.5


def test_max_increase_needs_a_metric_that_is_worse_when_higher() -> None:
    """An increase of a score is no harm."""
    with pytest.raises(ValueError, match="max_drop"):
        score(max_increase=0.1)


def test_kinds_follow_statistic_and_margin() -> None:
    """Every declared pair has its test, also costs and success rates with a difference margin."""
    assert cost(max_increase=0.01).kind is Kind.MEAN
    success = CriterionSetting("success", Axis.BINARY, False, Statistic.RATE, max_drop=0.01)
    assert success.kind is Kind.MEAN
    assert replace(success, max_drop=None, max_ratio=2.0).kind is Kind.COIN


@pytest.mark.parametrize("setting", [latency(Statistic.P50), score()])
def test_more_values_than_requests_do_not_break_the_counts(setting: CriterionSetting) -> None:
    """A recorder that reports two values for one request yields finite evidence and nothing missing."""
    begun = fresh(setting, {0: 50, 190: 50})
    arms = {CAN: {"a": ClassTally(1, {setting.metric: {190: 2}})}, INC: {"a": ClassTally(2, {setting.metric: {0: 2}})}}
    said = summary(fold(begun, Reading(1, 100, 0.5, WindowTally(arms))))
    assert math.isfinite(said.log_harm)
    assert (said.n_candidate, said.missing_candidate) == (2, 0)


def test_an_estimate_below_the_unresolved_requests_is_exact() -> None:
    """A few hung requests beyond the median leave its estimate exact."""
    requests = [(CAN, "a", -20)] * 8 + [(CAN, "a", None)] * 2 + [(INC, "a", -20)] * 10
    said = summary(fold_all(fresh(latency(Statistic.P50), HISTORY), readings("latency_s", 0.5, [requests])))
    assert not said.candidate_at_least
    assert said.change == pytest.approx(1.0)


def test_an_estimate_among_unresolved_requests_is_a_lower_bound() -> None:
    """When the quantile lies beyond the threshold, requests still under way may lift it."""
    requests = [(CAN, "a", 100)] * 8 + [(CAN, "a", None)] * 2 + [(INC, "a", -20)] * 10
    said = summary(fold_all(fresh(latency(Statistic.P50), HISTORY), readings("latency_s", 0.5, [requests])))
    assert said.candidate_at_least


def test_a_window_of_the_whole_law_is_read_at_its_highest_clip() -> None:
    """As old as the slowest class's clip with the margin on top: 10 cells for 1.1x."""
    begun = fresh(latency(Statistic.LAW), HISTORY)
    tuning = begun.tuning
    assert isinstance(tuning, LawTuning)
    cell = tuning.median.shifts.highest + math.ceil(tuning.centre + 4.0 * tuning.scale) + 10
    assert age_s(begun, 1) == pytest.approx(lower_edge(cell))


def test_a_law_tells_what_one_in_ten_takes() -> None:
    """Two of five of the candidate's images are ten times slower, which its median hides."""
    begun = fresh(replace(latency(Statistic.LAW), interval=False), HISTORY)
    candidate = [(Arm.CANDIDATE, "a", cell) for cell in (0, 0, 0, 232, 232)]
    said = summary(fold_all(begun, readings("latency_s", 0.5, [[*candidate, (Arm.INCUMBENT, "a", 0)]])))
    assert (said.candidate, said.incumbent) == (value_of(Axis.LOG, 0), value_of(Axis.LOG, 0))
    assert said.incumbent_slow == value_of(Axis.LOG, 0)
    assert said.candidate_slow == value_of(Axis.LOG, 232)
    other = summary(fold_all(fresh(latency(Statistic.P50), HISTORY), []))
    assert (other.incumbent_slow, other.candidate_slow) == (None, None)
