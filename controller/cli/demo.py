"""`gatectl demo`: everything on one machine, from nothing to a promoted and a reverted model."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from controller.cli.exits import Exit
from controller.cli.output import OUTPUT, Output, note
from controller.cli.progress import progress
from controller.errors import ConflictError
from controller.platform.home import Home

if TYPE_CHECKING:
    from controller.cli.follow import Glimpse
    from controller.cli.story import Audience, Outcome

Say = Callable[[str], None]


def demo(
    keep: bool = typer.Option(False, "--keep", help="Leave the platform running at the end."),
    rate: float | None = typer.Option(None, min=0.05, help="Requests a second (default: what the machine affords)."),
    output: Output = OUTPUT,
) -> None:
    """Run a good and a bad swap on live traffic.

    Starts a whole platform, sends it steady traffic, swaps in a model that is promoted and one that is reverted, and
    says what was proven, who saw what, and whether the audit log is whole. Exit code 0 only if all went as told.
    """
    say = note if output is Output.JSON else _print
    home = Home.current()
    fresh, ran_before = not home.root.exists(), _runs(home)
    ok = False
    try:
        report = _tell(home, rate, say)
        ok = report["ok"]
    finally:
        # What ran before the demo is somebody's: it runs on.
        _leave(home, keep=keep or ran_before, remove=fresh and ok and not keep, say=say)
    if output is Output.JSON:
        import json

        sys.stdout.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    if not ok:
        raise typer.Exit(Exit.FAILED)


def _runs(home: Home) -> bool:
    from controller.platform.processes import alive

    platform = home.read()
    return platform is not None and any(alive(process) for process in platform.processes.values())


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _tell(home: Home, rate: float | None, say: Say) -> dict[str, Any]:
    from controller.cli.client import Client
    from controller.cli.story import CHAPTERS, affordable_rate, audience, tell, told_before, without_criteria
    from controller.platform.lifecycle import bring_up

    started_s = time.monotonic()
    with progress() as step:
        platform = bring_up(home, step)
        client = Client(str(platform.api_url), str(home.token()))
        if reason := told_before(client):
            raise ConflictError(
                f"the story can't begin: {reason}. Look around with `gatectl list`, or start over: "
                f"`gatectl down && rm -r {home.root}`"
            )
        step("measuring what this machine affords")
        rate_per_s = rate or affordable_rate(str(platform.gateway_url))
    say(f"\nTraffic: {rate_per_s:g} requests a second to lane preview, all the while\n")
    outcomes = []
    with audience(str(platform.gateway_url), rate_per_s) as users:
        for number, chapter in enumerate(CHAPTERS, 1):
            say(f"{number}. {chapter.title[0].upper()}{chapter.title[1:]}")
            with _shown(users) as show:
                outcomes.append(tell(chapter, client, users, show))
            _say_outcome(outcomes[-1], client.get("/audit/verify"), say)
            if not outcomes[-1].as_told:
                break
    found = client.get("/audit/verify")
    ok = len(outcomes) == len(CHAPTERS) and all(it.as_told for it in outcomes) and not users.errors and found["ok"]
    _say_end(outcomes, users, found, say)
    say(f"{'As told' if ok else 'NOT as told'}, in {time.monotonic() - started_s:.0f} s.")
    return {
        "ok": ok,
        "chapters": [without_criteria(outcome) for outcome in outcomes],
        "traffic": users.traffic.summary(),
        "audit": found,
    }


@contextmanager
def _shown(users: "Audience") -> Iterator[Callable[["Glimpse"], None]]:
    """Give what shows a glimpse: the live page on a terminal, a line per change elsewhere."""
    from controller.cli.follow import Changes
    from controller.cli.load import line
    from controller.cli.page import render

    if not sys.stderr.isatty():
        changes = Changes()

        def lines(glimpse: "Glimpse") -> None:
            for text in changes.of(glimpse):
                note(f"   {time.strftime('%H:%M:%S')} {text}")

        yield lines
        return
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(stderr=True, highlight=False), transient=True, auto_refresh=False) as live:

        def page(glimpse: "Glimpse") -> None:
            if glimpse.view is not None:
                below = Text(f"\n  {line(users.traffic.summary())}", style="dim")
                live.update(Group(render(glimpse.view, glimpse.problem), below), refresh=True)

        yield page


def _say_outcome(outcome: "Outcome", found: dict[str, Any], say: Say) -> None:
    from controller.cli.audit import verified

    say(f"   {outcome.rollout} {outcome.state} after {outcome.took_s:.0f} s")
    say(f"   {outcome.reason}")
    of = outcome.images
    say(f"   requests assigned: {of['incumbent']} to the incumbent, {of['candidate']} to the candidate")
    if outcome.state == "reverted":
        say(f"   users saw {outcome.seen} images of the bad model (our client counted {outcome.seen_by_client})")
    if outcome.exposed_s is not None:
        say(f"   {outcome.exposed_s:.1f} s from its first image to share 0 at every gateway")
    say(f"   audit log: {verified(found)}\n")


def _say_end(outcomes: "list[Outcome]", users: "Audience", found: dict[str, Any], say: Say) -> None:
    from controller.cli.audit import verified
    from controller.cli.story import certified
    from controller.cli.words import percent

    say(f"Users: {len(users.answers)} answers, {users.errors} errors")
    for failure in users.failures:
        at = time.strftime("%H:%M:%S", time.localtime(failure.time_s))
        say(f"  ! {at} status {failure.status} after {failure.latency_s:.1f} s")
    if users.traffic.dropped:
        say(f"  ! {users.traffic.dropped} requests were not sent: too many under way")
    say(f"Audit log: {verified(found)}\n")
    if outcomes and outcomes[0].state == "promoted":
        proven, opened = certified(outcomes[0])
        often = percent(outcomes[0].false_promote)
        say(f"Proven of the promoted model (one that breaks such a limit passes in at most {often} of rollouts):")
        for text in proven:
            say(f"  + {text}")
        say("What it did not:")
        for text in opened:
            say(f"  - {text}")
        say("")


def _leave(home: Home, *, keep: bool, remove: bool, say: Say) -> None:
    from controller.platform.lifecycle import take_down

    if keep:
        where = "" if home.root.name == ".swapgate" else f" (with SWAPGATE_HOME={home.root})"
        say(f"\nEverything still runs. Look around{where}:")
        say("  gatectl show r-0001       one page; explain r-0002 says why, in words")
        say("  gatectl load              traffic, while you propose something of your own and `gatectl watch` it")
        say("  gatectl audit log         who did what, why, on what evidence")
        say("  docs/                     how it works and how to write a policy")
        say("Stop it with `gatectl down`.")
        return
    with progress() as step:
        take_down(home, step)
    if remove:
        shutil.rmtree(home.root)
        say("Nothing is left behind. `gatectl demo --keep` leaves everything running to look around in.")
    else:
        say(f"Everything is stopped; {home.root} keeps data and logs, `gatectl up` starts it again.")
