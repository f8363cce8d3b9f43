"""A circuit breaker for one candidate: after a failure, don't even ask for a while.

It opens at once when the replica is gone or doesn't answer, and after a few failures in a row when the
model itself fails (else one prompt in twenty that fails would eject the other nineteen). While it is open,
and while its one probe is under way, requests are ejected: they still count as failures of the candidate,
to which they were assigned. The pause doubles with every failed probe. Late failures of calls that were
under way when it opened change nothing, so four timeouts at once are one failure.
"""

from dataclasses import dataclass

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0
FAILURES_IN_A_ROW = 3


@dataclass(slots=True)
class Breaker:
    """`now_s` is any clock that never goes back."""

    _row: int = 0
    _pause_s: float = 0.0  # 0 while closed
    _open_until_s: float = 0.0
    _probing: bool = False

    def admits(self, now_s: float) -> bool:
        """Say whether a request may be sent; the first one after the pause is the probe."""
        if not self._pause_s:
            return True
        if self._probing or now_s < self._open_until_s:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """A call was answered."""
        if self._pause_s and not self._probing:
            return  # a call from before it opened says nothing about now
        self._row, self._pause_s, self._probing = 0, 0.0, False

    def failed(self, now_s: float, *, gone: bool) -> None:
        """A call failed; `gone` says that the replica died or did not answer."""
        self._row += 1
        if self._pause_s and not self._probing:
            return
        if self._probing or gone or self._row >= FAILURES_IN_A_ROW:
            self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s or FIRST_PAUSE_S)
            self._open_until_s, self._probing = now_s + self._pause_s, False

    def gave_up(self) -> None:
        """A call ended without saying anything about the candidate (its client left)."""
        self._probing = False
