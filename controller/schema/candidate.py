"""Candidate manifests: what a person proposes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from controller.core.spec import ModelSpec
from controller.schema.document import Document, read, shown
from controller.schema.faults import FileModel, accept, nearest, refuse
from controller.schema.model import SCHEMA_VERSION, ArmFile, Known, Name, SchemaVersion, Text, arm_manifest
from controller.schema.sources import Sources


class TradeoffsFile(FileModel):
    """`tradeoffs:` declared in public, shown in the review."""

    gives_up: Text | None = None
    in_exchange_for: Text | None = None
    unsuitable_for: tuple[Text, ...] = ()


class CandidateFile(ArmFile):
    """A candidate manifest, whole."""

    schema_version: SchemaVersion
    kind: Literal["candidate"]
    name: Name
    lane: Name
    owner: Annotated[str, Field(min_length=1, max_length=100)]
    policy: Annotated[str, Field(min_length=1, max_length=255)]
    tradeoffs: TradeoffsFile = TradeoffsFile()

    @model_validator(mode="after")
    def _lane_is_known(self, info: ValidationInfo) -> Self:
        known = info.context
        if isinstance(known, Known) and known.lanes is not None and self.lane not in known.lanes:
            refuse([(("lane",), f'no lane is called "{shown(self.lane)}"; {nearest(self.lane, known.lanes)}')])
        return self


@dataclass(frozen=True, slots=True)
class Candidate:
    """A manifest as core values. `policy` is a name or a path, for `load_policy`."""

    name: str
    lane: str
    owner: str
    spec: ModelSpec
    policy: str
    tradeoffs: Mapping[str, Any] = field(default_factory=dict)
    license_ack: str = ""

    def manifest(self) -> dict[str, Any]:
        """Return what a file would say that declares this candidate."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "candidate",
            "name": self.name,
            "lane": self.lane,
            "owner": self.owner,
            **arm_manifest(self.spec, self.license_ack),
            "policy": self.policy,
            "tradeoffs": dict(self.tradeoffs),
        }


def parse_candidate(
    document: Document,
    base: Path,
    *,
    lanes: Collection[str] | None = None,
    gpus: Collection[str] | None = None,
) -> Candidate:
    """Return the candidate that a document declares; InvalidFileError with every fault.

    Relative model sources start at `base`, then at the repository. `lanes` and `gpus` are the names that exist,
    None when the caller can't know.
    """
    sources = Sources(base)
    file = accept(document, CandidateFile, Known(sources, lanes, gpus))
    return Candidate(
        name=file.name,
        lane=file.lane,
        owner=file.owner,
        spec=file.spec(sources),
        policy=file.policy,
        tradeoffs=file.tradeoffs.model_dump(mode="json", exclude_none=True),
        license_ack=file.model.license_ack or "",
    )


def load_candidate(
    path: Path, *, lanes: Collection[str] | None = None, gpus: Collection[str] | None = None
) -> Candidate:
    """Return the candidate that a file declares; see `parse_candidate`."""
    return parse_candidate(read(path), path.parent, lanes=lanes, gpus=gpus)
