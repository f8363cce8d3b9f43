import json
from copy import deepcopy
from dataclasses import replace

import pytest

from controller.core.spec import digest_of
from controller.core.states import State
from controller.errors import ConflictError, UnavailableError, UserError
from controller.service import Proposal
from tests.unit.core.values import LANE, spec
from tests.unit.world import DEMO, World


@pytest.fixture
def world():
    made = World()
    made.run(60)
    return made


def over(world):
    return lambda: not world.rollout().open


def observing(world):
    return lambda: world.rollout().state is State.OBSERVING


def test_a_good_candidate_is_promoted(world):
    """A candidate like the incumbent goes through every state to promoted, and becomes the lane's incumbent."""
    rollout = world.propose()
    world.run_until(over(world))
    assert world.states() == [
        "proposed",
        "preparing",
        "benching",
        "observing",
        "observing",
        "promoting",
        "baking",
        "promoted",
    ]
    lane = world.store.world().lanes[0]
    assert lane.lane.incumbent == spec(10)
    assert (lane.split.candidate, lane.split.incumbent) == (None, world.rollout().candidate_app)
    world.run(2)
    assert set(world.fleet.deployed_at_s) == {world.rollout().candidate_app}
    assert world.service.rollout(rollout)["share_wanted"] == 1.0


def test_a_bad_candidate_is_reverted_with_a_sentence(world):
    """A candidate 2.5 times slower is reverted; the reason says where, what, how sure, who saw it and how fast."""
    world.slower = 2.5
    world.propose()
    world.run_until(over(world))
    reason = world.rollout().reason
    assert world.rollout().state is State.REVERTED
    assert reason.startswith("reverted at ")
    assert "latency p50 1.2" in reason
    assert "of 100 needed; users saw " in reason
    assert reason.endswith("share 0 everywhere after 0.0 s")
    seen = int(reason.split("users saw ")[1].split(" ")[0])
    assert seen == world.candidate_requests()


def test_a_failing_candidate_is_reverted(world):
    """A candidate that fails every request is reverted for its failures."""
    world.broken = True
    world.propose()
    world.run_until(over(world))
    assert world.rollout().state is State.REVERTED
    assert "failure rate 100.00 % against 0.00 %" in world.rollout().reason
    assert "users saw 0 of its images" in world.rollout().reason


def test_a_candidate_that_cannot_be_deployed_is_rejected(world):
    """A candidate whose application fails is rejected with the platform's message; nobody got an image of it."""
    world.fleet.broken[f"model-preview-{spec(10).digest[:12]}"] = "weights not found"
    world.propose()
    world.run_until(over(world))
    assert world.rollout().state is State.REJECTED
    assert "weights not found" in world.rollout().reason
    assert world.candidate_requests() == 0


def test_an_unsound_first_image_is_rejected(world):
    """A candidate whose first image is not sound never gets a request."""
    world.fleet.unsound[f"model-preview-{spec(10).digest[:12]}"] = "the image is uniform"
    world.propose()
    world.run_until(over(world))
    assert (world.rollout().state, world.candidate_requests()) == (State.REJECTED, 0)


def test_abort_takes_effect_in_its_own_step(world):
    """After an abort is recorded no gateway assigns another request to the candidate."""
    rollout = world.propose()
    world.run_until(lambda: world.candidate_requests() > 3)
    world.ask(rollout, "abort", "wrong file")
    world.tick()
    at_s = world.now_s
    assert world.rollout().state is State.REVERTING
    world.run_until(over(world))
    assert world.candidate_requests(since_s=at_s) == 0
    assert world.rollout().reason.startswith("aborted by ana: wrong file; users saw")


def test_a_wish_is_answered_once(world):
    """A wish that the state does not allow is refused with the state, and one about a closed rollout too."""
    rollout = world.propose()
    refused = world.ask(rollout, "undo")
    world.tick()
    assert world.store.outcome(refused).startswith("refused: undo is not possible while")
    done = world.ask(rollout, "abort")
    world.tick()
    assert world.store.outcome(done) == "done: rejected"
    late = world.ask(rollout, "abort")
    world.tick()
    assert world.store.outcome(late) == "refused: the rollout is over"


def test_superseded_makes_room(world):
    """A superseded rollout without traffic ends at once under that name, and the lane takes the next proposal."""
    rollout = world.propose()
    world.ask(rollout, "supersede", "a better one is ready")
    world.tick()
    assert world.rollout().state is State.SUPERSEDED
    assert world.propose() != rollout


def test_pause_and_resume(world):
    """A pause takes the share to 0 and keeps the stage; resuming brings it back and the evidence is kept."""
    rollout = world.propose()
    world.run_until(lambda: world.candidate_requests() > 10)
    world.ask(rollout, "pause")
    world.run(2)
    at_s = world.now_s
    world.run(20)
    assert (world.rollout().state, world.candidate_requests(since_s=at_s)) == (State.HELD, 0)
    read = world.store.last_evidence(rollout).seq
    world.ask(rollout, "resume")
    world.run_until(over(world))
    assert world.rollout().state is State.PROMOTED
    assert world.store.last_evidence(rollout).seq > read


def test_undo_while_baking(world):
    """While baking, undo brings the old incumbent back."""
    rollout = world.propose()
    world.run_until(lambda: world.rollout().state is State.BAKING)
    world.ask(rollout, "undo", "the design lead dislikes it")
    world.run_until(over(world))
    split = world.store.world().lanes[0].split
    assert (world.rollout().state, split.incumbent) == (State.REVERTED, world.rollout().incumbent_app)
    assert world.store.world().lanes[0].lane.incumbent == LANE.incumbent


def test_a_dead_controller_costs_the_candidate_its_traffic(world):
    """Without a controller every gateway serves the incumbent once the lease of three seconds ran out."""
    world.propose()
    world.run_until(lambda: world.candidate_requests() > 3)
    world.controllers.clear()
    at_s = world.now_s
    world.run(30)
    assert world.candidate_requests(since_s=at_s + 3.5) == 0


def test_another_controller_goes_on(world):
    """A controller that takes over in the middle decides as the first one would have: the evidence replays equal."""
    rollout = world.propose()
    world.run_until(lambda: world.candidate_requests() > 20)
    world.controllers.clear()
    world.run(15)
    world.start_controller("two")
    world.run_until(over(world))
    assert world.rollout().state is State.PROMOTED
    verified = world.service.verify()
    assert verified["ok"]
    assert verified["replayed"] == world.store.last_evidence(rollout).seq
    assert verified["head"] == list(world.store.audit())[-1].digest


def forge(world, rollout, change):
    """Change the payloads of stored evidence and seal its chain anew, as whoever owns the database could."""
    previous, rows = None, []
    for row in world.store.evidence(rollout):
        payload = deepcopy(row.payload)
        change(row.seq, payload)
        payload["previous"] = previous
        rows.append(replace(row, payload=payload, digest=digest_of(payload)))
        previous = rows[-1].digest
    world.store._evidence[rollout] = rows


def unnamed(world, monkeypatch):
    """Let audit entries name no evidence, as if they had been written about what is stored now."""
    monkeypatch.setattr(world.service, "_named_evidence", lambda count: ("", {}))


def test_a_verification_is_about_numbers(world, monkeypatch):
    """A version that words its sentences in another way verifies what older ones decided; another number is none."""
    rollout = world.propose()
    world.run_until(over(world))
    unnamed(world, monkeypatch)
    forge(world, rollout, lambda _, payload: payload["assessment"]["verdicts"][0].update(reason="said otherwise"))
    assert world.service.verify()["ok"]
    forge(world, rollout, lambda _, payload: payload["assessment"]["verdicts"][0]["summary"].update(log_harm=0.5))
    verified = world.service.verify()
    assert not verified["ok"]
    assert "does not lead to the recorded assessment" in verified["problem"]


def test_another_engine_is_not_recomputed(world, monkeypatch):
    """What an engine with other constants recorded is counted, not called broken and not called equal."""
    rollout = world.propose()
    world.run_until(over(world))
    unnamed(world, monkeypatch)

    def older(seq, payload):
        if seq == 1:
            payload["engine"] -= 1
            payload["assessment"]["log_harm"] = 0.5
        if seq == 2:
            del payload["engine"]

    forge(world, rollout, older)
    verified = world.service.verify()
    stored = world.store.last_evidence(rollout).seq
    assert (verified["ok"], verified["replayed"], verified["other_engine"]) == (True, stored - 2, 2)


def test_altered_evidence_is_found_whatever_engine_it_claims(world):
    """A changed row does not match its digest; a chain sealed anew is not the one that the audit log names."""
    rollout = world.propose()
    world.run_until(over(world))
    rows = list(world.store.evidence(rollout))
    altered = replace(rows[-1], payload={**rows[-1].payload, "engine": 0})
    for stored, problem in (
        ([*rows[:-1], altered], "was altered"),
        (rows[1:], "is missing"),
        (rows[:-1], "is not the one that the audit log names"),
    ):
        world.store._evidence[rollout] = stored
        verified = world.service.verify()
        assert (verified["ok"], problem in verified["problem"]) == (False, True)
    world.store._evidence[rollout] = rows
    forge(world, rollout, lambda _, payload: payload.update(engine=0))
    assert "is not the one that the audit log names" in world.service.verify()["problem"]


def test_two_controllers_never_both_write(world):
    """With two controllers every version and audit number exists once, and the story is the same."""
    world.start_controller("two")
    world.propose()
    world.run_until(over(world))
    assert world.states()[-1] == "promoted"
    assert [entry.seq for entry in world.store.audit()] == list(range(1, len(list(world.store.audit())) + 1))


def test_the_database_away_means_the_incumbent(world):
    """While the database is away no candidate is served; afterwards the rollout goes on to its end."""
    world.propose()
    world.run_until(lambda: world.candidate_requests() > 10)
    world.store.available = False
    at_s = world.now_s
    world.run(60)
    assert world.candidate_requests(since_s=at_s + 3.5) == 0
    with pytest.raises(UnavailableError):
        world.service.lanes()
    world.store.available = True
    world.run_until(over(world))
    assert world.rollout().state is State.PROMOTED
    assert world.service.verify()["ok"]


def test_a_dead_gateway_is_not_waited_for(world):
    """A gateway that falls silent for good delays the reading by seconds, not for ever."""
    world.propose()
    world.run_until(lambda: world.candidate_requests() > 10)
    world.gateways[1].connected = False
    world.run_until(over(world))
    assert world.rollout().state is State.PROMOTED


def test_a_split_changed_by_hand_is_repaired(world):
    """A split that differs from the wanted one is written again, with an audit entry."""
    world.propose()
    world.run_until(observing(world))
    row = world.store._lanes["preview"]
    wanted = row.split
    row.split = type(wanted)(lane="preview", epoch=wanted.epoch + 1, incumbent=wanted.incumbent)
    world.run(2)
    assert world.store.split("preview")[0].share == wanted.share
    assert "repair" in [entry.action for entry in world.store.audit()]


def test_a_busy_lane_is_refused(world):
    """A second proposal on the lane is refused, naming the rollout that holds it."""
    holder = world.propose()
    with pytest.raises(ConflictError, match=holder):
        world.propose()


def test_the_incumbent_is_no_candidate(world):
    """Proposing exactly what the lane serves is refused with the way to run an A/A."""
    same = Proposal("same", "preview", "imaging", "why not", spec(20), DEMO, "salt")
    with pytest.raises(UserError, match="variant"):
        world.service.propose(same, "ana")


def test_every_step_is_explained(world):
    """Each step's audit entry names actor, reason, digests, code version and the evidence it rests on."""
    world.slower = 2.5
    world.propose()
    world.run_until(over(world))
    entry = next(entry for entry in world.store.audit() if entry.action == "harm")
    assert (entry.actor, entry.from_state, entry.to_state) == ("swapgate", "observing", "reverting")
    assert entry.detail["policy_digest"] == world.rollout().policy.digest
    assert entry.detail["evidence"]["seq"] >= 1
    assert entry.detail["versions"] == {"code": "test"}
    assert entry.detail["assessment"]["harm"] in entry.reason
    assert json.dumps(entry.detail)
