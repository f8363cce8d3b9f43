"""Progress of something that takes a while: a spinner on a terminal, plain lines elsewhere, always on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from controller.cli.output import note


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Give a function that says what is being done now; each step is printed with its time when the next begins."""
    started_s = time.monotonic()
    if not sys.stderr.isatty():
        yield lambda text: note(f"{time.monotonic() - started_s:5.1f} s  {text}")
        return
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    step: tuple[str, float] | None = None

    def finish() -> None:
        if step is not None:
            console.print(f"[green]+[/green] {step[0]} [dim]{time.monotonic() - step[1]:.1f} s[/dim]")

    with console.status("looking around") as status:

        def say(text: str) -> None:
            nonlocal step
            finish()
            step = (text, time.monotonic())
            status.update(text)

        yield say
        finish()
