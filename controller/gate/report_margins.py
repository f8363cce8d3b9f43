"""The criteria of a rollout against their margins: estimates, bounds valid at any time, evidence of harm and safety."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from controller.core.policy import Criterion, Policy
from controller.gate.report_parts import Block, Figure, Note, Table, verdict_cell
from controller.gate.report_plot import margins
from controller.gate.report_words import aside, worst_first

Json = Mapping[str, Any]
Log = Sequence[Json]


def blocks(view: Json, log: Log) -> Iterator[Block]:
    """Yield what was measured on live traffic; nothing when nothing was read."""
    if not view["criteria"]:
        return
    rows = tuple(
        (
            item["title"] + aside(item),
            item["allowed"],
            item["incumbent"],
            item["candidate"],
            item["change"],
            f"{item['log10_harm']:+.1f}",
            f"{item['log10_safety']:+.1f}",
            f"{item['n_incumbent']:,} and {item['n_candidate']:,}",
            verdict_cell(item["verdict"]),
        )
        for item in worst_first(view["criteria"])
    )
    heads = (
        *("criterion", "allowed", "incumbent", "candidate", "change, 95 % at any time"),
        *("harm", "safety", "images", "verdict"),
    )
    yield Table("Measured on live traffic against the declared margins", heads, rows)
    svg = margins(
        "How much of its margin each criterion uses",
        "Each criterion's estimated change with its 95 % bounds; the table above holds the numbers.",
        list(_margin_rows(view, log)),
    )
    if svg:
        yield Figure(
            "Margins",
            svg,
            "Each change with its bounds, valid at all times at once, in units of its own margin: a bar wholly left "
            "of “allowed” is within it, a bar wholly right of it is beyond. Bars end where the drawing ends.",
        )
    yield Note(
        "Harm and safety are powers of ten of the evidence that the change is beyond its margin, or within it; the "
        "bounds hold at every look together, so looking often costs nothing."
    )


def _margin_rows(view: Json, log: Log) -> Iterator[tuple[str, float, float, float, float]]:
    """Yield (title, change, low, high, allowed) with 0 as no change and an unbounded end far outside."""
    by_title = {criterion.title: criterion for criterion in declared(log)}
    for item in view["criteria"]:
        bounds = item["bounds"]
        allowed, ratio = _margin(by_title[item["title"]]) if item["title"] in by_title else (None, False)
        value = bounds["change"]
        if not allowed or value is None or (ratio and min(value, bounds["low"] or value) <= 0):
            continue
        far = 100 * abs(allowed)
        low, high = (bounds[end] for end in ("low", "high"))
        ends = [
            fallback if end is None else math.log(end) if ratio else end for end, fallback in ((low, -far), (high, far))
        ]
        yield item["title"], math.log(value) if ratio else value, *ends, allowed


def _margin(criterion: Criterion) -> tuple[float | None, bool]:
    """Return the allowed change in the unit of the change, or its logarithm, and which of them; None for limits."""
    if criterion.max_ratio is not None:
        return (math.log(criterion.max_ratio) if criterion.max_ratio > 1 else None), True
    if criterion.max_increase is not None:
        return criterion.max_increase, False
    return (None if criterion.max_drop is None else -criterion.max_drop), False


def declared(log: Log) -> tuple[Criterion, ...]:
    """Return the criteria from the entry that opened the rollout."""
    for entry in log:
        if "policy" in entry["detail"]:
            return Policy.from_json(entry["detail"]["policy"]).criteria
    return ()
