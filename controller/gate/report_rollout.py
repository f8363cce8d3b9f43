"""The report of a rollout: its outcome, the evidence with margins and bounds, who saw what, and its life."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from controller.core.policy import Criterion, Policy
from controller.gate import report_noise
from controller.gate.report_parts import (
    TONE_OF,
    Block,
    Cell,
    Facts,
    Figure,
    Folded,
    Note,
    Page,
    Section,
    Table,
    Tone,
    Words,
    code,
    verdict_cell,
)
from controller.gate.report_plot import margins
from controller.gate.report_words import (
    NONE,
    aside,
    command,
    compared,
    evidence,
    length,
    moment,
    percent,
    sentence,
    worst_first,
)

Json = Mapping[str, Any]
Log = Sequence[Json]
OUTCOMES = {
    "promoted": "The candidate was promoted",
    "reverted": "The candidate was reverted",
    "rejected": "The candidate was rejected before any traffic",
    "superseded": "The rollout was superseded",
    "held": "The rollout is held: no candidate traffic",
    "reverting": "The candidate is being reverted",
}


def rollout_page(view: Json, log: Log, bench: Json | None = None) -> Page:
    """Return the report of a rollout from its view, its audit entries in order, and its bench's result if any."""
    state = view["state"]
    return Page(
        title=f"Rollout {view['id']}: {view['name']} on lane {view['lane']}",
        verdict=OUTCOMES.get(state, f"Still open: {state.replace('_', ' ')}"),
        tone=TONE_OF.get(state, Tone.PLAIN),
        reason=view["reason"],
        lead=(
            ("candidate", code(f"{view['name']} {view['candidate']['digest'][:12]}")),
            ("incumbent", code(view["incumbent"]["digest"][:12])),
            ("owner", view["owner"]),
            ("proposed by", view["proposed_by"]),
            ("policy", f"{view['policy']['name']} {view['policy']['digest'][:12]}"),
        ),
        sections=tuple(section for section in _sections(view, log, bench) if section.blocks),
        footer=f"{view['id']}, {_head(log)}, swapgate {_versions(log).get('code', NONE)}",
    )


def bench_of(view: Json, log: Log) -> str | None:
    """Return the id of the rollout's bench, None when there was none."""
    named = view.get("bench")
    for value in (named, *(entry["detail"].get("bench") for entry in reversed(log))):
        found = value.get("id") if isinstance(value, Mapping) else value
        if found:
            return str(found)
    return None


def _sections(view: Json, log: Log, bench: Json | None) -> Iterator[Section]:
    yield Section("What stands in the way", tuple(_standing(view)), brief=True)
    yield Section("Criteria", tuple(_criteria(view, log)), brief=True)
    yield Section("Evidence and budget", (_budget(view),), brief=True)
    yield Section("Exposure", (_exposure(view),), brief=True)
    yield Section("Declared by people", tuple(_declared(view)), brief=True)
    yield Section("Life", (_life(log),), brief=False)
    yield Section(
        "Noise of the arms themselves", tuple(report_noise.blocks(view.get("noise"), _declared_criteria(log)))
    )
    yield Section("Offline gate", tuple(_bench(bench, log)))
    yield Section("What was compared", tuple(_compared(view, log)))


def _standing(view: Json) -> Iterator[Block]:
    for key in ("untrusted", "environment"):
        if view["evidence"][key]:
            yield Note(f"{key}: {view['evidence'][key]}", Tone.BAD)
    standing = [item for item in worst_first(view["criteria"]) if item["verdict"] != "pass"]
    for item in standing:
        yield Note(sentence(item), Tone.DOUBT if aside(item) else TONE_OF[item["verdict"]])
    if view["waiting"]:
        yield Note(view["waiting"], Tone.DOUBT)
    if not view["criteria"]:
        yield Note("No live evidence was read: there was no traffic to compare.", Tone.DOUBT)
    elif not standing:
        yield Note("Nothing: every criterion passed.", Tone.GOOD)


def _criteria(view: Json, log: Log) -> Iterator[Block]:
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
    declared = {criterion.title: criterion for criterion in _declared_criteria(log)}
    for item in view["criteria"]:
        bounds = item["bounds"]
        allowed, ratio = _margin(declared[item["title"]]) if item["title"] in declared else (None, False)
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


def _declared_criteria(log: Log) -> tuple[Criterion, ...]:
    """Return the criteria from the entry that opened the rollout."""
    for entry in log:
        if "policy" in entry["detail"]:
            return Policy.from_json(entry["detail"]["policy"]).criteria
    return ()


def _budget(view: Json) -> Block:
    found = view["evidence"]
    if found["needed"] is None:
        return Note("No evidence was read, so nothing of the false-revert budget was spent.", Tone.DOUBT)
    spent = math.log(max(found["harm"], 1.0)) / math.log(found["needed"])
    tone = Tone.BAD if found["harm"] >= found["needed"] else Tone.PLAIN
    rows: list[tuple[str, Words]] = [
        (
            "false-revert budget",
            f"{percent(1 / found['needed'])} of all harmless rollouts, over all criteria and looks",
        ),
        (
            "evidence of harm",
            Cell(
                f"{evidence(found['harm'])} of {evidence(found['needed'])} needed ({percent(spent)} of the way)", tone
            ),
        ),
        ("candidate images read at the last stage", f"{found['images']:,}"),
        ("sample ratio", _sample_ratio(found)),
    ]
    return Facts(tuple(rows))


def _sample_ratio(found: Json) -> Words:
    ratio = found.get("sample_ratio")
    if ratio is None:
        return Cell("not measured", Tone.DOUBT)
    of = f"evidence of a mismatch {evidence(ratio['evidence'])} of {evidence(ratio['needed'])} needed"
    if ratio["evidence"] >= ratio["needed"]:
        return Cell(f"assignment does not match the recorded share: {of}", Tone.BAD)
    return f"assignment matches the recorded share: {of}"


def _exposure(view: Json) -> Block:
    asked, total = view["requests"]["candidate"], sum(view["requests"].values())
    now, settled = view["observed"], view["settled_s"]
    return Facts(
        (
            ("images of the candidate that users saw", f"{view['seen']:,}"),
            ("requests assigned to the candidate", f"{asked:,} of {total:,} over all stages"),
            ("share wanted now", percent(view["share_wanted"])),
            (
                "share observed under the last split",
                f"{percent(view['share_observed'])} ({now['candidate']:,} of {sum(now.values()):,})",
            ),
            (
                "the last split took effect everywhere",
                NONE if settled is None else f"within {length(settled)}",
            ),
        )
    )


def _declared(view: Json) -> Iterator[Block]:
    rows: list[tuple[str, Words]] = [
        (key.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))
        for key, value in view["tradeoffs"].items()
        if value
    ]
    overrides = view.get("overrides") or ()
    rows.append(
        ("overridden or waived", Cell(", ".join(overrides), Tone.DOUBT) if overrides else "nothing"),
    )
    yield Facts(tuple(rows) if view["tradeoffs"] else (("trade-offs", "none declared"), *rows))


def _life(log: Log) -> Block:
    steps = [entry for entry in log if entry["to_state"]]
    nexts = [entry["at"] for entry in steps[1:]]
    rows = []
    for index, entry in enumerate(steps):
        lasted = length(_seconds(nexts[index]) - _seconds(entry["at"])) if index < len(nexts) else "since"
        state = entry["to_state"].replace("_", " ")
        stage = entry["detail"].get("split") or {}
        share = f", {percent(stage['share'])}" if stage.get("share") else ""
        rows.append(
            (
                moment(entry["at"]),
                Cell(state + share, TONE_OF.get(entry["to_state"], Tone.PLAIN)),
                lasted,
                f"{entry['actor']}: {entry['action'].replace('_', ' ')}",
                entry["reason"],
            )
        )
    return Table("Every step, from the audit log", ("time", "state", "for", "by", "why"), tuple(rows))


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


def _bench(bench: Json | None, log: Log) -> Iterator[Block]:
    if bench is None:
        told = [entry for entry in log if entry["action"] in {"bench_passed", "bench_failed"}]
        for entry in told[-1:]:
            yield Note(entry["reason"], Tone.GOOD if entry["action"] == "bench_passed" else Tone.BAD)
        if not told:
            yield Note("No bench was run.")
        return
    yield Facts(
        (
            ("verdict", verdict_cell(bench["verdict"])),
            ("reason", bench["reason"]),
            ("suite", f"{bench['suite']['name']} version {bench['suite']['version']}, {bench['suite']['digest'][:12]}"),
            ("its own report", code(command("gatectl", "report", bench["id"]))),
        )
    )


def _compared(view: Json, log: Log) -> Iterator[Block]:
    rows = compared(view["candidate"]["spec"], view["incumbent"]["spec"])
    if rows:
        yield Table("Where the two models differ", ("key", "incumbent", "candidate"), rows)
    else:
        yield Note("The two models do not differ: this is an A/A rollout.")
    yield Facts(
        (
            ("candidate", code(view["candidate"]["digest"])),
            ("incumbent", code(view["incumbent"]["digest"])),
            ("policy", code(view["policy"]["digest"])),
            *((f"version of {name}", code(version)) for name, version in sorted(_versions(log).items())),
            ("audit head", code(_head(log))),
            ("to check the audit log and recompute every decision", code("gatectl audit verify")),
        )
    )
    for title, arm in (("The candidate's spec", "candidate"), ("The incumbent's spec", "incumbent")):
        yield Folded(title, json.dumps(view[arm]["spec"], indent=2, ensure_ascii=False, sort_keys=True))


def _versions(log: Log) -> Mapping[str, str]:
    for entry in reversed(log):
        if entry["detail"].get("versions"):
            return dict(entry["detail"]["versions"])
    return {}


def _head(log: Log) -> str:
    return f"audit entry {log[-1]['seq']} {log[-1]['digest']}" if log else "no audit entry"
