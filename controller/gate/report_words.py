"""Numbers of a report as people read them; what has no value says so, and why."""

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from controller.gate.report_parts import Cell, Tone, Words, code

Json = Mapping[str, Any]
NONE = "-"
LEVELS = ("p50", "p95", "p99")


def amount(metric: str, value: float | str | None) -> str:
    """Return a value in the metric's unit, which its name ends with; text is left as it is."""
    if value is None or isinstance(value, str):
        return value or NONE
    if metric.endswith("_s"):
        return f"{value:.3g} s"
    if metric.endswith("_usd"):
        return f"${value:.3g}"
    if metric.endswith("_gib"):
        return f"{value:.3g} GiB"
    if metric in {"failure", "refusal"}:
        return f"{100 * value:.2f} %"
    return f"{value:.3f}"


def change(value: float | str | None, allowed: str) -> str:
    """Return a change in the form of what is allowed of it: a ratio, percentage points or a difference."""
    if value is None or isinstance(value, str):
        return value or NONE
    if allowed.endswith("x"):
        return f"{value:.2f}x"
    return f"{100 * value:+.2f} pp" if allowed.endswith("pp") else f"{value:+.3f}"


def bounded_change(item: Json) -> str:
    """Return a criterion's change with its bounds, as far as there are any."""
    value, low, high = (change(item.get(name), item["allowed"]) for name in ("change", "change_low", "change_high"))
    return value if low == high == NONE else f"{value} [{low}, {high}]"


def log10(log_e: float | None) -> str:
    """Return an amount of evidence, given as a natural logarithm, as a power of ten."""
    return NONE if log_e is None else f"{log_e / math.log(10):+.1f}"


def quantile(value: Json | None) -> Words:
    """Return a quantile with its upper bound, or that it can't be stated; `refusals` says why."""
    if value is None or value.get("value") is None:
        return Cell("not stated", Tone.DOUBT)
    upper = value.get("upper")
    return f"{value['value']:.3g} s" + ("" if upper is None else f", at most {upper:.3g} s")


def refusals(measured: Iterable[tuple[str, Json]]) -> Iterator[str]:
    """Yield why quantiles are not stated, or stated without a bound; `measured`: of what, its quantiles by level."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for of, quantiles in measured:
        for level in LEVELS:
            value = quantiles.get(level) or {}
            reason = (value.get("reason") or "it was not measured").removeprefix("no upper bound: ")
            if value.get("value") is None:
                found.setdefault((level, "is not stated", reason), []).append(of)
            elif value.get("upper") is None:
                found.setdefault((level, "has no upper bound", reason), []).append(of)
    for (level, what, reason), of_all in found.items():
        yield f"{level} {what}: {reason} ({'; '.join(of_all)})"


def evidence(value: float) -> str:
    """Return an amount of evidence: `0.4`, `164`, `1e9`."""
    if value >= 1e6:
        return f"1e{math.log10(value):.0f}"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def percent(share: float | None) -> str:
    """Return a share as people write it."""
    return NONE if share is None else f"{100 * share:.3g} %"


def length(seconds: float) -> str:
    """Return a length of time."""
    for limit_s, unit_s, unit in ((100, 1, "s"), (6000, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit_s:
            return f"{seconds / unit_s:.3g} {unit}"
    return f"{seconds / 86_400:.3g} d"


def aside(item: Json) -> str:
    """Return what stands behind the title of a criterion that decides nothing."""
    return "" if item["role"] == "guardrail" else f" ({item['role'].replace('_', ' ')})"


def sentence(item: Json) -> str:
    """Return a criterion's verdict and reason; most reasons begin with the criterion's title."""
    verdict, reason = item["verdict"].replace("_", " "), item["reason"]
    told = reason if reason.startswith(item["title"]) else f"{item['title']}: {reason}"
    return f"{verdict}{aside(item)}: {told}"


def worst_first(criteria: Iterable[Json]) -> list[Json]:
    """Return criteria in the order in which they are read: what failed at the top, what decides before the rest."""
    order = ("fail", "no_evidence", "inconclusive", "pass")
    return sorted(criteria, key=lambda item: (item["role"] != "guardrail", order.index(item["verdict"])))


def moment(at: str | None) -> str:
    """Return an ISO 8601 UTC time to the second."""
    return NONE if not at else at[:19].replace("T", " ") + " UTC"


def compared(candidate: Json, incumbent: Json) -> tuple[tuple[Words, ...], ...]:
    """Return the rows of everything in which two model specs differ."""
    ours, theirs = dict(_flat(candidate)), dict(_flat(incumbent))
    return tuple(
        (code(key), code(theirs.get(key, NONE)), code(ours.get(key, NONE)))
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
    )


def _flat(value: Json, prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(item)


def command(*words: str) -> str:
    """Return a command line that can be pasted into a shell, whatever is in its words."""
    return shlex.join(words)
