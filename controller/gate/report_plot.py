"""The drawings of a report, as SVG inside the page: no script, and readable without colours."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 34
_STEPS = (1, 2, 5)
LEAST_S = 1e-4
"""Where a time of 0 is drawn at most: a logarithm has no place for it."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One arm's times in seconds; `lost` requests never ended well. `marks` holds (name, level, value, upper)."""

    name: str
    style: str
    values_s: tuple[float, ...]
    lost: int
    marks: tuple[tuple[str, float, float, float | None], ...] = ()


def distribution(title: str, describe: str, curves: Sequence[Curve]) -> str | None:
    """Return both arms' empirical distributions on a logarithmic axis, with quantiles and their upper bounds.

    A request that failed counts as never finished, so its arm's curve ends below 100 %. None without values
    that a logarithm has a place for.
    """
    every = [value for curve in curves for value in curve.values_s]
    every += [upper for curve in curves for *_, upper in curve.marks if upper is not None]
    if max(every, default=0.0) <= LEAST_S:
        return None
    axis = _Axis.over(every)
    body = [*_grid(axis), *(part for curve in curves for part in _curve(axis, curve)), *_legend(curves)]
    return _drawing(title, describe, WIDTH, HEIGHT, body)


def margins(title: str, describe: str, rows: Sequence[tuple[str, float, float, float, float]]) -> str | None:
    """Return each criterion's change with its bounds on one axis, on which 0 is no change and 1 what is allowed.

    Rows hold (title, change, low, high, allowed) with the same zero and unit; what lies outside is cut off. None
    without rows.
    """
    if not rows:
        return None
    top, step = 26, 34
    height = top + step * len(rows) + 26
    axis = _Parts.over([value / allowed for *_, value, _, _, allowed in rows])
    body = [*_margin_axis(axis, top, height - 26)]
    for index, (name, value, low, high, allowed) in enumerate(rows):
        y = top + step * index + 22
        ends = [axis.x(item / allowed) for item in (value, low, high)]
        body.append(f'<text x="{LEFT}" y="{y - 9}" class="label">{escape(name)}</text>')
        body.append(f'<path class="range" d="M{ends[1]:.1f} {y}H{ends[2]:.1f}"/>')
        body.append(f'<circle class="dot" cx="{ends[0]:.1f}" cy="{y}" r="4"/>')
    return _drawing(title, describe, WIDTH, height, body)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The axis of changes as parts of what is allowed, wide enough for all of them within bounds."""

    low: float
    high: float

    @staticmethod
    def over(parts: Sequence[float]) -> "_Parts":
        """Return the axis on which the changes lie, as far as it stays readable."""
        return _Parts(max(min(min(parts) - 0.3, -1.0), -6.0), min(max(*parts, 1.7) + 0.3, 8.0))

    def x(self, part: float) -> float:
        """Return where a part lies, at most at an end of the axis."""
        part = min(max(part, self.low), self.high)
        return LEFT + (part - self.low) / (self.high - self.low) * (WIDTH - LEFT - RIGHT)


def _margin_axis(axis: _Parts, top: float, bottom: float) -> Iterator[str]:
    for part, label, style in ((0.0, "no change", "grid"), (1.0, "allowed", "limit")):
        x = axis.x(part)
        yield f'<path class="{style}" d="M{x:.1f} {top - 6}V{bottom}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 16}" class="tick middle">{label}</text>'
    yield f'<text x="{LEFT}" y="{bottom + 16}" class="tick">better</text>'
    yield f'<text x="{WIDTH - RIGHT}" y="{bottom + 16}" class="tick end">worse</text>'


@dataclass(frozen=True, slots=True)
class _Axis:
    """A logarithmic axis of seconds from `low` to `high` (base-10 logarithms)."""

    low: float
    high: float

    @staticmethod
    def over(values_s: Sequence[float]) -> "_Axis":
        """Return the axis that holds all values, at least a third of a decade wide."""
        above = [value for value in values_s if value > LEAST_S] or [LEAST_S]
        low, high = math.log10(min(above)), math.log10(max(above))
        room = max(0.04 * (high - low), (0.33 - (high - low)) / 2)
        return _Axis(low - room, high + room)

    def x(self, value_s: float) -> float:
        """Return where a value lies; what is below the axis lies at its left end."""
        at = self.low if value_s <= LEAST_S else math.log10(value_s)
        part = min(max((at - self.low) / (self.high - self.low), 0.0), 1.0)
        return LEFT + part * (WIDTH - LEFT - RIGHT)

    def ticks(self) -> Iterator[float]:
        """Yield round values on the axis, few enough to be read."""
        wide = self.high - self.low > 2.5
        for decade in range(math.floor(self.low), math.ceil(self.high) + 1):
            for step in (1,) if wide else _STEPS:
                value_s = step * 10.0**decade
                if self.low <= math.log10(value_s) <= self.high:
                    yield value_s


def _legend(curves: Sequence[Curve]) -> Iterator[str]:
    """Yield the names of the curves, where none of them runs: low on the right."""
    for index, curve in enumerate(curves):
        y = HEIGHT - BOTTOM - 14 - 20 * index
        yield f'<path class="curve {curve.style}" d="M{WIDTH - RIGHT - 40} {y}h30"/>'
        yield f'<text x="{WIDTH - RIGHT - 48}" y="{y + 4}" class="label end">{escape(curve.name)}</text>'


def _y(share: float) -> float:
    return TOP + (1.0 - share) * (HEIGHT - TOP - BOTTOM)


def _grid(axis: _Axis) -> Iterator[str]:
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        yield f'<path class="grid" d="M{LEFT} {_y(share):.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 6}" y="{_y(share) + 4:.1f}" class="tick end">{100 * share:.0f} %</text>'
    for value_s in axis.ticks():
        x = axis.x(value_s)
        yield f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
        yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" class="tick middle">{_seconds(value_s)}</text>'


def _seconds(value_s: float) -> str:
    return f"{value_s:g} s" if value_s >= 1 else f"{1000 * value_s:g} ms"


def _curve(axis: _Axis, curve: Curve) -> Iterator[str]:
    total = len(curve.values_s) + curve.lost
    if not curve.values_s:
        return
    path, last = [f"M{LEFT} {_y(0):.1f}"], 0.0
    for rank, value_s in enumerate(sorted(curve.values_s), start=1):
        x = axis.x(value_s)
        # Steps closer than a tenth of a unit can't be seen: they are drawn as one.
        if x - last >= 0.1 and path:
            path.append(f"H{x:.1f}")
            last = x
        path.append(f"V{_y(rank / total):.1f}")
    yield f'<path class="curve {curve.style}" d="{_merged(path)}H{WIDTH - RIGHT}"/>'
    for name, level, value_s, upper_s in curve.marks:
        y = _y(level)
        if upper_s is not None:
            yield f'<path class="bound {curve.style}" d="M{axis.x(value_s):.1f} {y:.1f}H{axis.x(upper_s):.1f}m0 -4v8"/>'
        yield f'<circle class="dot {curve.style}" cx="{axis.x(value_s):.1f}" cy="{y:.1f}" r="3.5">'
        yield f"<title>{escape(f'{curve.name} {name}')}: {value_s:.3g} s</title></circle>"


def _merged(path: Sequence[str]) -> str:
    """Return the path with only the last of several steps upwards at one place."""
    kept = [
        step for step, after in zip(path, [*path[1:], ""], strict=True) if not (step[0] == "V" and after[:1] == "V")
    ]
    return "".join(kept)


def _drawing(title: str, describe: str, width: int, height: int, body: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title, quote=True)}">'
        f"<title>{escape(title)}</title><desc>{escape(describe)}</desc>{''.join(body)}</svg>"
    )


def marks_of(quantiles: Mapping[str, Mapping[str, float | None]]) -> tuple[tuple[str, float, float, float | None], ...]:
    """Return the marks of the quantiles that are stated."""
    found = []
    for name, level in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        value = (quantiles.get(name) or {}).get("value")
        if value is not None:
            found.append((name, level, value, quantiles[name].get("upper")))
    return tuple(found)
