"""The other verbs: what they print, their JSON, their exit codes."""

import json
import subprocess
import sys

import pytest

from controller.cli.client import Client
from controller.cli.follow import Changes, Glimpse, glimpses
from tests.unit.api.desk import OPERATOR, Desk, open_desk
from tests.unit.cli.conftest import Gatectl

HEAVY = {"torch", "ray", "numpy", "scipy", "pydantic", "fastapi", "psycopg", "sqlalchemy", "httpx", "rich", "yaml"}


def test_help_imports_nothing_heavy() -> None:
    """`gatectl --help` must be instant, so none of the heavy packages is imported for it."""
    code = (
        "import sys; from controller.cli.app import run\n"
        "assert run(['--help']) == 0\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "propose" in done.stdout


def test_lists_and_pages(gatectl: Gatectl, desk: Desk) -> None:
    """Lanes, rollouts, pages and explanations are printed for people."""
    desk.propose()
    desk.wait("r-0001", {"preparing"})
    assert "preview" in gatectl("lane", "list").out
    assert "none reports" in gatectl("lane", "show", "preview").out
    assert "r-0001" in gatectl("list").out
    page = gatectl("show", "r-0001").out
    assert "rollout r-0001, proposed by ana for imaging" in page
    assert "+ proposed   > preparing     benching" in page
    said = gatectl("explain", "r-0001").out
    assert "What would change it" in said
    assert "ana: propose" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("lane", "list"),
        ("lane", "show", "preview"),
        ("list",),
        ("show", "r-0001"),
        ("explain", "r-0001"),
        ("audit", "log"),
        ("audit", "verify"),
        ("abort", "r-0001", "--reason", "enough"),
    ],
    ids=" ".join,
)
def test_json_is_one_document(gatectl: Gatectl, desk: Desk, arguments: tuple[str, ...]) -> None:
    """With `-o json` stdout is one JSON document and nothing else."""
    desk.propose()
    desk.wait("r-0001", {"preparing"})
    ran = gatectl(*arguments, "-o", "json")
    assert ran.code == 0
    assert json.loads(ran.out) is not None


def test_a_wish_needs_a_reason(gatectl: Gatectl, desk: Desk) -> None:
    """Without --reason a wish is a usage error, and nothing is asked of the controller."""
    desk.propose()
    ran = gatectl("abort", "r-0001")
    assert ran.code == 2
    assert "--reason" in ran.err


def test_an_impossible_wish_is_a_conflict(gatectl: Gatectl, desk: Desk) -> None:
    """A wish that the state does not allow is exit code 4 and says which state."""
    desk.propose()
    desk.wait("r-0001", {"preparing"})
    ran = gatectl("undo", "r-0001", "--reason", "go back")
    assert ran.code == 4
    assert "preparing" in ran.err


def test_an_unknown_rollout_is_a_usage_error(gatectl: Gatectl, desk: Desk) -> None:
    """A wrong id is exit code 2 and says how to find the right one; in JSON the error is the document."""
    ran = gatectl("show", "r-7")
    assert ran.code == 2
    assert "gatectl list" in ran.err
    assert gatectl("show", "r-7", "-o", "json").json["error"]["message"] == ran.err.strip().removeprefix("gatectl: ")


def test_nobody_home(gatectl: Gatectl) -> None:
    """Without a platform, exit code 7 and how to start one."""
    ran = gatectl("list")
    assert ran.code == 7
    assert "gatectl up" in ran.err
    assert gatectl("load", "--count", "1").code == 7
    assert gatectl("down").code == 0


def test_an_unreachable_controller(gatectl: Gatectl, monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that does not answer is exit code 7, one sentence, no traceback."""
    monkeypatch.setenv("SWAPGATE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SWAPGATE_TOKEN", "x")
    ran = gatectl("list")
    assert ran.code == 7
    assert ran.err.count("\n") == 1


def test_an_unknown_token(gatectl: Gatectl, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token from elsewhere is exit code 8."""
    monkeypatch.setenv("SWAPGATE_TOKEN", "guess")
    assert gatectl("list").code == 8


def test_doctor_without_a_platform(gatectl: Gatectl) -> None:
    """`doctor` finds that nothing runs, says what to do, and ends with exit code 7."""
    ran = gatectl("doctor", "-o", "json")
    assert ran.code == 7
    failed = [item for item in ran.json["findings"] if item["level"] == "fail"]
    assert failed[-1]["fix"] == "start one: `gatectl up`"


def test_watch_ends_with_the_outcome(gatectl: Gatectl, desk: Desk) -> None:
    """Watching a finished rollout prints its page and ends with its exit code."""
    desk.propose()
    desk.wait("r-0001", {"preparing"})
    gatectl("abort", "r-0001", "--reason", "wrong model")
    ran = gatectl("watch", "r-0001")
    assert ran.code == 3
    assert "x rejected" in ran.out


def test_following_survives_the_controller() -> None:
    """A controller that goes away and comes back is told in two lines, and the following goes on."""
    with open_desk() as desk:
        desk.propose()
        desk.wait("r-0001", {"preparing"})
        looks, changes = glimpses(Client(desk.url, OPERATOR), "r-0001", period_s=0.01), Changes()
        assert changes.of(next(looks))
        desk.store.available = False
        lines = [line for _ in range(3) for line in changes.of(next(looks))]
        desk.store.available = True
        lines += [line for _ in range(3) for line in changes.of(next(looks))]
        assert lines == [f"controller unreachable at {desk.url}, retrying", "controller reachable again"]


def test_changes_are_told_once() -> None:
    """The same look twice is no news."""
    with open_desk() as desk:
        desk.propose()
        view = desk.wait("r-0001", {"preparing"})
        changes = Changes()
        assert len(changes.of(Glimpse(view))) == 1
        assert changes.of(Glimpse(view)) == []
