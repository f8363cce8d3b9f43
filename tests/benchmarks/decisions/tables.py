"""The tables and plots of `docs/decisions`, and the two sections of `docs/decisions.md` that they fill."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from controller.stats import binomial
from controller.stats.columns import Ints
from tests.benchmarks.decisions import efficiency, head, svg
from tests.benchmarks.decisions.book import Book
from tests.benchmarks.decisions.outcome import Call
from tests.benchmarks.decisions.worlds import COURSES, STEADY, Setting

DOCS = Path(__file__).parents[3] / "docs"
FLOOR_TITLE, HEAD_TITLE = "Against the information floor", "Head to head"
SHOWN_RATE = 60
FAULT_TEXT = {
    "1.1x": "1.1x slower",
    "1.25x": "1.25x slower",
    "1.5x": "1.5x slower",
    "3.5x": "3.5x, the swap",
    "tail2x": "twice the tail",
    "errors": "failures .1 to 1 %",
    "cost": "1.25x dearer",
    "text": "text .95 to .90",
}


def write(book: Book, docs: Path = DOCS) -> None:
    """Write every table and plot that the book has numbers for."""
    folder = docs / "decisions"
    folder.mkdir(exist_ok=True)
    floor_table = "\n".join(floor_rows(book))
    page = docs / "decisions.md"
    text = page.read_text(encoding="utf-8")
    text = with_section(text, FLOOR_TITLE, FLOOR_TEXT.format(table=floor_table))
    worlds = head.settings()
    said = {
        "same": same_table(book),
        "faults": fault_table(book, SHOWN_RATE),
        "same_runs": _runs(book, [world for world in worlds if world.fault == "same"]),
        "fault_runs": _runs(book, [world for world in worlds if world.fault != "same"]),
    }
    text = with_section(text, HEAD_TITLE, HEAD_TEXT.format(**said))
    page.write_text(text, encoding="utf-8")
    whole = [f"# Head to head, every rate\n\n{WHOLE_TEXT}\n\n## An identical candidate\n\n{same_table(book)}"]
    whole += [f"## {_rate_text(rate)}\n\n{fault_table(book, rate)}" for rate in head.PER_MINUTE]
    (folder / "head-to-head.md").write_text("\n\n".join(whole) + "\n", encoding="utf-8")
    for name, chart in charts(book):
        (folder / f"{name}.svg").write_text(chart, encoding="utf-8")


def with_section(text: str, title: str, body: str) -> str:
    """Return a page with the section of that title replaced, or added before the last one."""
    section = f"## {title}\n\n{body.strip()}\n\n"
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found:
        return text[: found.start()] + section + text[found.end() :]
    last = text.rfind("\n## ") + 1
    return text[:last] + section + text[last:]


def floor_rows(book: Book) -> Iterator[str]:
    """Yield the table of our tests against the floor."""
    yield "| test | share | runs | candidate images: mean, p99 | floor | mean / floor | goal | met |"
    yield "|---|---|---|---|---|---|---|---|"
    for cell in efficiency.cells():
        calls = [call for (call,) in book.calls(cell.key)]
        if not calls:
            continue
        images = np.array([call.images for call in calls])
        mean, error = float(images.mean()), float(images.std() / np.sqrt(len(images)))
        goal = f"{cell.most_ratio}" if cell.most_ratio else f"{cell.most_images:g} images"
        met = _met(mean, error, cell.goal() or 0.0)
        measured = f"{len(calls)} | {mean:,.1f}, {_p99(images):,.0f} | {cell.floor:,.1f}"
        ratio = f"{mean / cell.floor:.2f} ± {error / cell.floor:.2f}"
        yield f"| {cell.name} | {100 * cell.share:g} % | {measured} | {ratio} | {goal} | {met} |"


def _met(mean: float, error: float, goal: float) -> str:
    """Say whether a goal is met, as far as two standard errors can tell."""
    if abs(mean - goal) < 2.0 * error:
        return "within error" if mean <= goal else "within error, above"
    return "yes" if mean <= goal else "no"


def same_table(book: Book) -> str:
    """Return how often each rule reverts an identical candidate: steady / under drift / over a ramp under drift."""
    columns = [_rate_text(rate) for rate in head.PER_MINUTE]
    rows = [f"| rule | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name in head.NAMES:
        parts = [
            " / ".join(_share(calls_of(book, Setting("same", rate, course), name), "reverted") for course in COURSES)
            for rate in head.PER_MINUTE
        ]
        rows.append(f"| {name} | {' | '.join(parts)} |")
    worlds = [Setting("same", rate, course) for course in COURSES for rate in head.PER_MINUTE]
    calls = [call for world in worlds for call in calls_of(book, world, head.OURS)]
    return "\n".join(rows) + (f"\n\n{_together(calls)}" if calls else "")


def fault_table(book: Book, rate: int) -> str:
    """Return what each rule does about each fault at a rate and a steady share of 10 %."""
    names = list(FAULT_TEXT)
    rows = [f"| rule | {' | '.join(FAULT_TEXT.values())} |", "|---" * (len(names) + 1) + "|"]
    for rule in head.NAMES:
        parts = [_fate(calls_of(book, Setting(fault, rate, STEADY), rule)) for fault in names]
        rows.append(f"| {rule} | {' | '.join(parts)} |")
    parts = [_fate(each_request(book, fault), timed=False) for fault in names]
    rows.append(f"| {head.EACH} | {' | '.join(parts)} |")
    return "\n".join(rows)


def _together(calls: Sequence[Call]) -> str:
    reverted = sum(call.outcome == "reverted" for call in calls)
    low, high = binomial.interval(reverted, len(calls), 0.05)
    return (
        f"Ours, all together: {reverted} of {len(calls)} runs reverted (95 % interval: {100 * low:.1f} to "
        f"{100 * high:.1f} %), {_share(calls, 'promoted')} % promoted, the rest undecided at the end."
    )


def _runs(book: Book, worlds: Sequence[Setting]) -> str:
    """Say how many runs each cell has."""
    counts = {len(calls_of(book, world, rule)) for world in worlds for rule in (head.NAMES[0], head.OURS)} - {0}
    return f"{min(counts)} to {max(counts)} runs" if len(counts) > 1 else f"{max(counts, default=0)} runs"


def calls_of(book: Book, setting: Setting, rule: str) -> list[Call]:
    """Return how a rule's runs in a world ended."""
    if rule == head.OURS:
        return [call for (call,) in book.calls(head.OursCell(setting).key)]
    at = head.NAMES.index(rule)
    return [calls[at] for calls in book.calls(head.OthersCell(setting).key)]


def each_request(book: Book, fault: str) -> list[Call]:
    """Return how our runs ended when asked after each request."""
    return [call for (call,) in book.calls(head.each_request(fault).key)]


def charts(book: Book) -> Iterator[tuple[str, str]]:
    """Yield each plot's name and SVG."""
    ratios: dict[str, dict[str, float]] = {}
    for cell in efficiency.cells():
        if calls := book.calls(cell.key):
            mean = float(np.mean([call.images for (call,) in calls]))
            ratios.setdefault(cell.name, {})[f"{100 * cell.share:g} %"] = mean / cell.floor
    if ratios:
        order = [f"{100 * share:g} %" for share in efficiency.SHARES]
        yield "floor", svg.dots("Mean candidate images over the fewest anyone needs", "times the floor", ratios, order)
    for rate in head.PER_MINUTE:
        rows = {FAULT_TEXT[fault]: _means(book, Setting(fault, rate, STEADY)) for fault in FAULT_TEXT}
        if rows := {name: row for name, row in rows.items() if row}:
            title = f"Candidate images until a fault is reverted, {_rate_text(rate)}, a share of 10 %"
            yield f"head-to-head-{rate}", svg.dots(title, "candidate images", rows, head.NAMES, head.NAMES[-1])


def _means(book: Book, setting: Setting) -> dict[str, float]:
    """Return the mean images of the rules that revert at least half of the runs."""
    found = {}
    for rule in head.NAMES:
        calls = calls_of(book, setting, rule)
        reverted = [call.images for call in calls if call.outcome == "reverted"]
        if calls and 2 * len(reverted) >= len(calls):
            found[rule] = max(0.5, float(np.mean(reverted)))
    return found


def _fate(calls: Sequence[Call], *, timed: bool = True) -> str:
    """Say how many were promoted, and after how many images and hours the others were reverted."""
    if not calls:
        return "-"
    reverted = [call for call in calls if call.outcome == "reverted"]
    parts = []
    if reverted:
        images = np.array([call.images for call in reverted])
        took = f", {_hours(float(np.mean([call.after_s for call in reverted])) / 3600.0)}" if timed else ""
        parts.append(f"{_count(float(images.mean()))} ({_p99(images):,.0f}){took}")
    parts += [
        f"{text} {_share(calls, outcome)} %"
        for outcome, text in (("promoted", "**promoted**"), ("held", "held"), ("undecided", "undecided"))
        if any(call.outcome == outcome for call in calls)
    ]
    return "; ".join(parts)


def _share(calls: Sequence[Call], outcome: str) -> str:
    if not calls:
        return "-"
    return f"{100 * sum(call.outcome == outcome for call in calls) / len(calls):.0f}"


def _p99(images: Ints) -> float:
    return float(np.quantile(images, 0.99, method="higher"))


def _count(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def _hours(hours: float) -> str:
    return f"{3600 * hours:.0f} s" if hours < 1 / 30 else f"{60 * hours:.0f} min" if hours < 1 else f"{hours:.1f} h"


def _rate_text(rate: int) -> str:
    return f"{rate} a minute"


FLOOR_TEXT = """
The fewest candidate images that any valid test can need on average is the log of 1 / alpha over the information in one
image (`tests/benchmarks/decisions/floor.py`): for a split by a coin in two samples, for the means of cost and text with
the incumbent's mean known. Ours: one criterion alone at the level it has among eight (1 % / 8), no allowed change,
judged after every request through the whole engine, with 5,000 requests of history. What the last image overshoots the
threshold by is in our numbers and not in the floor. `make bench-decisions`, seed 1; ± is one standard error.

{table}

The five classes are 0.45 to 2.6 times as slow as the middle one; residual spread 12 %. Figure: `decisions/floor.svg`.

A goal is met (yes) or missed (no) where it lies two standard errors from the mean, else "within error": more runs
tell. What is left over the floor: not knowing the change beforehand costs about a sixth (a mixture of five to nine bets
instead of the right one), the 22 % of the wealth that are kept for late faults 4 %, the rest is what the last image
overshoots; with failures at a share of 1 %, where one candidate failure is a factor of ten, about a seventh.
"""

HEAD_TEXT = """
The same worlds under our rule and under the rules that people use. **The rules of other tools are ports that we wrote
from their documentation and source** (`tests/benchmarks/decisions/ports.py` says what each does); none of those
programs ran. Where a choice was open it favours them: thresholds are multiples of what the incumbent truly does,
results are refreshed every minute, a baseline of the candidate's size runs beside it. They look at latency and
failures, and at cost or text only where that is at fault; ours always judges seven criteria (whole law 1.05x, p50
1.1x, p95 1.25x, p99 1.5x, cost 1.1x, failures +0.3 pp, text -0.02) under a budget of 1 %, in windows of 5 s; the last
row asks it after each request instead, where images count and times mean nothing. A rollout lasts 60,000 requests or
three days; what no rule stopped is promoted, except ours, which promotes on proof alone and otherwise takes the
candidate away undecided. `make bench-decisions`, seed 1.

An identical candidate, reverted in % of {same_runs} of each cell: at a steady share of 10 % / while load slows both
arms by 1.35 over the time and by 10 % daily / over a ramp of 1-5-25-50 % under that load.

{same}

Faults at a steady share of 10 % and 60 requests a minute ({fault_runs} of each): candidate images until reverted, mean
(p99), and the time it took. Twice the tail moves the p99 by 1.15, which our policy allows; it also allows 1.05 times
the latency before it counts anything, where the sequential and the z-test count from 1.0. The other rates:
`decisions/head-to-head.md` and the figures `decisions/head-to-head-*.svg`.

{faults}
"""

WHOLE_TEXT = """
Written by `make bench-decisions`; what is compared, and how, stands in `docs/decisions.md`. Each cell of a table of
faults: candidate images until reverted, mean (p99), and the time it took; what was not reverted is named.
""".strip()
