"""Lanes and tenants."""

from collections.abc import Iterator
from typing import Any

from controller.lint import keys
from controller.lint.finding import Hit, Severity
from controller.lint.models import Family
from controller.lint.rule import rule
from controller.lint.subject import UNHURRIED, Subject
from controller.schema.document import shown

ERROR, WARNING = Severity.ERROR, Severity.WARNING
HURRIED_BATCH = 2
UNTILED_PX = 256
POOLS = ("pool", "node_pool", "app", "deployment")
TENANT_CAPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("a rate limit", ("rate_per_s", "rate_limit", "requests_per_min", "max_rate")),
    ("a spend budget", ("spend_usd", "budget_usd", "max_spend_usd", "spend_cap_usd")),
    ("a cap on candidate share", ("max_share", "max_candidate_share", "canary_share", "canary_percent")),
)


@rule(WARNING, fix="1 or 2; batches belong on an export lane")
def batch_too_large_for_lane(subject: Subject) -> Iterator[Hit]:
    """Everybody in a batch waits for all of it: where people wait it makes the tail of latency."""
    found = subject.number(keys.BATCH)
    if found and subject.local and subject.hurried and found.value > HURRIED_BATCH:
        yield Hit(found.loc, f"a batch of {found.value} where people wait for images", f"{HURRIED_BATCH}")


@rule(ERROR, fix="weights that stay on the GPU, in 16 bits or quantised")
def cpu_offload_in_preview_lane(subject: Subject) -> Iterator[Hit]:
    """Moving weights to and fro for every image made it 6.9 times slower where it was measured."""
    found = subject.any(keys.OFFLOAD)
    if found and subject.local and subject.hurried:
        yield Hit(found.loc, f"{found.loc[-1]} where people wait for images")


@rule(ERROR, fix="one request at a time for each replica (max_ongoing_requests: 1), or a pipeline for each request")
def pipeline_shared_concurrency(subject: Subject) -> Iterator[Hit]:
    """Pipelines are not thread-safe: two requests at once fail with an IndexError, or draw into each other's image."""
    found = subject.number(keys.IN_FLIGHT)
    if found and subject.local and found.value > 1 and not subject.any(keys.SCOPED):
        yield Hit(found.loc, f"{found.value} requests at once share one pipeline", "1")


@rule(WARNING, fix="warm up every size and batch before the replica counts as ready")
def no_warmup_with_compile(subject: Subject) -> Iterator[Hit]:
    """The first request of every shape compiles for seconds to minutes, and lands in the p99 of the candidate."""
    found = subject.any(keys.COMPILE)
    if found and subject.local and not subject.any(keys.WARM_UP):
        yield Hit(found.loc, "compiled, and nothing warms it up")


@rule(ERROR, fix="a pool of its own for every lane")
def lane_pool_shared(subject: Subject) -> Iterator[Hit]:
    """Exports and upscaling on the pool of a preview lane make every preview wait behind minutes of work."""
    lanes = subject.at("lanes")
    if not isinstance(lanes, dict):
        return
    owners: dict[Any, str] = {}
    for name, lane in lanes.items():
        for key in POOLS:
            pool = lane.get(key) if isinstance(lane, dict) else None
            if not isinstance(pool, str):
                continue
            first = owners.setdefault(pool, name)
            if first != name and _hurried(first) != _hurried(name):
                yield Hit(("lanes", name, key), f"shares {shown(pool)} with lane {shown(first)}")


def _hurried(lane: str) -> bool:
    return not any(word in lane.lower() for word in UNHURRIED)


@rule(ERROR, fix="tiles of 128 to 256 px with overlap")
def upscaler_untiled(subject: Subject) -> Iterator[Hit]:
    """Attention over a whole large image asks for memory by the square: 512 px asked a GPU for 256 GiB."""
    named = subject.source is not None and "upscal" in str(subject.source.value).lower()
    if not subject.local or subject.any(keys.TILES) or not (named or subject.family is Family.UPSCALE):
        return
    sides = [found for names in (keys.WIDTH, keys.HEIGHT) if (found := subject.number(names))]
    largest = max(sides, key=lambda found: float(found.value), default=None)
    if largest and largest.value > UNTILED_PX:
        yield Hit(largest.loc, f"an upscaler over {largest.value} px at once")


@rule(ERROR, fix="the incumbent's GPU class")
def gpu_class_mismatch(subject: Subject) -> Iterator[Hit]:
    """Arms on different GPUs compare GPUs: latency, cost and memory would say nothing about the model."""
    incumbent, found = subject.incumbent, subject.gpu_name
    if incumbent and found and subject.local and incumbent.provider == subject.provider:
        theirs = incumbent.resources.gpu
        if found.value != theirs:
            yield Hit(found.loc, f"runs on {shown(found.value)}, the lane's incumbent on {theirs}", theirs)


@rule(ERROR, fix="a rate limit, a spend budget and a cap on candidate share for every tenant")
def tenant_cap_missing(subject: Subject) -> Iterator[Hit]:
    """Without caps one tenant's loop spends everybody's capacity, or sees only the candidate."""
    tenants = subject.at("tenants")
    entries = tenants.items() if isinstance(tenants, dict) else enumerate(tenants) if isinstance(tenants, list) else ()
    for name, tenant in entries:
        given = tenant if isinstance(tenant, dict) else {}
        missing = [what for what, names in TENANT_CAPS if not any(given.get(key) is not None for key in names)]
        if missing:
            yield Hit(("tenants", name), f"has no {', no '.join(what.split(' ', 1)[1] for what in missing)}")


RULES = (
    batch_too_large_for_lane,
    cpu_offload_in_preview_lane,
    pipeline_shared_concurrency,
    no_warmup_with_compile,
    lane_pool_shared,
    upscaler_untiled,
    gpu_class_mismatch,
    tenant_cap_missing,
)
