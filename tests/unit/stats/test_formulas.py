"""The factors of each kind of test, written out a second time from statistics.md."""

import math
from dataclasses import replace

import numpy as np
import pytest

from controller.stats import coin, interval, limit, mean, quantile
from controller.stats.criterion import CriterionSetting, Reading, Statistic, Summary, fold, start, summary
from controller.stats.mean import CEILINGS, STEPS, MeanTuning
from controller.stats.normal import Shifts
from controller.stats.quantile import Exceedances, QuantileTuning
from controller.stats.tally import Arm
from tests.unit.stats.build import cost, counts, fold_all, fresh, history, latency, rate, readings, score, view

CAN, INC = Arm.CANDIDATE, Arm.INCUMBENT
HISTORY = {-20: 250, -5: 250, 0: 200, 8: 200, 30: 80, 60: 20}
SHARE = 0.2


def requests(candidate: list[int | None], incumbent: list[int | None]) -> list[tuple[Arm, str, int | None]]:
    return [(CAN, "a", cell) for cell in candidate] + [(INC, "a", cell) for cell in incumbent]


def test_a_quantile_is_safe_by_its_exceedances() -> None:
    """Safety bets on fewer of them, with the margin rounded down: 9 cells for 1.1x, where harm has 10."""
    begun = fresh(latency(Statistic.P95), HISTORY)
    tuning = begun.tuning
    assert isinstance(tuning, QuantileTuning)
    assert (quantile.harm_cells(1.1), quantile.safety_cells(1.1)) == (10, 9)
    edge = tuning.cell + tuning.shifts.other + 9
    seen = requests([edge - 1, edge, 70, None], [edge - 9, edge - 10, None])
    folded = fold_all(begun, readings("latency_s", SHARE, [seen]))
    for k, odds in enumerate(quantile.SAFETY_ODDS):
        q0 = tuning.q0
        q1 = q0 * math.exp(odds) / (1 - q0 + q0 * math.exp(odds))
        mixed = SHARE * q1 + (1 - SHARE) * q0
        over, under = math.log(q1 / mixed), math.log((1 - q1) / (1 - mixed))
        over0, under0 = math.log(q0 / mixed), math.log((1 - q0) / (1 - mixed))
        assert folded.safety[k] == pytest.approx(under + 3 * over + 2 * over0 + under0, abs=1e-12)


@pytest.mark.parametrize(
    ("setting", "rho", "d"), [(score(), 1.0, 0.02), (cost(), 1.1, 0.0), (cost(max_increase=0.3), 1.0, 0.3)]
)
def test_a_mean_is_safe_by_its_distance_to_the_margin(setting: CriterionSetting, rho: float, d: float) -> None:
    """Safety is the product of 1 + lam Z, Z centred where an equal candidate makes it 0 on average over the arms."""
    is_score = setting.metric == "text_accuracy"
    begun = fresh(setting, {200: 700, 180: 300} if is_score else HISTORY)
    tuning = begun.tuning
    assert isinstance(tuning, MeanTuning)
    seen = requests([100, 200], [180, None]) if is_score else requests([70, -4, 800], [31, 0])
    folded = fold_all(begun, readings(setting.metric, SHARE, [seen]))
    middle = (1 - SHARE + SHARE * rho) * tuning.other + SHARE * d
    most = 1.0 if is_score else rho * tuning.cap + d
    bound = 0.99 * min(SHARE / (most - middle), (1 - SHARE) / (middle - d) if middle > d else math.inf)
    spread = math.hypot(rho * tuning.spread, math.sqrt(d) if is_score else 0.0)
    for k, (step, ceiling) in enumerate(zip(STEPS, CEILINGS, strict=True)):
        bet, log_e = min(ceiling * bound, SHARE * step / spread), 0.0
        for arm, _, cell in seen:
            if cell is None:
                continue
            loss = 1 - cell / 200 if is_score else 10 ** ((cell + 0.5) / 232)
            mine = (middle - min(loss, most)) / SHARE
            theirs = (rho * min(loss, tuning.cap) + d - middle) / (1 - SHARE)
            log_e += math.log(1 + bet * (mine if arm is CAN else theirs))
        assert folded.safety[k] == pytest.approx(log_e, abs=1e-12)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("margin", [mean.Margin(1.1, 0.0, bounded=False), mean.Margin(1.0, 0.02, bounded=True)])
def test_the_largest_bet_leaves_a_hundredth_in_the_worst_case(share: float, margin: mean.Margin) -> None:
    """Whichever arm it happens on: no draw can ruin a bet, and the largest goes as far as that allows."""
    tuning = MeanTuning({"quick": 0.1, "slow": 0.4}, 0.2, 1.0 if margin.bounded else 5.0, 1e-9)
    rho, d, cap = margin.ratio, margin.shift, tuning.cap
    slope, most = 1 - share + share * rho, mean.most_loss(tuning, margin)
    harm, safety = max(mean.harm_bets(share, tuning, margin)), max(mean.safety_bets(share, tuning, margin))
    worst_harm = [(0 - (rho * 0.4 + d)) / share, -rho * (cap - 0.1) / (1 - share)]
    worst_safety = [(slope * 0.1 + share * d - most) / share, (d - slope * 0.4 - share * d) / (1 - share)]
    assert most == (1.0 if margin.bounded else rho * cap)
    assert min(1 + harm * worst for worst in worst_harm) == pytest.approx(0.01)
    assert min(1 + safety * worst for worst in worst_safety) == pytest.approx(0.01)


@pytest.mark.parametrize("events", [(3, 3), (1, 0), (0, 2)])
def test_a_ratio_of_rates_is_a_coin_on_events(events: tuple[int, int]) -> None:
    """Each event multiplies m^A (pi rho + 1 - pi) / (pi rho m + 1 - pi); requests without one multiply nothing."""
    n1, n0 = events
    seen = requests([1] * n1 + [0, None], [1] * n0 + [0] * 5)
    folded = fold_all(fresh(rate(max_ratio=2.0), {0: 900, 1: 100}), readings("failure", SHARE, [seen]))
    for multiples, totals in ((coin.HARM_MULTIPLES, folded.harm.total), (coin.SAFETY_MULTIPLES, folded.safety)):
        for multiple, total in zip(multiples, totals, strict=True):
            fair = (SHARE * 2 + 1 - SHARE) / (SHARE * 2 * multiple + 1 - SHARE)
            assert total == pytest.approx(n1 * math.log(multiple) + (n1 + n0) * math.log(fair), abs=1e-12)


@pytest.mark.parametrize("setting", [score(limit=0.9), cost(limit=2.0)])
def test_a_mean_against_a_limit_is_betting_on_the_candidate_alone(setting: CriterionSetting) -> None:
    """Harm is 1 + lam (loss - limit), safety 1 + lam (limit - loss) with the loss capped; the incumbent is nothing."""
    is_score = setting.metric == "text_accuracy"
    most, cap = (0.1, 1.0) if is_score else (2.0, 20.0)
    cells = [100, 200, None] if is_score else [70, -4, 800]
    folded = fold_all(
        fresh(setting, {}), readings(setting.metric, SHARE, [requests(cells, [1, 150]), requests([], [150])])
    )
    losses = [1 - c / 200 if is_score else 10 ** ((c + 0.5) / 232) for c in cells if c is not None]
    for k, fraction in enumerate(limit.FRACTIONS):
        harm = math.fsum(math.log(1 + fraction * 0.99 / most * (loss - most)) for loss in losses)
        safe = math.fsum(math.log(1 + fraction * 0.99 / (cap - most) * (most - min(loss, cap))) for loss in losses)
        assert folded.harm.total[k] == pytest.approx(harm, abs=1e-12)
        assert folded.safety[k] == pytest.approx(safe, abs=1e-12)


def test_a_rate_against_a_limit_is_a_likelihood_ratio() -> None:
    """Each flag multiplies r / q and each request without one (1 - r) / (1 - q)."""
    folded = fold_all(fresh(rate(limit=0.1), {}), readings("failure", SHARE, [requests([1, 0, 0, None], [1])]))
    harm = [0.1 * math.exp(odds) / (0.9 + 0.1 * math.exp(odds)) for odds in quantile.LOG_ODDS]
    for rates, totals in ((harm, folded.harm.total), ([0.1 * f for f in limit.SAFETY_FRACTIONS], folded.safety)):
        for r, total in zip(rates, totals, strict=True):
            assert total == pytest.approx(math.log(r / 0.1) + 2 * math.log((1 - r) / 0.9), abs=1e-12)


def test_growth_of_many_outcomes_is_the_sum_of_theirs() -> None:
    """However many are worked out at a time, and whichever bets are equal."""
    rng = np.random.default_rng(3)
    for n_outcomes in (0, 1, mean.AT_ONCE, 2 * mean.AT_ONCE + 5):
        outcomes, n = rng.uniform(-0.5, 3.0, n_outcomes), rng.integers(1, 9, n_outcomes)
        grown = mean.growth((0.3, 1.2, 1.2), outcomes, n)
        for bet, found in zip((0.3, 1.2, 1.2), grown, strict=True):
            logs = [k * math.log1p(bet * z) for k, z in zip(n.tolist(), outcomes.tolist(), strict=True)]
            assert found == pytest.approx(math.fsum(logs), rel=1e-12, abs=1e-12)


def test_a_margin_of_whole_cells_is_no_more_and_no_less() -> None:
    """Ten times is 232 cells, for harm and for safety alike."""
    assert (quantile.harm_cells(10.0), quantile.safety_cells(10.0)) == (232, 232)


@pytest.mark.parametrize("setting", [latency(Statistic.P50), cost()])
def test_one_image_an_arm_is_an_estimate(setting: CriterionSetting) -> None:
    """At a share of a half they weigh half each; the change is theirs."""
    begun = fresh(replace(setting, interval=False), HISTORY)
    said = summary(fold_all(begun, readings(setting.metric, 0.5, [requests([24], [1])])))
    assert said.change == pytest.approx(10 ** (23 / 232), rel=0.02)


def test_bets_need_no_spread_and_no_bound() -> None:
    """Without spread bets are parts of the largest safe one; where nothing can be lost there is no bet to bound."""
    tuning = MeanTuning({}, 0.0, 1.0, 0.0)
    nothing = mean.Margin(1.0, 0.0, bounded=True)
    assert mean.harm_bets(SHARE, tuning, nothing) == pytest.approx([c * 0.99 * (1 - SHARE) for c in CEILINGS])
    assert mean.safety_bets(SHARE, tuning, nothing) == pytest.approx([c * 0.99 * SHARE for c in CEILINGS])
    assert mean.harm_bets(SHARE, MeanTuning({}, 0.0, 0.0, 0.0), nothing) == (0.0,) * len(STEPS)


@pytest.mark.parametrize(
    ("setting", "usual", "candidate", "truth", "within"),
    [
        (rate(max_ratio=1.5), {0: 950, 1: 50}, {0: 1800, 1: 200}, 2.0, 1.2),
        (rate(), {0: 950, 1: 50}, {0: 1800, 1: 200}, 0.05, 0.03),
        (score(), {200: 900, 180: 100}, {200: 1600, 160: 400}, -0.03, 0.02),
        (cost(), {0: 1000, 10: 1000}, {70: 1000, 80: 1000}, 10 ** (70 / 232), 0.1),
        (latency(Statistic.P50), {0: 1000, 10: 1000}, {70: 1000, 80: 1000}, 10 ** (70 / 232), 0.3),
        (latency(Statistic.LAW), {0: 1000, 10: 1000}, {70: 1000, 80: 1000}, 10 ** (70 / 232), 0.3),
    ],
)
def test_the_interval_closes_in_on_the_change(
    setting: CriterionSetting, usual: dict[int, int], candidate: dict[int, int], truth: float, within: float
) -> None:
    """After 2,000 requests an arm both ends are known, hold the true change, and lie close to it."""
    said = compared(setting, usual, candidate)
    assert said.change_low is not None
    assert said.change_high is not None
    assert truth - within < said.change_low <= truth <= said.change_high < truth + within


def test_an_interval_between_two_points_of_the_grid_holds_the_change() -> None:
    """When so much is known that every point of the grid is rejected, the ends lie around the change."""
    said = compared(cost(), {0: 2000}, {70: 2000})
    assert said.change is not None
    assert said.change_low is not None
    assert said.change_high is not None
    assert math.exp(0.55) <= said.change_low < said.change < said.change_high <= math.exp(0.75)


@pytest.mark.parametrize(
    ("too_low", "too_high", "found"),
    [
        ((9, 9, 9), (0, 0, 0), (3.0, None)),
        ((0, 0, 0), (9, 9, 9), (None, 1.0)),
        ((9, 9, 0), (0, 0, 9), (2.0, 3.0)),
        ((9, 0, 0), (0, 0, 9), (1.0, 3.0)),
        ((0, 0, 0), (0, 0, 9), (None, 3.0)),
        ((0, 0, 0), (0, 0, 0), (None, None)),
    ],
)
def test_ends_are_rejected_points_around_what_is_left(
    too_low: tuple[int, ...], too_high: tuple[int, ...], found: tuple[float | None, float | None]
) -> None:
    """On a grid of 1, 2, 3: the last point that is too low and the first that is too high, None where there is none."""
    state = np.array([too_low, too_high], dtype=float).T.tobytes()
    assert interval.ends(state, (1.0, 2.0, 3.0), interpolate=False) == found


def test_an_end_moves_in_while_the_interpolated_wealth_rejects() -> None:
    """Log wealth falls from 9 to 0 between two points: e-values of 20 are left 62 to 66 % of the way."""
    state = np.array([9.0, 0.0, 0.0, 0.0, 0.0, 0.0]).tobytes()
    low, high = interval.ends(state, (1.0, 2.0, 3.0))
    average = [math.log((math.exp(9.0 * (1.0 - part / 32)) + 1.0) / 2.0) for part in range(33)]
    assert low == 1.0 + max(part for part in range(33) if average[part] >= math.log(20.0)) / 32
    assert high is None


def compared(setting: CriterionSetting, usual: dict[int, int], candidate: dict[int, int]) -> Summary:
    """Return what one reading of candidate requests beside 2,000 usual ones says after a history of usual ones."""
    theirs = {cell: count * 2000 // sum(usual.values()) for cell, count in usual.items()}
    arms = {CAN: {"a": candidate}, INC: {"a": theirs}}
    begun = start(replace(setting, interval=True), history(setting.metric, usual))
    return summary(fold(begun, Reading(1, 100, 0.5, counts(setting.metric, arms))))


@pytest.mark.parametrize("decided", [None, 5])
def test_the_interval_of_a_quantile_bets_on_exceedances_at_every_change(decided: int | None) -> None:
    """Each point has the bets of the test itself, on more and on fewer; what is undecided helps neither."""
    tuning = QuantileTuning(Shifts({}, 0), 3, 0.2)
    candidate = view(9, {0: 2, 4: 3, 20: 2}, 2)
    incumbent = view(7, {1: 4, 3: 2}, 1)
    begun = np.full(interval.N_QUANTILE, 0.5).tobytes()
    found = interval.fold_quantile(begun, SHARE, tuning, decided, candidate, incumbent)
    wealth = np.frombuffer(found).reshape(len(interval.QUANTILE_POINTS), 2, -1)
    for at in (0, len(interval.QUANTILE_POINTS) // 2, len(interval.QUANTILE_POINTS) - 1):
        threshold = 3 + interval.QUANTILE_POINTS[at]
        over = candidate.assigned - candidate.below(threshold)
        surely = over if decided is None or threshold <= decided else over - candidate.unresolved
        for side, hits in enumerate((surely, over)):
            odds = tuple((1.0 - 2.0 * side) * value for value in interval._ODDS)
            seen = Exceedances(candidate.assigned, hits, incumbent.assigned, 3)
            expected = quantile.exceedance_growth(SHARE, tuning.q0, seen, odds)
            assert wealth[at, side].tolist() == pytest.approx([0.5 + value for value in expected])


@pytest.mark.parametrize("arms", [(CAN, INC), (CAN,), (INC,)])
@pytest.mark.parametrize("setting", [cost(), cost(max_increase=0.3), score()], ids=["ratio", "increase", "drop"])
def test_of_many_losses_the_interval_keeps_a_bound_on_their_factors(
    setting: CriterionSetting, arms: tuple[Arm, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never more than the factors themselves, so it stays valid, and with many requests not much less."""
    rng = np.random.default_rng(5)
    lowest, spread, slowest = (150, 51, 0) if setting.metric == "text_accuracy" else (-40, 80, 800)
    outcomes = {
        arm: {
            name: {lowest + cell: int(rng.integers(100, 900)) for cell in range(at, spread, 3)} | {slowest: 1 + at}
            for at, name in enumerate(("a", "b", "c"))
        }
        for arm in (CAN, INC)
    }
    begun = start(replace(setting, interval=True), counts(setting.metric, {INC: outcomes[INC]}))
    reading = Reading(1, 100, 0.3, counts(setting.metric, {arm: outcomes[arm] for arm in arms}))
    n_losses = sum(len(cells) for arm in arms for cells in outcomes[arm].values())
    monkeypatch.setattr(interval, "MANY", n_losses - 1)
    bound = fold(begun, reading)
    monkeypatch.setattr(interval, "MANY", n_losses)
    exact = fold(begun, reading)
    of_bound, of_exact = np.frombuffer(bound.interval), np.frombuffer(exact.interval)
    assert np.all(of_bound <= of_exact + 1e-9)
    # The smallest bets are a hundredth of the largest safe one: there the bound is nearly the factor itself.
    smallest = slice(0, None, len(interval._FRACTIONS))
    assert of_bound[smallest] == pytest.approx(of_exact[smallest], rel=0.02, abs=0.02)
    assert replace(bound, interval=b"") == replace(exact, interval=b"")
    if len(arms) == 2:
        ends = [value for state in (bound, exact) for value in (summary(state).change_low, summary(state).change_high)]
        low, high, exact_low, exact_high = [value for value in ends if value is not None]
        assert low <= exact_low < exact_high <= high
        assert high - low < 1.2 * (exact_high - exact_low)


def test_the_interval_of_blocks_has_bets_upwards_and_downwards() -> None:
    """A block that is slower than a change speaks for the bets upwards there, and against those downwards."""
    wealth = np.frombuffer(interval.fold_block(interval.empty(interval.N_BLOCK), 0.1, 0.05))
    no_change = wealth.reshape(len(interval.QUANTILE_POINTS), 2, -1)[interval.QUANTILE_POINTS.index(0)]
    assert (no_change[0] > 0).all()
    assert (no_change[1] < 0).all()


def test_criteria_that_read_the_same_see_the_same() -> None:
    """What a reading says of latencies is worked out once for the same class medians, and anew for others."""
    reading = readings("latency_s", SHARE, [requests([3, None], [0, 9])])[0]
    usual = reading.views("latency_s", Shifts({"a": 2}, 0))
    assert reading.views("latency_s", Shifts({"a": 2}, 0)) is usual
    assert usual.candidate.cells.cells() == {1: 1}
    assert reading.views("latency_s", Shifts({}, 1)).candidate.cells.cells() == {2: 1}
    assert reading.counts("cost_usd", CAN).total == 0
    swapped = replace(reading, tally=reading.tally.swapped())
    assert swapped.views("latency_s", Shifts({"a": 2}, 0)).incumbent.cells.cells() == {1: 1}
