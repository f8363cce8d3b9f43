"""`gatectl plan`: what a policy can find on this traffic, when it decides and what it costs, before anything starts."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from controller.cli.client import Client
from controller.cli.output import OUTPUT, Output, emit
from controller.cli.words import columns, duration
from controller.errors import ForbiddenError, GatectlError, InvalidFileError, UnavailableError, UserError

if TYPE_CHECKING:
    from controller.core.policy import Policy
    from controller.stats.tally import WindowTally

LEAST_REQUESTS = 200
"""A lane's record of fewer requests says too little of its tails to plan with."""


@dataclass(frozen=True, slots=True)
class Record:
    """What the incumbent does: its outcomes, the lane's timeout, the rate if it is known, and where from.

    `sigma`: the measured noise of the lane's replicas, 0 when nobody measured it.
    """

    history: "WindowTally"
    timeout_s: float
    rate_per_s: float | None
    source: str
    sigma: float = 0.0


def plan(
    file: Path = typer.Argument(help="The candidate manifest."),
    rate: float = typer.Option(0.0, min=0.0, help="Requests a second; without it, the lane's last hour is asked for."),
    requests_per_user: float = typer.Option(
        1.0, min=1.0, help="Requests of a user in a rollout, where the policy is sticky and only the first counts."
    ),
    policy: str = typer.Option("", help="Another policy than the manifest's: a name or a path."),
    scenario: Path | None = typer.Option(None, help="Plan with this scenario's incumbent, not with the lane's record."),
    output: Output = OUTPUT,
) -> None:
    """Say what a policy can find, how long it takes and what users would see, before anything starts.

    The smallest change stands for 10 to 5,000 candidate images, counted over the stages when each ends early.
    """
    from controller.schema import POLICIES, load_candidate, load_policy
    from controller.sim.plan import Traffic, make_plan

    candidate = load_candidate(file)
    policies = Path(os.environ.get("SWAPGATE_POLICIES") or POLICIES)
    frozen = load_policy(policy, policies) if policy else load_policy(candidate.policy, policies, file.parent)
    record = _of_scenario(scenario, frozen) if scenario else _of_lane(candidate.lane, frozen, known_rate=rate > 0)
    per_s = rate or record.rate_per_s
    if not per_s:
        raise UserError(f"no request reached lane {candidate.lane} lately; give --rate, in requests a second")
    prompts, unread = _prompts(frozen, candidate.lane, policies, file.parent)
    traffic = Traffic(per_s, requests_per_user if frozen.is_sticky else 1.0)
    found = make_plan(frozen, record.timeout_s, traffic, record.history, sigma=record.sigma, prompts=prompts)
    found["warnings"] += unread
    found = {"candidate": candidate.name, "lane": candidate.lane, "record": record.source, **found}
    emit(output, found, lambda: text(found))


def _of_lane(lane: str, policy: "Policy", *, known_rate: bool) -> Record:
    """Return the lane's last hour; the reference workload when it can't be had and the rate is given."""
    from controller.stats.tally import WindowTally

    try:
        traffic = Client.here().get(f"/lanes/{lane}/traffic")
    except (UnavailableError, ForbiddenError) as error:
        if known_rate:
            return _reference(f"{error}", policy)
        raise UserError(f"the lane's traffic can't be read ({error}); give --rate, in requests a second") from error
    except GatectlError:
        if known_rate:
            return _reference(f"there is no lane {lane} there", policy)
        raise
    if traffic["requests"] < LEAST_REQUESTS and known_rate:
        return _reference(f"lane {lane} served {traffic['requests']} requests lately, too few to plan with", policy)
    if traffic["requests"] < LEAST_REQUESTS:
        raise UserError(
            f"lane {lane} served {traffic['requests']} requests lately, too few to plan with (at least "
            f"{LEAST_REQUESTS}); give --rate, in requests a second, to plan with the reference workload"
        )
    return Record(
        WindowTally.from_json(traffic["incumbent"]),
        traffic["timeout_s"],
        traffic["requests_per_s"],
        f"the last {traffic['requests']:,} requests of lane {lane}",
        traffic["noise"]["sigma"] if traffic["noise"] else 0.0,
    )


def _prompts(policy: "Policy", lane: str, policies: Path, base: Path) -> tuple[int | None, list[str]]:
    """Return how many prompts the gate's suite has for a lane, None when it can't be read, with why."""
    from controller.schema.suite import load_suite

    if policy.gate is None:
        return None, []
    try:
        return len(load_suite(policy.gate.suite, policies, base).suite.for_lane(lane)), []
    except InvalidFileError as error:
        return None, [f"the gate's suite can't be read, so it is not known what the gate costs: {error}"]


def _reference(why: str, policy: "Policy") -> Record:
    from controller.schema import POLICIES

    found = _of_scenario(POLICIES / "scenarios" / "story-identical.yaml", policy)
    return Record(found.history, found.timeout_s, None, f"the reference workload, {found.source} ({why})")


def _of_scenario(file: Path, policy: "Policy") -> Record:
    """Return what the scenario's incumbent does, as the planned policy would measure it, not as the scenario's does."""
    from controller.schema.scenario import load_scenario
    from controller.sim.world import World

    scenario = load_scenario(file)
    history = World(replace(scenario, policy=policy), 1, 0).history().tally()
    return Record(history, scenario.timeout_s, scenario.rate_per_s, f"the incumbent of scenario {scenario.name}")


def text(found: dict[str, Any]) -> str:
    """Return the plan for people."""
    counts = list(found["criteria"][0]["smallest_change"])
    rows = [
        (item["title"], item["allowed"], *(_change(item, n) for n in counts), _takes(found, item["title"]))
        for item in found["criteria"]
    ]
    decide, shadow = found["decide"], found["shadow"]
    lines = [
        f"{found['candidate']} on {found['lane']} under {found['policy']}, {found['rate_per_s']:g} requests a second",
        f"planned with {found['record']}",
        "",
        "smallest change found in so many candidate images, and images until an identical candidate passes (p99):",
        columns(rows, ("CRITERION", "ALLOWED", *(f"{int(n):,}" for n in counts), "TO PASS")),
        "",
        (
            f"an identical candidate is promoted after {_pair(decide['candidate_images'], ',.0f')} candidate images, "
            f"{_pair(decide['hours'], ',.1f')} h (p99); the deadline is {decide['deadline_h']:g} h"
        ),
        *(_found(item) for item in found["regressions"]),
    ]
    if shadow["images"]:
        within = f"within {duration(shadow['seconds'])}, {_work(shadow['compute_s'], shadow)}"
        lines.append(f"shadow draws {shadow['images']:,} images that nobody sees, {within}")
    lines += _gate(found["gate"])
    return "\n".join([*lines, *(f"WARNING: {warning}" for warning in found["warnings"]), f"({found['method']})"])


def _gate(gate: dict[str, Any] | None) -> Iterator[str]:
    if gate is None:
        yield "the policy declares no offline gate"
        return
    if gate["prompts"] is None:
        yield f"the gate draws every prompt of suite {gate['suite']} on both arms, over and over"
        return
    least, most = gate["least"], gate["most"]
    yield (
        f"the gate draws {least['images']:,} to {most['images']:,} images of the {gate['prompts']} prompts of suite "
        f"{gate['suite']}, one after the other: {_work(least['seconds'], least)} at least, "
        f"{_work(most['seconds'], most)} at most"
    )


def _work(seconds: float | None, takes: dict[str, Any]) -> str:
    """Return time and price at the incumbent's speed and cost: the candidate's are not known yet."""
    cost = takes["usd_at_the_incumbents_cost"]
    price = f" and ${cost:,.2f}" if cost is not None else ""
    return f"{duration(seconds) if seconds is not None else 'an unknown time'}{price} at the incumbent's pace"


def _found(item: dict[str, Any]) -> str:
    if item["candidate_images"] is None:
        return f"a model {item['factor']}x slower is not found: that is within the allowed changes, or next to them"
    return (
        f"a model {item['factor']}x slower is found in {item['candidate_images']:,.0f} candidate images; "
        f"users see {item['users_see']:,.0f}"
    )


def _change(item: dict[str, Any], n: str) -> str:
    value = item["smallest_change"][n]
    if value is None:
        return "any" if item["note"] else "-"
    match item["unit"]:
        case "ratio":
            return f"{value:.2f}x"
        case "rate added":
            return f"+{100 * value:.2g} pp"
        case _:
            return f"-{value:.2g}"


def _takes(found: dict[str, Any], title: str) -> str:
    takes = found["decide"]["criteria"].get(title)
    return _pair(takes, ",.0f") if takes else "-"


def _pair(takes: dict[str, float | None], form: str) -> str:
    return f"{_some(takes['mean'], form)} ({_some(takes['p99'], form)})"


def _some(value: float | None, form: str) -> str:
    return "never" if value is None else format(value, form)
