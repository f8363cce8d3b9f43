"""Request bodies: parsed strictly into core values, every fault in one answer."""

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TypeVar

from fastapi import Request
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError

from controller.benches import BenchWish
from controller.core.judge import start
from controller.core.policy import METRICS, Gate, Policy
from controller.core.spec import ModelSpec
from controller.core.suite import Suite
from controller.errors import UserError
from controller.schema.gate import MAX_REPEATS
from controller.schema.suite import LoadedSuite
from controller.service import Proposal
from controller.stats.tally import WindowTally

MAX_BODY_BYTES = 16_000_000
"""A suite with its reference pictures, which travel as base64."""
MAX_CONCURRENCY = 64
MAX_RATE_PER_S = 1000
_Body = TypeVar("_Body", bound=BaseModel)
_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class SuiteBody(BaseModel):
    """A suite with its reference pictures; every picture is base64 of a PNG."""

    model_config = _STRICT

    value: Suite
    assets: dict[str, Base64Bytes] = Field(default_factory=dict, max_length=100)


class ProposalBody(BaseModel):
    """What `POST /rollouts` takes; candidate and policy are the JSON of the core values."""

    model_config = _STRICT

    name: str = Field(min_length=1, max_length=100)
    lane: str
    owner: str = Field(min_length=1, max_length=100)
    reason: str = Field(max_length=2000)
    candidate: ModelSpec
    policy: Policy
    tradeoffs: dict[str, Any] = Field(default_factory=dict)
    overrides: list[str] = Field(default_factory=list, max_length=100)
    license_ack: str = Field(default="", max_length=1000)
    suite: SuiteBody | None = None


class BenchBody(BaseModel):
    """What `POST /benches` takes; `against` is absent for the lane's incumbent."""

    model_config = _STRICT

    name: str = Field(min_length=1, max_length=100)
    lane: str
    reason: str = Field(max_length=2000)
    candidate: ModelSpec
    policy: Policy
    suite: SuiteBody | None = None
    against: ModelSpec | None = None


class ReasonBody(BaseModel):
    """What a command takes."""

    model_config = _STRICT

    reason: str = Field(max_length=2000)


class NoiseBody(BaseModel):
    """What a measurement of noise takes."""

    model_config = _STRICT

    hours: float = Field(default=24.0, gt=0)
    reason: str = Field(default="", max_length=2000)


async def raw_body(request: Request) -> bytes:
    """Return the body's bytes; UserError when there are too many."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise UserError(f"the body is larger than {MAX_BODY_BYTES:,} bytes")
    return bytes(body)


def proposal_of(body: bytes) -> Proposal:
    """Return the proposal that a body holds, with a salt drawn here; UserError listing every fault."""
    parsed = _parse(ProposalBody, body)
    _check(parsed.policy)
    return Proposal(
        name=parsed.name,
        lane=parsed.lane,
        owner=parsed.owner,
        reason=parsed.reason,
        candidate=parsed.candidate,
        policy=parsed.policy,
        salt=secrets.token_hex(16),
        tradeoffs=parsed.tradeoffs,
        overrides=tuple(parsed.overrides),
        license_ack=parsed.license_ack,
        suite=_suite(parsed.suite),
    )


def bench_of(body: bytes) -> BenchWish:
    """Return the bench that a body asks for; UserError listing every fault."""
    parsed = _parse(BenchBody, body)
    _check(parsed.policy)
    return BenchWish(
        name=parsed.name,
        lane=parsed.lane,
        reason=parsed.reason,
        candidate=parsed.candidate,
        policy=parsed.policy,
        suite=_suite(parsed.suite),
        against=parsed.against,
    )


def reason_of(body: bytes) -> str:
    """Return the reason that a body holds; UserError listing every fault."""
    return _parse(ReasonBody, body).reason


def noise_of(body: bytes) -> NoiseBody:
    """Return what a body asks to measure; UserError listing every fault."""
    return _parse(NoiseBody, body)


def _parse(model: type[_Body], body: bytes) -> _Body:
    if b"NaN" in body or b"Infinity" in body:
        _refuse_constants(body)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        faults = (
            f"{'.'.join(str(part) for part in fault['loc']) or 'body'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise UserError("; ".join(faults)) from error


def _refuse_constants(body: bytes) -> None:
    """Refuse what JSON does not know and parsers accept all the same, in values of any type, too."""

    def refuse(name: str) -> None:
        raise UserError(f"body: {name} is no JSON number")

    with suppress(ValueError):  # what is no JSON at all is told of by the model
        json.loads(body, parse_constant=refuse)


def _check(policy: Policy) -> None:
    """Refuse what has the right shape and no sense: files are checked by the schema, a body may come from anywhere."""
    faults = [
        f"policy.criteria.{index}.metric: {item.metric!r} is not a metric; allowed: {', '.join(METRICS)}"
        for index, item in enumerate(policy.criteria)
        if item.metric not in METRICS
    ]
    faults += [
        f"policy.criteria.{index}.metric: {item.metric} is measured in the offline gate alone; list it in policy.gate"
        for index, item in enumerate(policy.criteria)
        if item.metric in METRICS and METRICS[item.metric].offline
    ]
    if not policy.stages or not policy.criteria:
        faults.append("policy: needs at least one stage and one criterion")
    faults += [
        f"policy.stages.{index}.share: {stage.share!r} is not between 0 and 1"
        for index, stage in enumerate(policy.stages)
        if not 0 < stage.share < 1
    ]
    faults += [
        f"policy.{name}: {value!r} is not between 0 and 1"
        for name, value in (
            ("budget.false_revert", policy.budget.false_revert),
            ("budget.false_promote", policy.budget.false_promote),
        )
        if not 0 < value < 1
    ]
    if not 0 <= policy.holdback < 1:
        faults.append(f"policy.holdback: {policy.holdback!r} is not in [0, 1)")
    faults += _gate_faults(policy.gate) if policy.gate is not None else ()
    if faults:
        raise UserError("; ".join(faults))
    try:
        start(policy, 1.0, WindowTally())
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"policy.criteria: {error}") from error


def _gate_faults(gate: Gate) -> Iterator[str]:
    for index, item in enumerate(gate.criteria):
        if item.metric not in METRICS:
            yield f"policy.gate.criteria.{index}.metric: {item.metric!r} is not a metric; allowed: {', '.join(METRICS)}"
    if not 1 <= gate.min_repeats <= gate.max_repeats <= MAX_REPEATS:
        found = f"{gate.min_repeats} and {gate.max_repeats}"
        yield f"policy.gate: needs 1 <= min_repeats <= max_repeats <= {MAX_REPEATS}, found {found}"
    if any(not 1 <= level <= MAX_CONCURRENCY for level in gate.concurrency):
        yield f"policy.gate.concurrency: {list(gate.concurrency)} has a level outside 1 to {MAX_CONCURRENCY}"
    if gate.rate_per_s is not None and not 0 < gate.rate_per_s <= MAX_RATE_PER_S:
        yield f"policy.gate.rate_per_s: {gate.rate_per_s} is not between 0 and {MAX_RATE_PER_S}"


def _suite(body: SuiteBody | None) -> LoadedSuite | None:
    """Return a suite whose parts fit together; a file's are checked by the schema, a body may come from anywhere."""
    if body is None:
        return None
    suite = body.value
    ids = [prompt.id for prompt in suite.prompts]
    found = {name: hashlib.sha256(content).hexdigest() for name, content in body.assets.items()}
    faults = [
        f"suite.prompts: {name} stands there twice" for name in sorted({one for one in ids if ids.count(one) > 1})
    ]
    for prompt in suite.prompts:
        if not prompt.seeds:
            faults.append(f"suite.prompts.{prompt.id}.seeds: needs at least one")
        if prompt.expect.logo is not None and prompt.expect.logo not in suite.assets:
            faults.append(f"suite.prompts.{prompt.id}.expect.logo: {prompt.expect.logo} is not among the assets")
    if found != dict(suite.assets):
        faults.append("suite.assets: the pictures sent are not those whose digests the suite names")
    if faults:
        raise UserError("; ".join(faults))
    return LoadedSuite(suite, body.assets)
