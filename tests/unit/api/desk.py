"""A whole controller in one process: the real API behind a real server, the real loop, the truth in memory."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import httpx
import uvicorn

from controller.adapters.clock import SystemClock
from controller.adapters.memory import MemoryStore
from controller.adapters.memory_bench import MemoryBenchBook, MemoryBlobs
from controller.adapters.memory_fleet import MemoryFleet
from controller.adapters.memory_lease import MemoryLease
from controller.adapters.notifier import LogNotifier
from controller.api.app import build_api
from controller.bench_keeper import BenchKeeper
from controller.benches import Benches
from controller.benching import Benching
from controller.core.spec import ModelSpec
from controller.fleet_keeper import FleetKeeper
from controller.gate.run import Runner
from controller.loop import Loop
from controller.service import Lint, Service
from tests.contract.values import ADD_LANE, LANE, LINTED, first_split, spec
from tests.unit.core.values import POLICY
from tests.unit.studio import ScriptedStudio

OPERATOR, VIEWER = "token-of-ana", "token-of-ben"
TOKENS = {OPERATOR: ("ana", "operator"), VIEWER: ("ben", "viewer")}


@dataclass(frozen=True, slots=True)
class Desk:
    """What a test may touch: where the API listens, the truth behind it, and the loop's heart."""

    url: str
    store: MemoryStore
    service: Service
    studio: ScriptedStudio

    def call(self, method: str, path: str, token: str | None = OPERATOR, **more: Any) -> httpx.Response:
        """Call the API as the owner of a token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.request(method, self.url + path, headers=headers, timeout=20.0, **more)

    def propose(self, steps: int = 10, **changes: Any) -> httpx.Response:
        """Propose a candidate."""
        return self.call("POST", "/api/v1/rollouts", json=proposal(spec(steps)) | changes)

    def wait(self, rollout: str, states: set[str]) -> dict[str, Any]:
        """Return a rollout as soon as it is in one of the states."""
        return until(lambda: next((v for v in (self.service.rollout(rollout),) if v["state"] in states), None))


def proposal(candidate: ModelSpec) -> dict[str, Any]:
    """Return the body that proposes a candidate."""
    return {
        "name": "turbo",
        "lane": LANE.name,
        "owner": "imaging",
        "reason": "half the steps",
        "candidate": asdict(candidate),
        "policy": asdict(POLICY),
        "tradeoffs": {},
    }


def until(probe: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """Return the first truthy answer of `probe`; AssertionError after a deadline."""
    give_up_s = time.monotonic() + timeout_s
    while not (found := probe()):
        assert time.monotonic() < give_up_s, "not within the deadline"
        time.sleep(0.01)
    return found


@contextmanager
def open_desk(*, with_loop: bool = True, ready_after_s: float = 3600.0, lint: Lint = LINTED) -> Iterator[Desk]:
    """Give a controller that listens on loopback; without its loop, wishes stay unanswered.

    `ready_after_s`: how long a candidate takes to deploy; by default rollouts stay `preparing`.
    `lint`: by default every proposal counts as linted.
    """
    clock = SystemClock()
    store = MemoryStore(time.time)
    store.add_lane(LANE, LANE.incumbent, first_split(), ADD_LANE)
    studio, book, blobs = ScriptedStudio(), MemoryBenchBook(store), MemoryBlobs()
    benches = Benches(store, book, blobs)
    service = Service(store, benches, lint)
    keeper = FleetKeeper(MemoryFleet(clock.monotonic_s, ready_after_s=ready_after_s), period_s=0.02)
    versions = {"code": "test"}
    runner = Runner(studio, blobs, book, versions, {"cpu": 0.04}, clock, time.time)
    bench_keeper = BenchKeeper(runner, retry_s=0.02)
    benching = Benching(book, runner, bench_keeper, keeper, clock)
    loop = Loop(store, MemoryLease(store, "desk"), keeper, benching, LogNotifier(), clock, versions)
    stop = threading.Event()
    threads = [
        threading.Thread(target=keeper.run, args=(stop,)),
        threading.Thread(target=bench_keeper.run, args=(stop,)),
        threading.Thread(target=loop.run, args=(stop, lambda: stop.wait(0.02))),
    ]
    api = build_api(service, benches, TOKENS.get, lambda: {"leads": float(loop.leads), "tick_age_s": None})
    with _served(api) as url:
        for thread in threads if with_loop else ():
            thread.start()
        try:
            yield Desk(url, store, service, studio)
        finally:
            stop.set()
            bench_keeper.close()
            for thread in threads if with_loop else ():
                thread.join()


@contextmanager
def _served(api: Any) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(api, log_level="error", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        until(lambda: server.started)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
