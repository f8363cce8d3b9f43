"""The pairs that a person should look at first, and what to say of each."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from controller.gate.report_diff import difference
from controller.gate.report_parts import Cell, Pair, Side, Tone, Words, clip
from controller.gate.report_words import NONE, amount

Json = Mapping[str, Any]

SHOWN = 24
LONGEST_TEXT = 600
TITLES = {"incumbent": "Incumbent", "candidate": "Candidate"}


def worst(result: Json, count: int = SHOWN) -> tuple[Json, ...]:
    """Return the pairs in which the candidate does worst, the worst first.

    First those that it alone failed to draw, then by the largest loss of a score whose criterion failed, by the
    largest loss of any score, by the lowest score, by the latency ratio. Every prompt is shown once before any is
    shown again.
    """
    failed = {item["metric"] for item in result["criteria"] if item["verdict"] == "fail"}
    ranked = sorted(result["pairs"], key=lambda pair: _badness(pair, failed), reverse=True)
    first: dict[str, Json] = {}
    for pair in ranked:
        first.setdefault(pair["prompt_id"], pair)
    rest = [pair for pair in ranked if first[pair["prompt_id"]] is not pair]
    return (*first.values(), *rest)[:count]


def images_of(pairs: Sequence[Json]) -> tuple[str, ...]:
    """Return the digests of the pairs' images, each once, in order."""
    named = (pair[arm]["image"] for pair in pairs for arm in ("incumbent", "candidate"))
    return tuple(dict.fromkeys(digest for digest in named if digest))


def block(pair: Json, rank: int) -> Pair:
    """Return what to show of a pair."""
    expect = pair["expect"]
    return Pair(
        title=f"{rank}. {pair['prompt_id']}, seed {pair['seed']}, repeat {pair['repeat'] + 1} ({pair['category']})",
        prompt=clip(pair["prompt"], LONGEST_TEXT),
        asked=asked(expect),
        why=why(pair),
        sides=(_side("incumbent", pair["incumbent"], expect), _side("candidate", pair["candidate"], expect)),
    )


def why(pair: Json) -> str:
    """Return in half a sentence what is worst about a pair."""
    incumbent, candidate = pair["incumbent"], pair["candidate"]
    if candidate["fault"]:
        also = ", as did the incumbent" if incumbent["fault"] else ""
        return f"the candidate drew nothing ({candidate['fault']}){also}"
    losses = sorted(_losses(pair).items(), key=lambda item: -item[1])
    if losses and losses[0][1] > 0:
        name = losses[0][0]
        ours, theirs = _value(candidate, name), _value(incumbent, name)
        return f"{name.replace('_', ' ')} {amount(name, ours)} against {amount(name, theirs)}"
    ratio = _latency_ratio(pair)
    return f"no score is worse; latency {math.exp(ratio):.2f}x" if ratio else "no score is worse"


def asked(expect: Json) -> str:
    """Return what the picture had to show, as far as a program can check it."""
    parts = []
    if expect.get("text"):
        parts.append(f"the text “{clip(expect['text'], LONGEST_TEXT)}”")
    if expect.get("no_text"):
        parts.append("no text")
    for thing in expect.get("things") or ():
        kind = f"{thing.get('shape') or 'thing'}{'' if thing.get('count') == 1 else 's'}"
        parts.append(
            " ".join(str(word) for word in (thing.get("count"), thing.get("colour"), kind) if word is not None)
        )
    if expect.get("logo"):
        parts.append(f"the logo {expect['logo']}")
    return ", ".join(parts) or "nothing that a program can check"


def reading(shot: Json) -> str | None:
    """Return what OCR read, None when nothing was read for a score."""
    for name in ("text_accuracy", "no_text"):
        read = shot["scores"].get(name, {}).get("detail", {}).get("read")
        if read is not None:
            return str(read)
    return None


def _badness(pair: Json, failed: set[str]) -> tuple[float, ...]:
    losses = _losses(pair)
    lone_fault = bool(pair["candidate"]["fault"]) - bool(pair["incumbent"]["fault"])
    return (
        float(lone_fault),
        max((loss for name, loss in losses.items() if name in failed), default=0.0),
        max(losses.values(), default=0.0),
        -min((value for value in map(_number, pair["candidate"]["scores"].values()) if value is not None), default=1.0),
        _latency_ratio(pair),
    )


def _losses(pair: Json) -> dict[str, float]:
    """Return by how much the candidate's scores are below the incumbent's; what only one arm has is left out."""
    found = {}
    for name in pair["candidate"]["scores"]:
        ours, theirs = _value(pair["candidate"], name), _value(pair["incumbent"], name)
        if ours is not None and theirs is not None:
            found[name] = theirs - ours
    return found


def _value(shot: Json, metric: str) -> float | None:
    return _number(shot["scores"].get(metric, {}))


def _number(score: Json) -> float | None:
    value = score.get("value")
    return None if value is None else float(value)


def _latency_ratio(pair: Json) -> float:
    ours, theirs = pair["candidate"]["latency_s"], pair["incumbent"]["latency_s"]
    return math.log(ours / theirs) if ours and theirs else 0.0


def _side(arm: str, shot: Json, expect: Json) -> Side:
    read = reading(shot)
    fault = f"nothing was drawn: {shot['fault']}" if shot["fault"] else "nothing was drawn"
    message = f" ({clip(shot['message'], LONGEST_TEXT)})" if shot.get("message") else ""
    return Side(
        arm=TITLES[arm],
        digest=shot["image"],
        absent=fault + message,
        read=None if read is None else clip(read, LONGEST_TEXT),
        diff=difference(expect["text"], read) if expect.get("text") and read is not None else (),
        numbers=tuple(_numbers(shot)),
    )


def _numbers(shot: Json) -> Iterator[tuple[str, Words]]:
    for name, score in sorted(shot["scores"].items()):
        value = _number(score)
        if value is not None:
            yield name.replace("_", " "), amount(name, value)
        elif score.get("reason") != "not_applicable":
            yield (
                name.replace("_", " "),
                Cell(f"none: {(score.get('reason') or 'unknown').replace('_', ' ')}", Tone.DOUBT),
            )
    for name, title in (("latency_s", "latency"), ("queue_s", "queue time"), ("cost_usd", "cost")):
        if shot.get(name) is not None:
            yield title, amount(name, shot[name])
    yield "steps", str(shot.get("steps") or NONE)
