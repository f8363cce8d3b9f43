"""Clocks."""

import time
from dataclasses import dataclass


class SystemClock:
    """Implements `Clock`."""

    def monotonic_s(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()


@dataclass
class ManualClock:
    """Implements `Clock`: time that passes when told to. `now_s` can also stand for the database's clock."""

    now_s: float = 1_800_000_000.0

    def monotonic_s(self) -> float:
        """Return seconds that never go back."""
        return self.now_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds
