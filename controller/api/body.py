"""Request bodies: parsed strictly into core values, every fault in one answer."""

import secrets
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.core.judge import start
from controller.core.policy import METRICS, Policy
from controller.core.spec import ModelSpec
from controller.errors import UserError
from controller.service import Proposal
from controller.stats.tally import WindowTally

MAX_BODY_BYTES = 1_000_000
_Body = TypeVar("_Body", bound=BaseModel)
_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


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


class ReasonBody(BaseModel):
    """What a command takes."""

    model_config = _STRICT

    reason: str = Field(max_length=2000)


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
    )


def reason_of(body: bytes) -> str:
    """Return the reason that a body holds; UserError listing every fault."""
    return _parse(ReasonBody, body).reason


def _parse(model: type[_Body], body: bytes) -> _Body:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        faults = (
            f"{'.'.join(str(part) for part in fault['loc']) or 'body'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise UserError("; ".join(faults)) from error


def _check(policy: Policy) -> None:
    """Refuse what has the right shape and no sense: files are checked by the schema, a body may come from anywhere."""
    faults = [
        f"policy.criteria.{index}.metric: {item.metric!r} is not a metric; allowed: {', '.join(METRICS)}"
        for index, item in enumerate(policy.criteria)
        if item.metric not in METRICS
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
    if faults:
        raise UserError("; ".join(faults))
    try:
        start(policy, 1.0, WindowTally())
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"policy.criteria: {error}") from error
