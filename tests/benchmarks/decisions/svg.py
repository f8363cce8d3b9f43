"""Dots on a logarithmic axis, as SVG."""

import math
from collections.abc import Mapping, Sequence
from html import escape

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
_LEFT, _ROW, _TOP, _WIDTH, _RIGHT = 190, 26, 54, 460, 20


def dots(
    title: str, unit: str, rows: Mapping[str, Mapping[str, float]], order: Sequence[str], loud: str | None = None
) -> str:
    """Return a chart with a line for each row and a dot for each of its series; `order` gives each a colour.

    Values are positive; the `loud` series is drawn larger.
    """
    values = [value for row in rows.values() for value in row.values() if value > 0]
    low, high = math.floor(math.log10(min(values)) * 3) / 3, math.ceil(math.log10(max(values)) * 3) / 3
    height = _TOP + _ROW * len(rows) + 40 + 18 * math.ceil(len(order) / 3)

    def x_of(value: float) -> float:
        return _LEFT + _WIDTH * (math.log10(value) - low) / max(high - low, 1e-9)

    parts = [_text(_LEFT - 180, 22, title, size=15, weight="bold")]
    for tick in _ticks(low, high):
        x = x_of(tick)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 12}" y2="{_TOP + _ROW * len(rows)}" stroke="#ddd"/>')
        parts.append(_text(x, _TOP + _ROW * len(rows) + 14, f"{tick:,g}", anchor="middle"))
    parts.append(_text(_LEFT + _WIDTH, _TOP + _ROW * len(rows) + 30, unit, anchor="end"))
    for at, (name, row) in enumerate(rows.items()):
        y = _TOP + _ROW * (at + 0.5)
        parts.append(_text(_LEFT - 12, y + 4, name, anchor="end"))
        for series, value in row.items():
            radius = 6 if series == loud else 4.5
            colour = COLOURS[order.index(series) % len(COLOURS)]
            place = f'cx="{x_of(value):.1f}" cy="{y:.1f}" r="{radius}"'
            parts.append(f'<circle {place} fill="{colour}" fill-opacity=".85"/>')
    parts += _legend(order, height)
    body = "\n".join(parts)
    width = _LEFT + _WIDTH + _RIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _legend(order: Sequence[str], height: int) -> list[str]:
    parts = []
    rows = math.ceil(len(order) / 3)
    for at, series in enumerate(order):
        x, y = 20 + 215 * (at % 3), height - 18 * (rows - at // 3) + 4
        parts.append(f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{COLOURS[at % len(COLOURS)]}"/>')
        parts.append(_text(x + 10, y, series))
    return parts


def _ticks(low: float, high: float) -> list[float]:
    wide = high - low > 2.5
    steps = (1.0,) if wide else (1.0, 2.0, 5.0) if high - low > 0.7 else (1.0, 1.2, 1.5, 2.0, 3.0, 5.0)
    every = [step * 10.0**decade for decade in range(math.floor(low), math.ceil(high) + 1) for step in steps]
    return [tick for tick in every if low - 1e-9 <= math.log10(tick) <= high + 1e-9]


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12, weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="#222">{escape(text)}</text>'
    )
