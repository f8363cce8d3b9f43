"""Runs of a bench: whatever is killed whenever, the verdict is that of a run that nobody disturbed."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from controller.adapters.memory_lease import MemoryLease
from controller.errors import ConflictError, UnavailableError
from controller.gate.patience import PATIENCE_S, Interrupted
from controller.stats.tally import Arm
from tests.unit.gate.runs import Bed
from tests.unit.studio import ScriptedStudio


class CrashError(Exception):
    """The controller is killed."""


@pytest.fixture(scope="module")
def undisturbed() -> Bed:
    """A bench that passed without a disturbance."""
    bed = Bed()
    bed.run()
    return bed


def test_a_good_candidate_passes(undisturbed: Bed) -> None:
    """A candidate like the incumbent passes; every image was drawn once, on the arms' own applications."""
    assert undisturbed.outcome.verdict == "pass"
    assert undisturbed.document["verdict"] == "pass"
    assert undisturbed.document["arms"]["candidate"]["n"] == len(undisturbed.document["pairs"])
    per_arm = dict.fromkeys(undisturbed.bench.apps.values(), 0)
    for (app, *_), count in undisturbed.studio.drawn.items():
        per_arm[app] += count
    assert sum(per_arm.values()) == len(undisturbed.shots)
    assert len(set(per_arm.values())) == 1
    live = {f"model-preview-{spec.digest[:12]}" for spec in (undisturbed.bench.candidate, undisturbed.bench.incumbent)}
    assert not live & per_arm.keys()


def test_the_audit_log_has_verdict_and_criteria(undisturbed: Bed) -> None:
    """The entry of the end holds verdict, result and digests, and what was said of each criterion."""
    entry = list(undisturbed.store.audit())[-1]
    assert (entry.actor, entry.action) == ("swapgate", "bench_finished")
    assert entry.detail["result"] == undisturbed.outcome.result
    assert [item["verdict"] for item in entry.detail["criteria"]] == ["pass", "pass"]
    assert entry.detail["suite_digest"] == undisturbed.bench.policy.gate.suite_digest
    assert entry.detail["versions"] == {"code": "test"}


def test_cost_is_paid_time(undisturbed: Bed) -> None:
    """An image costs its compute time at its device's price, and without a price its cost is unknown, not zero."""
    shot = undisturbed.shots["pair/0/OPEN/candidate"]
    assert shot["cost_usd"] == pytest.approx(shot["compute_s"] * 3.6 / 3600)


def crashes() -> Iterator[tuple[str, int]]:
    for number in range(1, 40, 3):
        yield "while drawing", number
        yield "before storing", number


@pytest.mark.parametrize(("where", "number"), list(crashes()))
def test_a_crash_changes_nothing(undisturbed: Bed, where: str, number: int) -> None:
    """Killed at any image, before or after it was drawn, the next run ends with the same document."""
    bed = Bed()
    if where == "while drawing":
        bed.studio.before = lambda drawn: crash() if drawn == number else None
    else:
        store, bed.book.add_shot = bed.book.add_shot, None

        def add_shot(*arguments):
            if len(bed.shots) == number - 1 and not bed.studio.scorers_down:
                bed.studio.scorers_down = True  # the mark of the crash; cleared before the next run
                crash()
            return store(*arguments)

        bed.book.add_shot = add_shot
    with pytest.raises(CrashError):
        bed.run()
    stored = bed.shots
    if where == "before storing":
        bed.book.add_shot, bed.studio.scorers_down = store, False
    bed.run()
    assert bed.document == undisturbed.document
    assert bed.shots == undisturbed.shots
    assert {key: bed.shots[key] for key in stored} == stored
    assert bed.studio.drawn.total() == len(bed.shots) + 1


def crash() -> None:
    raise CrashError


def test_many_crashes_change_nothing(undisturbed: Bed) -> None:
    """Killed again and again, after one more image each time, a bench still gets to the same end."""
    bed = Bed()
    bed.studio.before = lambda drawn: crash() if drawn % 2 == 0 else None
    for _ in range(200):
        try:
            bed.run()
            break
        except CrashError:
            continue
    assert bed.document == undisturbed.document


def test_scorers_that_die_and_return_change_nothing(undisturbed: Bed) -> None:
    """Scorers that are away for a while are waited for: same document, and the waiting was short."""
    bed = Bed()

    def before(drawn: int) -> None:
        bed.studio.scorers_down = drawn in {9, 15}

    def back_after_a_minute(_seconds: float) -> None:
        bed.studio.scorers_down &= bed.paused_s % 60 < 40

    bed.studio.before, bed.on_pause = before, back_after_a_minute
    bed.run()
    assert 40 <= bed.paused_s < 2 * PATIENCE_S
    assert bed.document == undisturbed.document


def test_scorers_that_stay_away_are_no_evidence() -> None:
    """Scorers that never return cost the scores, told as `scorer_down`, and once the patience; that is no pass."""
    bed = Bed()
    bed.studio.before = lambda drawn: setattr(bed.studio, "scorers_down", drawn > 12)
    bed.run()
    assert bed.outcome.verdict == "no_evidence"
    accuracy = next(item for item in bed.document["criteria"] if item["metric"] == "text_accuracy")
    assert accuracy["missing"]["scorer_down"] > 0
    assert PATIENCE_S <= bed.paused_s < 2 * PATIENCE_S


def test_a_model_that_stays_away_never_passes() -> None:
    """A candidate that can't be reached has faults for images, waits once, and never passes."""
    bed = Bed()
    candidate = bed.bench.apps[Arm.CANDIDATE]

    class Gone(ScriptedStudio):
        def draw(self, app, *arguments):
            if app == candidate:
                raise UnavailableError(f"{app} is away")
            return super().draw(app, *arguments)

    bed.studio = Gone()
    bed.run()
    assert bed.outcome.verdict != "pass"
    assert {shot["fault"] for key, shot in bed.shots.items() if key.endswith("candidate")} == {"unavailable"}
    assert bed.paused_s < 2 * PATIENCE_S


def test_a_bad_candidate_fails_and_is_not_loaded() -> None:
    """A candidate whose words are wrong fails with the numbers in the sentence, before any load is drawn."""
    bed = Bed(gate={"concurrency": (1, 2)})
    bed.studio.scores[10] = 0.1
    bed.run()
    assert bed.outcome.verdict == "fail"
    assert "text accuracy 0." in bed.outcome.reason
    assert not [key for key in bed.shots if key.startswith("load")]
    assert bed.document["criteria"][1]["verdict"] == "fail"


def test_undecided_at_the_last_repeat() -> None:
    """A candidate at the very edge is inconclusive, and nothing more is drawn than the most that is allowed."""
    bed = Bed()
    bed.studio.scores[10] = 0.6
    bed.run()
    assert bed.outcome.verdict == "inconclusive"
    assert bed.document["repeats"] == bed.plan.gate.max_repeats


def test_two_runs_at_once_count_once(undisturbed: Bed) -> None:
    """Two runs of one bench at the same time end with one verdict and the document of a single run."""
    bed = Bed()
    start, ends = threading.Barrier(2), []

    def run() -> None:
        start.wait()
        try:
            bed.run()
            ends.append("finished")
        except ConflictError:
            ends.append("beaten")

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "finished" in ends
    assert bed.shots == undisturbed.shots
    assert bed.document == undisturbed.document
    assert [entry.action for entry in bed.store.audit()].count("bench_finished") == 1


def test_a_deposed_leader_stops_at_once(undisturbed: Bed) -> None:
    """After another controller took over, the image under way is not added, and the other one goes on."""
    bed = Bed()

    def take_over(drawn: int) -> None:
        if drawn == 8:
            MemoryLease(bed.store, "one").release()
            bed.store.leader.until_s = 0.0
            bed.token_of_two = MemoryLease(bed.store, "two").acquire()

    bed.studio.before = take_over
    with pytest.raises(ConflictError, match="stale"):
        bed.run()
    assert len(bed.shots) == 7
    bed.token = bed.token_of_two
    bed.run()
    assert bed.document == undisturbed.document


def test_an_interrupted_run_goes_on(undisturbed: Bed) -> None:
    """A run that is told to end does so after its image, and the next one draws the rest alone."""
    bed = Bed()

    def stop_after_ten() -> None:
        if bed.studio.drawn.total() == 10:
            raise Interrupted

    bed.on_turn = stop_after_ten
    with pytest.raises(Interrupted):
        bed.run()
    assert len(bed.shots) == 10
    bed.on_turn = lambda: None
    bed.run()
    assert bed.document == undisturbed.document
    assert bed.studio.drawn.total() == len(bed.shots)


def test_loads_are_drawn_as_declared() -> None:
    """A closed loop has its number of images under way and never more; every load of both arms is stored once."""
    bed = Bed(gate={"concurrency": (1, 3)})
    bed.run()
    assert bed.outcome.verdict == "pass"
    assert {shot.key for shot in bed.plan.load()} <= bed.shots.keys()
    assert {(row["arm"], row["level"]) for row in bed.document["load"]} == {("incumbent", "c3"), ("candidate", "c3")}
    assert bed.studio.most_at_once <= 3
    assert all(bed.shots[shot.key]["image"] is None for shot in bed.plan.load())


@pytest.mark.parametrize("load", [{"concurrency": (1, 3)}, {"rate_per_s": 2.0}])
def test_a_load_that_began_is_not_held_up(load: dict[str, Any], undisturbed: Bed) -> None:
    """Every judged image waits for its turn; a load does so once an arm, since with gaps it would be another load."""
    bed = Bed(gate=load)
    bed.run()
    judged = len(undisturbed.shots)
    assert bed.turns == [*range(judged), judged, judged + len(bed.plan.load()) // 2]


def test_a_load_waits_for_nobody(undisturbed: Bed) -> None:
    """A model that is away under load is a failure of that load at once, and the verdict stays what the pairs said."""
    bed = Bed(gate={"concurrency": (1, 2)})
    judged = len(undisturbed.shots)
    bed.studio.before = lambda drawn: setattr(bed.studio, "models_down", drawn > judged)
    bed.run()
    assert bed.outcome.verdict == "pass"
    assert bed.paused_s == 0
    assert {row["failures"] for row in bed.document["load"]} == {60}


def test_a_crash_under_load_goes_on_with_the_rest() -> None:
    """Killed in the middle of a load, the next run draws what is missing of it and nothing again."""
    bed = Bed(gate={"concurrency": (1, 2)})
    store = bed.book.add_shot

    def add_shot(bench, key, *rest):
        if key.startswith("load") and len([one for one in bed.shots if one.startswith("load")]) == 20:
            crash()
        return store(bench, key, *rest)

    bed.book.add_shot = add_shot
    with pytest.raises(CrashError):
        bed.run()
    drawn = bed.studio.drawn.total()
    stored = len(bed.shots)
    bed.book.add_shot = store
    bed.run()
    assert stored < len(bed.shots)
    assert bed.studio.drawn.total() == drawn + len(bed.shots) - stored
    assert bed.outcome.verdict == "pass"


def test_an_open_loop_follows_its_rate() -> None:
    """Arrivals are due by the clock, whatever the answers do: the last one leaves when the plan says."""
    bed = Bed(gate={"rate_per_s": 2.0})
    bed.run()
    last_s = max(shot.at_s for shot in bed.plan.load())
    assert bed.paused_s == pytest.approx(2 * last_s, rel=0.02)
    assert {row["level"] for row in bed.document["load"]} == {"r2"}


def test_an_unknown_suite_is_no_evidence() -> None:
    """A bench whose suite is gone ends as no evidence, with the reason, instead of being tried for ever."""
    bed = Bed()
    bed.book._suites.clear()
    bed.run()
    assert (bed.outcome.verdict, bed.outcome.result) == ("no_evidence", None)
    assert "suite" in bed.outcome.reason


def test_a_database_that_is_away_ends_the_run_and_not_the_bench(undisturbed: Bed) -> None:
    """While nothing can be stored a run ends with that error; the next one goes on."""
    bed = Bed()
    bed.studio.before = lambda drawn: setattr(bed.store, "available", drawn != 9)
    with pytest.raises(UnavailableError):
        bed.run()
    bed.store.available = True
    bed.run()
    assert bed.document == undisturbed.document
