"""What the API and the command line may ask of a controller. Authorisation happens in front of it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from controller import noise
from controller.benches import Benches, progress_text
from controller.core.audit import GENESIS, AuditEntry
from controller.core.lane import Lane
from controller.core.policy import Mode, Policy
from controller.core.rollout import GATE, Rollout
from controller.core.spec import Digest, ModelSpec, size_problem
from controller.core.states import TRANSITIONS, Kind, State
from controller.core.verdict import Assessment
from controller.errors import ConflictError, InvariantError, UserError
from controller.lint import OVERRIDABLE, Finding, refuses
from controller.ports import Catalog, Command, LaneRow, Store
from controller.reading import HISTORY_WINDOWS, replay
from controller.record import proposal_entry
from controller.schema.candidate import Candidate
from controller.schema.suite import LoadedSuite
from controller.stats.tally import WINDOW_S, Arm, WindowTally, merge
from controller.view import rollout_row, rollout_view

COMMANDS = {
    "abort": Kind.ABORT,
    "undo": Kind.UNDO,
    "pause": Kind.PAUSE,
    "resume": Kind.RESUME,
    "approve": Kind.APPROVE,
    "promote": Kind.PROMOTE,
    "supersede": Kind.SUPERSEDE,
}


MOST_HOURS = 168
"""Tallies are kept for a week."""


Lint = Callable[[Lane, Candidate, Policy], Sequence[Finding]]
"""Everything that lint says about a candidate for a lane as it serves now, under a policy."""


class Truth(Store, Catalog, Protocol):
    """Everything the service needs of the database."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A parsed candidate manifest with its policy, ready to become a rollout."""

    name: str
    lane: str
    owner: str
    reason: str
    candidate: ModelSpec
    policy: Policy
    salt: str
    tradeoffs: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    """Rules of lint that were overridden or waived: they would have refused it."""
    suite: LoadedSuite | None = None
    """What the policy's gate draws; None when it is known here already or there is no gate."""
    license_ack: str = ""
    """Which agreement covers the weights, where their licence asks for one."""

    @property
    def manifest(self) -> Candidate:
        """Return the candidate as its file declares it."""
        return Candidate(
            self.name, self.lane, self.owner, self.candidate, self.policy.name, self.tradeoffs, self.license_ack
        )


class Service:
    """Questions and wishes; the loop alone changes rollouts."""

    def __init__(self, truth: Truth, benches: Benches, lint: Lint) -> None:
        self._truth = truth
        self._benches = benches
        self._lint = lint

    def lanes(self) -> list[dict[str, Any]]:
        """Return every lane with its incumbent, split, open rollout and gateways."""
        world = self._truth.world()
        gateways = [gateway for gateway in world.gateways if gateway.silent_s < 10]
        return [
            {
                "name": row.lane.name,
                "title": row.lane.title,
                "timeout_s": row.lane.timeout_s,
                "incumbent": {"digest": row.lane.incumbent.digest, "spec": row.lane.incumbent.to_json()},
                "split": {"epoch": row.split.epoch, "share": row.split.share, "mode": row.split.mode.value},
                "rollout": rollout_row(row.rollout) if row.rollout else None,
                "gateways": {gateway.replica: gateway.epochs.get(row.lane.name) for gateway in gateways},
                "noise": self._noise_view(row),
            }
            for row in world.lanes
        ]

    def lane(self, name: str) -> dict[str, Any]:
        """Return one lane; UserError naming the known ones when there is none of that name."""
        for lane in self.lanes():
            if lane["name"] == name:
                return lane
        raise UserError(f"there is no lane {name!r}; known lanes: {self._known_lanes()}")

    def traffic(self, name: str) -> dict[str, Any]:
        """Return what the lane's incumbent did in the last hour of the split in force; UserError as in `lane`."""
        row, now_s = self._lane_row(name), self._truth.world().now_s
        epoch, since = row.split.epoch, int(now_s / WINDOW_S) - HISTORY_WINDOWS
        rows = self._truth.tallies(name, (epoch, epoch), since)
        total = merge(item.tally for item in rows)
        seconds = now_s - min((item.window for item in rows), default=0) * WINDOW_S
        requests = sum(tally.requests for classes in total.arms.values() for tally in classes.values())
        return {
            "lane": name,
            "timeout_s": row.lane.timeout_s,
            "requests": requests,
            "requests_per_s": requests / seconds if requests else None,
            "incumbent": WindowTally({Arm.INCUMBENT: total.arms.get(Arm.INCUMBENT, {})}).to_json(),
            "noise": self._noise_view(row),
        }

    def measure_noise(self, name: str, hours: float, actor: str, reason: str = "") -> dict[str, Any]:
        """Measure how far replicas of one model differ, from a lane's A/A rollouts, and keep it.

        UserError for an unknown lane or senseless hours, ConflictError when there is nothing to measure with.
        """
        if not 0 < hours <= MOST_HOURS:
            raise UserError(f"hours: {hours:g} is not between 0 and {MOST_HOURS}; tallies are kept for a week")
        row, now_s = self._lane_row(name), self._truth.world().now_s
        found = noise.measure(self._truth, noise.aa_rollouts(self._truth, name), row, now_s, hours)
        self._truth.record(noise.draft(found, actor, reason))
        return {"lane": name, **self._noise_view(row)}

    def _noise_view(self, row: LaneRow) -> Any:
        name, digest = row.lane.name, row.lane.incumbent.digest
        return noise.view(noise.last_measured(self._truth, name), incumbent_digest=digest)

    def propose(self, proposal: Proposal, actor: str) -> dict[str, Any]:
        """Open a rollout; UserError when it makes no sense, ConflictError when the lane is busy."""
        row = self._lane_row(proposal.lane)
        if proposal.candidate.digest == row.lane.incumbent.digest:
            raise UserError(
                f"{proposal.name} is exactly what lane {proposal.lane} serves now ({proposal.candidate.digest[:12]}); "
                "for an A/A run give the model a `variant`"
            )
        if problem := size_problem(proposal.candidate.sampling, row.lane.incumbent.sampling):
            raise UserError(problem)
        self._refuse_what_lint_refuses(proposal, row.lane)
        rollout = Rollout(
            id="",
            lane=proposal.lane,
            name=proposal.name,
            owner=proposal.owner,
            proposed_by=actor,
            candidate=proposal.candidate,
            incumbent=row.lane.incumbent,
            policy=self._benches.freeze(proposal.policy, proposal.lane, proposal.suite),
            salt=proposal.salt,
            created_at_s=self._truth.world().now_s,
            tradeoffs=proposal.tradeoffs,
            overrides=proposal.overrides,
            reason=proposal.reason,
        )
        rollout = replace(rollout, entered_at_s=rollout.created_at_s)
        warnings = noise.heed(self._truth, rollout)
        entry = proposal_entry(rollout, warnings, proposal.license_ack)
        return {**rollout_row(self._truth.propose(rollout, proposal.candidate, entry)), "warnings": warnings}

    def _refuse_what_lint_refuses(self, proposal: Proposal, lane: Lane) -> None:
        """Judge a proposal once more: whoever sent it need not have linted it, or may have known another lane."""
        passed = {entry.split(" ", 1)[0] for entry in proposal.overrides} - {GATE}
        if stuck := sorted(passed - OVERRIDABLE):
            raise UserError(f"overrides: {', '.join(stuck)} can't be overridden; allowed: rules of lint, and {GATE}")
        if proposal.overrides and not proposal.reason.strip():
            raise UserError("overrides need a reason: both go into the audit log")
        standing = refuses(self._lint(lane, proposal.manifest, proposal.policy), tuple(passed))
        if standing:
            raise UserError("; ".join(f"{one.key}: {one.message} [{one.rule}]; fix: {one.fix}" for one in standing))

    def command(self, rollout_id: str, kind: str, actor: str, reason: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """Ask the loop for something and wait for its answer.

        UserError for an unknown verb, an empty reason or an unknown rollout; ConflictError when the rollout's state
        does not allow it, or nobody answered within `timeout_s` (the wish stays queued).
        """
        if kind not in COMMANDS:
            raise UserError(f"{kind!r} is not a command; allowed: {', '.join(sorted(COMMANDS))}")
        if not reason.strip():
            raise UserError(f"{kind} needs a reason: it goes into the audit log")
        self._refuse_impossible(self._rollout(rollout_id), COMMANDS[kind])
        command_id = self._truth.request(Command(0, rollout_id, kind, actor, reason))
        deadline = time.monotonic() + timeout_s
        while (outcome := self._truth.outcome(command_id)) is None:
            if time.monotonic() > deadline:
                raise ConflictError(
                    f"{kind} of {rollout_id} is queued (request {command_id}) but no controller took it up within "
                    f"{timeout_s:.0f} s; see `gatectl doctor`"
                )
            time.sleep(0.02)
        if outcome.startswith("refused"):
            raise ConflictError(f"{kind} of {rollout_id} was {outcome}")
        return rollout_row(self._rollout(rollout_id))

    def rollouts(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return rollouts, newest first."""
        return [rollout_row(rollout) for rollout in self._truth.rollouts(limit=limit)]

    def rollout(self, rollout_id: str) -> dict[str, Any]:
        """Return everything about one rollout; UserError when it does not exist."""
        rollout = self._rollout(rollout_id)
        live = [epoch.epoch for epoch in rollout.epochs if epoch.mode is Mode.SHARE and not epoch.flipped]
        totals = self._truth.totals(rollout.lane, live) if live else WindowTally()
        last = rollout.epochs[-1].epoch if rollout.epochs else None
        settled_s = self._truth.settled_s(rollout.lane, last) if last is not None else None
        current = self._truth.totals(rollout.lane, [last]) if last is not None else WindowTally()
        bench = self._benches.of_rollout(rollout_id)
        return {
            **rollout_view(rollout, self._assessment(rollout), totals, settled_s, current),
            **({"waiting": progress_text(bench)} if rollout.state is State.BENCHING else {}),
            "bench": bench,
            "noise": noise.view(
                noise.last_measured(self._truth, rollout.lane), rollout.policy, rollout.incumbent.digest
            ),
        }

    def audit(self, rollout_id: str | None = None, after_seq: int = 0) -> Iterator[AuditEntry]:
        """Stream the audit log in order."""
        return self._truth.audit(rollout_id, after_seq)

    def verify(self) -> dict[str, Any]:
        """Check the audit chain, and recompute every recorded assessment from its stored evidence.

        Sentences are guarded by the chain alone: another version may word the same numbers in another way. So are the
        numbers that another engine recorded (`other_engine` counts them): only that one gives them again.
        """
        count, found = self._truth.verify_audit()
        if found is not None:
            return {"ok": False, "entries": count, "problem": found.problem}
        replayed = stored = 0
        head, named = self._named_evidence(count)
        for rollout in self._truth.rollouts(limit=1_000_000):
            rows = self._truth.evidence(rollout.id)
            try:
                replayed += replay(rollout, rows, named.get(rollout.id, {}))
            except InvariantError as error:
                return {"ok": False, "entries": count, "problem": str(error)}
            stored += len(rows)
        return {
            "ok": True,
            "entries": count,
            "head": head,
            "replayed": replayed,
            "other_engine": stored - replayed,
            "problem": None,
        }

    def _named_evidence(self, count: int) -> tuple[Digest, dict[str, dict[int, str]]]:
        """Return the digest of the last of `count` audit entries, and of each rollout's evidence that they name."""
        head, named = GENESIS, dict[str, dict[int, str]]()
        for entry in self._truth.audit():
            if entry.seq > count:
                break
            head, evidence = entry.digest, entry.detail.get("evidence")
            if entry.rollout and evidence and evidence["seq"]:
                named.setdefault(entry.rollout, {})[evidence["seq"]] = evidence["digest"]
        return head, named

    def _assessment(self, rollout: Rollout) -> Assessment | None:
        row = self._truth.last_evidence(rollout.id)
        return Assessment.from_json(row.payload["assessment"]) if row else None

    def _rollout(self, rollout_id: str) -> Rollout:
        found: Sequence[Rollout] = self._truth.rollouts(rollout_id)
        if not found:
            raise UserError(f"there is no rollout {rollout_id!r}; `gatectl list` shows them")
        return found[0]

    def _refuse_impossible(self, rollout: Rollout, kind: Kind) -> None:
        if not rollout.open:
            raise ConflictError(f"{rollout.id} is {rollout.state} already; nothing was done")
        if (rollout.state, kind) not in TRANSITIONS:
            raise ConflictError(f"{kind} of {rollout.id} is not possible while it is {rollout.state}")

    def _lane_row(self, name: str) -> LaneRow:
        for row in self._truth.world().lanes:
            if row.lane.name == name:
                return row
        raise UserError(f"there is no lane {name!r}; known lanes: {self._known_lanes()}")

    def _known_lanes(self) -> str:
        return ", ".join(row.lane.name for row in self._truth.world().lanes) or "none (see `gatectl up`)"
