"""The whole suite in two halves at once, so that it fits into a coffee: what starts platforms, and everything else.

`python -m tests [PYTEST ARGUMENTS]`. Platforms prefer fixed ports and their traffic runs by the clock, so those tests
come one after the other and have the processors first; the others run beside them at the lowest priority.
"""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

PYTEST = [sys.executable, "-m", "pytest", "-m", "not slow"]
PLATFORMS = ["tests/acceptance", "tests/integration/test_cli_platform.py"]


def main(arguments: list[str]) -> int:
    """Run both halves, or just what the arguments name, and return pytest's exit code."""
    if arguments:
        return subprocess.call([*PYTEST, *arguments])
    with tempfile.TemporaryFile("w+") as told:
        ignored = [f"--ignore={path}" for path in PLATFORMS]
        beside = subprocess.Popen(
            [*PYTEST, *ignored],
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_step_back,  # noqa: PLW1509 - no thread has been started yet
        )
        try:
            first = subprocess.call([*PYTEST, *PLATFORMS])
            second = beside.wait()
        finally:
            if beside.poll() is None:
                os.killpg(beside.pid, signal.SIGINT)
                beside.wait()
        told.seek(0)
        sys.stdout.write(told.read())
    return first or second


def _step_back() -> None:
    """Take the lowest priority; where the kernel shares out time by session, of the session too."""
    os.nice(19)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("19", encoding="ascii")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
