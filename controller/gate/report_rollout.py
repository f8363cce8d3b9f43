"""The report of a rollout: its outcome, the evidence with margins and bounds, who saw what, and its life."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from controller.gate import report_margins, report_noise
from controller.gate.report_parts import (
    TONE_OF,
    Block,
    Cell,
    Facts,
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


def rollout_page(view: Json, log: Log) -> Page:
    """Return the report of a rollout from its view and its audit entries in order."""
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
        sections=tuple(section for section in _sections(view, log) if section.blocks),
        footer=f"{view['id']}, {_head(log)}, swapgate {_versions(log).get('code', NONE)}",
    )


def bench_of(log: Log) -> Json | None:
    """Return {"id", "verdict", "reason"} of the rollout's bench from its audit entries; None when there was none."""
    for entry in reversed(log):
        found = entry["detail"].get("bench")
        if isinstance(found, Mapping):
            return found
        if found is not None:
            return {"id": found, "verdict": entry["detail"].get("verdict"), "reason": entry["reason"]}
    return None


def _sections(view: Json, log: Log) -> Iterator[Section]:
    yield Section("What stands in the way", tuple(_standing(view)), brief=True)
    yield Section("Criteria", tuple(report_margins.blocks(view, log)), brief=True)
    yield Section("Evidence and budget", (_budget(view),), brief=True)
    yield Section("Exposure", (_exposure(view),), brief=True)
    yield Section("Declared by people", tuple(_declared(view)), brief=True)
    yield Section("Life", (_life(log),), brief=False)
    yield Section(
        "Noise of the arms themselves", tuple(report_noise.blocks(view.get("noise"), report_margins.declared(log)))
    )
    yield Section("Offline gate", tuple(_bench(log)), brief=bench_of(log) is not None)
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


def _budget(view: Json) -> Block:
    found = view["evidence"]
    if found["needed"] is None:
        return Note("No evidence was read, so nothing of the false-revert budget was spent.", Tone.DOUBT)
    spent = math.log(max(found["harm"], 1.0)) / math.log(found["needed"])
    way = "all of it is spent" if spent >= 1 else f"{percent(spent)} of the way, in powers of ten"
    rows: list[tuple[str, Words]] = [
        (
            "false-revert budget",
            f"{percent(1 / found['needed'])} of all harmless rollouts, over all criteria and looks",
        ),
        (
            "evidence of harm",
            Cell(
                f"{evidence(found['harm'])} of {evidence(found['needed'])} needed: {way}",
                Tone.BAD if spent >= 1 else Tone.PLAIN,
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
    what = "users" if view["policy"]["assignment"] == "sticky" else "requests"
    return Facts(
        (
            ("images of the candidate that users saw", f"{view['seen']:,}"),
            (f"{what} assigned to the candidate", f"{asked:,} of {total:,} over all stages"),
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
        lasted = length(_seconds(nexts[index]) - _seconds(entry["at"])) if index < len(nexts) else NONE
        state, split = entry["to_state"].replace("_", " "), entry["detail"].get("split")
        # After the flip the share of a split is what the old model keeps.
        share = f", {percent(split['share'])}" if split and split["share"] and not split["flipped"] else ""
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


def _bench(log: Log) -> Iterator[Block]:
    bench = bench_of(log)
    if bench is None:
        yield Note("No bench was run: the policy declares no offline gate, or the rollout ended before.")
        return
    overridden = any(entry["action"] == "bench_passed" for entry in log) and bench["verdict"] != "pass"
    yield Facts(
        (
            ("verdict", verdict_cell(bench["verdict"]) if bench["verdict"] else "not over"),
            ("reason", bench["reason"]),
            *((("overridden", Cell("yes: the rollout went on all the same", Tone.DOUBT)),) if overridden else ()),
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
