"""Rollouts through the offline gate, and benches beside them, on the real loop with a scripted studio."""

from dataclasses import replace

import pytest

from controller.bench_keeper import GIVE_WAY_S
from controller.benches import GIVES_WAY, BenchWish, progress_text
from controller.core.bench import twin
from controller.core.spec import Resources, app_name
from controller.core.states import State
from controller.errors import ConflictError, UserError
from controller.schema.suite import LoadedSuite
from controller.service import Proposal
from tests.unit.core.values import LANE, spec
from tests.unit.gate.runs import GATE, SUITE
from tests.unit.world import DEMO, World

GATED = replace(DEMO, gate=replace(GATE, suite_digest=""))
LOADED = LoadedSuite(SUITE, {})


class Benched(World):
    """A world whose rollouts have an offline gate; `meanwhile` is called whenever the bench lets time pass."""

    meanwhile = staticmethod(lambda: None)

    def let_pass(self, seconds: float) -> bool:
        self.meanwhile()
        return super().let_pass(seconds)

    def report_queue(self, app: str, in_flight: int) -> None:
        for number, gateway in enumerate(self.gateways):
            gateway.in_flight = {app: in_flight if number == 0 else 0}
            gateway.sync(self.now_s)
        loop, _, _ = self.controllers["one"]
        loop.tick()

    def propose(self, candidate=None, suite=LOADED, overrides=()) -> str:
        wanted = candidate or spec(10)
        proposal = Proposal(
            "turbo", "preview", "imaging", "cheaper", wanted, GATED, "salt", overrides=overrides, suite=suite
        )
        return self.service.propose(proposal, "ana")["id"]

    def bench(self, candidate=None, **gate) -> str:
        policy = replace(GATED, gate=replace(GATED.gate, **gate))
        wish = BenchWish("turbo", "preview", "just to know", candidate or spec(10), policy, LOADED)
        return self.benches.start(wish, "ana")["id"]

    def state(self) -> State | None:
        found = self.rollout()
        return found.state if found else None

    def entry(self, action: str):
        return next(entry for entry in self.store.audit() if entry.action == action)


@pytest.fixture
def world():
    made = Benched()
    made.run(60)
    return made


def over(world):
    return lambda: not world.rollout().open


def test_a_good_candidate_passes_the_gate_and_is_promoted(world):
    """A passing bench lets the rollout go on, and its step holds verdict, criteria and the result's digest."""
    rollout = world.propose()
    world.run_until(over(world))
    assert world.state() is State.PROMOTED
    passed = world.entry("bench_passed")
    (row,) = world.benches.benches(rollout)
    assert (passed.from_state, passed.to_state) == ("benching", "observing")
    assert passed.detail["bench"]["id"] == row["id"]
    assert passed.detail["bench"]["verdict"] == row["verdict"] == "pass"
    assert passed.detail["bench"]["result"] == row["result"]
    assert [item["verdict"] for item in passed.detail["bench"]["criteria"]] == ["pass", "pass"]
    assert world.service.verify()["ok"]


def test_the_policy_is_frozen_with_the_suite(world):
    """The rollout's policy names the digest of the suite that was sent, which is stored."""
    world.propose()
    gate = world.rollout().policy.gate
    assert gate.suite_digest == SUITE.digest
    assert world.book.suite(gate.suite_digest) == SUITE


def test_a_bad_candidate_never_gets_traffic(world):
    """A candidate that fails the gate is rejected with the numbers, and no user saw it."""
    world.studio.scores[10] = 0.1
    world.propose()
    world.run_until(over(world))
    assert world.state() is State.REJECTED
    assert world.rollout().reason.startswith("offline gate: fail: ")
    assert "text accuracy 0." in world.rollout().reason
    assert world.candidate_requests() == 0
    assert world.entry("bench_failed").detail["bench"]["verdict"] == "fail"


def test_an_overridden_gate_goes_on_with_what_is_known(world):
    """A refused candidate goes to traffic when overridden, on the verdict of the bench before."""
    world.studio.scores[10] = 0.1
    refused = world.propose()
    world.run_until(over(world))
    (first,) = world.benches.benches(refused)
    world.propose(overrides=("gate",))
    world.run_until(lambda: world.state() is State.OBSERVING)
    entry = [item for item in world.store.audit() if item.action == "bench_passed"][-1]
    assert "overridden by ana" in entry.reason
    assert first["id"] in entry.reason
    assert len(world.benches.benches()) == 1


def test_an_overridden_gate_is_measured_when_nothing_is_known(world):
    """Without a bench of the same question the override still runs one, and keeps what it says."""
    world.studio.scores[10] = 0.1
    rollout = world.propose(overrides=("gate",))
    world.run_until(lambda: world.state() is State.OBSERVING)
    (row,) = world.benches.benches(rollout)
    assert row["verdict"] == "fail"


def test_undecided_is_no_pass(world):
    """A bench that proves nothing by its last repeat rejects the candidate and says so."""
    world.studio.scores[10] = 0.6
    world.propose()
    world.run_until(over(world))
    assert world.state() is State.REJECTED
    assert world.rollout().reason.startswith("offline gate: inconclusive: ")
    assert world.candidate_requests() == 0


def test_no_scorer_is_no_pass(world):
    """Without scorers there is no evidence, and a candidate without evidence gets no traffic."""
    world.studio.scorers_down = True
    world.propose()
    world.run_until(over(world))
    assert world.state() is State.REJECTED
    assert world.rollout().reason.startswith("offline gate: no evidence: ")


def test_the_twin_lives_as_long_as_the_bench(world):
    """The incumbent's twin runs with the candidate's replicas from when that one starts to the end of the bench."""
    candidate = replace(spec(10), resources=Resources("cpu", 0, 3))
    copy = twin(LANE.incumbent, 3)
    app = app_name("preview", copy.digest)
    seen = []
    world.studio.before = lambda _number: seen.append(set(world.fleet.deployed_at_s))
    world.propose(candidate)
    assert app not in world.fleet.deployed_at_s
    world.run_until(lambda: world.state() is State.OBSERVING)
    assert copy.resources.replicas == 3
    assert all(app in apps for apps in seen)
    world.run(2)
    assert app not in world.fleet.deployed_at_s
    assert all(world.rollout().incumbent_app in apps for apps in seen)


def test_nothing_is_drawn_before_both_arms_are_ready(world):
    """The bench waits until the twin is ready, and ends as no evidence when it never gets so."""
    world.propose()
    world.run_until(lambda: world.state() is State.PREPARING)
    world.run(1.0)
    world.fleet.deployed_at_s[app_name("preview", twin(LANE.incumbent, 1).digest)] += 30.0
    world.run_until(lambda: world.state() is State.BENCHING)
    world.run(20)
    assert world.studio.drawn.total() == 0
    world.fleet.ready_after_s = 10_000.0
    world.run_until(over(world))
    assert world.state() is State.REJECTED
    assert "was not ready within 120 s" in world.rollout().reason


def test_a_twin_that_can_not_be_served_ends_the_bench(world):
    """A twin that fails to start is no evidence, told with the reason, at once."""
    copy = app_name("preview", twin(LANE.incumbent, 1).digest)
    world.fleet.broken[copy] = "out of memory"
    world.propose()
    world.run_until(over(world), limit_s=60)
    assert world.state() is State.REJECTED
    assert "out of memory" in world.rollout().reason


def test_abort_while_benching(world):
    """An abort ends the drawing after its image and closes the bench; nothing of it runs on."""

    def abort(number: int) -> None:
        if number == 8:
            world.ask(world.rollout().id, "abort", "wrong file")
            world.controllers["one"][0].tick()

    world.studio.before = abort
    rollout = world.propose()
    world.run_until(over(world))
    world.run(2)
    assert world.state() is State.REJECTED
    assert world.studio.drawn.total() == 8
    (row,) = world.benches.benches(rollout)
    assert row["verdict"] == "no_evidence"
    assert rollout in row["reason"]
    assert set(world.fleet.deployed_at_s) == {world.rollout().incumbent_app}


def test_the_loop_goes_on_while_benching(world):
    """A bench in the middle of an image holds up no tick: another lane's business and leases go on."""
    ticks = []

    def tick(_number: int) -> None:
        world.controllers["one"][0].tick()
        ticks.append(world.state())

    world.studio.before = tick
    world.propose()
    world.run_until(lambda: world.state() is State.OBSERVING)
    assert len(ticks) > 10
    assert set(ticks) == {State.BENCHING}


def test_another_controller_goes_on_with_the_bench(world):
    """When the leader dies in the middle, its successor draws the rest, and every image counts once."""

    class DiedError(Exception):
        pass

    def die(number: int) -> None:
        if number == 11:
            raise DiedError

    world.studio.before = die
    # The old leader's thread ends with it: its keeper logs the failure and is never asked again.
    world.propose()
    world.run_until(lambda: world.studio.drawn.total() == 11)
    world.controllers.clear()
    world.run(15)
    world.start_controller("two")
    world.run_until(lambda: world.state() is State.OBSERVING)
    (row,) = world.book.benches()
    assert world.studio.drawn.total() == row.shots + 1
    assert row.outcome.verdict == "pass"


def test_only_the_leader_benches(world):
    """A controller that does not lead draws nothing; one that lost leadership adds nothing."""
    world.start_controller("two")
    world.propose()
    world.run_until(lambda: world.state() is State.OBSERVING)
    (row,) = world.book.benches()
    assert world.studio.drawn.total() == row.shots


def test_a_bench_by_itself(world):
    """A bench that somebody asked for draws with applications of its own, changes no lane, and is audited."""
    bench = world.bench()
    assert world.benches.bench(bench)["state"] == "waiting"
    world.run_until(lambda: world.benches.bench(bench)["state"] == "finished")
    row = world.benches.bench(bench)
    assert (row["verdict"], row["rollout"]) == ("pass", None)
    assert b'"verdict":"pass"' in world.benches.result(bench)
    apps = {app for app, *_ in world.studio.drawn}
    assert not apps & {app_name("preview", item.digest) for item in (spec(10), LANE.incumbent)}
    assert [(entry.actor, entry.reason) for entry in world.store.audit() if entry.action == "bench"] == [
        ("ana", "just to know")
    ]
    world.run(2)
    assert set(world.fleet.deployed_at_s) == {app_name("preview", LANE.incumbent.digest)}


def test_the_incumbent_may_be_benched_against_itself(world):
    """The lane's own model as the candidate is drawn by two applications, and passes."""
    bench = world.bench(LANE.incumbent)
    world.run_until(lambda: world.benches.bench(bench)["state"] == "finished")
    assert world.benches.bench(bench)["verdict"] == "pass"
    assert len({app for app, *_ in world.studio.drawn}) == 2


def test_the_same_question_is_one_bench(world):
    """Asking again while a bench is unfinished continues it; other settings are another bench."""
    first = world.bench()
    assert world.bench() == first
    assert world.bench(min_repeats=3) != first


def test_a_rollout_goes_first_and_the_bench_goes_on_afterwards(world):
    """A rollout's bench takes the place of one that somebody asked for, which ends later and draws nothing twice."""
    started = []

    def propose(number: int) -> None:
        if number == 9:
            started.append(world.propose(spec(12)))
        if started:
            world.controllers["one"][0].tick()

    bench = world.bench()
    candidate = {app_name("preview", twin(spec(10), 1, "bench-candidate").digest)}
    world.studio.before = propose
    world.run_until(lambda: world.state() is State.OBSERVING)
    world.run_until(lambda: world.benches.bench(bench)["state"] == "finished")
    rows = {row.bench.rollout: row for row in world.book.benches()}
    assert rows[None].outcome.verdict == "pass"
    order = [app for app, *_ in world.studio.drawn]
    assert candidate & set(order)
    assert world.studio.drawn.total() == sum(row.shots for row in rows.values())


@pytest.mark.parametrize(("overrides", "early"), [((), True), (("gate",), False)])
def test_the_twin_starts_beside_the_candidate(world, overrides, early):
    """A bench waits for no model twice; where the gate is overridden the answer may be there, so nothing starts yet."""
    world.propose(overrides=overrides)
    world.run_until(lambda: world.state() is State.PREPARING)
    world.run(1.0)
    assert world.state() is State.PREPARING
    twins = {app_name("preview", twin(LANE.incumbent, 1).digest)} & world.fleet.status().keys()
    assert bool(twins) is early


def test_a_bench_gives_way_to_users_who_queue_up(world):
    """While more than two requests a replica are in flight no image is begun; one that waits its turn is nothing."""
    incumbent = app_name("preview", LANE.incumbent.digest)
    drawn_at_wait, told = [], []

    def meanwhile() -> None:
        total = world.studio.drawn.total()
        if total == 5:
            world.report_queue(incumbent, 2)
        if total == 10 and len(drawn_at_wait) < 8:
            drawn_at_wait.append(total)
            world.report_queue(incumbent, 3 if len(drawn_at_wait) < 8 else 0)
            told.append(progress_text(world.benches.bench(bench)).endswith(GIVES_WAY))

    world.meanwhile = meanwhile
    bench, began_s = world.bench(), world.now_s
    world.run_until(lambda: world.benches.bench(bench)["state"] == "finished")
    assert drawn_at_wait == [10] * 8
    assert told == [True] * 7 + [False]
    assert world.now_s - began_s > 6 * GIVE_WAY_S
    assert world.benches.bench(bench)["verdict"] == "pass"


def test_old_images_are_removed_and_it_is_told(world):
    """Images of a bench that ended long ago go, its verdict and scores stay; while one runs nothing goes."""
    first = world.bench()
    world.run_until(lambda: world.benches.bench(first)["state"] == "finished")
    images = {shot["image"] for shot in world.book.shots(first).values()} - {None}
    assert images
    assert images <= world.blobs.contents.keys()
    world.run(60)
    second = world.bench(spec(12))
    world.run(1)
    world.benches.remove_old_images(30.0)
    assert images <= world.blobs.contents.keys()
    world.run_until(lambda: world.benches.bench(second)["state"] == "finished")
    world.benches.remove_old_images(30.0)
    kept = {shot["image"] for shot in world.book.shots(second).values()} - {None}
    assert (images - kept).isdisjoint(world.blobs.contents)
    assert kept <= world.blobs.contents.keys()
    assert world.entry("remove_images").detail == {"bench": first, "images": len(images - kept)}
    assert world.benches.bench(first)["verdict"] == "pass"
    assert world.service.verify()["ok"]


def test_a_bench_on_a_device_of_its_own_gives_way_to_nobody(world):
    """A queue on processors is no matter to models that each hold a GPU; a queue on GPUs is none to anybody."""
    world.report_queue(app_name("preview", LANE.incumbent.digest), 50)
    gpu = replace(spec(10), resources=Resources("l4", 1, 1))
    wish = BenchWish("turbo", "preview", "why", gpu, GATED, LOADED, against=replace(gpu, revision="2"))
    bench = world.benches.start(wish, "ana")["id"]
    world.run_until(lambda: world.benches.bench(bench)["state"] == "finished")
    assert world.benches.bench(bench)["shots"] > 0


def test_an_aborted_bench_draws_nothing_more(world):
    """The image under way is the last; the verdict is no evidence, by whom and why, and another bench may run."""

    def abort(number: int) -> None:
        if number == 7:
            world.benches.abort(bench, "ana", "wrong suite")

    world.studio.before = abort
    bench = world.bench()
    world.run(20)
    row = world.benches.bench(bench)
    assert (row["verdict"], row["reason"], row["shots"]) == ("no_evidence", "aborted by ana: wrong suite", 6)
    assert world.studio.drawn.total() == 7
    assert world.entry("bench_aborted").reason == "wrong suite"
    with pytest.raises(ConflictError, match="over"):
        world.benches.abort(bench, "ana", "again")
    another = world.bench()
    world.run_until(lambda: world.benches.bench(another)["state"] == "finished")
    assert world.benches.bench(another)["verdict"] == "pass"


def test_a_bench_that_a_rollout_waits_for_is_not_aborted_by_itself(world):
    """Its rollout is what can be aborted; a reason is asked for either way, and an unknown bench is told."""
    refused = []

    def abort(number: int) -> None:
        if number == 3:
            with pytest.raises(ConflictError, match="gatectl abort r-0001"):
                world.benches.abort("b-0001", "ana", "enough")
            with pytest.raises(UserError, match="reason"):
                world.benches.abort("b-0001", "ana", " ")
            refused.append(number)

    world.studio.before = abort
    world.propose()
    world.run_until(over(world))
    assert refused == [3]
    assert world.state() is State.PROMOTED
    with pytest.raises(UserError, match="b-7"):
        world.benches.abort("b-7", "ana", "enough")


def test_progress_is_counted_and_estimated(world):
    """A bench says how many images are stored, how many are due at least, and how long they will take."""
    rows = []

    def look(number: int) -> None:
        world.now_s += 2.0
        if number == 15:
            rows.append(world.benches.bench(bench))

    world.studio.before = look
    bench = world.bench()
    world.run_until(lambda: world.benches.bench(bench)["state"] == "finished")
    (row,) = rows
    assert (row["state"], row["shots"]) == ("running", 14)
    assert row["due"] > 14
    assert row["eta_s"] == pytest.approx(2.0 * (row["due"] - 14))


def test_a_rollout_tells_how_far_its_gate_is(world):
    """While benching the rollout's page counts the images; afterwards it names the bench with its verdict."""
    lines = []
    world.studio.before = lambda _number: lines.append(world.service.rollout(rollout)["waiting"])
    rollout = world.propose()
    assert world.service.rollout(rollout)["bench"] is None
    world.run_until(lambda: world.state() is State.OBSERVING)
    assert lines[0] == "the offline gate waits until both arms are ready"
    assert lines[9].startswith("running the offline gate b-0001: 9 of at least ")
    view = world.service.rollout(rollout)
    assert (view["bench"]["id"], view["bench"]["verdict"]) == ("b-0001", "pass")
    assert view["waiting"].startswith("not advancing")


def test_a_gate_that_users_hold_up_from_the_start_says_so(world):
    """Users who queue before the first image are told of, too."""
    incumbent, told = app_name("preview", LANE.incumbent.digest), []

    def meanwhile() -> None:
        told.append(world.service.rollout(rollout)["waiting"])
        world.report_queue(incumbent, 3 if len(told) < 4 else 0)

    rollout = world.propose()
    world.run_until(lambda: world.state() is State.PREPARING)
    world.report_queue(incumbent, 3)
    world.meanwhile = meanwhile
    world.run_until(lambda: world.state() is State.OBSERVING)
    assert told[1] == f"the offline gate waits until both arms are ready; {GIVES_WAY}"


def test_what_makes_no_sense_is_refused(world):
    """A suite nobody knows, a gate the suite can't judge, no gate, no reason, another size: each is told."""
    with pytest.raises(UserError, match="send it along"):
        world.propose(suite=None)
    elsewhere = replace(SUITE, prompts=tuple(replace(prompt, lanes=("export",)) for prompt in SUITE.prompts))
    with pytest.raises(UserError, match="no prompt for lane preview"):
        world.propose(suite=LoadedSuite(elsewhere, {}))
    wish = BenchWish("turbo", "preview", "why", spec(10), GATED, LOADED)
    with pytest.raises(UserError, match="declares no `gate`"):
        world.benches.start(replace(wish, policy=DEMO), "ana")
    with pytest.raises(UserError, match="reason"):
        world.benches.start(replace(wish, reason=" "), "ana")
    large = replace(spec(10), sampling=replace(spec(10).sampling, width_px=128))
    with pytest.raises(UserError, match="can't be compared"):
        world.benches.start(replace(wish, candidate=large), "ana")
    with pytest.raises(UserError, match="known lanes: preview"):
        world.benches.start(replace(wish, lane="export"), "ana")
    assert world.book.benches() == []
