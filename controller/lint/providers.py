"""Hosted providers."""

import math
from collections.abc import Iterator

from controller.lint import closest, hosted, keys
from controller.lint.finding import Hit, Severity
from controller.lint.rule import rule
from controller.lint.subject import Found, Subject, is_number
from controller.schema.document import shown

ERROR, WARNING = Severity.ERROR, Severity.WARNING
NEVER_HEALS = frozenset(
    {
        "400", "401", "402", "403", "422", "content_policy_violation", "moderation_blocked", "insufficient_quota",
        "invalid_request_error", "daily_limit", "insufficient_funds",
    }
)  # fmt: skip
RETRY_BUDGET = 0.1
SDK_TIMEOUT_S = 600


@rule(ERROR, fix="magic_prompt: OFF")
def prompt_rewrite_enabled(subject: Subject) -> Iterator[Hit]:
    """Ideogram rewrites prompts unless told not to: scores would then judge another prompt than the suite's."""
    if subject.provider != hosted.IDEOGRAM:
        return
    found = next(subject.all(keys.MAGIC_PROMPT), None)
    if found is None:
        place = subject.source.loc if subject.source else ()
        yield Hit(place, "magic_prompt is not stated, and its default rewrites prompts")
    elif str(found.value).upper() not in {"OFF", "FALSE"}:
        yield Hit(found.loc, f"magic_prompt is {shown(str(found.value))}: prompts are rewritten")


@rule(ERROR, fix="the parameters of this model")
def unsupported_hosted_param(subject: Subject) -> Iterator[Hit]:
    """Each hosted model has its own parameters: what another one took is refused with a 400, or ignored."""
    if subject.provider not in hosted.PROVIDERS:
        return
    dialect = hosted.dialect(subject.provider, str(subject.source.value) if subject.source else "")
    for name, instead in hosted.NOT_TAKEN[dialect].items():
        for found in _parameters(subject, name):
            yield Hit(found.loc, f"{dialect} takes no {name}", instead)
    for name, words in hosted.WORDS[dialect].items():
        for found in _parameters(subject, name):
            if isinstance(found.value, str) and found.value not in words:
                message = f"{dialect} takes no {name} {shown(found.value)}; allowed: {', '.join(words)}"
                yield Hit(found.loc, message, closest.word(found.value, words) or words[0])
    most, images = hosted.MOST_IMAGES[dialect], subject.number(keys.IMAGES)
    taken = images is None or str(images.loc[-1]) not in hosted.NOT_TAKEN[dialect]
    if images and images.value > most and taken:
        yield Hit(images.loc, f"{dialect} draws at most {most} a request, found {images.value}", f"{most}")
    scale = subject.number(("cfg_scale",)) if subject.provider == hosted.STABILITY else None
    if scale and not 1 <= scale.value <= 10:
        nearest = min(max(scale.value, 1), 10)
        yield Hit(scale.loc, f"stability takes cfg_scale 1 to 10, found {scale.value}", f"{nearest:g}")


def _parameters(subject: Subject, name: str) -> Iterator[Found]:
    """Yield what is sent under a name: in a file of ours only `options` are, the rest has a meaning of its own."""
    options = subject.place("model.options")
    for found in subject.all((name,)):
        if not subject.ours or found.loc[: len(options)] == options:
            yield found


@rule(ERROR, fix="one owner of retries, with a budget of a tenth of the requests")
def retry_stacking(subject: Subject) -> Iterator[Hit]:
    """Retries in two places multiply: two of an SDK times two of a gateway are nine calls, and nine bills."""
    owners = [found for found in subject.all(keys.RETRIES) if is_number(found.value) and found.value > 0]
    calls = math.prod(1 + int(found.value) for found in owners)
    for found in owners[1:]:
        message = f"{found.loc[-1]} multiplies with {owners[0].loc[-1]}: {calls} calls at worst"
        yield Hit(found.loc, message, f"{found.loc[-1]}: 0")
    budget = subject.number(keys.RETRY_BUDGET)
    if budget and budget.value > RETRY_BUDGET:
        yield Hit(
            budget.loc, f"a retry budget of {budget.value:g} of the requests feeds an outage", f"{RETRY_BUDGET:g}"
        )


@rule(ERROR, fix="an asynchronous request, whose id is asked for until it is done")
def retry_non_idempotent_paid_call(subject: Subject) -> Iterator[Hit]:
    """A timeout does not stop the work, and Ideogram knows no idempotency key: a repeated call is billed twice."""
    found = subject.any(keys.RETRIES)
    if subject.provider == hosted.IDEOGRAM and found and not subject.any(keys.ASYNC):
        yield Hit(found.loc, "repeats a call that may already have been billed")


@rule(ERROR, fix="retry 408, 409, 429 and 5xx only, and never a quota error among the 429s")
def retry_on_policy_or_quota(subject: Subject) -> Iterator[Hit]:
    """Refusals, wrong requests and empty accounts never heal: repeating them only costs time, and trust."""
    for found in subject.all(keys.RETRY_ON):
        given = found.value if isinstance(found.value, list) else [found.value]
        for at, code in enumerate(given):
            if str(code).lower() in NEVER_HEALS:
                loc = (*found.loc, at) if isinstance(found.value, list) else found.loc
                yield Hit(loc, f"{shown(str(code))} never heals by itself", "remove it")


@rule(ERROR, fix="a limit on images in progress, not on requests")
def concurrency_over_provider_limit(subject: Subject) -> Iterator[Hit]:
    """Ideogram counts images in progress, ten for a whole organisation: four requests of four images are too many."""
    found, places = subject.number(keys.CONCURRENCY), hosted.IMAGES_IN_PROGRESS.get(subject.provider)
    if found and places:
        images = max(1.0, subject.value(keys.IMAGES, 1))
        if found.value * images > places:
            message = f"{found.value:g} requests of {images:g} images; {subject.provider} takes {places} images at once"
            yield Hit(found.loc, message, f"{max(1, int(places / images))}")


@rule(WARNING, fix="less than the lane's deadline; count waiting in the queue apart")
def timeout_vs_slo(subject: Subject) -> Iterator[Hit]:
    """A call that may take longer than the lane's deadline holds a place long after its user is gone."""
    if subject.kind == "lane":
        return
    found, lane = subject.number(keys.TIMEOUT), subject.facts.lane
    if found and lane and found.value > lane.timeout_s:
        message = f"{found.value:g} s; lane {lane.name} answers within {lane.timeout_s:g} s"
        yield Hit(found.loc, message, f"{lane.timeout_s:g}")
    elif not found and subject.provider == hosted.OPENAI and subject.source:
        yield Hit(subject.source.loc, f"no timeout is stated: the SDK waits {SDK_TIMEOUT_S} s")


RULES = (
    prompt_rewrite_enabled,
    unsupported_hosted_param,
    retry_stacking,
    retry_non_idempotent_paid_call,
    retry_on_policy_or_quota,
    concurrency_over_provider_limit,
    timeout_vs_slo,
)
