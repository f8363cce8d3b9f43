"""Identity and licence."""

import re
from collections.abc import Iterator
from datetime import date, timedelta

from controller.lint import closest, hosted, keys, models
from controller.lint.finding import Hit, Severity
from controller.lint.models import Licence
from controller.lint.rule import rule
from controller.lint.subject import LOCAL, Subject
from controller.schema.document import shown

ERROR, WARNING = Severity.ERROR, Severity.WARNING
NOTICE = timedelta(days=90)
FREE_REVENUE_USD = 1_000_000
_COMMIT = re.compile(r"[0-9a-f]{40}")
_CODE_KERNEL = "_hub"


@rule(ERROR, fix="the full hub id, owner/name, or a folder")
def model_id_unqualified(subject: Subject) -> Iterator[Hit]:
    """A name without its owner is no hub id: it loads from nowhere, or from a folder that happens to be called so."""
    found = subject.source
    if subject.local and found and "/" not in found.value and not subject.facts.folder:
        names = {alias: model.source for model in models.MODELS for alias in (*model.aliases, model.source)}
        likely = closest.word(found.value, names)
        fix = names[likely] if likely else "owner/name"
        yield Hit(found.loc, f"{shown(found.value)} is neither a hub id nor a folder here", fix)


@rule(ERROR, fix="the 40 hex digits of a commit; a dated snapshot of a hosted model")
def revision_unpinned(subject: Subject) -> Iterator[Hit]:
    """Branches, tags and `-latest` aliases move: the model that was judged is not the one that serves tomorrow."""
    source, revision = subject.source, subject.text(keys.REVISION)
    if not source:
        return
    if subject.local and not subject.facts.folder and not _is_a_path(source.value):
        if not revision:
            yield Hit(source.loc, f"no revision of {shown(source.value)} is stated: main moves")
        elif not _COMMIT.fullmatch(revision.value):
            yield Hit(revision.loc, f"{shown(revision.value)} is not a commit: names and tags move")
    elif subject.provider in hosted.PROVIDERS and source.value.endswith("-latest"):
        yield Hit(source.loc, f"{shown(source.value)} is whatever the provider says today", "a dated snapshot")


@rule(ERROR, fix="the successor, tried as a candidate of its own")
def model_retired_or_retiring(subject: Subject) -> Iterator[Hit]:
    """A hosted model stops answering on its last day; the swap then happens to you, unjudged."""
    source, stated = subject.source, subject.text(keys.SHUTDOWN)
    if not source:
        return
    ends, successor = hosted.shutdown(source.value)
    ends = _day(stated.value) if stated else ends
    if ends and ends - subject.facts.today < NOTICE:
        gone = ends <= subject.facts.today
        verb = "ended" if gone else "ends"
        yield Hit(source.loc, f"{source.value} {verb} on {ends}", successor, ERROR if gone else WARNING)


@rule(ERROR, fix="first give the lane an incumbent that can be gone back to")
def rollback_target_unavailable(subject: Subject) -> Iterator[Hit]:
    """A revert needs something to go back to: a retired incumbent does not answer, an unpinned one has changed."""
    incumbent = subject.incumbent
    if not incumbent:
        return
    ends, _ = hosted.shutdown(incumbent.source)
    lane = subject.text(keys.LANE)
    place = lane.loc if lane else subject.place("model.source")
    if ends and ends <= subject.facts.today:
        yield Hit(place, f"the lane's incumbent {incumbent.source} ended on {ends}")
    elif incumbent.provider == LOCAL and not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", incumbent.revision):
        yield Hit(place, f"the lane's incumbent {incumbent.source} is not pinned to a revision")


@rule(ERROR, fix="state in license_ack which agreement covers you, or take another model")
def licence_unacknowledged(subject: Subject) -> Iterator[Hit]:
    """Some weights may not be served by everybody: Stable Diffusion 3.5 is free below 1 million USD of revenue only."""
    model, source = subject.model, subject.source
    if not model or not source or model.licence is Licence.FREE or subject.any(keys.LICENCE):
        return
    revenue = subject.number(keys.REVENUE)
    if revenue and model.licence is Licence.REVENUE and revenue.value < FREE_REVENUE_USD:
        return
    certain = model.licence is Licence.NON_COMMERCIAL or revenue is not None
    yield Hit(source.loc, f"{model.source} is {model.licence}", "", ERROR if certain else WARNING)


@rule(WARNING, fix="code that is vendored and pinned")
def remote_code_kernel(subject: Subject) -> Iterator[Hit]:
    """Code that is downloaded when the model loads was reviewed by nobody and changes without a new revision."""
    for found in subject.all(keys.REMOTE_CODE):
        if found.value:
            yield Hit(found.loc, "runs code from a model repository")
    for found in subject.all(keys.ATTENTION):
        if str(found.value).endswith(_CODE_KERNEL):
            yield Hit(found.loc, f"{shown(str(found.value))} downloads a kernel and runs it", "native")


def _is_a_path(source: str) -> bool:
    """Say whether a source can only be a folder; that it is missing is the schema's to tell."""
    return source.startswith((".", "/", "~")) or source.count("/") > 1


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


RULES = (
    model_id_unqualified,
    revision_unpinned,
    model_retired_or_retiring,
    rollback_target_unavailable,
    licence_unacknowledged,
    remote_code_kernel,
)
