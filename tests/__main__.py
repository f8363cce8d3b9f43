"""The whole suite: the demo by itself, then what starts platforms with everything else beside it.

`python -m tests [PYTEST ARGUMENTS]`. The demo's users and tests run by the clock, so nothing may disturb it. Platforms
prefer fixed ports, so those tests come one after the other and have the processors first; the others run beside them
at the lowest priority.
"""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

PYTEST = [sys.executable, "-m", "pytest", "-m", "not slow"]
DEMO = ["tests/acceptance/test_demo.py"]
PLATFORMS = ["tests/acceptance/test_outages.py", "tests/integration"]


def main(arguments: list[str]) -> int:
    """Run everything, or just what the arguments name, and return pytest's exit code."""
    if arguments:
        return subprocess.call([*PYTEST, *arguments])
    codes = [subprocess.call([*PYTEST, *DEMO])]
    with tempfile.TemporaryFile("w+") as told:
        ignored = [f"--ignore={path}" for path in ("tests/acceptance", "tests/integration")]
        beside = subprocess.Popen(
            [*PYTEST, *ignored],
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_step_back,  # noqa: PLW1509 - no thread has been started yet
        )
        try:
            codes.append(subprocess.call([*PYTEST, *PLATFORMS]))
            codes.append(beside.wait())
        finally:
            if beside.poll() is None:
                os.killpg(beside.pid, signal.SIGINT)
                beside.wait()
            told.seek(0)
            sys.stdout.write(told.read())
    return max(codes)


def _step_back() -> None:
    """Take the lowest priority; where the kernel shares out time by session, of the session too."""
    os.nice(19)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("19", encoding="ascii")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
