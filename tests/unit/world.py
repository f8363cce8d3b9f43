"""A small world in memory: one lane, gateways that toss the real coin, and the real loop, on a clock set by hand."""

import math
import random
from dataclasses import dataclass, field, replace

from controller.adapters.memory import MemoryStore
from controller.adapters.memory_bench import MemoryBenchBook, MemoryBlobs
from controller.adapters.memory_fleet import MemoryFleet
from controller.adapters.memory_lease import MemoryLease
from controller.adapters.notifier import LogNotifier
from controller.bench_keeper import BenchKeeper
from controller.benches import Benches
from controller.benching import Benching
from controller.core.assign import assign
from controller.core.desired import desired
from controller.core.policy import Budget, Criterion, Mode, Policy, Requires, Stage
from controller.core.rollout import Rollout
from controller.fleet_keeper import FleetKeeper
from controller.gate.run import Runner
from controller.loop import Loop
from controller.ports import AuditDraft, Command, TallyRow
from controller.service import Proposal, Service
from controller.stats.bins import Axis, cell_of
from controller.stats.tally import WINDOW_S, Arm, ClassTally, WindowTally
from tests.contract.values import LINTED
from tests.unit.core.values import LANE, POLICY, spec
from tests.unit.studio import ScriptedStudio

DEMO = replace(
    POLICY,
    stages=(Stage(Mode.SHARE, 0.1, 8, Requires.IMAGES), Stage(Mode.SHARE, 0.5, 20, Requires.PASS)),
    criteria=(
        Criterion("latency_s", "p50", max_ratio=1.25),
        Criterion("failure", "rate", max_increase=0.1),
        Criterion("text_accuracy", "mean", max_drop=0.1),
    ),
    budget=Budget(false_revert=0.01, false_promote=0.05),
)


@dataclass
class Gateway:
    """Applies splits under a lease, tosses the coin, tallies, and flushes every tick while `connected`."""

    store: MemoryStore
    name: str
    connected: bool = True
    split: object = None
    lease_until_s: float = -math.inf
    served: list[tuple[float, Arm]] = field(default_factory=list)
    tallies: dict[tuple[int, int], WindowTally] = field(default_factory=dict)
    number: int = 0
    in_flight: dict[str, int] = field(default_factory=dict)

    def sync(self, now_s: float) -> None:
        if not (self.connected and self.store.available):
            return
        split, lease_s = self.store.split("preview")
        if self.split is None or split.epoch > self.split.epoch:
            self.store.acknowledge("preview", split.epoch, self.name)
        self.split, self.lease_until_s = split, now_s + lease_s
        for (epoch, window), tally in self.tallies.items():
            self.store.put_tally("preview", TallyRow(epoch, window, self.name, tally))
        self.store.report(self.name, now_s, {"preview": split.epoch}, self.in_flight)

    def serve(self, now_s: float, rng: random.Random, slower: float, *, broken: bool) -> None:
        self.number += 1
        fresh = now_s < self.lease_until_s
        split = self.split
        key = f"{self.name}-{self.number}"
        arm = assign(split, key) if split.candidate and fresh else Arm.INCUMBENT
        self.served.append((now_s, arm))
        if split.candidate and not fresh:
            return
        latency_s = 0.5 * (slower if arm is Arm.CANDIDATE and not split.flipped else 1.0) * math.exp(rng.gauss(0, 0.2))
        failed = broken and arm is Arm.CANDIDATE and not split.flipped
        cells = {"latency_s": {cell_of(Axis.LOG, latency_s): 1}, "failure": {int(failed): 1}, "invalid": {0: 1}}
        if not failed:
            cells["text_accuracy"] = {200: 1}
        position = (split.epoch, int(now_s // WINDOW_S))
        tally = WindowTally({arm: {"text": ClassTally(1, cells)}})
        self.tallies[position] = self.tallies.get(position, WindowTally()) + tally


class World:
    """Time moves in half seconds; `rate` requests arrive at every gateway in each."""

    def __init__(self, seed: int = 1, policy: Policy = DEMO, n_gateways: int = 2) -> None:
        self.now_s = 1_000_000.0
        self.rng = random.Random(seed)
        self.store = MemoryStore(lambda: self.now_s)
        self.fleet = MemoryFleet(lambda: self.now_s, ready_after_s=3.0)
        self.policy = policy
        self.slower = 1.0
        self.broken = False
        split = replace(desired(LANE, None).split, epoch=1)
        self.store.add_lane(LANE, LANE.incumbent, split, AuditDraft("test", "add_lane", "declared"))
        self.gateways = [Gateway(self.store, f"gateway-{number}") for number in range(n_gateways)]
        self.studio, self.book, self.blobs = ScriptedStudio(), MemoryBenchBook(self.store), MemoryBlobs()
        self.benches = Benches(self.store, self.book, self.blobs)
        self.service = Service(self.store, self.benches, LINTED)
        self.controllers: dict[str, tuple[Loop, FleetKeeper, BenchKeeper]] = {}
        self.start_controller("one")

    def monotonic_s(self) -> float:
        return self.now_s

    def let_pass(self, seconds: float) -> bool:
        self.now_s += seconds
        return False

    def start_controller(self, name: str) -> None:
        keeper, versions = FleetKeeper(self.fleet), {"code": "test"}
        runner = Runner(self.studio, self.blobs, self.book, versions, {"cpu": 0.04}, self, self.monotonic_s)
        bench_keeper = BenchKeeper(runner, wait=self.let_pass)
        benching = Benching(self.book, runner, bench_keeper, keeper, self)
        lease = MemoryLease(self.store, name)
        self.controllers[name] = (
            Loop(self.store, lease, keeper, benching, LogNotifier(), self, versions),
            keeper,
            bench_keeper,
        )

    def propose(self) -> str:
        proposal = Proposal("turbo", "preview", "imaging", "cheaper", spec(10), self.policy, "salt")
        return self.service.propose(proposal, "ana")["id"]

    def ask(self, rollout: str, kind: str, reason: str = "because") -> int:
        return self.store.request(Command(0, rollout, kind, "ana", reason))

    def tick(self) -> None:
        self.now_s += 0.5
        for loop, keeper, bench_keeper in self.controllers.values():
            if self.store.available:
                loop.tick()
                keeper.reconcile()
                bench_keeper.work()
        for gateway in self.gateways:
            gateway.sync(self.now_s)
            for _ in range(2):
                gateway.serve(self.now_s, self.rng, self.slower, broken=self.broken)

    def run_until(self, done, limit_s: float = 1500.0) -> None:
        end_s = self.now_s + limit_s
        while not done():
            assert self.now_s < end_s, f"not done after {limit_s} s: {self.rollout()}"
            self.tick()

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds * 2)):
            self.tick()

    def rollout(self) -> Rollout | None:
        found = self.store.rollouts(limit=1)
        return found[0] if found else None

    def states(self) -> list[str]:
        return [entry.to_state for entry in self.store.audit() if entry.to_state]

    def candidate_requests(self, since_s: float = 0.0) -> int:
        return sum(arm is Arm.CANDIDATE for gateway in self.gateways for at_s, arm in gateway.served if at_s >= since_s)
