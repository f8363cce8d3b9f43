"""The report of a bench: what failed, every number behind it, the worst pictures, and how to repeat it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from controller.gate import report_pairs
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
from controller.gate.report_plot import Curve, distribution, marks_of
from controller.gate.report_words import (
    LEVELS,
    NONE,
    amount,
    aside,
    bounded_change,
    command,
    compared,
    log10,
    moment,
    quantile,
    refusals,
    sentence,
    worst_first,
)

Json = Mapping[str, Any]
ARMS = ("incumbent", "candidate")
VERDICTS = {
    "pass": "The candidate passes the offline gate",
    "fail": "The candidate fails the offline gate",
    "inconclusive": "The offline gate is undecided, which is not a pass",
    "no_evidence": "The offline gate found no evidence, which is not a pass",
}
_TIMES = (("latency_s", "Latency"), ("service_s", "Service time"), ("queue_s", "Queue time"))


def bench_page(result: Json) -> Page:
    """Return the report of a result document (`controller/gate/result.py`)."""
    suite = result["suite"]
    return Page(
        title=f"Bench {result['id']}: {result['candidate']['name']} on lane {result['lane']}",
        verdict=VERDICTS[result["verdict"]],
        tone=TONE_OF[result["verdict"]],
        reason=result["reason"],
        lead=(
            ("candidate", code(f"{result['candidate']['name']} {result['candidate']['digest'][:12]}")),
            ("incumbent", code(result["incumbent"]["digest"][:12])),
            ("suite", f"{suite['name']} version {suite['version']}"),
            ("rollout", result["rollout"] or "none: a bench by itself"),
            ("measured", f"{moment(result['started_at'])} to {moment(result['finished_at'])}"),
            ("repeats", f"{result['repeats']}{', stopped early' if result['stopped_early'] else ''}"),
        ),
        sections=tuple(section for section in _sections(result) if section.blocks),
        footer=f"{result['id']}, suite {suite['digest'][:12]}, swapgate {result['versions'].get('code', NONE)}",
    )


def _sections(result: Json) -> Iterator[Section]:
    worst = report_pairs.worst(result)
    yield Section("What stands in the way", tuple(_standing(result)), brief=True)
    yield Section("Criteria", tuple(_criteria(result)), brief=True)
    yield Section("Latency", tuple(_latency(result)), brief=True)
    yield Section("Memory and cost", tuple(_resources(result)), brief=True)
    yield Section("Under load", tuple(_load(result)))
    yield Section("By category", tuple(_categories(result)))
    yield Section(
        f"Worst pairs: {len(worst)} of {len(result['pairs'])}",
        (
            Note(
                "The same prompt and seed on both arms. First what the candidate alone failed to draw, then the "
                "largest losses of scores whose criterion failed, then of any score."
            ),
            *(report_pairs.block(pair, rank) for rank, pair in enumerate(worst, start=1)),
        )
        if worst
        else (Note("No pair was drawn."),),
    )
    yield Section("What may differ between two runs", tuple(_tolerance(result)))
    yield Section("How to repeat it", tuple(_repeat(result)), brief=True)
    yield Section("What was compared", tuple(_compared(result)))


def _standing(result: Json) -> Iterator[Block]:
    standing = [item for item in worst_first(result["criteria"]) if item["verdict"] != "pass"]
    for item in standing:
        yield Note(sentence(item), Tone.DOUBT if aside(item) else TONE_OF[item["verdict"]])
    for arm in ARMS:
        if result["arms"][arm]["failures"]:
            failures, n = result["arms"][arm]["failures"], result["arms"][arm]["n"]
            yield Note(f"the {arm} failed to draw {failures} of {n} images", Tone.DOUBT)
    if not standing:
        yield Note("Nothing: every criterion passed.", Tone.GOOD)


def _criteria(result: Json) -> Iterator[Block]:
    rows = tuple(
        (
            item["title"] + aside(item),
            item["allowed"],
            amount(item["metric"], item["incumbent"]),
            amount(item["metric"], item["candidate"]),
            bounded_change(item),
            log10(item["log_harm"]),
            log10(item["log_safety"]),
            str(item["n"]),
            verdict_cell(item["verdict"]),
        )
        for item in worst_first(result["criteria"])
    )
    heads = (
        "criterion",
        "allowed",
        "incumbent",
        "candidate",
        "change, 95 % at any pair",
        "harm",
        "safety",
        "pairs",
        "verdict",
    )
    yield Table("Measured against the declared limits", heads, rows)
    yield Note(
        "Harm and safety are powers of ten of the evidence that the change is beyond what is allowed, or within it. "
        "They and the bounds of a change are valid at every look, so that stopping early costs nothing. Only a pass of "
        "every guardrail passes."
    )
    missing = tuple(
        (item["title"], reason.replace("_", " "), str(count))
        for item in result["criteria"]
        for reason, count in sorted(item["missing"].items())
    )
    if missing:
        yield Table("Values that are missing, which never count as good", ("criterion", "reason", "images"), missing)


def _latency(result: Json) -> Iterator[Block]:
    for metric, title in _TIMES:
        curves = [_curve(result, arm, metric) for arm in ARMS]
        svg = distribution(
            f"{title} of both arms",
            f"Empirical distributions of the {title.lower()} on a logarithmic axis; the tables below hold the numbers.",
            curves,
        )
        if svg:
            lost = (
                " A curve that ends below 100 % lost the rest to failures."
                if any(curve.lost for curve in curves)
                else ""
            )
            yield Figure(
                title,
                svg,
                f"{title}: share of images done within a time. Candidate solid, incumbent dashed; dots are p50, p95 "
                f"and p99, bars reach to their upper bounds.{lost}",
            )
    measured = [
        (f"{title.lower()}, {arm}", result["arms"][arm].get(metric) or {}) for metric, title in _TIMES for arm in ARMS
    ]
    yield from _quantiles("Quantiles with exact one-sided 95 % bounds", measured)


def _quantiles(caption: str, measured: Sequence[tuple[str, Json]]) -> Iterator[Block]:
    rows = tuple((of, *(quantile(quantiles.get(level)) for level in LEVELS)) for of, quantiles in measured)
    yield Table(caption, ("what", *LEVELS), rows)
    yield from (Note(refused, Tone.DOUBT) for refused in refusals(measured))


def _curve(result: Json, arm: str, metric: str) -> Curve:
    shots = [pair[arm] for pair in result["pairs"]]
    values = tuple(shot[metric] for shot in shots if not shot["fault"] and shot[metric] is not None)
    marks = marks_of(result["arms"][arm].get(metric) or {})
    return Curve(arm, arm, values, _lost(shots), marks)


def _lost(shots: Iterable[Json]) -> int:
    """Return how many drawings failed; what the content policy refused was neither fast nor slow."""
    return sum(1 for shot in shots if shot["fault"] not in {None, "refused"})


def _resources(result: Json) -> Iterator[Block]:
    arms = [result["arms"][arm] for arm in ARMS]
    rows: list[tuple[Words, ...]] = [
        ("images drawn", *(str(arm["n"]) for arm in arms)),
        ("failures", *(_failures(arm) for arm in arms)),
        ("cost per image, mean", *(amount("cost_usd", arm["cost_usd_mean"]) for arm in arms)),
        ("memory, peak", *(amount("memory_gib", arm["memory_gib_max"]) for arm in arms)),
        ("memory is", *(arm["memory_source"] or NONE for arm in arms)),
        ("steps", *(str(arm["steps"] or NONE) for arm in arms)),
    ]
    yield Table("What an image takes", ("what", *ARMS), tuple(rows))


def _failures(arm: Json) -> Words:
    return Cell(str(arm["failures"]), Tone.BAD if arm["failures"] else Tone.PLAIN)


def _load(result: Json) -> Iterator[Block]:
    if not result["load"]:
        return
    rows = tuple(
        (
            _load_title(item),
            str(item["n"]),
            _failures(item),
            f"{item['images_per_s']:.3g}" if item["images_per_s"] is not None else NONE,
        )
        for item in result["load"]
    )
    yield Table("Drawn under load, reported and not judged", ("load", "images", "failures", "images/s"), rows)
    yield from _quantiles("Latency under load", [(_load_title(item), item) for item in result["load"]])


def _load_title(item: Json) -> str:
    level = str(item["level"])
    words = {"c": "{} at a time", "r": "{} a second"}.get(level[:1], level).format(level[1:])
    return f"{words}, {item['arm']}"


def _categories(result: Json) -> Iterator[Block]:
    rows = tuple(
        (
            item["category"].replace("_", " "),
            item["metric"].replace("_", " "),
            amount(item["metric"], item["incumbent"]),
            amount(item["metric"], item["candidate"]),
            str(item["n"]),
        )
        for item in result["categories"]
    )
    if rows:
        yield Table("Mean scores", ("category", "score", *ARMS, "pairs"), rows)


def _tolerance(result: Json) -> Iterator[Block]:
    rows = []
    for arm in ARMS:
        values = [item["value"] for item in result["again"] if item["arm"] == arm and item["value"] is not None]
        asked_again = sum(1 for item in result["again"] if item["arm"] == arm)
        rows.append(
            (
                arm,
                f"{len(values)} of {asked_again}",
                str(sum(1 for value in values if value >= 1.0)),
                f"{1 - min(values):.4f}" if values else Cell("not measured", Tone.DOUBT),
            )
        )
    heads = ("arm", "drawn twice", "of these identical", "largest difference of a pixel, of 1")
    yield Table("The same prompt and seed, drawn a second time", heads, tuple(rows))
    yield Note(
        "On the same machine, with the same digests and versions, images and scores of another run lie within this "
        "difference. Other hardware, another number of replicas or other versions of the libraries may round "
        "differently and draw other pixels. Latency, queue time and what is derived from it (cost, images per "
        "second), and the memory of a shared machine differ from run to run; the order of the shots does not."
    )


def _repeat(result: Json) -> Iterator[Block]:
    gate, name = result["gate"], result["candidate"]["name"]
    repeats = str(max(1, result["repeats"]))
    words = ["gatectl", "bench", f"{name}.yaml", "--suite", result["suite"]["name"], "--repeats", repeats]
    if gate.get("concurrency") and list(gate["concurrency"]) != [1]:
        words += ["--concurrency", ",".join(str(level) for level in gate["concurrency"])]
    if gate.get("rate_per_s"):
        words += ["--rate", f"{gate['rate_per_s']:g}"]
    yield Facts(
        (
            ("command", code(command(*words))),
            ("candidate file", f"the manifest whose model has the digest {result['candidate']['digest']}"),
            ("suite digest", code(result["suite"]["digest"])),
        )
    )


def _compared(result: Json) -> Iterator[Block]:
    candidate, incumbent = result["candidate"], result["incumbent"]
    rows = compared(candidate["spec"], incumbent["spec"])
    if rows:
        yield Table("Where the two models differ", ("key", *ARMS), rows)
    else:
        yield Note("The two models do not differ: this is an A/A bench.")
    yield Facts(
        (
            ("candidate", code(candidate["digest"])),
            ("incumbent", code(incumbent["digest"])),
            *((f"version of {name}", code(version)) for name, version in sorted(result["versions"].items())),
            *((f"machine, {name}", code(value)) for name, value in sorted(result["machine"].items())),
        )
    )
    for title, value in (
        ("The candidate's spec", candidate["spec"]),
        ("The incumbent's spec", incumbent["spec"]),
        ("The gate as declared", result["gate"]),
    ):
        yield Folded(title, json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True))
