"""What a bench draws and in which order: a pure function of the suite, the policy and the lane.

Warm-up comes first and never counts. A repeat draws every prompt once on both arms with one seed, pair by pair; the
order is shuffled anew for each repeat by a hash, and which arm draws first alternates along it. Shots that repeat a
drawing follow at the end of their repeat. Loads come last and are reported, not judged.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from controller.core.policy import Gate, Policy
from controller.core.spec import Digest
from controller.core.suite import Prompt, Suite
from controller.errors import UserError
from controller.gate.applies import STABILITY_REPEATS, refusals
from controller.stats.tally import Arm

WARM_UP_SHOTS = 3
"""An arm; loading, compiling and first allocations fall into them."""
LOAD_SHOTS = 60
"""An arm and level: 59 images are the fewest of which a p95 can be bounded with 95 % confidence."""
AGAIN_EVERY = 8
"""Of the first repeat's pairs each n-th is drawn again for the report when no guardrail asks for reproducibility."""


class ShotPhase(StrEnum):
    """What a shot is for: nothing but warming up, the comparison, the same seed once more, or a load."""

    WARM_UP = "warm_up"
    PAIR = "pair"
    AGAIN = "again"
    LOAD = "load"


@dataclass(frozen=True, slots=True)
class Shot:
    """One drawing that is due. `key` names it in its bench for ever.

    `level` names the load (`c4`: four at a time, `r2.5`: 2.5 a second) and is "" elsewhere; `at_s`: when it is
    asked for, in seconds after its level began on its arm, 0 unless a rate says so. `partner`: key of the shot whose
    image this one's is compared with, once both are there: the other arm's (`likeness`, on the later shot of a pair)
    or the first drawing (`reproducibility`, on `again`). `spread`: keys of the earlier shots whose images make up a
    block of `stability` together with this one's.
    """

    key: str
    phase: ShotPhase
    prompt_id: str
    seed: int
    repeat: int
    arm: Arm
    level: str = ""
    at_s: float = 0.0
    partner: str | None = None
    spread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a bench may draw; `digest` is the suite's, `prompts` are those of the lane, by id."""

    suite: Suite
    digest: Digest
    policy: Policy
    gate: Gate
    lane: str
    prompts: dict[str, Prompt] = field(repr=False)

    def shots(self) -> Iterator[Shot]:
        """Yield warm-up and repeats in the order in which they are drawn and judged."""
        yield from self.warm_up()
        for repeat in range(self.gate.max_repeats):
            yield from self.repeat(repeat)

    def warm_up(self) -> tuple[Shot, ...]:
        """Return the shots that nobody counts."""
        prompts = self._order("warm-up")[:WARM_UP_SHOTS]
        return tuple(
            Shot(f"warm/{arm}/{index}", ShotPhase.WARM_UP, prompt.id, prompt.seed(0), 0, arm)
            for arm in Arm
            for index, prompt in enumerate(prompts)
        )

    def repeat(self, repeat: int) -> tuple[Shot, ...]:
        """Return the pairs of a repeat, counted from 0, and after them what is drawn once more."""
        order = self._order(f"repeat {repeat}")
        first = hash_of(self.digest, f"first {repeat}") & 1
        pairs = [shot for index, prompt in enumerate(order) for shot in _pair(prompt, repeat, (first + index) % 2)]
        return (*pairs, *self._again(repeat, order))

    def size(self, repeat: int) -> int:
        """Return how many shots a repeat has."""
        return 2 * (len(self.prompts) + len(self._drawn_again(repeat, list(self.prompts.values()))))

    def load(self) -> tuple[Shot, ...]:
        """Return the shots of every level, one arm after the other within each."""
        levels = [f"c{n}" for n in self.gate.concurrency if n > 1]
        rate_per_s = self.gate.rate_per_s
        closed = [shot for level in levels for shot in self._level(level, [0.0] * LOAD_SHOTS)]
        if rate_per_s is None:
            return tuple(closed)
        level = f"r{rate_per_s:g}"
        return (*closed, *self._level(level, _arrivals_s(self.digest, level, rate_per_s)))

    def _drawn_again(self, repeat: int, order: list[Prompt]) -> list[Prompt]:
        if any(item.metric == "reproducibility" and item.role == "guardrail" for item in self.gate.criteria):
            return order
        return order[::AGAIN_EVERY] if repeat == 0 else []

    def _again(self, repeat: int, order: list[Prompt]) -> list[Shot]:
        return [
            Shot(
                f"again/{repeat}/{prompt.id}/{arm}",
                ShotPhase.AGAIN,
                prompt.id,
                prompt.seed(repeat),
                repeat,
                arm,
                partner=pair_key(repeat, prompt.id, arm),
            )
            for prompt in self._drawn_again(repeat, order)
            for arm in Arm
        ]

    def _level(self, level: str, at_s: list[float]) -> Iterator[Shot]:
        order = self._order("load")
        for arm in Arm:
            for index, due_s in enumerate(at_s):
                lap, place = divmod(index, len(order))
                prompt = order[place]
                key = f"load/{level}/{arm}/{index:03d}"
                yield Shot(key, ShotPhase.LOAD, prompt.id, prompt.seed(lap), lap, arm, level, due_s)

    def _order(self, purpose: str) -> list[Prompt]:
        return sorted(self.prompts.values(), key=lambda prompt: hash_of(self.digest, f"{purpose} {prompt.id}"))


def plan(suite: Suite, policy: Policy, lane: str) -> Plan:
    """Return what a bench of the policy's gate draws; UserError listing why it could not judge what it must."""
    problems = refusals(suite, policy, lane)
    if problems or policy.gate is None:
        raise UserError("\n".join(problems))
    return Plan(suite, suite.digest, policy, policy.gate, lane, {prompt.id: prompt for prompt in suite.for_lane(lane)})


def pair_key(repeat: int, prompt_id: str, arm: Arm) -> str:
    """Return the key of a pair's shot."""
    return f"pair/{repeat}/{prompt_id}/{arm}"


def hash_of(digest: str, purpose: str) -> int:
    """Return 64 bits that depend on a suite and on what they are for, on nothing else."""
    return int.from_bytes(hashlib.blake2b(f"{digest} {purpose}".encode(), digest_size=8).digest(), "big")


def _pair(prompt: Prompt, repeat: int, candidate_first: int) -> list[Shot]:
    arms = (Arm.CANDIDATE, Arm.INCUMBENT) if candidate_first else (Arm.INCUMBENT, Arm.CANDIDATE)
    closes_block = repeat % STABILITY_REPEATS == STABILITY_REPEATS - 1
    block = range(repeat - STABILITY_REPEATS + 1, repeat) if closes_block else ()
    return [
        Shot(
            pair_key(repeat, prompt.id, arm),
            ShotPhase.PAIR,
            prompt.id,
            prompt.seed(repeat),
            repeat,
            arm,
            partner=pair_key(repeat, prompt.id, arms[0]) if arm is arms[1] else None,
            spread=tuple(pair_key(earlier, prompt.id, arm) for earlier in block),
        )
        for arm in arms
    ]


def _arrivals_s(digest: str, level: str, rate_per_s: float) -> list[float]:
    """Return a Poisson process of LOAD_SHOTS arrivals, the same for both arms and in every run."""
    arrivals, now_s = [], 0.0
    for index in range(LOAD_SHOTS):
        uniform = (hash_of(digest, f"{level} {index}") + 0.5) / 2**64
        now_s -= math.log(uniform) / rate_per_s
        arrivals.append(now_s)
    return arrivals
