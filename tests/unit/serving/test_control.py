"""Control calls: deadlines that hold, and Serve's states as phases."""

import threading
from typing import Any

import pytest

from controller.errors import UnavailableError
from controller.ports import AppStatus
from serving.deadline import MAX_HANGING, Deadlines
from serving.status import RELAPSE_S, Debounce, app_status, exists


def overview(status: str, running: int = 1, message: str = "", detail: str = "") -> Any:
    deployment = {"replicas": [{"state": "RUNNING"}] * running, "message": detail}
    return {"status": status, "message": message, "deployments": {"Model": deployment}}


def test_a_call_that_hangs_is_given_up() -> None:
    """The caller gets its error in time and can go on with other calls."""
    deadlines, release = Deadlines(), threading.Event()
    with pytest.raises(UnavailableError, match="did not answer"):
        deadlines.call("wait", 0.01, release.wait)
    assert deadlines.call("add", 5.0, lambda: 1 + 1) == 2
    release.set()


def test_too_many_hanging_calls_are_refused_at_once() -> None:
    """A dead cluster does not collect threads without end, and the refusal ends when they do."""
    deadlines, release = Deadlines(), threading.Event()
    for _ in range(MAX_HANGING):
        with pytest.raises(UnavailableError):
            deadlines.call("wait", 0.01, release.wait)
    with pytest.raises(UnavailableError, match="hang already"):
        deadlines.call("wait", 5.0, release.wait)
    release.set()
    for thread in threading.enumerate():
        if thread.name == "ray-wait":
            thread.join(5.0)
    assert deadlines.call("add", 5.0, lambda: 2) == 2


def test_what_a_call_raises_is_told_as_unavailable() -> None:
    """A timeout raised by the call itself is its failure, not our deadline."""

    def fail() -> None:
        raise TimeoutError("inside")

    with pytest.raises(UnavailableError, match="TimeoutError: inside"):
        Deadlines().call("fail", 5.0, fail)


@pytest.mark.parametrize(
    ("status", "phase"),
    [("DEPLOYING", "deploying"), ("RUNNING", "ready"), ("UNHEALTHY", "unhealthy"), ("DEPLOY_FAILED", "failed")],
)
def test_phases(status: str, phase: str) -> None:
    """Serve's words are translated one by one."""
    assert app_status("model-a", overview(status)).phase == phase


def test_ready_needs_a_running_replica() -> None:
    """Serve calls a deployment healthy that has no replica; we don't."""
    assert app_status("model-a", overview("RUNNING", running=0)).phase == "unhealthy"


def test_an_application_being_deleted_does_not_exist() -> None:
    """Deploying it again is not a no-op."""
    assert not exists(overview("DELETING"))


def test_a_failure_is_told_by_its_exception() -> None:
    """Of a traceback the last line is kept: it is what a person needs."""
    detail = (
        "It failed 3 times. Error:\n\x1b[36mTraceback (most recent call last):\n  File x\nValueError: no such model"
    )
    found = app_status("model-a", overview("DEPLOY_FAILED", 0, "Failed.", detail))
    assert found.message == "Failed. It failed 3 times. ValueError: no such model"


def test_a_restart_of_serve_is_not_believed_for_a_while() -> None:
    """An application that was ready stays ready for some seconds of `deploying`, not for ever."""
    debounce = Debounce()
    ready, deploying = AppStatus("a", "ready", "", 1), AppStatus("a", "deploying")
    assert debounce({"a": ready}, 0.0)["a"].phase == "ready"
    assert debounce({"a": deploying}, RELAPSE_S - 1)["a"].phase == "ready"
    assert debounce({"a": deploying}, RELAPSE_S)["a"].phase == "deploying"


def test_a_failure_is_believed_at_once() -> None:
    """Only `deploying` is held back: unhealthy, failed and gone are news."""
    debounce = Debounce()
    debounce({"a": AppStatus("a", "ready", "", 1)}, 0.0)
    assert debounce({"a": AppStatus("a", "unhealthy")}, 0.1)["a"].phase == "unhealthy"
    assert debounce({}, 0.2) == {}
    assert debounce({"a": AppStatus("a", "deploying")}, 0.3)["a"].phase == "deploying"
