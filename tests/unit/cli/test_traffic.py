"""The load generator against a server that answers as the test wants."""

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from controller.cli.load import table_text
from controller.cli.traffic import ArmStats, Plan, Response, Traffic, prompts


class _Gateway(BaseHTTPRequestHandler):
    """Answers like a gateway: every third request fails; `hold` keeps answers back."""

    hold = threading.Event()
    bodies: list[dict[str, object]] = []  # noqa: RUF012  # emptied before every use

    def do_POST(self) -> None:
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        number = len(self.bodies)
        self.hold.wait(10)
        self.send_response(503 if number % 3 == 0 else 200)
        self.send_header("x-swapgate-arm", "candidate" if number % 2 else "incumbent")
        self.send_header("x-swapgate-epoch", "7")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _gateway() -> Iterator[str]:
    _Gateway.bodies.clear()
    _Gateway.hold.set()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Gateway) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def _run(url: str, **changes: object) -> Traffic:
    plan = {"rate_per_s": 200.0, "duration_s": None, "count": 12, "seed": 3, "max_in_flight": 64} | changes
    record = io.StringIO()
    traffic = Traffic(Plan(url, "preview", **plan), record)  # type: ignore[arg-type]
    asyncio.run(traffic.run())
    assert len(record.getvalue().splitlines()) == traffic.sent
    return traffic


def test_every_answer_is_counted_on_its_arm() -> None:
    """Answers, failures and epochs are taken from what the gateway said."""
    with _gateway() as url:
        summary = _run(url).summary()
    assert (summary["sent"], summary["answered"], summary["failures"], summary["dropped"]) == (12, 12, 4, 0)
    assert summary["statuses"] == {"200": 8, "503": 4}
    assert {name: arm["answers"] for name, arm in summary["arms"].items()} == {"candidate": 6, "incumbent": 6}
    assert "12 of 12 answered" in table_text(summary)


def test_the_seed_decides_what_is_asked() -> None:
    """The same seed asks for the same prompts with the same image seeds in the same order."""
    asked = []
    for _ in range(2):
        with _gateway() as url:
            _run(url, count=8, rate_per_s=50.0)
            asked.append(sorted((body["prompt"], body["seed"]) for body in _Gateway.bodies))
    assert asked[0] == asked[1]


def test_users_come_again() -> None:
    """With `users`, every request names one of so many; without, it names nobody."""
    with _gateway() as url:
        _run(url, count=30, rate_per_s=500.0, users=3)
        assert {body["user"] for body in _Gateway.bodies} == {"user-0", "user-1", "user-2"}
        _Gateway.bodies.clear()
        _run(url, count=3)
        assert not any("user" in body for body in _Gateway.bodies)


def test_a_full_house_drops_instead_of_waiting() -> None:
    """With `max_in_flight` answers awaited, further requests are counted as dropped and never sent."""
    with _gateway() as url:
        _Gateway.hold.clear()
        threading.Timer(0.5, _Gateway.hold.set).start()
        summary = _run(url, count=10, max_in_flight=2, rate_per_s=1000.0).summary()
    assert summary["sent"] == 2
    assert summary["dropped"] == 8


def test_no_answer_is_a_failure() -> None:
    """A gateway that is not there counts as status 0."""
    summary = _run("http://127.0.0.1:9", count=3).summary()
    assert summary["statuses"] == {"0": 3}
    assert summary["failures"] == 3


@pytest.mark.parametrize(("share", "expected_s"), [(0.5, 0.5), (0.95, 0.95), (0.99, 0.99)])
def test_quantiles_are_within_a_cell(share: float, expected_s: float) -> None:
    """Quantiles are right to 1 %, the width of a cell."""
    arm = ArmStats()
    for hundredth in range(1, 101):
        arm.add(Response(0.0, 200, "incumbent", 1, hundredth / 100))
    assert arm.quantile_s(share) == pytest.approx(expected_s, rel=0.011)


def test_prompts_ask_for_words() -> None:
    """Every prompt quotes the word that the scorers look for."""
    assert len(prompts()) > 100
    assert all(text.count('"') == 2 for text in prompts())
