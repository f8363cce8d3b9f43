"""The API over HTTP: who may do what, what is recorded, and how errors look."""

import json
from collections.abc import Iterator

import pytest

from tests.contract.values import spec
from tests.unit.api.desk import VIEWER, Desk, open_desk, proposal


@pytest.fixture(scope="module")
def quiet() -> Iterator[Desk]:
    """A controller whose loop stands still, so that nothing moves but what a test asks for."""
    with open_desk(with_loop=False) as desk:
        yield desk


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A controller of a test's own."""
    with open_desk() as desk:
        yield desk


READ = ("/lanes", "/lanes/preview", "/rollouts", "/rollouts/r-0001", "/audit", "/audit/verify")
WRITE = ("/rollouts", *(f"/rollouts/r-0001/{kind}" for kind in ("abort", "undo", "pause", "resume", "approve")))


@pytest.mark.parametrize("path", READ)
def test_reading_needs_a_token(quiet: Desk, path: str) -> None:
    """Without a token every question is answered with 401 and how to authenticate."""
    answer = quiet.call("GET", f"/api/v1{path}", token=None)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["kind"] == "unauthenticated"


@pytest.mark.parametrize("path", WRITE)
def test_changing_needs_an_operator(quiet: Desk, path: str) -> None:
    """A viewer's wish is refused with 403 before its body is looked at, and without a token with 401."""
    refused = quiet.call("POST", f"/api/v1{path}", token=VIEWER, content=b"not json")
    assert refused.status_code == 403
    assert "operator" in refused.json()["error"]["message"]
    assert quiet.call("POST", f"/api/v1{path}", token=None).status_code == 401
    assert quiet.store.rollouts() == []


def test_an_unknown_token_is_nobody(quiet: Desk) -> None:
    """A token that the database does not know is refused like none at all."""
    assert quiet.call("GET", "/api/v1/lanes", token="guess").status_code == 401


def test_a_viewer_may_look(quiet: Desk) -> None:
    """A viewer reads lanes, rollouts and metrics."""
    assert quiet.call("GET", "/api/v1/lanes", token=VIEWER).json()[0]["name"] == "preview"
    assert quiet.call("GET", "/api/v1/rollouts", token=VIEWER).json() == []
    metrics = quiet.call("GET", "/metrics", token=VIEWER)
    assert 'swapgate_split_epoch{lane="preview"} 1.0' in metrics.text


def test_health_needs_no_token(quiet: Desk) -> None:
    """Whoever restarts processes learns that this one lives, and nothing else."""
    answer = quiet.call("GET", "/healthz", token=None)
    assert (answer.status_code, answer.json()["ok"]) == (200, True)


@pytest.mark.parametrize("path", ["/lanes/prewiew", "/rollouts/r-9999"])
def test_what_does_not_exist_is_404(quiet: Desk, path: str) -> None:
    """A wrong name in a path is 404, and the message says what there is or how to find it."""
    answer = quiet.call("GET", f"/api/v1{path}")
    assert answer.status_code == 404
    assert answer.json()["error"]["kind"] == "missing"
    assert "preview" in answer.json()["error"]["message"] or "gatectl list" in answer.json()["error"]["message"]


OFFLINE = {**proposal(spec())["policy"]["criteria"][0], "metric": "words"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"surprise": 1}, "surprise"),
        ({"salt": "chosen by the client"}, "salt"),
        ({"candidate": {**proposal(spec())["candidate"], "colour": "red"}}, "candidate.colour"),
        ({"candidate": {"provider": "fake"}}, "candidate.source"),
        ({"policy": {**proposal(spec())["policy"], "holdback": "0.02"}}, "policy.holdback"),
        ({"policy": {**proposal(spec())["policy"], "stages": []}}, "at least one stage"),
        (
            {"policy": {**proposal(spec())["policy"], "criteria": [OFFLINE]}},
            "policy.criteria.0.metric: words is measured in the offline gate alone",
        ),
        (
            {"policy": {**proposal(spec())["policy"], "budget": {"false_revert": 0, "false_promote": 2}}},
            "false_promote",
        ),
    ],
)
def test_an_unsound_proposal_is_refused(quiet: Desk, changes: dict[str, object], told: str) -> None:
    """Unknown keys, wrong types and impossible policies are 400 with the key's path, and nothing is stored."""
    answer = quiet.propose(**changes)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]
    assert quiet.store.rollouts() == []


def test_a_huge_body_is_refused(quiet: Desk) -> None:
    """A body of megabytes is refused instead of read into memory."""
    answer = quiet.call("POST", "/api/v1/rollouts", content=b"x" * 17_000_000)
    assert answer.status_code == 400
    assert "16,000,000 bytes" in answer.json()["error"]["message"]


def test_the_actor_is_the_tokens_owner(desk: Desk) -> None:
    """The audit log names the owner of the token for what was proposed and for what was commanded."""
    rollout = desk.propose().json()
    assert rollout["proposed_by"] == "ana"
    answer = desk.call("POST", f"/api/v1/rollouts/{rollout['id']}/abort", json={"reason": "it looks odd"})
    assert answer.status_code == 200
    assert answer.json()["state"] == "rejected"
    lines = desk.call("GET", "/api/v1/audit", params={"rollout": rollout["id"]}).text.splitlines()
    entries = {entry["action"]: entry for entry in map(json.loads, lines)}
    assert (entries["propose"]["actor"], entries["abort"]["actor"]) == ("ana", "ana")
    assert "it looks odd" in entries["abort"]["reason"]


def test_the_salt_is_drawn_on_the_server(desk: Desk) -> None:
    """Two proposals never share the key of their coins, and no client chooses it."""
    first = desk.propose().json()["id"]
    desk.call("POST", f"/api/v1/rollouts/{first}/abort", json={"reason": "again"})
    second = desk.propose().json()["id"]
    salts = {desk.store.rollouts(one)[0].salt for one in (first, second)}
    assert len(salts) == 2
    assert all(len(salt) == 32 for salt in salts)


def test_a_busy_lane_is_a_conflict(desk: Desk) -> None:
    """While a rollout is open on a lane the next proposal is 409 and names the holder."""
    first = desk.propose(steps=10).json()["id"]
    answer = desk.propose(steps=12)
    assert answer.status_code == 409
    assert first in answer.json()["error"]["message"]


def test_commands_need_a_reason_and_a_fitting_state(desk: Desk) -> None:
    """No reason is 400, a wish that the state does not allow is 409, an unknown verb is 404."""
    path = f"/api/v1/rollouts/{desk.propose().json()['id']}"
    assert desk.call("POST", f"{path}/abort", json={}).status_code == 400
    assert desk.call("POST", f"{path}/abort", json={"reason": " "}).status_code == 400
    assert desk.call("POST", f"{path}/undo", json={"reason": "why not"}).status_code == 409
    assert desk.call("POST", f"{path}/explode", json={"reason": "why not"}).status_code == 404


def test_the_audit_log_continues_after_a_number(desk: Desk) -> None:
    """The stream starts after `after_seq`, so a reader that was cut off goes on without a gap."""
    desk.propose()
    whole = [json.loads(line)["seq"] for line in desk.call("GET", "/api/v1/audit").text.splitlines()]
    rest = [json.loads(line)["seq"] for line in desk.call("GET", "/api/v1/audit?after_seq=1").text.splitlines()]
    assert whole[:2] == [1, 2]
    assert rest[0] == 2
    assert desk.call("GET", "/api/v1/audit?after_seq=x").status_code == 400


def test_a_missing_database_is_503(desk: Desk) -> None:
    """When the truth can't answer, neither can the API, and it says so in the same form."""
    desk.store.available = False
    try:
        for path in ("/lanes", "/rollouts", "/audit", "/audit/verify"):
            answer = desk.call("GET", f"/api/v1{path}")
            assert (answer.status_code, answer.json()["error"]["kind"]) == (503, "unavailable"), path
    finally:
        desk.store.available = True
