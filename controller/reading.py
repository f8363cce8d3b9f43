"""Reads tallies into judges: what is due is folded once, and stored so that anybody can fold it again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.core.judge import ENGINE, Evidence, Judge, Position, Unit, advance, assess, fold, start
from controller.core.rollout import Rollout
from controller.core.spec import Digest, digest_of
from controller.core.verdict import Assessment
from controller.errors import InvariantError
from controller.ports import EvidenceRow, LaneRow, Store, TallyRow, World
from controller.stats.tally import WINDOW_S, WindowTally, merge

HISTORY_WINDOWS = 720
"""How far back the incumbent's record is read before a rollout's first split: an hour."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A judge with its place in the stored evidence, what it says, and the row that is not stored yet."""

    judge: Judge
    assessment: Assessment
    seq: int
    digest: Digest | None
    unsaved: EvidenceRow | None = None


class EvidenceReader:
    """Keeps the judges of open rollouts; everything it keeps can be rebuilt from the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stored: dict[str, Reading] = {}

    def forget(self) -> None:
        """Drop everything kept, so that the next reading starts from the stored evidence."""
        self._stored.clear()

    def keep(self, rollout: Rollout, reading: Reading) -> None:
        """Remember a reading whose unsaved row has been stored."""
        self._stored = {
            rollout.id: reading,
            **{key: kept for key, kept in self._stored.items() if key != rollout.id},
        }
        if not rollout.open:
            del self._stored[rollout.id]

    def read(self, row: LaneRow, rollout: Rollout, world: World, live: frozenset[str]) -> Reading:
        """Fold every unit of evidence that is due; `live` gateways must have flushed up to a unit's age."""
        kept = self._stored.get(rollout.id) or self._restore(rollout)
        payload: dict[str, Any] = {"previous": kept.digest if kept else None}
        if kept is None:
            history = self._history(row, rollout, world, live)
            payload |= {"history": history.to_json(), "timeout_s": row.lane.timeout_s}
            judge = start(rollout.policy, row.lane.timeout_s, history)
            kept = Reading(judge, assess(judge), 0, None)
        epochs = (rollout.epochs[0].epoch, rollout.epochs[-1].epoch)
        from_window = max(0, min(window for window, _ in kept.judge.cursors))
        evidence = gather(self._store.tallies(rollout.lane, epochs, from_window), world, live)
        judge, units = advance(kept.judge, evidence, rollout.epochs)
        if not units and kept.seq > 0:
            return kept
        assessment = assess(judge)
        payload |= {
            "engine": ENGINE,
            "units": [unit.to_json() for unit in units],
            "assessment": assessment.to_json(),
        }
        fresh = EvidenceRow(rollout.id, kept.seq + 1, payload, digest_of(payload))
        return Reading(judge, assessment, fresh.seq, fresh.digest, fresh)

    def _restore(self, rollout: Rollout) -> Reading | None:
        rows = self._store.evidence(rollout.id)
        if not rows:
            return None
        judge = refold(rollout, rows)
        return Reading(judge, assess(judge), rows[-1].seq, rows[-1].digest)

    def _history(self, row: LaneRow, rollout: Rollout, world: World, live: frozenset[str]) -> WindowTally:
        """Return what the incumbent did in the epoch before the rollout's first, until the proposal.

        After the proposal the candidate is loaded beside it, which slows it down as the rollout itself will not.
        """
        epoch = rollout.epochs[0].epoch - 1
        from_window = int(world.now_s / WINDOW_S) - HISTORY_WINDOWS
        evidence = gather(self._store.tallies(rollout.lane, (epoch, epoch), from_window), world, live)
        before = [position for position in sorted(evidence.units) if _end_s(position) <= rollout.created_at_s]
        read = (evidence.read(position, row.lane.timeout_s) for position in before)
        return merge(tally for tally in read if tally is not None)


def gather(rows: Sequence[TallyRow], world: World, live: frozenset[str]) -> Evidence:
    """Return stored tallies in the form the judge reads."""
    units: dict[tuple[int, int], dict[str, WindowTally]] = {}
    for row in rows:
        units.setdefault((row.window, row.epoch), {})[row.replica] = row.tally
    watermarks_s = {gateway.replica: gateway.watermark_s for gateway in world.gateways}
    return Evidence(units=units, watermarks_s=watermarks_s, live=live)


def refold(rollout: Rollout, rows: Sequence[EvidenceRow]) -> Judge:
    """Return the judge that stored evidence leads to; `rows` from the first on, at least one."""
    judge = first_judge(rollout, rows[0].payload)
    for row in rows:
        judge = refold_row(judge, row)
    return judge


def replay(rollout: Rollout, rows: Sequence[EvidenceRow], named: Mapping[int, str]) -> int:
    """Fold stored evidence again and return how many assessments were recomputed, those of this engine.

    `named`: digests of rows that audit entries name, by sequence number. InvariantError when a row is missing, was
    altered, or does not lead to the assessment that was recorded with it.
    """
    _require_whole(rollout, rows, named)
    matched = 0
    judge = first_judge(rollout, rows[0].payload) if rows else None
    for row in rows:
        assert judge is not None
        judge = refold_row(judge, row)
        if row.payload.get("engine") != ENGINE:
            continue
        if assess(judge).in_numbers != Assessment.from_json(row.payload["assessment"]).in_numbers:
            raise InvariantError(f"evidence {row.seq} of {rollout.id} does not lead to the recorded assessment")
        matched += 1
    return matched


def _require_whole(rollout: Rollout, rows: Sequence[EvidenceRow], named: Mapping[int, str]) -> None:
    previous: str | None = None
    for seq, row in enumerate(rows, 1):
        if row.seq != seq or row.payload["previous"] != previous:
            raise InvariantError(f"evidence {seq} of {rollout.id} is missing or does not follow the one before")
        if row.digest != digest_of(row.payload):
            raise InvariantError(f"evidence {seq} of {rollout.id} was altered: it does not match its digest")
        previous = row.digest
    for seq, digest in named.items():
        if seq > len(rows) or rows[seq - 1].digest != digest:
            raise InvariantError(f"evidence {seq} of {rollout.id} is not the one that the audit log names")


def first_judge(rollout: Rollout, payload: Mapping[str, Any]) -> Judge:
    """Return the judge before the first unit, from the payload of the first evidence row."""
    return start(rollout.policy, payload["timeout_s"], WindowTally.from_json(payload["history"]))


def refold_row(judge: Judge, row: EvidenceRow) -> Judge:
    """Return the judge after one row of stored evidence."""
    for unit in row.payload["units"]:
        judge = fold(judge, Unit.from_json(unit))
    return judge


def _end_s(position: Position) -> float:
    return (position[0] + 1.0) * WINDOW_S
