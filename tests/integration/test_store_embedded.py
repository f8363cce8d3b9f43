"""The private server: it outlives whoever started it, starts once, and comes back after any death."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from controller.adapters import embedded

ROOT = Path(__file__).parents[2]
NOBODY = 65534
ORDINARY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose server is stopped afterwards; short, because socket paths are."""
    folder = Path(tempfile.mkdtemp(prefix="swapgate-tests-"))
    yield folder
    embedded.stop(folder)
    shutil.rmtree(folder)


def start_elsewhere(folder: Path) -> subprocess.Popen[str]:
    """Start the server from a process of its own."""
    code = "import sys; from pathlib import Path; from controller.adapters import embedded; "
    code += "print(embedded.start(Path(sys.argv[1])))"
    return subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE, text=True, cwd=ROOT)


def postmaster(folder: Path) -> int:
    """Return the pid of the server."""
    return int((folder / "cluster" / "postmaster.pid").read_text().split("\n", 1)[0])


def ask(url: str, query: str) -> object:
    """Return the one value that a query gives."""
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def test_it_outlives_its_starter_and_stops_on_demand(folder: Path) -> None:
    """The server runs on after the process that started it, and `stop` ends it; both may be said twice."""
    with start_elsewhere(folder) as starter:
        url = starter.communicate()[0].strip()
    assert embedded.is_running(folder)
    assert embedded.start(folder) == url
    assert ask(url, "SELECT 1") == 1
    embedded.stop(folder)
    assert not embedded.is_running(folder)
    embedded.stop(folder)


def test_two_starters_get_one_server(folder: Path) -> None:
    """Processes that start a new folder at the same moment get the same URL of one server."""
    starters = [start_elsewhere(folder) for _ in range(3)]
    urls = {starter.communicate()[0].strip() for starter in starters}
    assert [starter.returncode for starter in starters] == [0, 0, 0]
    (url,) = urls
    assert ask(url, "SELECT 1") == 1


def test_data_survives_a_kill(folder: Path) -> None:
    """After kill -9 of the server `start` brings back what was committed, under the same URL."""
    url = embedded.start(folder)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(postmaster(folder), 9)
    assert embedded.start(folder) == url
    assert ask(url, "SELECT answer FROM kept") == 42


def test_a_pid_file_that_names_another_process_is_stale(folder: Path) -> None:
    """A pid file left by a machine that lost power may name any process of today; the server starts all the same."""
    embedded.start(folder)
    lines = (folder / "cluster" / "postmaster.pid").read_text().split("\n")
    embedded.stop(folder)
    owner = (folder / "cluster").stat()
    with subprocess.Popen(["sleep", "600"], user=owner.st_uid, group=owner.st_gid) as other:
        path = folder / "cluster" / "postmaster.pid"
        path.write_text("\n".join([str(other.pid), *lines[1:]]))
        os.chown(path, owner.st_uid, owner.st_gid)
        try:
            assert ask(embedded.start(folder), "SELECT 1") == 1
        finally:
            other.kill()


def test_nobody_else_can_connect(folder: Path) -> None:
    """The server listens on no network address, and only its owner may enter the folder of its socket."""
    url = embedded.start(folder)
    assert ask(url, "SHOW listen_addresses") == ""
    inner = [connection.laddr for connection in psutil.Process(postmaster(folder)).net_connections("inet")]
    assert inner == []
    assert stat.S_IMODE((folder / "run").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "cluster").stat().st_mode) == 0o700


def test_a_deep_folder_works(folder: Path) -> None:
    """A folder whose path is too long for a socket gets its socket elsewhere, the same after a restart."""
    deep = folder / ("x" * 90) / "data"
    url = embedded.start(deep)
    try:
        assert ask(url, "SELECT 1") == 1
        embedded.stop(deep)
        assert embedded.start(deep) == url
    finally:
        embedded.stop(deep)
        shutil.rmtree((deep / "socket_dir").read_text())


def as_nobody(what: Callable[[], None]) -> None:
    """Run something as an ordinary user in a process of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            what()
        except BaseException:  # noqa: BLE001  # the child must never return into the tests
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


@ORDINARY
def test_an_ordinary_user_owns_its_server(folder: Path) -> None:
    """Started by an ordinary user the server runs as that user, through a kill and a restart."""
    os.chown(folder, NOBODY, NOBODY)

    def run() -> None:
        assert ask(embedded.start(folder), "SELECT 1") == 1
        assert psutil.Process(postmaster(folder)).uids().real == NOBODY
        os.kill(postmaster(folder), 9)
        assert ask(embedded.start(folder), "SELECT 1") == 1
        embedded.stop(folder)

    as_nobody(run)


@ORDINARY
def test_root_needs_no_wide_open_folders(folder: Path) -> None:
    """Started by root in a folder closed to others, the server gets the right to pass through and no other."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    url = embedded.start(closed / "data")
    try:
        assert ask(url, "SELECT 1") == 1
        assert stat.S_IMODE(closed.stat().st_mode) == 0o701
    finally:
        embedded.stop(closed / "data")
