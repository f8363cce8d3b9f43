"""Lint over files: reads what the rules want to know, so that they need not read anything."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from controller.adapters.model_folder import read_model_folder
from controller.core.lane import Lane
from controller.core.policy import Policy
from controller.core.spec import canonical_json
from controller.errors import InvalidFileError, Problem
from controller.lint import Facts, Finding, ModelFolder, Price, judge, of_problem
from controller.schema import POLICIES, load_policy
from controller.schema.__main__ import FILES
from controller.schema.candidate import Candidate, CandidateFile
from controller.schema.document import Document, Loc, parse, read
from controller.schema.faults import Fault, accept, nearest
from controller.schema.lane import LaneFile
from controller.schema.model import DIFFUSERS, Known
from controller.schema.prices import PricesFile
from controller.schema.sources import ROOT, Sources

_BY_CONTENT = "0" * 64


class UnhashedSources(Sources):
    """Sources whose folders are hashed only where a file states their digest: a model may have gigabytes."""

    def revision(self, source: str, stated: str | None) -> str:
        """Return the stated revision; a placeholder for a folder, which its content pins."""
        return stated or (_BY_CONTENT if self.folder(source) else "")

    def _content_faults(self, folder: Path, stated: str | None) -> Iterator[Fault]:
        return super()._content_faults(folder, stated) if stated is not None else iter(())


class ProposedSources(UnhashedSources):
    """Sources of a proposal: a folder pinned by its content need not lie here, and is compared where it is loaded."""

    def faults(self, source: str, stated: str | None) -> Iterator[Fault]:
        """Yield what is wrong with a hub id."""
        return iter(()) if stated is not None and len(stated) == len(_BY_CONTENT) else super().faults(source, stated)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where lint looks for what a file refers to.

    `lane` is the lane as it serves now, where that is known; `policy` another one than the manifest's.
    """

    today: date
    policies: Path = POLICIES
    lane: Lane | None = None
    policy: str = ""

    def lint(self, path: Path) -> tuple[Finding, ...]:
        """Return everything that is to be said about a file, one that can't be read included."""
        try:
            document = read(path)
            text = path.read_text(encoding="utf-8-sig")
        except InvalidFileError as error:
            return tuple(of_problem(problem) for problem in error.problems)
        policy, missing = self._policy(document, path.parent)
        sources = UnhashedSources(path.parent)
        prices = self._prices()
        facts = Facts(self.today, self.lane or self._lane(document), policy, prices, _folder(document, sources))
        return judge(document, text, facts, (*_problems(document, Known(sources)), *missing))

    def lint_proposal(self, candidate: Candidate, policy: Policy) -> tuple[Finding, ...]:
        """Return everything that is to be said about a proposal, from wherever it came."""
        # JSON is YAML, so a proposal is judged as the file that would have declared it.
        document = parse(canonical_json(candidate.manifest()).encode(), "proposal")
        sources, prices = ProposedSources(ROOT), self._prices()
        problems = _problems(document, Known(sources, gpus=prices))
        return judge(document, "", Facts(self.today, self.lane, policy, prices, _folder(document, sources)), problems)

    def _policy(self, document: Document, base: Path) -> tuple[Policy | None, tuple[Problem, ...]]:
        if document.value.get("kind") == "policy":
            return None, ()
        named = document.value.get("policy")
        try:
            if self.policy:
                return load_policy(self.policy, self.policies), ()
            return (load_policy(named, self.policies, base), ()) if isinstance(named, str) else (None, ())
        except InvalidFileError as error:
            return None, (document.problem(("policy",), error.problems[0].message),)

    def _lane(self, document: Document) -> Lane | None:
        name, kind = document.value.get("lane"), document.value.get("kind")
        paths = sorted((self.policies / "lanes").glob("*.yaml"))
        path = next((path for path in paths if path.stem == name), None)
        if path is None or kind in FILES.keys() - {"candidate"}:
            return None
        try:
            sources = UnhashedSources(path.parent)
            file = accept(read(path), LaneFile, Known(sources))
        except InvalidFileError:
            return None
        return Lane(file.name, file.timeout_s, file.incumbent.spec(sources), file.title or "")

    def _prices(self) -> Mapping[str, Price] | None:
        try:
            book = accept(read(self.policies / "prices.yaml"), PricesFile)
        except InvalidFileError:
            return None
        return {name: Price(entry.usd_per_hour, entry.source, entry.date) for name, entry in book.prices.items()}


def _problems(document: Document, known: Known) -> Iterable[Problem]:
    kind = document.value.get("kind")
    if "schema_version" not in document.value and "kind" not in document.value:
        message = "is no manifest: it has no `schema_version` and no `kind`; it is judged as foreign configuration"
        return (*document.faults.values(), document.problem((), message))
    model: type[BaseModel] = CandidateFile
    if isinstance(kind, str):
        if kind not in FILES:
            return (document.problem(("kind",), f"unknown kind; {nearest(kind, tuple(FILES))}"),)
        model = FILES[kind]
    try:
        accept(document, model, known)
    except InvalidFileError as error:
        return error.problems
    return ()


def _folder(document: Document, sources: Sources) -> ModelFolder | None:
    root: Loc = ("incumbent",) if document.value.get("kind") == "lane" else ()
    model: Any = document.value
    for part in (*root, "model"):
        model = model.get(part) if isinstance(model, dict) else None
    source, provider = (model.get("source"), model.get("provider")) if isinstance(model, dict) else (model, None)
    if not isinstance(source, str) or provider not in {None, DIFFUSERS}:
        return None
    folder = sources.folder(source)
    return read_model_folder(folder) if folder else None
