"""An open-loop load generator: requests leave when they are due, however slow the answers are.

A closed loop slows down with the server and so hides its slowness; here arrivals are a Poisson process that depends
on nothing but rate and seed. What can't be sent because too many answers are awaited is counted, not delayed.
"""

import asyncio
import json
import math
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, TextIO

from controller.stats.bins import Axis, cell_of, value_of

ANSWER_TIMEOUT_S = 120.0
"""Beyond any lane's own deadline: giving up first would hide what the gateway does at the end of it."""
KEEP_ALIVE_S = 2.0
"""Shorter than any server's: a request on a connection that the server is closing would count as a failure."""
WORDS = ("OPEN", "SALE", "CAFE", "EXIT", "NEW", "FREE", "HELLO", "WORLD", "2026", "PIZZA")


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. `time_s` is when it was complete (Unix seconds); status 0 stands for no answer at all.

    `fallback` says why the incumbent answered in the candidate's place, None when the assigned arm did itself.
    """

    time_s: float
    status: int
    arm: str | None
    epoch: int | None
    latency_s: float
    fallback: str | None = None


@dataclass(slots=True)
class ArmStats:
    """What one arm's users saw, in bounded memory: latencies as cells of 1 % width."""

    answers: int = 0
    failures: int = 0
    cells: Counter[int] = field(default_factory=Counter)

    def add(self, response: Response) -> None:
        """Count an answer."""
        self.answers += 1
        self.failures += response.status != 200
        self.cells[cell_of(Axis.LOG, response.latency_s)] += 1

    def quantile_s(self, share: float) -> float | None:
        """Return the latency that `share` of the answers kept within, None without any."""
        rank, seen = math.ceil(share * self.cells.total()), 0
        for cell, count in sorted(self.cells.items()):
            seen += count
            if seen >= rank:
                return value_of(Axis.LOG, cell)
        return None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send: a rate in requests a second, at most `count` of them within `duration_s` (None: no end).

    `users`: each request names one of so many, drawn evenly; None: it names nobody.
    """

    url: str
    lane: str
    rate_per_s: float
    duration_s: float | None
    count: int | None
    seed: int
    max_in_flight: int = 64
    users: int | None = None


class Traffic:
    """One run. Its counters may be read from another thread while it goes on."""

    def __init__(
        self, plan: Plan, record: TextIO | None = None, heard: Callable[[Response], None] | None = None
    ) -> None:
        self.plan = plan
        self.arms: dict[str, ArmStats] = {}
        self.statuses: Counter[int] = Counter()
        self.sent = 0
        self.dropped = 0
        self.started_at_s = time.time()
        self._record = record
        self._heard = heard
        self._random = random.Random(plan.seed)  # noqa: S311  # a repeatable load, no secret
        self._prompts = prompts()

    async def run(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Send until the plan is done or `stop` says so, and wait for the answers that are under way."""
        import httpx

        limits = httpx.Limits(
            max_connections=self.plan.max_in_flight, max_keepalive_connections=self.plan.max_in_flight
        )
        async with (
            httpx.AsyncClient(limits=limits, timeout=ANSWER_TIMEOUT_S, trust_env=False) as client,
            asyncio.TaskGroup() as under_way,
        ):
            await self._send_all(client, under_way, stop)

    async def _send_all(self, client: Any, under_way: asyncio.TaskGroup, stop: Callable[[], bool]) -> None:
        plan, started_s, due_s = self.plan, time.monotonic(), 0.0
        in_flight: set[asyncio.Task[None]] = set()
        while plan.count is None or self.sent + self.dropped < plan.count:
            due_s += self._random.expovariate(plan.rate_per_s)
            if plan.duration_s is not None and due_s > plan.duration_s:
                return
            while (wait_s := started_s + due_s - time.monotonic()) > 0:
                if stop():
                    return
                await asyncio.sleep(min(wait_s, 0.2))
            # Drawn before the request may be dropped, so that the sequence of prompts depends on the seed alone.
            body = self._body()
            if len(in_flight) >= plan.max_in_flight:
                self.dropped += 1
                continue
            self.sent += 1
            task = under_way.create_task(self._ask(client, body))
            in_flight.add(task)
            task.add_done_callback(in_flight.discard)

    def _body(self) -> dict[str, Any]:
        body = {
            "model": self.plan.lane,
            "prompt": self._random.choice(self._prompts),
            "seed": self._random.randrange(2**31),
        }
        if self.plan.users is not None:
            body["user"] = f"user-{self._random.randrange(self.plan.users)}"
        return body

    async def _ask(self, client: Any, body: dict[str, Any]) -> None:
        import httpx

        started_s = time.monotonic()
        try:
            answer = await client.post(f"{self.plan.url}/v1/images/generations", json=body)
            status, headers = answer.status_code, answer.headers
        except httpx.HTTPError:
            status, headers = 0, {}
        epoch = headers.get("x-swapgate-epoch")
        self._count(
            Response(
                time_s=time.time(),
                status=status,
                arm=headers.get("x-swapgate-arm"),
                epoch=int(epoch) if epoch else None,
                latency_s=time.monotonic() - started_s,
                fallback=headers.get("x-swapgate-fallback"),
            )
        )

    def _count(self, response: Response) -> None:
        self.statuses[response.status] += 1
        self.arms.setdefault(response.arm or "no arm", ArmStats()).add(response)
        if self._record is not None:
            self._record.write(json.dumps(asdict(response)) + "\n")
        if self._heard is not None:
            self._heard(response)

    def summary(self) -> dict[str, Any]:
        """Return everything counted so far as plain JSON values; latencies in seconds."""
        failures = sum(count for status, count in self.statuses.items() if status != 200)
        return {
            "lane": self.plan.lane,
            "elapsed_s": round(time.time() - self.started_at_s, 3),
            "sent": self.sent,
            "answered": sum(self.statuses.values()),
            "failures": failures,
            "dropped": self.dropped,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "arms": {
                name: {
                    "answers": arm.answers,
                    "failures": arm.failures,
                    **{f"p{int(100 * share)}_s": _rounded(arm.quantile_s(share)) for share in (0.5, 0.95, 0.99)},
                }
                for name, arm in sorted(self.arms.items())
            },
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def prompts() -> list[str]:
    """Return what is asked for: words that the model in the box never saw in training, in readable colours."""
    try:
        from serving.tinydiff import vocabulary
    except ImportError:
        return [f'the word "{word}" in black on white' for word in WORDS]
    return [
        vocabulary.prompt(word, colour, background)
        for word in vocabulary.HELD_OUT_WORDS
        for colour, background in vocabulary.colour_pairs()
    ]
