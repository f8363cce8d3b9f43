"""What `gatectl doctor` looks at: every part from the outside, each finding with what to do about it."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, LiteralString

import httpx
import psutil  # type: ignore[import-untyped]  # ships no types

from controller.adapters import migrate
from controller.adapters.database import Database
from controller.core.spec import digest_of
from controller.errors import GatectlError, InvalidFileError
from controller.platform.home import Home, Platform
from controller.platform.lifecycle import database_url, draw, without_password
from controller.platform.processes import alive
from controller.schema import POLICIES, PRICE_BOOK, load_prices
from controller.version import VERSION

MIN_DISK_GIB = 2.0
MIN_RAM_GIB = 2.0
BUSY_LOAD = 3.0
MAX_CLOCK_OFFSET_S = 2.0
SLOW_GATEWAY_S = 5.0
GIB = 2**30
HEAL = "`gatectl up` starts or heals it"
NOW: LiteralString = """
SELECT extract(epoch FROM clock_timestamp())::float8 AS now_s,
       (SELECT holder FROM leader WHERE until > clock_timestamp()) AS leader
"""
GATEWAYS: LiteralString = """
SELECT replica, extract(epoch FROM clock_timestamp() - seen_at)::float8 AS silent_s,
       extract(epoch FROM clock_timestamp())::float8 - watermark_s AS behind_s
  FROM gateways WHERE seen_at > clock_timestamp() - interval '10 s' ORDER BY replica
"""
LEASES: LiteralString = """
SELECT lane, share,
       extract(epoch FROM greatest(lease_until, 'epoch'::timestamptz) - clock_timestamp())::float8 AS lease_s
  FROM splits WHERE candidate IS NOT NULL ORDER BY lane
"""


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report; `fix` says what to do unless all is well."""

    level: Level
    part: str
    message: str
    fix: str = ""


def examine(home: Home) -> Iterator[Finding]:
    """Yield a finding per part, the parts that others need first."""
    yield _versions()
    yield from _machine(home)
    platform = home.read()
    if platform is None:
        yield Finding(Level.FAIL, "platform", f"{home.root} holds none", "start one: `gatectl up`")
        return
    yield from _database(platform)
    yield _ray(platform)
    yield from _controller(home, platform)
    yield from _gateway(platform)


def _versions() -> Finding:
    found = []
    for name in ("ray", "diffusers", "torch", "psycopg"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            return Finding(Level.FAIL, "versions", f"{name} is not installed", "install Swapgate again")
    return Finding(Level.OK, "versions", f"swapgate {VERSION}, {', '.join(found)}")


def _machine(home: Home) -> Iterator[Finding]:
    folder = home.root if home.root.exists() else home.root.parent
    disk_gib = shutil.disk_usage(folder).free / GIB
    yield _at_least(
        "disk", disk_gib, MIN_DISK_GIB, f"free for {home.root}", "make room, or set SWAPGATE_HOME elsewhere"
    )
    ram_gib = psutil.virtual_memory().available / GIB
    yield _at_least("memory", ram_gib, MIN_RAM_GIB, "available", "end other programs, or run fewer replicas")
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    said = f"{os.cpu_count()} cores, load {load:.1f} a core"
    yield _verdict(load <= BUSY_LOAD, "processor", said, "images wait for other programs; latencies say little")


def _at_least(part: str, found_gib: float, needed_gib: float, what: str, fix: str) -> Finding:
    return _verdict(found_gib >= needed_gib, part, f"{found_gib:.1f} GiB {what} ({needed_gib:g} are advised)", fix)


def _database(platform: Platform) -> Iterator[Finding]:
    try:
        url = database_url(platform)
        pending = migrate.pending(url)
    except GatectlError as error:
        yield Finding(Level.FAIL, "database", str(error), HEAL if platform.embedded else "start it, or mend the URL")
        return
    yield Finding(
        Level.OK, "database", without_password(url) if not platform.embedded else "private PostgreSQL answers"
    )
    if pending:
        yield Finding(Level.FAIL, "schema", f"lacks {', '.join(pending)}", "`gatectl up` brings it up to date")
        return
    yield Finding(Level.OK, "schema", f"at {migrate.current(url)}, the newest")
    yield from _truth(url)


def _truth(url: str) -> Iterator[Finding]:
    database = Database(url)
    try:
        now = database.rows(NOW, [])[0]
        gateways, leases = database.rows(GATEWAYS, []), database.rows(LEASES, [])
    except GatectlError as error:
        yield Finding(Level.FAIL, "leader", str(error), HEAL)
        return
    finally:
        database.close()
    offset_s = abs(now["now_s"] - time.time())
    yield _verdict(
        offset_s < MAX_CLOCK_OFFSET_S,
        "clock",
        f"{offset_s:.2f} s apart from the database's",
        "synchronise both clocks (NTP); decisions use the database's",
    )
    if now["leader"] is None:
        yield Finding(Level.FAIL, "leader", "no controller leads: rollouts stand still, incumbents serve", HEAL)
    else:
        yield Finding(Level.OK, "leader", f"{now['leader']} leads")
    for row in leases:
        said = f"its lease runs {row['lease_s']:.1f} s" if row["lease_s"] > 0 else "its lease ran out: nobody gets it"
        yield _verdict(
            row["lease_s"] > 0, f"lane {row['lane']}", f"candidate at {100 * row['share']:g} %, {said}", HEAL
        )
    for row in gateways:
        yield _verdict(
            row["behind_s"] < SLOW_GATEWAY_S,
            "evidence",
            f"{row['replica'][:20]} reported {row['silent_s']:.1f} s ago, complete up to {row['behind_s']:.1f} s ago",
            "it may be busy or gone; without its report no evidence is read",
        )


def _verdict(ok: bool, part: str, message: str, fix: str) -> Finding:  # noqa: FBT001  # the question itself
    return Finding(Level.OK, part, message) if ok else Finding(Level.WARN, part, message, fix)


def _ray(platform: Platform) -> Finding:
    if "ray" not in platform.processes:
        return Finding(Level.FAIL, "ray", "was never started here", HEAL)
    if not alive(platform.processes["ray"]):
        return Finding(Level.FAIL, "ray", "died", HEAL)
    return Finding(Level.OK, "ray", f"runs at {platform.ray_address}")


def _controller(home: Home, platform: Platform) -> Iterator[Finding]:
    if not alive(platform.processes.get("controller")):
        yield Finding(Level.FAIL, "controller", "does not run: gateways serve incumbents only", HEAL)
        return
    health = _get(f"{platform.api_url}/healthz")
    if health is None or health.status_code != 200:
        said = "does not answer" if health is None else f"says {health.text}"
        yield Finding(Level.FAIL, "controller", said, f"its log: {home.logs / 'controller.log'}; {HEAL}")
        return
    yield Finding(Level.OK, "controller", f"ticks at {platform.api_url}")
    lanes = _get(f"{platform.api_url}/api/v1/lanes", {"Authorization": f"Bearer {home.token()}"})
    if lanes is None or lanes.status_code != 200:
        yield Finding(
            Level.FAIL, "token", "the controller refuses the token file's content", "`gatectl up` makes a new one"
        )
        return
    for lane in lanes.json():
        yield from _lane(platform, lane)


def _lane(platform: Platform, lane: Mapping[str, Any]) -> Iterator[Finding]:
    part, wanted = f"lane {lane['name']}", lane["split"]["epoch"]
    if not lane["gateways"]:
        yield Finding(Level.FAIL, part, "no gateway reports: no evidence, no candidate traffic", HEAL)
        return
    behind = [replica for replica, epoch in lane["gateways"].items() if (epoch or 0) < wanted]
    said = f"{len(lane['gateways']) - len(behind)} of {len(lane['gateways'])} gateways at epoch {wanted}"
    yield _verdict(not behind, part, said, "look again in a second; else see the database above")
    started_s = time.monotonic()
    problem = draw(platform, lane)
    if problem:
        yield Finding(Level.FAIL, part, f"its incumbent drew no image: {problem}", HEAL)
    else:
        yield Finding(Level.OK, part, f"drew an image in {time.monotonic() - started_s:.2f} s")


def _gateway(platform: Platform) -> Iterator[Finding]:
    health = _get(f"{platform.gateway_url}/healthz")
    if health is None:
        yield Finding(Level.FAIL, "gateway", f"nothing answers at {platform.gateway_url}", HEAL)
        return
    if health.status_code != 200:
        yield Finding(Level.FAIL, "gateway", f"answered {health.status_code}", HEAL)
        return
    body = health.json()
    age_s = body.get("splits_age_s")
    yield _verdict(
        age_s is not None and age_s < SLOW_GATEWAY_S,
        "gateway",
        f"serves at {platform.gateway_url}, splits read {'never' if age_s is None else f'{age_s:.1f} s ago'}",
        "it lost the database and serves incumbents; see the database above",
    )
    yield _prices(body.get("prices"))
    for name, lane in body.get("lanes", {}).items():
        with_candidate = f" and {lane['candidate']}" if lane.get("candidate") else ""
        yield Finding(Level.OK, "gateway", f"{name}: {lane['incumbent']}{with_candidate}, epoch {lane['epoch']}")


def _prices(used: str | None) -> Finding:
    """Gateways are never updated in place, so they keep the price book that they were started with."""
    book = Path(os.environ.get("SWAPGATE_POLICIES") or POLICIES) / PRICE_BOOK.name
    try:
        current = digest_of(dict(load_prices(book)))
    except InvalidFileError as error:
        return Finding(Level.WARN, "prices", str(error), "mend the price book: no controller starts with it")
    return _verdict(
        used == current,
        "prices",
        f"gateways compute costs from {'the price book' if used == current else 'an earlier price book'}",
        "`gatectl down`, then `gatectl up`, when no rollout is open",
    )


def _get(url: str, headers: Mapping[str, str] | None = None) -> httpx.Response | None:
    try:
        return httpx.get(url, headers=dict(headers or {}), timeout=3.0, trust_env=False)
    except httpx.HTTPError:
        return None
