"""Pieces of text that several verbs print the same way."""

import time
from collections.abc import Iterable, Sequence
from typing import Any


def columns(rows: Iterable[Sequence[str]], heads: Sequence[str]) -> str:
    """Return aligned columns under their heads."""
    table = [tuple(heads), *(tuple(row) for row in rows)]
    widths = [max(len(row[index]) for row in table) for index in range(len(heads))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)
    return "\n".join(lines)


def ago(then_s: float, now_s: float | None = None) -> str:
    """Return how long ago a time (Unix seconds) was: `12 s`, `5 min`, `3 h`, `2 d`."""
    return duration((time.time() if now_s is None else now_s) - then_s)


def duration(age_s: float) -> str:
    """Return a length of time as people say it."""
    age_s = max(0.0, age_s)
    for limit_s, unit_s, unit in ((100, 1, "s"), (6000, 60, "min"), (172_800, 3600, "h")):
        if age_s < limit_s:
            return f"{age_s / unit_s:.0f} {unit}"
    return f"{age_s / 86_400:.0f} d"


def percent(share: float | None) -> str:
    """Return a share as people write it, `-` for none."""
    return "-" if share is None else f"{100 * share:.3g} %"


def stage_text(view: dict[str, Any]) -> str:
    """Return where a rollout stands: its state, and its stage while it is observed."""
    words = str(view["state"]).replace("_", " ")
    if view["state"] in {"observing", "awaiting_approval", "held"} and "stages" in view:
        current = [stage["label"] for stage in view["stages"] if stage["current"]]
        words += f" at {current[0]}" if current else ""
    return words


def rollout_line(row: dict[str, Any]) -> str:
    """Return a rollout in one line: who it is, where it stands, why."""
    return f"{row['id']} {row['name']} on {row['lane']}: {stage_text(row)}: {row['reason']}"
