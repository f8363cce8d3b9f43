"""Runs a bench from wherever it stands to its verdict.

A shot is drawn, scored and stored under its key before the next one begins, so whatever is killed at whatever moment,
the next run folds what is stored, in the order of the plan, and goes on with the first shot that is missing: nothing
is drawn twice, nothing is counted twice, and the verdict is that of a run that nobody disturbed. Writes carry the
leader's fencing token, so of two controllers only one can add anything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from controller.bench_ports import BenchBook, BenchOutcome, Blobs, Drawn, Studio
from controller.core.bench import Bench
from controller.core.shot import ShotResult
from controller.core.spec import canonical_json
from controller.core.verdict import Verdict
from controller.errors import InvariantError, UnavailableError, UserError
from controller.gate.easel import Easel
from controller.gate.judge import GateAssessment, assess, conclude, fold, start
from controller.gate.loads import draw_load
from controller.gate.patience import Pause, Turn
from controller.gate.plan import Plan, Shot, ShotPhase, plan
from controller.gate.result import About, document
from controller.ports import AuditDraft, Clock
from controller.stats.tally import Arm


@dataclass(frozen=True, slots=True)
class Runner:
    """What runs need. `versions` names the code and every scorer; `now_s` is the wall clock (Unix seconds).

    `usd_per_hour`: price of a replica's device by its class.
    """

    studio: Studio
    blobs: Blobs
    book: BenchBook
    versions: Mapping[str, str]
    usd_per_hour: Mapping[str, float]
    clock: Clock
    now_s: Callable[[], float]

    def run(self, bench: Bench, fencing_token: int, pause: Pause, turn: Turn) -> None:
        """Bring a bench to its end and store it; each judged image and each load begins at its turn.

        Raises Interrupted when `pause` or `turn` does, ConflictError when another controller leads, UnavailableError
        when the database or the blob store is away; another run goes on from there.
        """
        try:
            session = _Session(self, bench, self._plan(bench), fencing_token, pause, turn)
        except (UserError, InvariantError) as error:
            self.give_up(bench, fencing_token, str(error))
            return
        assessment = session.judged()
        if assessment.verdict is not Verdict.FAIL:
            session.loaded()
        self._finish(bench, fencing_token, session.outcome(assessment))

    def give_up(self, bench: Bench, fencing_token: int, reason: str) -> None:
        """End a bench that can't be run: no evidence, which is no pass."""
        self._finish(bench, fencing_token, BenchOutcome(Verdict.NO_EVIDENCE.value, reason))

    def _plan(self, bench: Bench) -> Plan:
        gate = bench.policy.gate
        suite = self.book.suite(gate.suite_digest) if gate is not None else None
        if suite is None:
            raise InvariantError(f"the suite of {bench.id} is not stored")
        return plan(suite, bench.policy, bench.lane)

    def _finish(self, bench: Bench, fencing_token: int, outcome: BenchOutcome) -> None:
        draft = AuditDraft(
            actor="swapgate",
            action="bench_finished",
            reason=f"{outcome.verdict.replace('_', ' ')}: {outcome.reason}",
            lane=bench.lane,
            rollout=bench.rollout,
            detail={
                "bench": bench.id,
                "verdict": outcome.verdict,
                "result": outcome.result,
                "candidate_digest": bench.candidate.digest,
                "incumbent_digest": bench.incumbent.digest,
                "policy_digest": bench.policy.digest,
                **outcome.detail,
            },
        )
        self.book.finish(bench.id, outcome, draft, fencing_token)


class _Session:
    """One run over one bench; `done` holds every stored result."""

    def __init__(self, runner: Runner, bench: Bench, drawn: Plan, fencing_token: int, pause: Pause, turn: Turn) -> None:
        self._runner = runner
        self._bench = bench
        self._plan = drawn
        self._token = fencing_token
        self._pause = pause
        self._turn = turn
        assets = {name: runner.blobs.get(digest) for name, digest in drawn.suite.assets.items()}
        self._easel = Easel(runner.studio, runner.blobs, bench, assets, runner.usd_per_hour, runner.clock, pause)
        self._done = {key: ShotResult.from_json(payload) for key, payload in runner.book.shots(bench.id).items()}

    def judged(self) -> GateAssessment:
        """Draw what is missing of warm-up and repeats, and return what the judge says when nothing more is needed."""
        judge = start(self._plan)
        for shot in self._plan.shots():
            if shot.key not in self._done:
                self._turn()
                self._keep(shot, self._easel.draw(shot, self._plan.prompts[shot.prompt_id]))
            judge = fold(judge, shot, self._done[shot.key])
            if shot.phase is not ShotPhase.WARM_UP and assess(judge).stop:
                break
        return conclude(judge)

    def loaded(self) -> None:
        """Draw what is missing of the loads."""
        missing = [shot for shot in self._plan.load() if shot.key not in self._done]
        prompts = self._plan.prompts
        draw_load(
            missing,
            lambda shot: self._easel.draw(shot, prompts[shot.prompt_id]),
            self._keep,
            self._runner.clock,
            self._pause,
            self._turn,
        )

    def outcome(self, assessment: GateAssessment) -> BenchOutcome:
        """Store the result document and return the outcome."""
        bench = self._bench
        about = About(
            id=bench.id,
            rollout=bench.rollout,
            candidate_name=bench.name,
            candidate=bench.candidate,
            incumbent=bench.incumbent,
            versions=self._runner.versions,
            machine=self._machine(),
            started_at=_iso(bench.created_at_s),
            finished_at=_iso(self._runner.now_s()),
        )
        content = canonical_json(document(about, self._plan, assessment, self._done)).encode()
        criteria = [
            {"title": item.title, "role": item.role.value, "allowed": item.allowed, "verdict": item.verdict.value,
             "reason": item.reason}
            for item in assessment.verdicts
        ]  # fmt: skip
        detail = {
            "suite_digest": self._plan.suite.digest,
            "criteria": criteria,
            "log_harm": assessment.log_harm,
            "log_needed": assessment.log_needed,
            "pairs": assessment.pairs,
            "versions": dict(self._runner.versions),
        }
        return BenchOutcome(assessment.verdict.value, assessment.reason, self._runner.blobs.put(content), detail)

    def _keep(self, shot: Shot, drawn: Drawn) -> None:
        """Score and store what was drawn; what counts is what is stored."""
        result = self._easel.result(shot, self._plan.prompts[shot.prompt_id], drawn, self._done)
        stored = self._runner.book.add_shot(self._bench.id, shot.key, result.to_json(), self._token)
        self._done[shot.key] = ShotResult.from_json(stored)

    def _machine(self) -> Mapping[str, Any]:
        try:
            return self._runner.studio.machine(self._bench.apps[Arm.CANDIDATE])
        except UnavailableError as error:
            return {"unknown": str(error)}


def _iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
