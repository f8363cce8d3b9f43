"""The webhook notifier against a real HTTP server on loopback."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from controller.adapters import notifier
from controller.adapters.notifier import WebhookNotifier
from controller.core.rollout import Event
from controller.core.states import Kind
from tests.contract.values import ROLLOUT

EVENT = Event(Kind.HARM, 12.5, "reverted at 25 %: text accuracy 0.71 against 0.95")
PATIENCE_S = 60.0


class Receiver(http.server.ThreadingHTTPServer):
    """Answers with the statuses given, then with 200, and keeps what it got."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses = list(statuses)
        self.got: list[dict[str, object]] = []
        self.answered = threading.Semaphore(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook-with-a-secret"


class Handler(http.server.BaseHTTPRequestHandler):
    """Hands requests to its server."""

    server: Receiver

    def do_POST(self) -> None:
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.answered.release()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A running receiver."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_step_arrives_as_a_sentence(receiver: Receiver) -> None:
    """The webhook gets the sentence and the facts of every step, in order."""
    hook = WebhookNotifier(receiver.url)
    hook.notify(ROLLOUT, EVENT)
    hook.notify(ROLLOUT, Event(Kind.ABORT, 13.0, "enough"))
    hook.close()
    first, second = receiver.got
    assert first == {
        "text": f"preview: turbo (r-0001) is proposed: {EVENT.reason}",
        "rollout": "r-0001",
        "lane": "preview",
        "state": "proposed",
        "kind": "harm",
        "actor": "swapgate",
        "at_s": 12.5,
    }
    assert second["kind"] == "abort"


def test_a_refused_message_is_tried_again(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server error is tried again until it is accepted."""
    monkeypatch.setattr(notifier, "PAUSE_S", 0.01)
    receiver.statuses = [500, 503]
    hook = WebhookNotifier(receiver.url)
    hook.notify(ROLLOUT, EVENT)
    for _ in range(3):
        assert receiver.answered.acquire(timeout=PATIENCE_S)
    hook.close()
    assert len(receiver.got) == 3


def test_a_dead_webhook_neither_blocks_nor_leaks(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """With nobody listening, any number of steps can be announced, and the URL never gets into a log."""
    with Receiver() as closed:
        url = closed.url
    hook = WebhookNotifier(url)
    for _ in range(3 * notifier.WAITING):
        hook.notify(ROLLOUT, EVENT)
    hook.close()
    logged = capsys.readouterr()
    assert "secret" not in logged.out + logged.err + caplog.text
