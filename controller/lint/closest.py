"""The nearest legal value of an illegal one."""

from collections.abc import Collection
from difflib import get_close_matches

_LONGEST_WORD = 100


def word(given: str, allowed: Collection[str]) -> str | None:
    """Return the allowed word that looks most like the given one, None when none does."""
    folded = {name.lower(): name for name in allowed}
    close = get_close_matches(given[:_LONGEST_WORD].lower(), folded, 1, 0.5)
    return folded[close[0]] if close else None


def multiple(value: float, of: int) -> int:
    """Return the nearest positive multiple."""
    return max(of, round(value / of) * of)


def size(width: float, height: float, allowed: Collection[str]) -> str:
    """Return the `WxH` of `allowed` whose sides differ least."""
    sized = [text for text in allowed if "x" in text]
    return min(sized, key=lambda text: sum(abs(a - b) for a, b in zip(sides(text), (width, height), strict=True)))


def sides(text: str) -> tuple[float, float]:
    """Return width and height of `WxH`; ValueError when it is something else."""
    width, height = text.lower().split("x")
    return float(width), float(height)
