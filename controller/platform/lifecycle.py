"""Bringing a local platform up and taking it down.

Level-triggered: `bring_up` looks at every part in order, starts what is missing and leaves alone what works, so it
is the first start, the second one, and the cure after any part was killed.
"""

import fcntl
import getpass
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from psycopg.conninfo import conninfo_to_dict

from controller.adapters import embedded, migrate
from controller.adapters.database import Database
from controller.adapters.tokens import Tokens
from controller.errors import ConflictError, UnavailableError
from controller.platform import ray_head
from controller.platform.home import Home, Platform, write_private
from controller.platform.processes import STOP_TIMEOUT_S, alive, free_port, spawn, stop, tail, wait_until

CODE = Path(__file__).resolve().parents[2]
"""The folder that holds our packages."""
API_PORT = 8700
GATEWAY_PORT = 8710
CONTROLLER_TIMEOUT_S = 90.0
RAY_PATIENCE_S = 4.0
"""Ray waits for every worker in turn and holds nothing worth the wait: the truth is in the database."""
FIRST_IMAGE_TIMEOUT_S = 300.0
Say = Callable[[str], None]
"""Hears, in half a sentence, what is being done."""


def bring_up(home: Home, say: Say) -> Platform:
    """Start whatever does not run and wait until every lane serves an image; return the record of what runs."""
    home.create()
    with locked(home):
        platform = _database(home, home.read() or Platform(), say)
        _token(home, platform, say)
        platform = _ray(home, platform, say)
        platform = _controller(home, platform, say)
    _first_images(home, platform, say)
    return platform


def take_down(home: Home, say: Say) -> bool:
    """Stop what `bring_up` started, and nothing else; say whether anything ran."""
    if not home.root.exists():
        return False
    with locked(home):
        return _take_down(home, say)


def _take_down(home: Home, say: Say) -> bool:
    platform = home.read()
    if platform is None:
        return False
    found = False
    # The controller goes first, so that it does not report the others' end as failures.
    for name, patience_s in (("controller", STOP_TIMEOUT_S), ("ray", RAY_PATIENCE_S)):
        if alive(platform.processes.get(name)):
            found = True
            say(f"stopping {name}")
            stop(platform.processes[name], patience_s)
        platform = platform.with_process(name, None)
        home.write(platform)
    return _stop_database(home, platform, say) or found


def _stop_database(home: Home, platform: Platform, say: Say) -> bool:
    if not platform.embedded or not home.postgres.exists() or not embedded.is_running(home.postgres):
        return False
    say("stopping PostgreSQL")
    embedded.stop(home.postgres)
    return True


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """Keep every other `up` and `down` of this data directory out; ConflictError naming the process that is in."""
    path = home.root / "lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise ConflictError(
                f"another `gatectl up` or `down` (process {file.read().strip() or 'unknown'}) works on {home.root}; "
                "wait for it to finish"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _database(home: Home, platform: Platform, say: Say) -> Platform:
    url = os.environ.get("SWAPGATE_DATABASE_URL")
    if url:
        platform = replace(platform, embedded=False, database_url=without_password(url))
    else:
        if not home.postgres.exists():
            say("creating a private PostgreSQL")
        elif not embedded.is_running(home.postgres):
            say("starting PostgreSQL")
        url = embedded.start(home.postgres)
        platform = replace(platform, embedded=True, database_url=url)
    home.write(platform)
    if migrate.pending(url):
        say("bringing the database's schema up to date")
        migrate.upgrade(url)
    return platform


def database_url(platform: Platform) -> str:
    """Return the URL to connect with; a password is never in the record, only in the environment."""
    url = os.environ.get("SWAPGATE_DATABASE_URL") or platform.database_url
    if url is None:
        raise UnavailableError("no database is known yet; start the platform with `gatectl up`")
    return url


def without_password(url: str) -> str:
    """Return a database URL as it may be shown and stored."""
    parts = conninfo_to_dict(url)
    host, port = parts.get("host") or "", f":{parts['port']}" if parts.get("port") else ""
    return f"postgresql://{parts.get('user') or ''}@{host}{port}/{parts.get('dbname') or ''}"


def _token(home: Home, platform: Platform, say: Say) -> None:
    """See to it that the token file holds an operator's token that this database knows."""
    database = Database(database_url(platform))
    try:
        tokens, token = Tokens(database), home.token()
        if token is None or tokens.role_of(token) is None:
            say("making an operator's token for you")
            name = getpass.getuser()
            tokens.remove_token(name)  # the one whose file was lost
            write_private(home.token_file, tokens.add_token(name, "operator") + "\n")
    finally:
        database.close()


def _ray(home: Home, platform: Platform, say: Say) -> Platform:
    if alive(platform.processes.get("ray")):
        return platform
    # A controller stays bound to the Ray it met first: with a new one it must start anew.
    stop(platform.processes.get("controller"))
    say("starting Ray")
    head = ray_head.start(home)
    platform = replace(platform, ray_address=head.address).with_process("ray", head.process)
    home.write(platform.with_process("controller", None))
    return platform


def _controller(home: Home, platform: Platform, say: Say) -> Platform:
    known = platform.processes.get("controller")
    if alive(known) and wait_until(lambda: healthy(platform) or not alive(known), 15.0) and alive(known):
        return platform
    stop(known)
    say("starting the controller")
    api, gateway = _port(platform.api_url, API_PORT), platform.gateway_url or _local(free_port(GATEWAY_PORT))
    platform = replace(platform, api_url=_local(api), gateway_url=gateway)
    log = home.logs / "controller.log"
    process = spawn([sys.executable, "-m", "controller.cli", "serve-controller"], log, _controller_env(home, platform))
    platform = platform.with_process("controller", process)
    home.write(platform)
    if not wait_until(lambda: healthy(platform) or not alive(process), CONTROLLER_TIMEOUT_S) or not alive(process):
        raise UnavailableError(f"the controller did not start; {log} ends with:\n{tail(log)}")
    return platform


def _controller_env(home: Home, platform: Platform) -> dict[str, str]:
    # The process starts in a folder of its own, and "controller" is a name that others may use, too.
    path = os.pathsep.join(filter(None, (str(CODE), os.environ.get("PYTHONPATH"))))
    policies, blobs = os.environ.get("SWAPGATE_POLICIES"), os.environ.get("SWAPGATE_BLOBS")
    return ray_head.environment(home) | {
        **({"SWAPGATE_POLICIES": str(Path(policies).absolute())} if policies else {}),
        **({"SWAPGATE_BLOBS": blobs if "://" in blobs else str(Path(blobs).absolute())} if blobs else {}),
        "PYTHONPATH": path,
        "PYTHONSAFEPATH": "1",
        "SWAPGATE_DATABASE_URL": database_url(platform),
        "SWAPGATE_RAY_ADDRESS": platform.ray_address or "",
        "SWAPGATE_HOME": str(home.root),
        "SWAPGATE_API_PORT": _port_text(platform.api_url),
        "SWAPGATE_GATEWAY_PORT": _port_text(platform.gateway_url),
    }


def _port(url: str | None, preferred: int) -> int:
    return free_port(int(_port_text(url)) if url else preferred)


def _port_text(url: str | None) -> str:
    return (url or "").rsplit(":", 1)[-1]


def _local(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def healthy(platform: Platform) -> bool:
    """Say whether the controller answers and its loop ticks."""
    try:
        return httpx.get(f"{platform.api_url}/healthz", timeout=2.0).status_code == 200
    except httpx.HTTPError:
        return False


def healthy_parts(home: Home, platform: Platform) -> dict[str, bool]:
    """Return whether each part that we started does its work."""
    return {
        "postgres": not platform.embedded or embedded.is_running(home.postgres),
        "ray": alive(platform.processes.get("ray")),
        "controller": alive(platform.processes.get("controller")) and healthy(platform),
    }


def _first_images(home: Home, platform: Platform, say: Say) -> None:
    """Wait until the gateway draws one image on every lane."""
    headers = {"Authorization": f"Bearer {home.token()}"}
    lanes = httpx.get(f"{platform.api_url}/api/v1/lanes", headers=headers, timeout=10.0).json()
    for lane in lanes:
        say(f"waiting for the first image of lane {lane['name']}")
        _first_image(home, platform, lane)


def _first_image(home: Home, platform: Platform, lane: dict[str, Any]) -> None:
    problem = ""

    def drawn() -> bool:
        nonlocal problem
        problem = draw(platform, lane)
        return not problem

    if not wait_until(drawn, FIRST_IMAGE_TIMEOUT_S, 0.5):
        raise UnavailableError(
            f"lane {lane['name']} served no image within {FIRST_IMAGE_TIMEOUT_S:.0f} s: {problem}; "
            f"`gatectl doctor` looks at every part, the controller's log is {home.logs / 'controller.log'}"
        )


def draw(platform: Platform, lane: Mapping[str, Any]) -> str:
    """Ask the gateway for one image; return what is wrong, empty when nothing is."""
    body = {"model": lane["name"], "prompt": 'the word "OPEN" in black on white'}
    try:
        answer = httpx.post(f"{platform.gateway_url}/v1/images/generations", json=body, timeout=lane["timeout_s"] + 5)
    except httpx.HTTPError as error:
        return f"the gateway does not answer ({error})"
    return "" if answer.status_code == 200 else f"the gateway answered {answer.status_code}"
