"""Tallies: cumulative, by the window of assignment, complete up to the watermark, nothing lost or counted twice."""

import math
from dataclasses import replace

import pytest

from controller.stats.bins import Axis, cell_of
from controller.stats.tally import ANSWERED, FAILED, REPEAT, UNDER_WAY, WINDOW_S, Arm
from serving import recorder as recorder_module
from serving.outcome import Outcome
from serving.recorder import MAX_CLASSES, MAX_ROWS, OTHER_CLASS, Recorder, RowKey, Ticket, Vote, WallClock
from tests.unit.serving.worlds import tally_of


class Clock(WallClock):
    """A wall clock that is set by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(clock: Clock) -> Recorder:
    return Recorder(clock)


def test_an_outcome_belongs_to_the_window_of_its_assignment(recorder: Recorder, clock: Clock) -> None:
    """A request that ends two windows later is counted where it was assigned, under its epoch."""
    ticket = recorder.assign("preview", 7, Arm.CANDIDATE, "1x8x8-text")
    clock.now_s += 2 * WINDOW_S
    ticket.resolve(Outcome({"latency_s": 10.0, "failure": 0.0}))
    assert list(recorder.snapshot().rows) == [RowKey("preview", 7, 1000 // WINDOW_S)]


def test_rows_are_cumulative(recorder: Recorder) -> None:
    """A second flush of a window holds all of it, so replacing loses nothing."""
    recorder.assign("preview", 1, Arm.INCUMBENT, "a").resolve(Outcome({"latency_s": 1.0}))
    recorder.flushed(recorder.snapshot())
    recorder.assign("preview", 1, Arm.INCUMBENT, "a").resolve(Outcome({"latency_s": 1.0}))
    counted = tally_of(recorder, Arm.INCUMBENT)
    assert counted.assigned == 2
    assert counted.of("latency_s") == {cell_of(Axis.LOG, 1.0): 2}


def test_unchanged_rows_are_not_flushed_again(recorder: Recorder) -> None:
    """A quiet second writes no tally, only the watermark, which moves on."""
    recorder.assign("preview", 1, Arm.INCUMBENT, "a")
    recorder.flushed(recorder.snapshot())
    assert recorder.snapshot().rows == {}


def test_a_change_during_a_flush_is_flushed_next(recorder: Recorder) -> None:
    """What is counted between the copy and the commit is not taken for flushed."""
    ticket = recorder.assign("preview", 1, Arm.INCUMBENT, "a")
    snapshot = recorder.snapshot()
    ticket.resolve(Outcome({"latency_s": 1.0}))
    recorder.flushed(snapshot)
    assert tally_of(recorder, Arm.INCUMBENT).of("latency_s")


def test_a_settled_window_is_forgotten_and_an_open_one_is_not(recorder: Recorder, clock: Clock) -> None:
    """Memory holds open requests and unflushed counts only, and a late score still finds its window."""
    settled = recorder.assign("preview", 1, Arm.INCUMBENT, "a")
    settled.resolve(Outcome({"latency_s": 1.0}))
    clock.now_s += WINDOW_S
    scored = recorder.assign("preview", 1, Arm.INCUMBENT, "a")
    scored.resolve(Outcome({"latency_s": 1.0}), score_follows=True)
    clock.now_s += WINDOW_S
    recorder.flushed(recorder.snapshot())
    scored.score("text_accuracy", 1.0)
    (row,) = recorder.snapshot().rows.values()
    counted = row.arms[Arm.INCUMBENT]["a"]
    assert (counted.assigned, counted.of("text_accuracy")) == (1, {200: 1})


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 1e9])
def test_a_value_that_can_not_be_is_rejected_and_counted(recorder: Recorder, value: float) -> None:
    """NaN, infinite, negative and absurd values become a missing value and one invalid request."""
    recorder.assign("preview", 1, Arm.CANDIDATE, "a").resolve(Outcome({"latency_s": value, "failure": 0.0}))
    counted = tally_of(recorder, Arm.CANDIDATE)
    assert counted.of("latency_s") == {}
    assert counted.missing == {"latency_s": {"invalid": 1}}
    assert counted.of("invalid") == {1: 1}
    assert counted.of("failure") == {0: 1}


def test_a_sound_request_is_counted_as_not_invalid(recorder: Recorder) -> None:
    """The share of invalid requests has a denominator."""
    recorder.assign("preview", 1, Arm.CANDIDATE, "a").resolve(Outcome({"latency_s": 1.0}))
    assert tally_of(recorder, Arm.CANDIDATE).of("invalid") == {0: 1}


def test_classes_are_bounded(recorder: Recorder) -> None:
    """The seventeenth class and all after it share one name."""
    for number in range(3 * MAX_CLASSES):
        recorder.assign("preview", 1, Arm.INCUMBENT, f"class {number}")
    (row,) = recorder.snapshot().rows.values()
    classes = row.arms[Arm.INCUMBENT]
    assert len(classes) == MAX_CLASSES
    assert classes[OTHER_CLASS].assigned == 2 * MAX_CLASSES + 1


def test_a_ticket_aside_counts_nowhere(recorder: Recorder) -> None:
    """A request about which no coin was tossed leaves no trace in the evidence."""
    recorder.aside().resolve(Outcome({"latency_s": 1.0}))
    assert recorder.snapshot().rows == {}


def test_a_database_away_for_ever_does_not_fill_the_memory(recorder: Recorder, clock: Clock) -> None:
    """Beyond the limit the oldest windows are lost, and late outcomes of theirs disturb nothing."""
    oldest = recorder.assign("preview", 1, Arm.INCUMBENT, "a")
    for _ in range(MAX_ROWS):
        clock.now_s += WINDOW_S
        recorder.assign("preview", 1, Arm.INCUMBENT, "a")
    recorder.trim()
    oldest.resolve(Outcome({"latency_s": 1.0}))
    rows = recorder.snapshot().rows
    assert len(rows) == MAX_ROWS
    assert RowKey("preview", 1, 1000 // WINDOW_S) not in rows


def test_the_watermark_is_the_clock_of_the_copy(recorder: Recorder, clock: Clock) -> None:
    """Everything counted up to the watermark is in the rows that come with it."""
    recorder.assign("preview", 1, Arm.INCUMBENT, "a")
    clock.now_s += 3.5
    assert recorder.snapshot().watermark_s == clock.now_s


ADA, BOB = Vote("r-0001", 1, "a"), Vote("r-0001", 2, "b")


def by_user(recorder: Recorder, vote: Vote, *, lane: str = "preview") -> Ticket:
    """Count a candidate request of a user."""
    return recorder.assign_user(lane, 1, Arm.CANDIDATE, "a", vote)


def test_a_claim_is_counted_when_it_is_granted_with_all_that_happened(recorder: Recorder) -> None:
    """Before the database has said whose a vote is, nothing of it is evidence; then everything is, scores too."""
    early, late = by_user(recorder, ADA), by_user(recorder, BOB)
    early.resolve(Outcome({"latency_s": 1.0, "failure": 0.0}, {"cost_usd": "unknown"}), score_follows=True)
    assert recorder.claims() == [ADA, BOB]
    recorder.settle([ADA, BOB], {ADA, BOB})
    assert recorder.claims() == []
    counted = tally_of(recorder, Arm.CANDIDATE)
    assert (counted.assigned, counted.answered, counted.under_way) == (2, 1, 1)
    assert counted.missing == {"cost_usd": {"unknown": 1}}
    early.score("text_accuracy", 1.0)
    late.resolve(Outcome({"latency_s": 1.0, "failure": 1.0}))
    counted = tally_of(recorder, Arm.CANDIDATE)
    assert counted.of("text_accuracy") == {200: 1}
    assert counted.of("latency_s") == {cell_of(Axis.LOG, 1.0): 2}
    assert counted.of("failure") == {ANSWERED: 1, FAILED: 1}
    assert counted.of("invalid") == {0: 2}
    assert counted.of(REPEAT) == {}


@pytest.mark.parametrize("resolved", [False, True])
def test_a_denied_claim_is_no_evidence_but_an_answer(recorder: Recorder, *, resolved: bool) -> None:
    """Who voted at another gateway was served all the same, and what users saw is counted."""
    ticket = by_user(recorder, ADA)
    if resolved:
        ticket.resolve(Outcome({"latency_s": 1.0, "failure": 0.0}), score_follows=True)
        ticket.score("text_accuracy", None, "scorer_down")
    recorder.settle([ADA], set())
    counted = tally_of(recorder, Arm.CANDIDATE)
    assert (counted.assigned, counted.under_way) == (0, 0 if resolved else 1)
    if not resolved:
        assert ticket.leads_nowhere
        ticket.resolve(Outcome({"latency_s": 1.0, "failure": 0.0}))
    counted = tally_of(recorder, Arm.CANDIDATE)
    assert (counted.assigned, counted.answered, counted.under_way) == (0, 1, 0)
    assert set(counted.cells) == {REPEAT}
    assert counted.missing == {}


def test_a_user_votes_once(recorder: Recorder) -> None:
    """Every request after the first one is served, counted as answered or not, and never judged."""
    by_user(recorder, ADA)
    second = by_user(recorder, replace(ADA, request="b"))
    assert second.leads_nowhere
    assert recorder.claims() == [ADA]
    recorder.settle([ADA], {ADA})
    by_user(recorder, replace(ADA, request="c")).resolve(Outcome({"latency_s": 1.0, "failure": 1.0}))
    second.resolve(Outcome({"latency_s": 1.0, "failure": 0.0}))
    counted = tally_of(recorder, Arm.CANDIDATE)
    assert counted.assigned == 1
    assert counted.of(REPEAT) == {UNDER_WAY: 0, ANSWERED: 1, FAILED: 1}
    assert recorder.claims() == []


def test_a_new_rollout_hears_everybody_again(recorder: Recorder) -> None:
    """A vote belongs to one rollout of one lane."""
    for vote in (ADA, Vote("r-0002", 1, "a")):
        by_user(recorder, vote)
        recorder.settle([vote], {vote})
    by_user(recorder, Vote("r-0003", 1, "a"), lane="other")
    assert tally_of(recorder, Arm.CANDIDATE).assigned == 2
    assert recorder.claims() == [Vote("r-0003", 1, "a")]


def test_claims_hold_the_watermark_and_their_window(recorder: Recorder, clock: Clock) -> None:
    """No window is read before its claims are settled, and a row that waits for one is not forgotten."""
    by_user(recorder, ADA).resolve(Outcome({"latency_s": 1.0}))
    recorder.assign("preview", 1, Arm.CANDIDATE, "a").resolve(Outcome({"latency_s": 1.0}))
    claimed_s = clock.now_s
    clock.now_s += 3 * WINDOW_S
    snapshot = recorder.snapshot()
    assert snapshot.watermark_s == claimed_s
    recorder.flushed(snapshot)
    recorder.settle([ADA], {ADA})
    snapshot = recorder.snapshot()
    assert snapshot.watermark_s == clock.now_s
    assert tally_of(recorder, Arm.CANDIDATE).assigned == 2
    recorder.flushed(snapshot)
    by_user(recorder, ADA)
    assert list(recorder.snapshot().rows) == [RowKey("preview", 1, int(clock.now_s // WINDOW_S))]


def test_memory_of_claims_and_voters_is_bounded(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the claims that may wait nobody new votes; a forgotten voter is asked about again."""
    monkeypatch.setattr(recorder_module, "MAX_CLAIMS", 2)
    monkeypatch.setattr(recorder_module, "MAX_VOTERS", 2)
    votes = [Vote("r-0001", number, f"{number}") for number in range(3)]
    for vote in votes:
        by_user(recorder, vote)
    assert recorder.claims() == votes[:2]
    recorder.settle(votes[:2], set(votes[:2]))
    again = replace(votes[0], request="again")
    by_user(recorder, again)
    assert recorder.claims() == [again]


def test_a_backlog_of_claims_is_settled_bit_by_bit(
    recorder: Recorder, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage the oldest come first, and the watermark waits for the rest."""
    monkeypatch.setattr(recorder_module, "CLAIMS_AT_ONCE", 1)
    first_s = clock.now_s
    for vote in (ADA, BOB):
        by_user(recorder, vote)
        clock.now_s += 1.0
    for vote, at_s in ((ADA, first_s), (BOB, first_s + 1.0)):
        assert recorder.snapshot().watermark_s == at_s
        assert recorder.claims() == [vote]
        recorder.settle([vote], {vote})
    assert recorder.snapshot().watermark_s == clock.now_s
    assert tally_of(recorder, Arm.CANDIDATE).assigned == 2
