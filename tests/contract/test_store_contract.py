"""What every store must do, whether it keeps the truth in memory or in PostgreSQL."""

import threading
from dataclasses import replace

import pytest

from controller.core.rollout import Rollout
from controller.core.states import State
from controller.errors import ConflictError, UserError
from controller.ports import AuditDraft, Change, TallyRow
from tests.contract.stores import Installation, in_memory, in_postgres
from tests.contract.values import (
    ADD_LANE,
    LANE,
    PROPOSE,
    ROLLOUT,
    candidate_split,
    evidence,
    first_split,
    moved,
    spec,
    step,
    tally,
    wish,
)
from tests.integration.postgres import database, database_url, postgres_server

__all__ = ["database", "database_url", "postgres_server"]


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> Installation:
    """An empty store of each kind."""
    return in_memory() if request.param == "memory" else in_postgres(request.getfixturevalue("database"))


@pytest.fixture
def token(store: Installation) -> int:
    """The leader's token, on a store with one lane."""
    assert store.truth.add_lane(LANE, LANE.incumbent, first_split(), ADD_LANE)
    found = store.lease("leader", 60.0).acquire()
    assert found is not None
    return found


@pytest.fixture
def rollout(store: Installation, token: int) -> Rollout:
    """An open rollout."""
    return store.truth.propose(replace(ROLLOUT, id=""), ROLLOUT.candidate, PROPOSE)


def test_a_lane_is_stored_once(store: Installation, token: int) -> None:
    """A second lane of the same name changes nothing and is not audited."""
    other = replace(LANE, timeout_s=1.0)
    assert not store.truth.add_lane(other, other.incumbent, first_split(other), ADD_LANE)
    (row,) = store.truth.world().lanes
    assert row.lane == LANE
    assert row.split == first_split()
    assert row.rollout is None
    assert [entry.action for entry in store.truth.audit()] == ["add_lane"]


def test_a_proposal_comes_back_equal(store: Installation, rollout: Rollout) -> None:
    """What was proposed is read back as the same value, under the id that the store gave it."""
    assert rollout == replace(ROLLOUT, id="r-0001")
    assert store.truth.rollouts() == [rollout]
    assert store.truth.rollouts("r-0001") == [rollout]
    assert store.truth.rollouts("r-0002") == []
    assert store.truth.world().lanes[0].rollout == rollout


def test_a_busy_lane_names_its_holder(store: Installation, rollout: Rollout) -> None:
    """A second proposal is refused with the id and state of the first, and leaves nothing behind."""
    with pytest.raises(ConflictError, match=r"held by r-0001 \(proposed\)"):
        store.truth.propose(replace(ROLLOUT, id=""), ROLLOUT.candidate, PROPOSE)
    assert store.truth.rollouts() == [rollout]
    assert [entry.action for entry in store.truth.audit()] == ["add_lane", "propose"]


def test_of_two_proposals_at_once_one_wins(store: Installation, token: int) -> None:
    """When several people propose at the same moment, one gets the lane and the others hear who has it."""
    start = threading.Barrier(4)
    won: list[str] = []
    lost: list[str] = []

    def propose() -> None:
        start.wait()
        try:
            won.append(store.truth.propose(replace(ROLLOUT, id=""), ROLLOUT.candidate, PROPOSE).id)
        except ConflictError as error:
            lost.append(str(error))

    threads = [threading.Thread(target=propose) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(lost) == 3
    assert all(won[0] in sentence for sentence in lost)


def test_a_closed_rollout_frees_its_lane(store: Installation, token: int, rollout: Rollout) -> None:
    """After a terminal state the lane can be proposed to again, and rollouts are listed newest first."""
    store.truth.commit(Change(rollout=moved(rollout, State.REJECTED)), token)
    second = store.truth.propose(replace(ROLLOUT, id=""), ROLLOUT.candidate, PROPOSE)
    assert second.id > rollout.id
    assert [item.id for item in store.truth.rollouts()] == [second.id, rollout.id]
    assert [item.id for item in store.truth.rollouts(limit=1)] == [second.id]


def test_a_proposal_to_an_unknown_lane_is_refused(store: Installation, token: int) -> None:
    """The error names the lanes that exist."""
    with pytest.raises(UserError, match="no lane exports; known: preview"):
        store.truth.propose(replace(ROLLOUT, lane="exports"), ROLLOUT.candidate, PROPOSE)


def test_a_proposal_against_yesterdays_incumbent_is_refused(store: Installation, token: int) -> None:
    """A proposal that was made against another incumbent than the lane has now is a conflict."""
    store.truth.commit(Change(lane=replace(LANE, incumbent=spec(5))), token)
    with pytest.raises(ConflictError, match="incumbent of preview has changed"):
        store.truth.propose(replace(ROLLOUT, id=""), ROLLOUT.candidate, PROPOSE)


def test_a_commit_writes_everything(store: Installation, token: int, rollout: Rollout) -> None:
    """Rollout, split, lane, evidence, audit and outcome of one change are all there afterwards."""
    number = store.truth.request(wish(rollout))
    lane = replace(LANE, incumbent=rollout.candidate, timeout_s=7.5)
    change = step(
        rollout,
        split=candidate_split(2, rollout),
        lane=lane,
        evidence=(evidence(rollout, 1),),
        outcomes={number: "done: observing"},
    )
    store.truth.commit(change, token)
    world = store.truth.world()
    assert world.lanes[0].rollout == change.rollout
    assert world.lanes[0].split == change.split
    assert world.lanes[0].lane == lane
    assert world.commands == ()
    assert store.truth.outcome(number) == "done: observing"
    assert list(store.truth.evidence(rollout.id)) == list(change.evidence)
    last = list(store.truth.audit(rollout.id))[-1]
    assert (last.action, last.from_state, last.to_state) == ("step", "proposed", "observing")
    assert dict(last.detail) == dict(change.audit[0].detail)


STALE = {
    "version": lambda r: replace(step(r), rollout=replace(moved(r), version=5)),
    "rollout": lambda r: replace(step(r), rollout=replace(moved(r), id="r-9999")),
    "epoch": lambda r: step(r, split=candidate_split(3, r)),
    "command": lambda r: step(r, outcomes={99: "done"}),
    "lane": lambda r: step(r, lane=replace(LANE, name="exports")),
}


@pytest.mark.parametrize("what", list(STALE))
def test_a_stale_change_writes_nothing(store: Installation, token: int, rollout: Rollout, what: str) -> None:
    """One stale part refuses the whole change."""
    before = (store.truth.world().lanes[0].rollout, store.truth.world().lanes[0].split, list(store.truth.audit()))
    with pytest.raises(ConflictError):
        store.truth.commit(STALE[what](rollout), token)
    after = store.truth.world().lanes[0]
    assert (after.rollout, after.split, list(store.truth.audit())) == before


def test_evidence_is_written_once(store: Installation, token: int, rollout: Rollout) -> None:
    """Evidence of a sequence number that is there already refuses the whole change."""
    store.truth.commit(Change(evidence=(evidence(rollout, 1),)), token)
    with pytest.raises(ConflictError, match="evidence 1 of r-0001"):
        store.truth.commit(step(rollout, evidence=(evidence(rollout, 1),)), token)
    assert store.truth.rollouts() == [rollout]


def test_a_stale_token_writes_nothing(store: Installation, token: int, rollout: Rollout) -> None:
    """A controller that lost leadership can neither change anything nor keep a candidate's traffic alive."""
    old = store.lease("leader", 60.0)
    old.release()
    fresh = store.lease("other", 60.0).acquire()
    assert fresh is not None
    assert fresh > token
    entries = list(store.truth.audit())
    with pytest.raises(ConflictError, match=f"token {token} is stale"):
        store.truth.commit(step(rollout, split=candidate_split(2, rollout)), token)
    with pytest.raises(ConflictError, match=f"token {token} is stale"):
        store.truth.renew({"preview": 3.0}, token)
    row = store.truth.world().lanes[0]
    assert row.rollout == rollout
    assert row.split == first_split()
    assert list(store.truth.audit()) == entries
    assert store.gateways.lease_left_s("preview") < 0
    store.truth.commit(step(rollout), fresh)


def test_one_controller_leads(store: Installation) -> None:
    """Only one holder gets a token, renewing keeps it, and the next holder's is larger."""
    one, two = store.lease("one", 60.0), store.lease("two", 60.0)
    first = one.acquire()
    assert first is not None
    assert two.acquire() is None
    two.release()
    assert one.acquire() == first
    one.release()
    second = two.acquire()
    assert second is not None
    assert second > first
    assert one.acquire() is None


def test_an_expired_lease_can_be_taken(store: Installation) -> None:
    """Leadership that was not renewed in time goes to whoever asks, with a larger token."""
    first = store.lease("one", -1.0).acquire()
    second = store.lease("two", 60.0).acquire()
    assert first is not None
    assert second is not None
    assert second > first


def test_nobody_can_commit_without_a_leader(store: Installation) -> None:
    """Before the first leader every token is stale."""
    with pytest.raises(ConflictError, match="stale: nobody leads"):
        store.truth.commit(Change(), 1)


def test_a_lease_starts_expired_and_is_renewed(store: Installation, token: int) -> None:
    """A new split has no lease; renewing gives it the seconds asked for, and no other lane any."""
    assert store.gateways.lease_left_s("preview") < 0
    store.truth.renew({"preview": 60.0, "unknown": 60.0}, token)
    assert 0 < store.gateways.lease_left_s("preview") <= 60


def test_a_new_split_keeps_the_lease(store: Installation, token: int, rollout: Rollout) -> None:
    """Writing a split neither extends nor ends the lease: only `renew` does."""
    store.truth.renew({"preview": 60.0}, token)
    store.truth.commit(Change(split=candidate_split(2, rollout)), token)
    assert 0 < store.gateways.lease_left_s("preview") <= 60


def test_commands_wait_in_order_until_answered(store: Installation, token: int, rollout: Rollout) -> None:
    """Commands come back as asked, oldest first, and an answered one is gone from the world."""
    numbers = [store.truth.request(wish(rollout, kind)) for kind in ("pause", "abort")]
    waiting = store.truth.world().commands
    assert waiting == tuple(
        replace(wish(rollout, kind), id=number) for kind, number in zip(("pause", "abort"), numbers, strict=True)
    )
    assert store.truth.outcome(numbers[0]) is None
    store.truth.commit(Change(outcomes={numbers[0]: "refused: no"}), token)
    assert store.truth.outcome(numbers[0]) == "refused: no"
    assert [item.id for item in store.truth.world().commands] == numbers[1:]
    with pytest.raises(ConflictError, match=f"command {numbers[0]} is not waiting"):
        store.truth.commit(Change(outcomes={numbers[0]: "done"}), token)


def test_unknown_names_are_the_callers_fault(store: Installation, token: int) -> None:
    """A command about an unknown rollout and the outcome of an unknown command are user errors."""
    with pytest.raises(UserError, match="no rollout r-7777"):
        store.truth.request(wish(replace(ROLLOUT, id="r-7777")))
    with pytest.raises(UserError, match="no command 12345"):
        store.truth.outcome(12345)


def test_tallies_are_replaced_and_read_in_order(store: Installation) -> None:
    """A replica's newer tally replaces its older one; rows come by epoch, window and replica."""
    for epoch, window, replica, assigned in [(2, 7, "b", 1), (2, 7, "a", 2), (3, 1, "a", 3), (2, 7, "b", 4)]:
        store.gateways.put_tally("preview", TallyRow(epoch, window, replica, tally(assigned)))
    store.gateways.put_tally("exports", TallyRow(2, 7, "a", tally(9)))
    assert list(store.truth.tallies("preview", (2, 3), 0)) == [
        TallyRow(2, 7, "a", tally(2)),
        TallyRow(2, 7, "b", tally(4)),
        TallyRow(3, 1, "a", tally(3)),
    ]
    assert [row.window for row in store.truth.tallies("preview", (2, 2), 7)] == [7, 7]
    assert list(store.truth.tallies("preview", (2, 2), 8)) == []
    assert store.truth.totals("preview", [2, 3]) == tally(2) + tally(4) + tally(3)
    assert store.truth.totals("preview", [3]) == tally(3)
    assert store.truth.totals("preview", []).arms == {}


def test_gateways_are_seen_as_they_reported(store: Installation) -> None:
    """A gateway's last report replaces its earlier ones."""
    store.gateways.report("g1", 10.0, {"preview": 1})
    store.gateways.report("g1", 20.0, {"preview": 2}, {"model-a": 3})
    (gateway,) = store.truth.world().gateways
    assert (gateway.replica, gateway.watermark_s, dict(gateway.epochs)) == ("g1", 20.0, {"preview": 2})
    assert dict(gateway.in_flight) == {"model-a": 3}
    assert gateway.silent_s >= 0


def test_a_split_is_settled_by_the_last_gateway(store: Installation, token: int, rollout: Rollout) -> None:
    """Nothing is settled while a live gateway lags; a later epoch's acknowledgement counts; newcomers don't."""
    assert store.truth.settled_s("preview", 2) is None
    store.gateways.report("g1", 1.0, {})
    store.gateways.report("g2", 1.0, {})
    store.truth.commit(Change(split=candidate_split(2, rollout)), token)
    assert store.truth.settled_s("preview", 2) is None
    store.gateways.acknowledge("preview", 2, "g1")
    assert store.truth.settled_s("preview", 2) is None
    store.truth.commit(Change(split=candidate_split(3, rollout)), token)
    store.gateways.acknowledge("preview", 3, "g2")
    settled_s = store.truth.settled_s("preview", 2)
    assert settled_s is not None
    assert settled_s >= 0
    assert store.truth.settled_s("preview", 3) is None


def test_the_audit_log_can_be_read_in_parts(store: Installation, token: int, rollout: Rollout) -> None:
    """The log can be read from any entry on and for one rollout, and its chain is whole."""
    store.truth.commit(step(rollout), token)
    everything = list(store.truth.audit())
    assert [entry.seq for entry in everything] == [1, 2, 3]
    assert list(store.truth.audit(after_seq=1)) == everything[1:]
    assert list(store.truth.audit(rollout.id)) == everything[1:]
    assert store.truth.verify_audit() == (3, None)


def test_many_entries_of_one_change_are_chained(store: Installation, token: int) -> None:
    """Changes with many entries keep them in order and the chain whole, over more than a page."""
    drafts = [AuditDraft(actor="swapgate", action="note", reason=f"number {number}") for number in range(1100)]
    for start in range(0, 1100, 100):
        store.truth.commit(Change(audit=drafts[start : start + 100]), token)
    assert [entry.reason for entry in store.truth.audit(after_seq=1)] == [draft.reason for draft in drafts]
    assert store.truth.verify_audit() == (1101, None)


def test_what_moves_no_rollout_is_recorded_and_found(store: Installation, rollout: Rollout) -> None:
    """The newest entry of an action on a lane is found; entries of rollouts, lanes and actions beside it are not."""
    draft = AuditDraft(actor="ana", action="measure_noise", reason="first", lane="preview", detail={"sigma": 0.1})
    assert store.truth.last_entry("preview", "measure_noise") is None
    for changes in ({}, {"reason": "second"}, {"lane": "export"}, {"action": "note"}, {"rollout": rollout.id}):
        store.truth.record(replace(draft, **changes))
    found = store.truth.last_entry("preview", "measure_noise")
    assert found is not None
    assert (found.reason, found.detail, found.actor) == ("second", {"sigma": 0.1}, "ana")
    assert store.truth.last_entry("preview", "abort") is None
    assert store.truth.verify_audit()[1] is None


def test_the_newest_evidence(store: Installation, token: int, rollout: Rollout) -> None:
    """Evidence is read in order, from any place on, and the newest by itself."""
    assert store.truth.last_evidence(rollout.id) is None
    rows = [evidence(rollout, seq) for seq in (1, 2, 3)]
    for row in rows:
        store.truth.commit(Change(evidence=(row,)), token)
    assert list(store.truth.evidence(rollout.id, 1)) == rows[1:]
    assert store.truth.last_evidence(rollout.id) == rows[-1]
