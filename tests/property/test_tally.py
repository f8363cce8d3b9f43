"""Algebra of tallies, consistency of bins, and replay of criteria."""

import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.stats.bins import LOG_HIGHEST, LOG_LOWEST, Axis, cell_of, lower_edge, ratio_cells, value_of
from controller.stats.criterion import CriterionSetting, ProcessState, Reading, Statistic, fold, start, summary
from controller.stats.tally import (
    ANSWERED,
    FAILED,
    REPEAT,
    UNDER_WAY,
    Arm,
    ClassTally,
    WindowTally,
    add_cells,
    merge,
)

few = settings(max_examples=40)

METRICS = ("latency_s", "text_accuracy", "failure")
COUNTS = st.dictionaries(st.integers(-50, 150), st.integers(1, 10**7), max_size=4)


@st.composite
def class_tallies(draw: st.DrawFn) -> ClassTally:
    cells = draw(st.dictionaries(st.sampled_from(METRICS), COUNTS, max_size=2))
    most = max((sum(counts.values()) for counts in cells.values()), default=0)
    missing = draw(st.dictionaries(st.sampled_from(METRICS), st.dictionaries(st.sampled_from("xy"), st.integers(1, 9))))
    return ClassTally(most + draw(st.integers(0, 20)), cells, missing)


TALLIES = st.builds(
    WindowTally,
    st.dictionaries(st.sampled_from(Arm), st.dictionaries(st.sampled_from("abc"), class_tallies(), max_size=3)),
)


@few
@given(TALLIES, TALLIES)
def test_merging_is_commutative(left: WindowTally, right: WindowTally) -> None:
    """Replicas may arrive in any order."""
    assert left + right == right + left


@few
@given(TALLIES, TALLIES, TALLIES)
def test_merging_is_associative(a: WindowTally, b: WindowTally, c: WindowTally) -> None:
    """Replicas may be merged in any grouping."""
    assert (a + b) + c == a + (b + c)


@few
@given(TALLIES)
def test_the_empty_tally_is_the_identity(tally: WindowTally) -> None:
    """A replica without requests changes nothing, and merging nothing is empty."""
    assert tally + WindowTally() == tally == WindowTally() + tally
    assert merge([]) == WindowTally()


@few
@given(st.lists(TALLIES, max_size=4))
def test_assigned_adds_up(tallies: list[WindowTally]) -> None:
    """No request is lost or counted twice."""
    whole = merge(tallies)
    for arm in Arm:
        assert whole.assigned(arm) == sum(tally.assigned(arm) for tally in tallies)


@few
@given(TALLIES)
def test_swapping_twice_is_the_identity(tally: WindowTally) -> None:
    """Exchanging the arms exchanges the counts and undoes itself."""
    assert tally.swapped().swapped() == tally
    assert tally.swapped().assigned(Arm.CANDIDATE) == tally.assigned(Arm.INCUMBENT)


@few
@given(TALLIES)
def test_json_round_trip(tally: WindowTally) -> None:
    """What travels comes back equal, and equal tallies have equal text."""
    text = json.dumps(tally.to_json())
    assert WindowTally.from_json(json.loads(text)) == tally
    assert json.dumps((WindowTally() + tally).to_json()) == text


@few
@given(st.dictionaries(st.integers(), st.integers(0)), st.dictionaries(st.integers(), st.integers(0)))
def test_adding_cells_leaves_its_inputs_alone(left: dict[int, int], right: dict[int, int]) -> None:
    """Sums are new values."""
    before = (dict(left), dict(right))
    assert sum(add_cells(left, right).values()) == sum(left.values()) + sum(right.values())
    assert (left, right) == before


@few
@given(st.integers(LOG_LOWEST + 1, LOG_HIGHEST - 1))
def test_a_cell_stands_for_a_value_that_it_holds(cell: int) -> None:
    """The middle of a LOG cell lies in it, between its edges."""
    assert cell_of(Axis.LOG, value_of(Axis.LOG, cell)) == cell
    assert lower_edge(cell) <= value_of(Axis.LOG, cell) < lower_edge(cell + 1)


@few
@given(st.floats(2e-7, 9e3))
def test_a_value_is_within_one_percent_of_its_cell(value: float) -> None:
    """Cutting into cells moves a quantity by at most 0.5 %."""
    assert abs(math.log(value_of(Axis.LOG, cell_of(Axis.LOG, value)) / value)) < 0.005


@few
@given(st.floats(1e-7, 1e5), st.floats(1e-7, 1e5))
def test_cells_keep_the_order(left: float, right: float) -> None:
    """A larger quantity never has a smaller cell."""
    low, high = sorted((left, right))
    assert cell_of(Axis.LOG, low) <= cell_of(Axis.LOG, high)


@few
@given(st.floats(0, 1))
def test_scores_move_by_at_most_half_a_cell(score: float) -> None:
    """A score is within 1/400 of what stands for it."""
    assert abs(value_of(Axis.SCORE, cell_of(Axis.SCORE, score)) - score) <= 1 / 400 + 1e-12


@few
@given(st.floats(0.5, 20))
def test_ratios_round_up_by_less_than_a_cell(ratio: float) -> None:
    """The rounded ratio is at least the declared one and less than one cell more."""
    cells = ratio_cells(ratio)
    assert ratio * (1 - 1e-9) <= lower_edge(cells) < ratio * lower_edge(1) * (1 + 1e-9)


SETTINGS = st.sampled_from([
    CriterionSetting("latency_s", Axis.LOG, True, Statistic.P95, max_ratio=1.1),
    CriterionSetting("latency_s", Axis.LOG, True, Statistic.LAW, max_ratio=1.1),
    CriterionSetting("latency_s", Axis.LOG, True, Statistic.MEAN, max_ratio=1.1),
    CriterionSetting("latency_s", Axis.LOG, True, Statistic.P50, limit=1.0),
    CriterionSetting("latency_s", Axis.LOG, True, Statistic.MAX, limit=1.0),
])  # fmt: skip
READINGS = st.lists(st.tuples(st.sampled_from([0.0, 0.01, 0.5, 1.0]), TALLIES, st.integers(1, 9)), max_size=6)


def replay(
    setting: CriterionSetting, history: WindowTally, drawn: list[tuple[float, WindowTally, int]]
) -> ProcessState:
    state, window = start(setting, history), 0
    for share, tally, gap in drawn:
        window += gap
        state = fold(state, Reading(1, window, share, tally))
    return state


@settings(max_examples=50)
@given(SETTINGS, TALLIES, READINGS)
def test_replays_are_equal(
    setting: CriterionSetting, history: WindowTally, drawn: list[tuple[float, WindowTally, int]]
) -> None:
    """Folding the same readings, also after a trip through JSON, gives the same state and summary bit for bit."""
    once = replay(setting, history, drawn)
    through = [
        (share, WindowTally.from_json(json.loads(json.dumps(tally.to_json()))), gap) for share, tally, gap in drawn
    ]
    again = replay(setting, WindowTally.from_json(history.to_json()), through)
    assert once == again
    assert summary(once) == summary(again)
    assert math.isfinite(summary(once).log_harm)
    assert math.isfinite(summary(once).log_safety)


def test_repeated_requests_are_answers_and_no_evidence() -> None:
    """Requests of users who have voted count among answers and those under way, and in no assigned count."""
    votes = ClassTally(5, {"failure": {ANSWERED: 2, FAILED: 1}})
    repeated = ClassTally(0, {REPEAT: {ANSWERED: 4, FAILED: 1, UNDER_WAY: 3}})
    both = votes + repeated
    assert (votes.answered, votes.under_way) == (2, 2)
    assert (repeated.answered, repeated.under_way) == (4, 3)
    assert (both.assigned, both.answered, both.under_way) == (5, 6, 5)
    assert (votes.requests, repeated.requests, both.requests) == (5, 8, 13)
