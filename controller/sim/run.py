"""One run: the core's loop logic on a simulated clock, over a synthetic world.

Judge, `observe`, `step` and `desired` are the ones that run in production; this file only finds out when to ask
them. What a controller would learn from the serving platform is always the best case: the candidate is deployed and
drew a sound image, every gateway applies a split in the tick that wrote it.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from controller.core.batch import Span, judge_of, slots_of
from controller.core.desired import desired
from controller.core.facts import Check, Facts, Phase, Wish, observe
from controller.core.judge import assess, start
from controller.core.lane import Lane
from controller.core.policy import Mode, Requires
from controller.core.rollout import Epoch, Rollout, step
from controller.core.spec import ModelSpec, Resources, Sampling, Scheduler
from controller.core.states import Kind, State
from controller.core.verdict import Assessment
from controller.schema.scenario import Scenario
from controller.sim.conditions import START_S
from controller.sim.lines import Lines
from controller.sim.world import Drawn, World
from controller.stats.tally import WINDOW_S

FIRST_ROWS, GROWTH, MOST_ROWS = 128, 4, 16_384
WINDOW_ROWS = 512
"""Requests drawn ahead at once, a window counting as no more than WINDOW_ROWS.

Few after a step, because what lies beyond the next one is drawn anew.
"""
_MOMENT_S = 1e-3
EVENTS_A_TICK = 6
SERVING = frozenset({State.OBSERVING, State.AWAITING_APPROVAL, State.PROMOTING, State.BAKING})


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended.

    `candidate_images`: candidate requests in the evidence read at the decision; `duration_s`: from the proposal to
    it; `exposed`: candidate images that users got before it; `requests`: all that were drawn into evidence.
    """

    outcome: str
    candidate_images: int
    duration_s: float
    exposed: int
    requests: int
    stage: int
    reason: str

    @property
    def decided(self) -> bool:
        """Say whether the evidence decided."""
        return self.outcome in {"promoted", "reverted"}


def _spec(variant: str) -> ModelSpec:
    return ModelSpec(
        provider="fake",
        source="simulated",
        revision="",
        precision="float32",
        scheduler=Scheduler("none", 1),
        sampling=Sampling(1, 0.0, 8, 8),
        resources=Resources("cpu", 0.0, 1),
        variant=variant,
    )


class Run:
    """The state of one run; `go` ends it."""

    def __init__(self, scenario: Scenario, seed: int, number: int) -> None:
        self._scenario = scenario
        self._world = World(scenario, seed, number)
        self._now_s = START_S
        self._end_s = START_S + scenario.duration_s
        self._lane = Lane("simulated", scenario.timeout_s, _spec("incumbent"))
        self._rollout = Rollout(
            id=f"run-{number}",
            lane="simulated",
            name=scenario.name,
            owner="",
            proposed_by="",
            candidate=_spec("candidate"),
            incumbent=self._lane.incumbent,
            policy=scenario.policy,
            salt="",
            created_at_s=START_S,
            entered_at_s=START_S,
        )
        history = self._world.history()
        judge = start(scenario.policy, scenario.timeout_s, history.tally(), interval=False)
        self._lines = Lines(scenario.policy, slots_of(judge))
        self._split = desired(self._lane, None).split
        self._rows: Drawn = history.before(-math.inf)  # the last drawn; a new split cuts them
        self._epoch = Epoch(0, 0, 0.0, Mode.SHARE, flipped=False)  # under which they were drawn
        self._already = 0  # requests of the window under way that came before them
        self._chunk = FIRST_ROWS
        self._requests = self._seen = 0  # before them
        self._cause = Kind.START
        self._decision = (0, 0.0, 0)

    def go(self) -> Result:
        """Run to the end."""
        self._tick(None)
        while self._rollout.state in SERVING and self._now_s < self._end_s:
            if self._split.candidate is None:
                self._now_s = min(self._wakes())
                self._tick(self._assess())
                continue
            horizon_s = min(self._draw(), self._end_s)
            epoch = self._split.epoch
            while self._split.epoch == epoch and (moment_s := self._next_moment(horizon_s)) is not None:
                self._now_s = moment_s
                self._tick(self._assess())
            if self._split.epoch == epoch:
                self._now_s = horizon_s
            self._keep()
            self._lines.forget(self._now_s)
        images, duration_s, seen = self._decision
        outcome = self._outcome()
        if outcome == "inconclusive":
            images, duration_s, seen = self._so_far()
        return Result(outcome, images, duration_s, seen, self._requests, self._rollout.stage, self._rollout.reason)

    # Requests

    def _draw(self) -> float:
        """Draw requests ahead under the split in force; return until when."""
        window = int(self._now_s // WINDOW_S)
        left = math.ceil((self._end_s - window * WINDOW_S) / WINDOW_S)
        a_window = min(self._scenario.rate_per_s * WINDOW_S, WINDOW_ROWS)
        n_windows = int(np.clip(self._chunk / a_window, 1, max(1, min(left, MOST_ROWS))))
        self._chunk = min(GROWTH * self._chunk, MOST_ROWS)
        self._epoch = self._rollout.epochs[-1]
        self._rows = self._world.draw(
            self._now_s, n_windows, _share(self._epoch), self._already, sticky=self._split.sticky
        )
        self._lines.extend(self._span(self._rows))
        return float((window + n_windows) * WINDOW_S)

    def _span(self, rows: Drawn) -> Span:
        return rows.span(self._epoch.epoch, self._epoch.stage, _share(self._epoch))

    def _keep(self) -> None:
        """Count the requests that came before now; the others never were."""
        kept = self._rows.before(self._now_s)
        if kept.requests < self._rows.requests:
            self._lines.cut(self._now_s, self._span(kept))
        self._seen = self._seen_so_far()
        self._requests += kept.requests
        self._world.happened(kept)
        self._already = kept.in_window(int(self._now_s // WINDOW_S))
        self._rows = kept.before(-math.inf)

    def _seen_so_far(self) -> int:
        """Return how many candidate images users got before now."""
        if self._epoch.mode is Mode.SHADOW:
            return self._seen
        return self._seen + self._rows.before(self._now_s).shown

    # Time

    def _next_moment(self, until_s: float) -> float | None:
        """Return when the core must be asked next, None when not before `until_s`."""
        moments = [moment_s for moment_s in self._wakes() if self._now_s < moment_s <= until_s]
        earliest_s = min(moments, default=until_s)
        stage = self._rollout.current_stage
        flip_s = self._lines.next_flip(self._now_s, earliest_s, stage.min_images, proof=stage.requires is Requires.PASS)
        return flip_s if flip_s is not None else min(moments, default=None)

    def _wakes(self) -> list[float]:
        """Return the moments at which time alone may change what `observe` says."""
        rollout, policy = self._rollout, self._rollout.policy
        wakes = [self._end_s, rollout.created_at_s + policy.deadline_s + _MOMENT_S]
        match rollout.state:
            case State.BAKING:
                wakes.append(rollout.entered_at_s + policy.bake_s + _MOMENT_S)
            case State.AWAITING_APPROVAL:
                wakes.append(rollout.entered_at_s + self._scenario.approve_after_s + _MOMENT_S)
            case State.OBSERVING:
                wakes.append(self._lines.silent_until(rollout.entered_at_s, policy.evidence_timeout_s) + _MOMENT_S)
            case _:
                pass
        return [wake_s for wake_s in wakes if wake_s > self._now_s] or [self._now_s + WINDOW_S]

    # The core

    def _assess(self) -> Assessment:
        return assess(judge_of(self._rollout.policy, self._lines.slots(self._now_s)))

    def _tick(self, assessment: Assessment | None) -> None:
        """Let the core decide, as often as one tick of the loop does."""
        for _ in range(EVENTS_A_TICK):
            facts = Facts(
                now_s=self._now_s,
                phase=Phase.READY,
                wish=self._wish(),
                probe=Check(None),
                bench=Check(None),
                assessment=assessment,
                switched=True,
                settled_s=0.0,
                drained=True,
                seen=self._seen_so_far(),
            )
            event = observe(self._rollout, facts)
            if event is None:
                return
            self._rollout = step(self._rollout, event)
            if self._rollout.state in {State.REVERTING, State.PROMOTING, State.HELD}:
                self._cause, self._decision = event.kind, self._so_far()
            self._reroute()

    def _wish(self) -> Wish | None:
        if self._rollout.state is not State.AWAITING_APPROVAL:
            return None
        if self._now_s < self._rollout.entered_at_s + self._scenario.approve_after_s:
            return None
        return Wish(Kind.APPROVE, "simulation", "approved")

    def _reroute(self) -> None:
        """Write the split that the rollout wants, as the loop does."""
        wanted = desired(self._lane, self._rollout).split
        if wanted.same_routing(self._split):
            return
        self._split = replace(wanted, epoch=self._split.epoch + 1)
        self._chunk = FIRST_ROWS
        if self._split.candidate is not None:
            epoch = Epoch(
                self._split.epoch, self._rollout.stage, self._split.share, self._split.mode, self._split.flipped
            )
            self._rollout = replace(self._rollout, epochs=(*self._rollout.epochs, epoch))

    def _so_far(self) -> tuple[int, float, int]:
        """Return the candidate images read, the seconds passed, and the images that users got."""
        return self._lines.images(self._now_s), self._now_s - START_S, self._seen_so_far()

    def _outcome(self) -> str:
        match self._rollout.state:
            case State.PROMOTED | State.PROMOTING | State.BAKING:
                return "promoted"
            case State.HELD:
                return "held"
            case State.REVERTED | State.REVERTING if self._cause is not Kind.DEADLINE:
                return "reverted"
            case State.REJECTED:
                return "rejected"
            case _:
                return "inconclusive"


def _share(epoch: Epoch) -> float:
    """Return the probability that a request reaches the rollout's candidate."""
    return 1.0 - epoch.share if epoch.flipped else epoch.share
