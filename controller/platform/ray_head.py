"""A private Ray of one machine: `ray start --head --block` as a process that outlives us, on loopback alone.

Blocking keeps the whole of Ray one thing: its parts die with the head (parent-death signal), and the head ends when a
part dies, so that "the process runs" means "Ray runs", and a half-dead Ray becomes a dead one that `up` starts anew.
"""

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.errors import UnavailableError
from controller.platform.home import Home, Process, write_private
from controller.platform.processes import alive, free_port, spawn, stop, tail, wait_until

START_TIMEOUT_S = 90.0
CPUS = 16
"""Logical: what a machine may run at once is decided by the number of replicas, not by this."""
OBJECT_STORE_BYTES = 200_000_000
LONGEST_FOLDER_BYTES = 40
"""Ray puts about 60 more bytes behind its folder, and a unix socket's path may have 103."""


@dataclass(frozen=True, slots=True)
class Head:
    """A running Ray."""

    process: Process
    address: str


def environment(home: Home) -> dict[str, str]:
    """Return what every process that talks to this Ray needs in its environment."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(home.root / "ray_token"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_worker_niceness": "0",  # replicas answer users; they are no batch work
        "RAY_SERVE_DEFAULT_HTTP_HOST": "127.0.0.1",
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "2",
        # Without a cluster of several machines Ray listens on loopback alone; the switch is named after the systems
        # where that is the default.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }


def start(home: Home) -> Head:
    """Start Ray and wait until it takes work; UnavailableError with the end of its log when it does not."""
    if not (home.root / "ray_token").exists():
        write_private(home.root / "ray_token", secrets.token_hex(32))
    folder = _folder(home)
    shutil.rmtree(folder, ignore_errors=True)  # sessions of the past
    folder.mkdir(mode=0o700)
    port, log = free_port(), home.logs / "ray.log"
    log.unlink(missing_ok=True)
    process = spawn(_arguments(folder, port), log, environment(home))
    written = folder / "ray_current_cluster"
    if not wait_until(lambda: written.exists() or not alive(process), START_TIMEOUT_S) or not alive(process):
        stop(process)
        raise UnavailableError(f"Ray did not start; {log} ends with:\n{tail(log)}")
    return Head(process, f"127.0.0.1:{port}")


def _arguments(folder: Path, port: int) -> list[str]:
    options: Mapping[str, object] = {
        "node-ip-address": "127.0.0.1",
        "port": port,
        "ray-client-server-port": free_port(),
        "dashboard-agent-listen-port": 0,
        "include-dashboard": "false",
        "include-log-monitor": "false",
        "num-cpus": CPUS,
        "object-store-memory": OBJECT_STORE_BYTES,
        "temp-dir": folder,
    }
    ray = Path(sys.executable).with_name("ray")
    flags = ["--head", "--block", "--no-monitor", "--disable-usage-stats"]
    return [sys.executable, str(ray), "start", *flags, *(f"--{name}={value}" for name, value in options.items())]


def _folder(home: Home) -> Path:
    """Return Ray's folder: `ray` in the data directory, or a private temporary one where that path is too long."""
    record = home.root / "ray_dir"
    if record.exists() and (known := Path(record.read_text())).is_dir():
        return known
    folder = home.root / "ray"
    if len(os.fsencode(folder)) > LONGEST_FOLDER_BYTES:
        folder = Path(tempfile.mkdtemp(prefix="swapgate-ray-"))
    write_private(record, str(folder))
    return folder
