"""One rollout as one page, for `show`, `watch` and the end of `propose --wait`."""

import io
import shutil
from collections.abc import Iterator
from typing import Any

from controller.cli.words import ago, percent

VERDICT_STYLE = {"pass": "green", "fail": "bold red", "inconclusive": "yellow", "no_evidence": "magenta"}
STATE_STYLE = {"promoted": "bold green", "reverted": "bold red", "rejected": "red", "held": "bold yellow"}
BEFORE_TRAFFIC = ("proposed", "preparing", "benching")
AFTER_STAGES = ("promoting", "baking", "promoted")
_PLAIN_WIDTH = 150


def as_text(view: dict[str, Any], *, colour: bool) -> str:
    """Return the page as text, with escape codes for colours when asked for."""
    from rich.console import Console

    width = shutil.get_terminal_size((_PLAIN_WIDTH, 40)).columns if colour else _PLAIN_WIDTH
    out = io.StringIO()
    Console(file=out, force_terminal=colour, width=width, highlight=False, no_color=not colour).print(render(view))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def render(view: dict[str, Any], remark: str | None = None) -> Any:
    """Return the page as a rich renderable; `remark` is a line of the watcher's own."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = [_header(view), _rail(view), Text(f"  {_shares(view)}     {_budget(view)}"), Text()]
    if view["criteria"]:
        parts += [_table(view), Text()]
    if declared := list(_declared(view)):
        parts += [*(Text(f"  {line}", style=style) for line, style in declared), Text()]
    parts += [Text(f"  {line}", style=style) for line, style in _closing(view)]
    if remark:
        parts.append(Text(f"  {remark}", style="bold magenta"))
    return Group(*parts)


def _header(view: dict[str, Any]) -> Any:
    from rich.text import Text

    incumbent = str(view["incumbent"]["spec"]["source"]).rstrip("/").rsplit("/", 1)[-1]
    text = Text()
    text.append(view["lane"], style="bold").append("   ")
    text.append(view["name"], style="bold cyan").append(f" {view['candidate']['digest'][:8]}")
    text.append("  against  ").append(incumbent, style="bold").append(f" {view['incumbent']['digest'][:8]}")
    text.append(f"     rollout {view['id']}, proposed by {view['proposed_by']} for {view['owner']}")
    return text


def _rail(view: dict[str, Any]) -> Any:
    """Return the way ahead: `+` passed, `>` here, `x` where it ended."""
    from rich.text import Text

    styles = {"+": "green", ">": "bold cyan", "x": "bold red", " ": "dim"}
    text = Text("  ")
    for mark, label in _steps(view):
        text.append(f"{mark} {label}   ", style=styles[mark])
    return text


def _steps(view: dict[str, Any]) -> Iterator[tuple[str, str]]:
    state = view["state"]
    before = BEFORE_TRAFFIC.index(state) if state in BEFORE_TRAFFIC else len(BEFORE_TRAFFIC)
    had_traffic = state != "rejected" and before == len(BEFORE_TRAFFIC)
    for index, name in enumerate(BEFORE_TRAFFIC):
        yield "+" if had_traffic or index < before else ">" if index == before else " ", name
    for index, stage in enumerate(view["stages"]):
        ended = state in {"reverting", "reverted", "superseded"} and index == view["stage"]
        mark = "x" if ended and had_traffic else ">" if stage["current"] else "+" if stage["passed"] else " "
        yield mark, stage["label"] + (" (approval)" if stage["approval"] else "")
    done = AFTER_STAGES.index(state) if state in AFTER_STAGES else -1
    for index, name in enumerate(("promote", "bake")):
        yield "+" if index < done else ">" if index == done else " ", name
    if state in {"held", "awaiting_approval", "reverting", "reverted", "rejected", "superseded", "promoted"}:
        mark = (
            "x" if state in {"reverting", "reverted", "rejected", "superseded"} else "+" if state == "promoted" else ">"
        )
        yield mark, str(state).replace("_", " ")


def _shares(view: dict[str, Any]) -> str:
    asked, total = view["observed"]["candidate"], sum(view["observed"].values())
    of = f"({asked:,} of {total:,}{' users' if view['policy']['assignment'] == 'sticky' else ''})"
    observed = f", {percent(view['share_observed'])} observed under it {of}" if total else ""
    return f"share {percent(view['share_wanted'])} wanted{observed}"


def _budget(view: dict[str, Any]) -> str:
    needed, harm = view["evidence"]["needed"], view["evidence"]["harm"]
    if needed is None:
        return "no evidence yet"
    return f"false-revert budget {percent(1 / needed)}, evidence of harm {number(harm)} of {number(needed)}"


def number(value: float) -> str:
    """Return an amount of evidence: `0.4`, `164`, `1e9`."""
    if value >= 1e6:
        return f"{value:.0e}".replace("e+", "e").replace("e0", "e")
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _table(view: dict[str, Any]) -> Any:
    from rich.table import Table
    from rich.text import Text

    heads = ("  criterion", "allowed", "incumbent", "candidate", "change, 95 % at any time", "harm", "safe", "verdict")
    table = Table(*heads, box=None, padding=(0, 2, 0, 0), header_style="bold")
    for item in view["criteria"]:
        role = "" if item["role"] == "guardrail" else f" ({item['role'].replace('_', ' ')})"
        table.add_row(
            f"  {item['title']}{role}",
            item["allowed"],
            item["incumbent"],
            item["candidate"],
            item["change"],
            f"{item['log10_harm']:+.1f}",
            f"{item['log10_safety']:+.1f}",
            Text(item["verdict"].replace("_", " "), style=VERDICT_STYLE.get(item["verdict"], "")),
        )
    return table


def _declared(view: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what people declared or let pass: who reads the page must know it."""
    for key, value in view["tradeoffs"].items():
        if value:
            said = ", ".join(map(str, value)) if isinstance(value, list) else value
            yield f"{key.replace('_', ' ')}: {said}", "dim"
    if view["overrides"]:
        yield f"overridden or waived: {', '.join(view['overrides'])}", "bold yellow"


def _closing(view: dict[str, Any]) -> Iterator[tuple[str, str]]:
    state = view["state"]
    yield f"{state.replace('_', ' ')} for {ago(view['entered_at_s'])}: {view['reason']}", STATE_STYLE.get(state, "")
    for key in ("untrusted", "environment"):
        if view["evidence"][key]:
            yield f"{key}: {view['evidence'][key]}", "bold yellow"
    if view["waiting"] and state != "held":
        yield view["waiting"], "yellow"
