"""What may be asked about suites and benches: freeze a suite, start a bench, see how far it is and what came of it."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from controller.bench_ports import BenchBook, BenchOutcome, BenchRow, Blobs
from controller.core.bench import Bench
from controller.core.policy import Policy
from controller.core.spec import ModelSpec, size_problem
from controller.core.verdict import Verdict
from controller.errors import ConflictError, UserError
from controller.gate.judge import start
from controller.gate.plan import Plan, plan
from controller.giving_way import gives_way
from controller.ports import AuditDraft, LaneRow, Store
from controller.schema.suite import LoadedSuite

GIVES_WAY = "it gives way to users who queue for the same processors"
DAY_S = 86_400.0
KEPT = 32
"""Benches whose size is remembered, because those who watch ask twice a second."""


@dataclass(frozen=True, slots=True)
class BenchWish:
    """A candidate to be compared, with a policy whose gate says how; `against` is None for the lane's incumbent."""

    name: str
    lane: str
    reason: str
    candidate: ModelSpec
    policy: Policy
    suite: LoadedSuite | None = None
    against: ModelSpec | None = None


class Benches:
    """Questions and wishes about the offline gate; the leader's loop alone runs benches."""

    def __init__(self, store: Store, book: BenchBook, blobs: Blobs) -> None:
        self._store = store
        self._book = book
        self._blobs = blobs
        self._due: dict[str, tuple[int, ...]] = {}
        self._lock = threading.Lock()

    def freeze(self, policy: Policy, lane: str, suite: LoadedSuite | None) -> Policy:
        """Keep the suite of a policy's gate and return the policy with the suite's digest.

        UserError when the suite is neither given nor known, or can't show what the gate must judge on the lane.
        """
        if policy.gate is None:
            return policy
        if suite is None:
            found = self._book.suite(policy.gate.suite_digest)
            if found is None:
                raise UserError(
                    f"gate.suite: the suite {policy.gate.suite} is not known here under the digest "
                    f"{policy.gate.suite_digest[:12] or '(none)'}; send it along, as `gatectl propose` and `gatectl "
                    "bench` do"
                )
        else:
            found = suite.suite
            for content in suite.assets.values():
                self._blobs.put(content)
            self._book.add_suite(found)
        frozen = replace(policy, gate=replace(policy.gate, suite=found.name, suite_digest=found.digest))
        try:
            start(plan(found, frozen, lane))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"gate.criteria: {error}") from error
        return frozen

    def start(self, wish: BenchWish, actor: str) -> dict[str, Any]:
        """Open a bench, or continue the unfinished one of the same question; UserError when it makes no sense."""
        if wish.policy.gate is None:
            raise UserError(f"policy {wish.policy.name}: declares no `gate`, so there is nothing to judge a bench by")
        if not wish.reason.strip():
            raise UserError("a bench needs a reason: it goes into the audit log")
        row = self._lane(wish.lane)
        incumbent = wish.against or row.lane.incumbent
        if problem := size_problem(wish.candidate.sampling, incumbent.sampling):
            raise UserError(problem)
        bench = Bench(
            id="",
            lane=wish.lane,
            name=wish.name,
            actor=actor,
            reason=wish.reason,
            candidate=wish.candidate,
            incumbent=incumbent,
            policy=self.freeze(wish.policy, wish.lane, wish.suite),
            timeout_s=row.lane.timeout_s,
        )
        opened = self._book.open(bench, AuditDraft(actor, "bench", wish.reason, detail=_opening(bench)))
        return self.bench(opened.id)

    def abort(self, bench_id: str, actor: str, reason: str) -> dict[str, Any]:
        """End a bench for good: no evidence, which is no pass.

        UserError when it does not exist or no reason is given, ConflictError when it is over or a rollout waits for it.
        """
        bench = self._row(bench_id).bench
        if not reason.strip():
            raise UserError("an abort needs a reason: it goes into the audit log")
        if bench.rollout is not None:
            raise ConflictError(f"{bench.rollout} waits for {bench_id}: `gatectl abort {bench.rollout}` ends both")
        outcome = BenchOutcome(Verdict.NO_EVIDENCE.value, f"aborted by {actor}: {reason}")
        audit = AuditDraft(actor, "bench_aborted", reason, lane=bench.lane, detail={"bench": bench_id})
        self._book.finish(bench_id, outcome, audit, fencing_token=None)
        return self.bench(bench_id)

    def benches(self, rollout: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Return benches, newest first, or that of a rollout."""
        return [_bench_row(row) for row in self._book.benches(rollout=rollout, limit=limit)]

    def bench(self, bench_id: str) -> dict[str, Any]:
        """Return one bench with its progress; UserError when it does not exist."""
        row = self._row(bench_id)
        return {**_bench_row(row), **self._progress(row)}

    def result(self, bench_id: str) -> bytes:
        """Return the result document of a bench that is over (JSON); UserError when there is none."""
        row = self._row(bench_id)
        if row.outcome is None:
            raise UserError(f"{bench_id} is not over yet; `gatectl bench` with the same arguments follows it")
        if row.outcome.result is None:
            raise UserError(f"{bench_id} ended without a result: {row.outcome.reason}")
        return self._blobs.get(row.outcome.result)

    def blob(self, digest: str) -> bytes:
        """Return an image or another piece of evidence by its SHA-256; UserError when there is none."""
        return self._blobs.get(digest)

    def remove_old_images(self, keep_s: float) -> None:
        """Remove the images of benches that ended longer ago; results, scores and verdicts stay, and say it."""
        before_s = self._store.world().now_s - keep_s
        for bench_id, images in self._book.old_images(before_s).items():
            if any(row.outcome is None for row in self._book.pending()):
                return  # what is drawn now may be one of these images, and is not stored twice
            for digest in images:
                self._blobs.remove(digest)
            days = f"{keep_s / DAY_S:g}"
            detail = {"bench": bench_id, "images": len(images)}
            reason = f"images are kept for {days} days"
            self._book.images_removed(bench_id, AuditDraft("swapgate", "remove_images", reason, detail=detail))

    def _row(self, bench_id: str) -> BenchRow:
        found = self._book.benches(bench_id)
        if not found:
            raise UserError(f"there is no bench {bench_id!r}; GET /api/v1/benches lists them")
        return found[0]

    def of_rollout(self, rollout: str) -> dict[str, Any] | None:
        """Return a rollout's bench with its progress, None when it has none (yet)."""
        rows = self._book.benches(rollout=rollout)
        return {**_bench_row(rows[0]), **self._progress(rows[0])} if rows else None

    def _progress(self, row: BenchRow) -> dict[str, Any]:
        """Return the images due at least (one repeat more once those are drawn), their time, and who comes first."""
        if row.outcome is not None:
            return {"due": row.shots, "eta_s": None, "gives_way": False}
        due = next((due for due in self._dues(row.bench) if due >= row.shots), row.shots)
        pace_s = None
        if row.shots > 1 and row.first_shot_s is not None and row.last_shot_s is not None:
            pace_s = (row.last_shot_s - row.first_shot_s) / (row.shots - 1)
        world = self._store.world()
        return {
            "due": due,
            "eta_s": None if pace_s is None else (due - row.shots) * pace_s,
            "gives_way": gives_way(row.bench, [lane.lane for lane in world.lanes], world.gateways),
        }

    def _dues(self, bench: Bench) -> tuple[int, ...]:
        """Return how many images there are after as many repeats as must be, one more, and so on."""
        with self._lock:
            if bench.id not in self._due:
                gate = bench.policy.gate
                suite = self._book.suite(gate.suite_digest) if gate is not None else None
                while len(self._due) >= KEPT:
                    del self._due[next(iter(self._due))]
                self._due[bench.id] = _due(plan(suite, bench.policy, bench.lane)) if suite is not None else ()
            return self._due[bench.id]

    def _lane(self, name: str) -> LaneRow:
        lanes = self._store.world().lanes
        for row in lanes:
            if row.lane.name == name:
                return row
        raise UserError(
            f"there is no lane {name!r}; known lanes: {', '.join(row.lane.name for row in lanes) or 'none'}"
        )


def _due(drawn: Plan) -> tuple[int, ...]:
    once = len(drawn.warm_up()) + len(drawn.load())
    sizes = accumulate((drawn.size(repeat) for repeat in range(drawn.gate.max_repeats)), initial=once)
    return tuple(sizes)[drawn.gate.min_repeats :]


def progress_text(row: Mapping[str, Any] | None) -> str:
    """Return how far an offline gate is, in one line; `row` as `of_rollout` returns it."""
    way = f"; {GIVES_WAY}" if row is not None and row["gives_way"] else ""
    if row is None or row["state"] == "waiting":
        return f"the offline gate waits until both arms are ready{way}"
    left = "" if row["eta_s"] is None else f", about {row['eta_s'] / 60:.0f} min left"
    return f"running the offline gate {row['id']}: {row['shots']} of at least {row['due']} images{left}{way}"


def _bench_row(row: BenchRow) -> dict[str, Any]:
    bench, outcome = row.bench, row.outcome
    gate = bench.policy.gate
    state = "finished" if outcome is not None else "running" if row.shots else "waiting"
    return {
        "id": bench.id,
        "lane": bench.lane,
        "name": bench.name,
        "rollout": bench.rollout,
        "actor": bench.actor,
        "why": bench.reason,
        "state": state,
        "candidate_digest": bench.candidate.digest,
        "incumbent_digest": bench.incumbent.digest,
        "suite": {"name": gate.suite, "digest": gate.suite_digest} if gate else None,
        "created_at_s": bench.created_at_s,
        "finished_at_s": row.finished_at_s,
        "shots": row.shots,
        "verdict": outcome.verdict if outcome else None,
        "reason": outcome.reason if outcome else "",
        "result": outcome.result if outcome else None,
        "criteria": list(outcome.detail.get("criteria", ())) if outcome else [],
    }


def _opening(bench: Bench) -> Mapping[str, Any]:
    return {
        "name": bench.name,
        "candidate": bench.candidate.to_json(),
        "candidate_digest": bench.candidate.digest,
        "incumbent_digest": bench.incumbent.digest,
        "policy": bench.policy.to_json(),
        "policy_digest": bench.policy.digest,
    }
