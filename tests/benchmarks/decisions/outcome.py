"""How a rollout ended."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """The end of a run.

    `outcome`: reverted, promoted, held (waits for a person) or undecided; `images`: candidate requests by then;
    `after_s`: since the start.
    """

    outcome: str
    images: int
    after_s: float
