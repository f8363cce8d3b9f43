"""Answers one request: tosses the coin, asks the arm, lets the incumbent stand in, counts on the assigned arm.

Deadlines: a lane's `timeout_s` bounds a request from arrival to answer. The candidate gets CANDIDATE_PART
of it, so the incumbent behind it has the rest; an incumbent's call, first or in the candidate's place, gets
all that is left. Retries have one owner, here: only the incumbent's, only of faults that may pass, at most
once a request and for at most RETRY_SHARE of the requests. Intention to treat: whoever answers in the end,
the outcome belongs to the arm that the coin named.
"""

import asyncio
import contextvars
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from controller.core.assign import assign, voter
from controller.core.policy import Mode
from controller.core.spec import digest_of
from controller.stats.tally import Arm
from serving.breaker import Breaker
from serving.calls import Backend, CallError, Reply
from serving.outcome import CENSORED_S, MEASURED, Outcome, answered, not_answered
from serving.providers.protocol import Ask, Fault
from serving.recorder import Recorder, Ticket, Vote, request_class
from serving.routes import BOOT_EPOCH, Route
from serving.scoring import TEXT_ACCURACY, Scoring
from serving.watchdog import inspect

CANDIDATE_PART: Final = 0.6
RETRY_SHARE: Final = 0.1
MAX_MIRRORED: Final = 32
_MAY_PASS: Final = frozenset({Fault.TRANSIENT, Fault.UNAVAILABLE})
_GONE: Final = frozenset({Fault.UNAVAILABLE, Fault.DEADLINE})


class RetryBudget:
    """Every request earns a tenth of a retry; at most ten are saved up for a bad moment."""

    def __init__(self) -> None:
        self._saved = 0.0

    def earn(self) -> None:
        """Count a request."""
        self._saved = min(10.0, self._saved + RETRY_SHARE)

    def spend(self) -> bool:
        """Take a retry out of the budget, or say that there is none."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True


@dataclass(frozen=True, slots=True)
class Answer:
    """What a user gets. `arm` is the assigned one; `stood_in_for` is the fault that made the incumbent stand in."""

    images: tuple[bytes, ...]
    arm: Arm
    epoch: int
    stood_in_for: Fault | None = None


@dataclass(frozen=True, slots=True)
class _Turn:
    """A request with its draw."""

    route: Route
    ask: Ask
    arm: Arm
    ticket: Ticket
    started_s: float

    @property
    def waited_s(self) -> float:
        return time.monotonic() - self.started_s

    @property
    def left_s(self) -> float:
        return self.route.timeout_s - self.waited_s


class Router:
    """One a gateway replica, on its event loop."""

    def __init__(
        self, backend: Backend, recorder: Recorder, scoring: Scoring, usd_per_hour: Mapping[str, float]
    ) -> None:
        self._backend = backend
        self._recorder = recorder
        self._scoring = scoring
        self._usd_per_hour = usd_per_hour
        self.prices = digest_of(dict(usd_per_hour))
        """Which price book costs are computed from; the prices themselves are nobody's business out there."""
        self._breakers: dict[str, Breaker] = {}
        self._in_flight: dict[str, int] = {}
        self._retries = RetryBudget()
        self._mirroring: set[asyncio.Task[None]] = set()

    async def answer(self, route: Route, ask: Ask, request_id: str, user: str | None = None) -> Answer:
        """Return images; CallError when nobody could draw them, which is never the candidate's doing alone.

        `user`: whom a sticky split keeps on an arm; a request that names nobody is a user of its own.
        """
        turn = self._toss(route, ask, request_id, user)
        if turn.arm is Arm.CANDIDATE and route.split.mode is Mode.SHADOW:
            self._mirror(turn)
            turn = replace(turn, arm=Arm.INCUMBENT, ticket=self._recorder.aside())
        try:
            if turn.arm is Arm.CANDIDATE:
                return await self._by_candidate(turn)
            return await self._by_incumbent(turn)
        except asyncio.CancelledError:
            self._resolve_fault(turn, CallError(Fault.ABANDONED, "the client left"), CENSORED_S)
            raise

    def keep(self, names: frozenset[str]) -> None:
        """Forget what is known about applications that no route names any more."""
        self._breakers = {name: breaker for name, breaker in self._breakers.items() if name in names}
        self._in_flight = {name: calls for name, calls in self._in_flight.items() if calls or name in names}

    def in_flight(self) -> Mapping[str, int]:
        """Return the calls under way by application; callable from any thread."""
        return self._in_flight.copy()

    async def drain(self) -> None:
        """Wait until every mirrored call has ended."""
        await asyncio.gather(*self._mirroring, return_exceptions=True)

    def _toss(self, route: Route, ask: Ask, request_id: str, user: str | None) -> _Turn:
        now_s, split = time.monotonic(), route.split
        live = route.live(now_s)
        user = user if live and split.sticky else None
        arm = assign(split, user or request_id) if live else Arm.INCUMBENT
        if split.epoch == BOOT_EPOCH or (route.experiment and not live):
            ticket = self._recorder.aside()  # no coin was tossed where the split says one would be
        else:
            text = self._scoring.applies(ask.prompt)
            kind = request_class(len(ask.seeds), ask.width_px, ask.height_px, text=text)
            if user:
                vote = Vote(split.rollout or "", voter(split.salt, user), request_id)
                ticket = self._recorder.assign_user(split.lane, split.epoch, arm, kind, vote)
            else:
                ticket = self._recorder.assign(split.lane, split.epoch, arm, kind)
        return _Turn(route, ask, arm, ticket, now_s)

    async def _by_candidate(self, turn: _Turn) -> Answer:
        try:
            reply = await self._ask_candidate(turn)
        except CallError as error:
            if error.fault is Fault.REFUSED:
                self._resolve_fault(turn, error, turn.waited_s)
                raise
            return await self._stand_in(turn, error)
        self._resolve(turn, reply)
        return Answer(reply.images, turn.arm, turn.route.split.epoch)

    async def _stand_in(self, turn: _Turn, error: CallError) -> Answer:
        try:
            reply = await self._ask_incumbent(turn)
        except CallError:
            self._resolve_fault(turn, error, CENSORED_S)
            raise
        self._resolve_fault(turn, error, turn.waited_s)
        return Answer(reply.images, turn.arm, turn.route.split.epoch, stood_in_for=error.fault)

    async def _by_incumbent(self, turn: _Turn) -> Answer:
        try:
            reply = await self._ask_incumbent(turn)
        except CallError as error:
            self._resolve_fault(turn, error, turn.waited_s if error.fault is Fault.REFUSED else CENSORED_S)
            raise
        self._resolve(turn, reply)
        return Answer(reply.images, turn.arm, turn.route.split.epoch)

    def _mirror(self, turn: _Turn) -> None:
        if len(self._mirroring) >= MAX_MIRRORED:
            names = ("latency_s", *MEASURED, "failure", "refusal", *self._scored(turn))
            turn.ticket.resolve(Outcome(missing=dict.fromkeys(names, "mirror_full")))
            return
        # An empty context: the mirrored call must not end with the request that caused it.
        task = asyncio.get_running_loop().create_task(self._mirrored(turn), context=contextvars.Context())
        self._mirroring.add(task)
        task.add_done_callback(self._mirroring.discard)

    async def _mirrored(self, turn: _Turn) -> None:
        try:
            reply = await self._ask_candidate(turn)
        except CallError as error:
            self._resolve_fault(turn, error, turn.waited_s if error.fault is Fault.REFUSED else CENSORED_S)
        except asyncio.CancelledError:
            self._resolve_fault(turn, CallError(Fault.ABANDONED, "the gateway stops"), CENSORED_S)
            raise
        else:
            self._resolve(turn, reply)

    async def _ask_candidate(self, turn: _Turn) -> Reply:
        name = turn.route.split.candidate or ""
        breaker = self._breakers.setdefault(name, Breaker())
        if not breaker.admits(time.monotonic()):
            raise CallError(Fault.EJECTED, "the candidate failed a moment ago")
        try:
            reply = await self._call(name, turn.ask, CANDIDATE_PART * turn.route.timeout_s)
        except CallError as error:
            if error.fault is Fault.REFUSED:
                breaker.succeeded()
            else:
                breaker.failed(time.monotonic(), gone=error.fault in _GONE)
            raise
        except asyncio.CancelledError:
            breaker.gave_up()
            raise
        breaker.succeeded()
        return reply

    async def _ask_incumbent(self, turn: _Turn) -> Reply:
        self._retries.earn()
        name = turn.route.split.incumbent
        try:
            return await self._call(name, turn.ask, turn.left_s)
        except CallError as error:
            if error.fault not in _MAY_PASS or not self._retries.spend():
                raise
        return await self._call(name, turn.ask, turn.left_s)

    async def _call(self, name: str, ask: Ask, timeout_s: float) -> Reply:
        if timeout_s <= 0:
            raise CallError(Fault.DEADLINE, "no time is left")
        self._in_flight[name] = self._in_flight.get(name, 0) + 1
        try:
            reply = await self._backend.call(name, ask, timeout_s)
        finally:
            self._in_flight[name] -= 1
        problem = await inspect(reply.images, len(ask.seeds), ask.width_px, ask.height_px)
        if problem is not None:
            raise CallError(Fault.INVALID_IMAGE, problem, reply.usage)
        return reply

    def _resolve(self, turn: _Turn, reply: Reply) -> None:
        outcome = answered(
            reply.usage,
            latency_s=turn.waited_s,
            call_s=reply.call_s,
            images=len(turn.ask.seeds),
            usd_per_hour=self._price(turn),
        )
        scored = bool(self._scored(turn)) and not turn.ticket.leads_nowhere
        turn.ticket.resolve(outcome, score_follows=scored)
        if scored:
            self._scoring.submit(turn.ticket, turn.ask.prompt, reply.images)

    def _resolve_fault(self, turn: _Turn, error: CallError, latency_s: float) -> None:
        outcome = not_answered(
            error.fault,
            error.usage,
            latency_s=latency_s,
            images=len(turn.ask.seeds),
            usd_per_hour=self._price(turn),
        )
        unscored = dict.fromkeys(self._scored(turn), "no_answer")
        turn.ticket.resolve(replace(outcome, missing={**outcome.missing, **unscored}))

    def _scored(self, turn: _Turn) -> tuple[str, ...]:
        return (TEXT_ACCURACY,) if self._scoring.applies(turn.ask.prompt) else ()

    def _price(self, turn: _Turn) -> float | None:
        spec = turn.route.candidate if turn.arm is Arm.CANDIDATE else turn.route.incumbent
        return self._usd_per_hour.get(spec.resources.gpu) if spec else None
