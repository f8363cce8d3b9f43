"""A bench in memory with a scripted studio, on a clock that moves when a run waits."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from controller.adapters.clock import ManualClock
from controller.adapters.memory import MemoryStore
from controller.adapters.memory_bench import MemoryBenchBook, MemoryBlobs
from controller.adapters.memory_lease import MemoryLease
from controller.bench_ports import BenchOutcome
from controller.core.bench import Bench
from controller.core.policy import Criterion, Gate
from controller.core.suite import Category, Expectation, Prompt, Suite
from controller.gate.plan import Plan, plan
from controller.gate.run import Runner
from controller.ports import AuditDraft
from tests.contract.values import ADD_LANE, LANE, first_split, spec
from tests.unit.core.values import POLICY
from tests.unit.studio import ScriptedStudio

SUITE = Suite(
    name="three",
    version=1,
    title="Three prompts",
    prompts=tuple(
        Prompt(word, Category.TYPOGRAPHY, f'the word "{word}"', (1, 2), Expectation(text=word))
        for word in ("OPEN", "SALE", "EXIT")
    ),
)
GATE = Gate(
    suite="three",
    suite_digest=SUITE.digest,
    min_repeats=2,
    max_repeats=12,
    concurrency=(1,),
    rate_per_s=None,
    criteria=(
        Criterion("latency_s", "p50", max_ratio=1.5),
        Criterion("text_accuracy", "mean", max_drop=0.3),
    ),
)
START_S = 1_800_000_000.0


def policy(**changes: Any):
    return replace(POLICY, gate=replace(GATE, **changes))


@dataclass
class Bed:
    """Everything that a run needs.

    `paused_s` is how long runs waited for parts that were away, `turns` how many images were drawn at each turn.
    """

    gate: dict[str, Any] = field(default_factory=dict)
    clock: ManualClock = field(default_factory=ManualClock)
    studio: ScriptedStudio = field(default_factory=ScriptedStudio)
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    paused_s: float = 0.0
    on_pause: Callable[[float], None] = lambda _seconds: None
    turns: list[int] = field(default_factory=list)
    on_turn: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        # The database's clock stands still, so that two documents of one bench can be equal.
        self.store = MemoryStore(lambda: START_S)
        self.store.add_lane(LANE, LANE.incumbent, first_split(), ADD_LANE)
        self.book = MemoryBenchBook(self.store)
        self.book.add_suite(SUITE)
        token = MemoryLease(self.store, "one").acquire()
        assert token is not None
        self.token = token
        wanted = Bench("", "preview", "turbo", "ana", "why", spec(10), LANE.incumbent, policy(**self.gate), 20.0)
        self.bench = self.book.open(wanted, AuditDraft("ana", "bench", "why"))

    @property
    def runner(self) -> Runner:
        versions = {"code": "test"}
        return Runner(self.studio, self.blobs, self.book, versions, {"cpu": 3.6}, self.clock, lambda: START_S)

    @property
    def plan(self) -> Plan:
        return plan(SUITE, self.bench.policy, "preview")

    def pause(self, seconds: float) -> None:
        self.on_pause(seconds)
        self.paused_s += seconds
        self.clock.advance(seconds)

    def turn(self) -> None:
        self.turns.append(self.studio.drawn.total())
        self.on_turn()

    def run(self) -> None:
        self.runner.run(self.bench, self.token, self.pause, self.turn)

    @property
    def outcome(self) -> BenchOutcome:
        (row,) = self.book.benches()
        assert row.outcome is not None
        return row.outcome

    @property
    def document(self) -> dict[str, Any]:
        assert self.outcome.result is not None
        found: dict[str, Any] = json.loads(self.blobs.get(self.outcome.result))
        return found

    @property
    def shots(self) -> dict[str, Any]:
        return dict(self.book.shots(self.bench.id))
