"""`gatectl up`, `doctor` and `down` on a real platform: PostgreSQL, Ray, controller, gateway, models."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from controller.platform.home import Home
from controller.platform.processes import alive
from controller.schema import POLICIES, PRICE_BOOK


@dataclass(frozen=True, slots=True)
class Site:
    """A data directory and the command line on it."""

    home: Home

    def gatectl(self, *arguments: str, timeout_s: float = 400.0, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a verb as a process of its own, from a folder that is not the checkout."""
        environment = {key: val for key, val in os.environ.items() if not key.startswith(("SWAPGATE_", "RAY_"))}
        return subprocess.run(
            [sys.executable, "-m", "controller.cli", *arguments],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=environment | {"SWAPGATE_HOME": str(self.home.root)} | variables,
        )

    def up(self) -> dict[str, Any]:
        """Bring everything up; return the record."""
        ran = self.gatectl("up", "--detach", "-o", "json")
        assert ran.returncode == 0, ran.stderr
        return dict(json.loads(ran.stdout))

    def kill(self, part: str) -> None:
        """Kill -9 a part and wait until it is gone."""
        platform = self.home.read()
        assert platform is not None
        process = psutil.Process(platform.processes[part].pid)
        process.kill()
        process.wait(20)

    def finding(self, part: str, **variables: str) -> dict[str, Any]:
        """Return what `doctor` says about a part."""
        findings = json.loads(self.gatectl("doctor", "-o", "json", **variables).stdout)["findings"]
        return next(item for item in findings if item["part"] == part)

    def failures(self) -> set[str]:
        """Return the parts that `doctor` finds broken; its exit code must say the same."""
        ran = self.gatectl("doctor", "-o", "json")
        findings = json.loads(ran.stdout)["findings"]
        failed = {item["part"] for item in findings if item["level"] == "fail"}
        assert ran.returncode == (7 if failed else 0)
        assert all(item["fix"] for item in findings if item["level"] != "ok")
        return failed


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A platform that is up; whatever a test breaks, it must heal."""
    with tempfile.TemporaryDirectory(prefix="sg-", ignore_cleanup_errors=True) as folder:
        site = Site(Home(Path(folder) / "home"))
        site.up()
        yield site
        assert site.gatectl("down").returncode == 0


def test_up_is_idempotent(site: Site) -> None:
    """A second `up` starts nothing: the same processes with the same start times."""
    assert site.up()["processes"] == site.up()["processes"]
    assert site.failures() == set()


def test_secrets_stay_private(site: Site) -> None:
    """The token lies in a file that only its owner reads, and in no argument list, record or log."""
    token = site.home.token()
    assert token
    assert site.home.token_file.stat().st_mode & 0o077 == 0
    platform = site.home.read()
    assert platform is not None
    for process in platform.processes.values():
        assert token not in " ".join(psutil.Process(process.pid).cmdline())
    for path in (site.home.record, *site.home.logs.iterdir()):
        assert token not in path.read_text(errors="replace")


def test_addresses_are_loopback(site: Site) -> None:
    """API and gateway answer on loopback and are bound to nothing else."""
    platform = site.home.read()
    assert platform is not None
    ports = {int(str(url).rsplit(":", 1)[-1]) for url in (platform.api_url, platform.gateway_url)}
    listening = {
        (item.laddr.ip, item.laddr.port)
        for item in psutil.net_connections("tcp")
        if item.status == psutil.CONN_LISTEN and item.laddr.port in ports
    }
    assert listening == {("127.0.0.1", port) for port in ports}


def test_another_price_book_is_found(site: Site, tmp_path: Path) -> None:
    """Gateways keep the prices that they were started with; `doctor` says when the book says something else."""
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    assert site.finding("prices")["level"] == "ok"
    book = policies / PRICE_BOOK.name
    book.write_text(book.read_text().replace("usd_per_hour: ", "usd_per_hour: 1", 1))
    found = site.finding("prices", SWAPGATE_POLICIES=str(policies))
    assert (found["level"], found["message"]) == ("warn", "gateways compute costs from an earlier price book")
    book.write_text("prices: none")
    assert "prices.yaml" in site.finding("prices", SWAPGATE_POLICIES=str(policies))["message"]


def test_load_reports_what_users_see(site: Site) -> None:
    """Traffic is answered by the incumbent, and the summary is one JSON document."""
    ran = site.gatectl("load", "--rate", "2", "--count", "3", "-o", "json")
    summary = json.loads(ran.stdout)
    assert ran.returncode == 0
    assert (summary["answered"], summary["failures"]) == (3, 0)
    assert set(summary["arms"]) == {"incumbent"}


def test_a_killed_controller_is_found_and_healed(site: Site) -> None:
    """After kill -9 the gateway still serves, `doctor` names the controller, and `up` starts that alone."""
    before = site.up()["processes"]
    site.kill("controller")
    assert "controller" in site.failures()
    assert json.loads(site.gatectl("load", "--count", "1", "-o", "json").stdout)["failures"] == 0
    after = site.up()["processes"]
    assert after["ray"] == before["ray"]
    assert after["controller"] != before["controller"]
    assert site.failures() == set()


def test_a_killed_ray_is_found_and_healed(site: Site) -> None:
    """After kill -9 of Ray's head nothing of it is left, `doctor` says so, and `up` serves images again."""
    before = site.up()["processes"]
    site.kill("ray")
    assert {"ray", "gateway"} <= site.failures()
    assert site.up()["processes"]["ray"] != before["ray"]
    assert site.failures() == set()


def test_a_killed_database_is_found_and_healed(site: Site) -> None:
    """After kill -9 of PostgreSQL users are served on, `doctor` names it, and `up` recovers it with its content."""
    log = site.gatectl("audit", "log", "-o", "json").stdout
    os.kill(int((site.home.postgres / "cluster" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    assert "database" in site.failures()
    assert json.loads(site.gatectl("load", "--count", "1", "-o", "json").stdout)["failures"] == 0
    site.up()
    assert site.failures() == set()
    assert site.gatectl("audit", "log", "-o", "json").stdout == log


def test_one_up_at_a_time(site: Site) -> None:
    """While one `up` is at work another one is refused with exit code 4 and the process to wait for."""
    import fcntl

    with (site.home.root / "lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write("4711")
        lock.flush()
        ran = site.gatectl("up", "--detach")
    assert ran.returncode == 4
    assert "process 4711" in ran.stderr


def test_down_stops_what_up_started_and_nothing_else(site: Site) -> None:
    """After `down` our processes are gone and a stranger with a recorded pid lives."""
    platform = site.home.read()
    assert platform is not None
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        controller = platform.processes["controller"]
        # A record from before a reboot: the pid is a stranger's now, the start time is not.
        site.home.write(platform.with_process("ghost", None).with_process("ray", platform.processes["ray"]))
        assert site.gatectl("down").returncode == 0
        assert not alive(controller)
        assert not alive(platform.processes["ray"])
        stale = type(controller)(stranger.pid, controller.started_at_s)
        site.home.write(platform.with_process("controller", stale).with_process("ray", None))
        assert site.gatectl("down").returncode == 0
        assert stranger.poll() is None
    finally:
        stranger.communicate(b"\n")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(str(platform.gateway_url).rsplit(":", 1)[-1]))) != 0


def test_it_comes_back_with_its_memory(site: Site) -> None:
    """`up` after `down` serves again and knows what was recorded before."""
    site.up()
    assert json.loads(site.gatectl("audit", "verify", "-o", "json").stdout)["ok"]
