"""Processes that outlive us: started in their own session, recognised by pid and start time, stopped for certain."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types

from controller.errors import UnavailableError
from controller.platform.home import Process

STOP_TIMEOUT_S = 15.0
_SAME_START_S = 2.0


def spawn(arguments: Sequence[str], log: Path, env: Mapping[str, str]) -> Process:
    """Start a program that outlives us, its output appended to `log`; secrets travel in `env`, never in arguments."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env},
            cwd="/",
            start_new_session=True,
        )
    started = Process(child.pid, psutil.Process(child.pid).create_time())
    child.returncode = 0  # handed over: it is meant to outlive this object, which would warn of it otherwise
    return started


def alive(process: Process | None) -> bool:
    """Say whether a recorded process still runs; another one that got its pid later does not count."""
    return _found(process) is not None


def stop(process: Process | None, patience_s: float = STOP_TIMEOUT_S) -> None:
    """End a process and everything below it: politely first, after `patience_s` not. A no-op when it is gone."""
    found = _found(process)
    if found is None:
        return
    family = [found, *found.children(recursive=True)]
    found.terminate()
    _, left = psutil.wait_procs([found], patience_s)
    # Children get a moment of their own to follow their parent.
    _, left = psutil.wait_procs(family, 3.0 if not left else 0.0)
    for one in left:
        _signal(one, signal.SIGKILL)
    _, left = psutil.wait_procs(left, STOP_TIMEOUT_S)
    if left:
        raise UnavailableError(f"process {left[0].pid} can't be stopped, not even by SIGKILL; try again")


def _found(process: Process | None) -> psutil.Process | None:
    if process is None:
        return None
    try:
        found = psutil.Process(process.pid)
        same = abs(found.create_time() - process.started_at_s) < _SAME_START_S
        if same and found.status() == psutil.STATUS_ZOMBIE:
            _reap(process.pid)
            return None
    except psutil.NoSuchProcess:
        return None
    return found if same else None


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):  # somebody else's child: its parent will
        os.waitpid(pid, os.WNOHANG)


def _signal(process: psutil.Process, number: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def free_port(preferred: int | None = None) -> int:
    """Return a TCP port that is free on loopback now, the preferred one if it is."""
    for port in (preferred, 0) if preferred else (0,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UnavailableError("no free TCP port on 127.0.0.1")


def tail(log: Path, lines: int = 15) -> str:
    """Return the end of a log file, empty when there is none."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def wait_until(ready: Callable[[], bool], timeout_s: float, period_s: float = 0.1) -> bool:
    """Poll until `ready` or the deadline; say which came first."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(period_s)
    return True
