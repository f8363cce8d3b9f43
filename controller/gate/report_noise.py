"""Whether the allowed changes respect the noise of the arms themselves.

Each arm runs on its own replicas, and a pool that is slow for hours is a real difference that no coin removes. With
`sigma` the standard deviation of the log difference of two pools of one model, as an A/A rollout measures it, a ratio
that is judged request by request needs log(max_ratio) >= 2 sigma (statistics reference P5).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from controller.core.policy import Criterion
from controller.gate.report_parts import Block, Cell, Note, Table, Tone, Words

Json = Mapping[str, Any]

_FOLLOW_LATENCY = frozenset({"service_s", "cost_usd"})
"""What replicas move as they move latency, for want of a measurement of its own."""


def blocks(noise: Json | None, criteria: Sequence[Criterion]) -> Iterator[Block]:
    """Yield what is known; `noise` as the view of a rollout has it, None when nobody measured it."""
    if noise is None:
        yield Note(
            "Not measured: it is unknown whether the allowed changes lie above what the replicas' own noise supports.",
            Tone.DOUBT,
        )
        return
    rows = tuple(row for item in criteria if (row := _row(item, noise)) is not None)
    if rows:
        heads = ("criterion", "allowed", "noise of the log difference", "smallest ratio that it supports", "respected")
        yield Table("Allowed changes against the measured noise of the replicas", heads, rows)
    else:
        yield Note("No criterion of this policy is a ratio that the replicas' noise moves.")
    yield Note(f"Measured from {noise['source']}.")
    if noise["another_incumbent"]:
        yield Note("Another model was the incumbent when it was measured.", Tone.DOUBT)


def _row(item: Criterion, noise: Json) -> tuple[Words, ...] | None:
    measured = noise["metrics"].get(item.metric) or (noise if item.metric in _FOLLOW_LATENCY else None)
    if item.max_ratio is None or measured is None:
        return None
    respected = Cell("no", Tone.BAD) if item.title in noise["too_tight"] else Cell("yes", Tone.GOOD)
    block_s = getattr(item, "block_s", None)
    return (
        item.title if block_s is None else f"{item.title}, by blocks of {block_s:g} s",
        f"<= {item.max_ratio:.2f}x",
        f"{measured['sigma']:.3f}, at most {measured['sigma_high']:.3f}",
        f"{measured['smallest_ratio']:.3f}x",
        respected,
    )
