"""Lane files: an endpoint, its deadline, and the model that serves it until a rollout changes that."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from controller.core.lane import Lane
from controller.schema.document import Document, read
from controller.schema.faults import FileModel, accept
from controller.schema.model import ArmFile, Known, Name, SchemaVersion, Text
from controller.schema.sources import Sources


class LaneFile(FileModel):
    """A lane file, whole."""

    schema_version: SchemaVersion
    kind: Literal["lane"]
    name: Name
    title: Text | None = None
    timeout_s: Annotated[float, Field(gt=0, le=600)]
    incumbent: ArmFile


def parse_lane(document: Document, base: Path) -> Lane:
    """Return the lane that a document declares; InvalidFileError with every fault.

    Relative model sources start at `base`, then at the repository.
    """
    sources = Sources(base)
    file = accept(document, LaneFile, Known(sources))
    return Lane(file.name, file.timeout_s, file.incumbent.spec(sources), file.title or "")


def load_lane(path: Path) -> Lane:
    """Return the lane that a file declares; InvalidFileError with every fault."""
    return parse_lane(read(path), path.parent)
