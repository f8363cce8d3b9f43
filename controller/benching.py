"""The loop's side of the offline gate: which benches there are, which one runs now, and what came of them.

Level-triggered like the loop itself: every tick reads the stored benches, opens what a rollout needs, closes what
nobody waits for any more, and states which one bench should run. One at a time, because two would disturb each other's
times; a rollout's before one that somebody asked for by itself, which then goes on where it was. It gives way to users
(`giving_way`).
"""

from collections.abc import Mapping, Sequence

from controller.bench_keeper import BenchKeeper
from controller.bench_ports import BenchBook, BenchOutcome, BenchRow
from controller.core.bench import Bench, question
from controller.core.facts import Check, Phase
from controller.core.lane import Lane
from controller.core.rollout import Rollout
from controller.core.states import State
from controller.core.verdict import Verdict
from controller.fleet_keeper import App, FleetKeeper
from controller.gate.run import Runner
from controller.giving_way import gives_way
from controller.ports import AuditDraft, Clock, Gateway, LaneRow
from controller.stats.tally import Arm


class Benching:
    """Used by one loop, on its thread."""

    def __init__(self, book: BenchBook, runner: Runner, keeper: BenchKeeper, fleet: FleetKeeper, clock: Clock) -> None:
        self._book = book
        self._runner = runner
        self._keeper = keeper
        self._fleet = fleet
        self._clock = clock
        self._rows: Sequence[BenchRow] = ()
        self._waiting: tuple[str, float] | None = None

    def look(self) -> None:
        """Read the benches anew."""
        self._rows = self._book.pending()

    def rest(self) -> None:
        """Leave all benches alone: this controller does not lead."""
        self._keeper.want(None)

    def check(self, rollout: Rollout) -> Check | None:
        """Return what came of a rollout's bench, None while it is not over."""
        for row in self._rows:
            if row.bench.rollout == rollout.id and row.outcome is not None:
                return _check(row.bench, row.outcome)
        precedent = self._precedent(rollout)
        return _check(precedent.bench, precedent.outcome) if precedent and precedent.outcome else None

    def settle(self, lanes: Sequence[LaneRow], gateways: Sequence[Gateway], fencing_token: int) -> Mapping[str, App]:
        """Open, close and choose; return the applications that benches need.

        The incumbent's twin starts beside a candidate that is being prepared, so that its bench can begin at once.
        """
        benching = {row.rollout.id: (row.rollout, row.lane) for row in lanes if row.rollout and _needs_bench(row)}
        known = {row.bench.rollout for row in self._rows}
        for rollout, lane in benching.values():
            if rollout.id not in known and self._precedent(rollout) is None:
                self._open(rollout, lane)
        due = []
        for row in self._rows:
            if row.outcome is not None:
                continue
            if row.bench.rollout is None or row.bench.rollout in benching:
                due.append(row.bench)
            else:
                self._runner.give_up(row.bench, fencing_token, f"{row.bench.rollout} no longer waits for it")
        due.sort(key=lambda bench: bench.rollout is None)
        early = _early_twins(lanes)
        if not due:
            self._keeper.want(None)
            return early
        named = {row.lane.name: row.lane for row in lanes}
        self._keeper.give_way(gives_way(due[0], named.values(), gateways))
        return {**early, **self._choose(due[0], named, fencing_token)}

    def _precedent(self, rollout: Rollout) -> BenchRow | None:
        """Return a finished bench of the same question for a rollout that overrides its gate, None without one.

        The verdict decides nothing then, so nobody has to wait until it is measured once more.
        """
        if rollout.state is not State.BENCHING or rollout.policy.gate is None or not rollout.gate_overridden:
            return None
        asked = question(rollout.lane, rollout.candidate, rollout.incumbent, rollout.policy)
        found = (row for row in self._book.benches() if row.outcome is not None and row.bench.question == asked)
        return next(found, None)

    def _open(self, rollout: Rollout, lane: Lane) -> None:
        bench = Bench.of(rollout, lane)
        detail = {"candidate_digest": bench.candidate.digest, "incumbent_digest": bench.incumbent.digest}
        self._book.open(bench, AuditDraft("swapgate", "bench", bench.reason, detail=detail))

    def _choose(self, bench: Bench, lanes: Mapping[str, Lane], fencing_token: int) -> Mapping[str, App]:
        phases = {name: self._fleet.status(name) for name in bench.apps.values()}
        ready = all(status is not None and status.phase == Phase.READY for status in phases.values())
        if ready or self._keeper.at_work(bench.id):
            self._waiting = None
            self._keeper.want(bench, fencing_token)
        else:
            # What runs meanwhile has lost its turn: both draw on the same machine.
            self._keeper.want(None)
            for name, status in phases.items():
                if status is not None and status.phase == Phase.FAILED:
                    self._runner.give_up(bench, fencing_token, f"{name} can't be served: {status.message}")
                    return {}
            if self._waited_s(bench.id) > bench.policy.ready_timeout_s:
                absent = [name for name, status in phases.items() if status is None or status.phase != Phase.READY]
                limit_s = bench.policy.ready_timeout_s
                self._runner.give_up(bench, fencing_token, f"{absent[0]} was not ready within {limit_s:.0f} s")
                return {}
        return {bench.apps[arm]: (spec, lanes[bench.lane]) for arm, spec in bench.specs.items()}

    def _waited_s(self, bench: str) -> float:
        now_s = self._clock.monotonic_s()
        if self._waiting is None or self._waiting[0] != bench:
            self._waiting = (bench, now_s)
        return now_s - self._waiting[1]


def _check(bench: Bench, outcome: BenchOutcome) -> Check:
    detail = {
        "bench": {
            "id": bench.id,
            "verdict": outcome.verdict,
            "reason": outcome.reason,
            "result": outcome.result,
            **outcome.detail,
        }
    }
    if outcome.verdict == Verdict.PASS:
        return Check(None, detail)
    return Check(f"{outcome.verdict.replace('_', ' ')}: {outcome.reason} [{bench.id}]", detail)


def _early_twins(lanes: Sequence[LaneRow]) -> Mapping[str, App]:
    twins = {}
    for row in lanes:
        rollout = row.rollout
        # A gate that is overridden may have been answered before.
        if rollout and rollout.state is State.PREPARING and rollout.policy.gate and not rollout.gate_overridden:
            bench = Bench.of(rollout, row.lane)
            twins[bench.apps[Arm.INCUMBENT]] = (bench.specs[Arm.INCUMBENT], row.lane)
    return twins


def _needs_bench(row: LaneRow) -> bool:
    rollout = row.rollout
    return rollout is not None and rollout.state is State.BENCHING and rollout.policy.gate is not None
