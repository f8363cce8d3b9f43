"""The composition root: the one place where ports meet their adapters."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from controller.adapters.blobs import FsspecBlobs
from controller.adapters.clock import SystemClock
from controller.adapters.database import Database
from controller.adapters.lint_files import Surroundings
from controller.adapters.notifier import LogNotifier, WebhookNotifier
from controller.adapters.postgres_bench import PostgresBenchBook
from controller.adapters.postgres_catalog import PostgresTruth
from controller.adapters.postgres_lease import PostgresLease
from controller.adapters.tokens import Tokens
from controller.adapters.wakeup import Wakeup
from controller.bench_keeper import BenchKeeper
from controller.benches import Benches
from controller.benching import Benching
from controller.core.desired import desired
from controller.core.lane import Lane
from controller.core.policy import Policy
from controller.core.split import Split
from controller.errors import GatectlError
from controller.fleet_keeper import FleetKeeper
from controller.gate.run import Runner
from controller.lint import Finding
from controller.loop import Loop
from controller.ports import AuditDraft, Notifier
from controller.schema import POLICIES, PRICE_BOOK, load_lane, load_prices
from controller.schema.candidate import Candidate
from controller.service import Service
from controller.version import VERSION
from serving.fleet import RayFleet
from serving.scorers.app import SCORERS
from serving.studio import RayStudio

log = structlog.get_logger(__name__)

TICK_S = 0.5
PLATFORM_PERIOD_S = 5.0
PRUNE_PERIOD_S = 3600.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a controller process is told at start. `database_url` holds a secret and is never logged.

    `blobs` is a folder or the URL of an object store; images in it are kept for good without `keep_images_s`.
    """

    database_url: str
    ray_address: str
    gateway_host: str
    gateway_port: int
    gateway_replicas: int
    policies: Path
    blobs: str
    keep_images_s: float | None = None
    webhook_url: str | None = None


class Controller:
    """One controller process: the service for its API, and the threads that keep the platform as it should be."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database = Database(settings.database_url)
        self._truth = PostgresTruth(self._database)
        self._fleet = RayFleet()
        self._keeper = FleetKeeper(self._fleet)
        self._wakeup = Wakeup(settings.database_url)
        self._notifier = _notifier(settings.webhook_url)
        holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        versions = {"code": VERSION} | {scorer.metric: scorer.version for scorer in SCORERS}
        book, blobs = PostgresBenchBook(self._database), FsspecBlobs(settings.blobs)
        prices = load_prices(settings.policies / PRICE_BOOK.name)
        runner = Runner(RayStudio(), blobs, book, versions, prices, SystemClock(), time.time)
        self._bench_keeper = BenchKeeper(runner)
        self._loop = Loop(
            self._truth,
            PostgresLease(self._database, holder),
            self._keeper,
            Benching(book, runner, self._bench_keeper, self._keeper, SystemClock()),
            self._notifier,
            SystemClock(),
            versions,
        )
        self._prices = prices
        self.benches = Benches(self._truth, book, blobs)
        self.service = Service(self._truth, self.benches, self._lint)
        self.role_of = Tokens(self._database).role_of
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Register the lanes that the policies folder declares, join Ray and start every thread.

        Raises InvalidFileError for a bad lane file and UnavailableError when the database or Ray is away.
        """
        register_lanes(self._truth, self._settings.policies)
        settings = self._settings
        self._fleet.connect(settings.ray_address, host=settings.gateway_host, port=settings.gateway_port)
        self._spawn("fleet", lambda: self._keeper.run(self._stop))
        self._spawn("bench", lambda: self._bench_keeper.run(self._stop))
        self._spawn("loop", lambda: self._loop.run(self._stop, lambda: self._wakeup.wait(TICK_S)))
        self._spawn("scorers", lambda: self._every(PLATFORM_PERIOD_S, self._fleet.ensure_scorers))
        self._spawn("gateway", lambda: self._every(PLATFORM_PERIOD_S, self._ensure_gateway))
        self._spawn("prune", lambda: self._every(PRUNE_PERIOD_S, self._prune))

    def stop(self, timeout_s: float = 5.0) -> None:
        """End every thread, give leadership up and leave the serving platform as it is."""
        self._stop.set()
        self._bench_keeper.close()
        self._wakeup.close()
        for thread in self._threads:
            thread.join(timeout_s)
        self._notifier.close()
        self._database.close()

    def pulse(self) -> Mapping[str, float | None]:
        """Return how the loop is doing: `leads` (0 or 1) and `tick_age_s` (None before the first tick)."""
        last_s = self._loop.last_tick_s
        return {
            "leads": float(self._loop.leads),
            "tick_age_s": None if last_s is None else time.monotonic() - last_s,
        }

    def _prune(self) -> None:
        self._truth.prune()
        if self._settings.keep_images_s is not None:
            self.benches.remove_old_images(self._settings.keep_images_s)

    def _lint(self, lane: Lane, candidate: Candidate, policy: Policy) -> Sequence[Finding]:
        today = datetime.fromtimestamp(self._truth.world().now_s, UTC).date()
        return Surroundings(today, self._settings.policies, lane).lint_proposal(candidate, policy)

    def _ensure_gateway(self) -> None:
        lanes = [row.lane for row in self._truth.world().lanes]
        replicas = self._settings.gateway_replicas
        self._fleet.ensure_gateway(self._settings.database_url, lanes, self._prices, num_replicas=replicas)

    def _every(self, period_s: float, act: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                act()
            except GatectlError as error:
                log.warning("tried again later", error=str(error))
            except Exception:
                log.exception("tried again later")
            self._stop.wait(period_s)

    def _spawn(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)


def build_controller(settings: Settings) -> Controller:
    """Return a controller that has not started; InvalidFileError for bad prices, UserError for no place for blobs."""
    return Controller(settings)


def register_lanes(truth: PostgresTruth, policies: Path = POLICIES) -> None:
    """Store every lane file whose lane does not exist yet; what exists changes only through rollouts."""
    for path in sorted((policies / "lanes").glob("*.yaml")):
        lane = load_lane(path)
        draft = AuditDraft("swapgate", "add_lane", f"declared in {path.name}", lane.name, detail=lane.to_json())
        if truth.add_lane(lane, lane.incumbent, _first_split(lane), draft):
            log.info("lane added", lane=lane.name)


def _first_split(lane: Lane) -> Split:
    return replace(desired(lane, None).split, epoch=1)


def _notifier(webhook_url: str | None) -> Notifier:
    return WebhookNotifier(webhook_url) if webhook_url else LogNotifier()
