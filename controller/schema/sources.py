"""Where a model comes from: a folder, identified by its content, or a hub id, identified by a commit."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from controller.content import content_digest
from controller.schema.document import shown
from controller.schema.faults import Fault

ROOT = Path(__file__).resolve().parents[2]
"""The repository: sources and policies that are not found next to a file are looked up here."""

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PIPELINE_INDEX = "model_index.json"


@dataclass(slots=True)
class Sources:
    """Looks sources up next to the file that names them, then in the repository; hashes a folder once."""

    base: Path
    root: Path = ROOT
    _digests: dict[Path, str] = field(default_factory=dict)

    def folder(self, source: str) -> Path | None:
        """Return the folder or file that a source names, None when nothing is there."""
        for start in (self.base, self.root):
            candidate = (start / source).resolve()
            if candidate.exists():
                return candidate
        return None

    def identity(self, source: str) -> str:
        """Return the source as a spec holds it: relative inside the repository, absolute outside.

        So a model that ships has one identity on every machine, whatever the caller's working directory.
        """
        folder = self.folder(source)
        if folder is None:
            return source
        return folder.relative_to(self.root).as_posix() if folder.is_relative_to(self.root) else str(folder)

    def revision(self, source: str, stated: str | None) -> str:
        """Return the revision of a source without faults."""
        folder = self.folder(source)
        return self._digest(folder) if folder else stated or ""

    def faults(self, source: str, stated: str | None) -> Iterator[Fault]:
        """Yield what is wrong with a diffusers source and its stated revision."""
        folder = self.folder(source)
        if folder is None:
            yield from self._hub_faults(source, stated)
        elif not folder.is_dir():
            yield ("source",), "is a file; expected the folder that save_pretrained wrote"
        elif not (folder / _PIPELINE_INDEX).is_file():
            yield (
                ("source",),
                f"{folder} holds no {_PIPELINE_INDEX}; expected the folder that save_pretrained wrote",
            )
        else:
            yield from self._content_faults(folder, stated)

    def _content_faults(self, folder: Path, stated: str | None) -> Iterator[Fault]:
        try:
            actual = self._digest(folder)
        except OSError as error:
            yield ("source",), f"{error.filename} can't be read: {error.strerror}"
            return
        if stated is not None and stated != actual:
            yield (
                ("revision",),
                f"states {shown(stated, 64)} but the content of {folder} is {actual}; correct or remove it",
            )

    def _hub_faults(self, source: str, stated: str | None) -> Iterator[Fault]:
        if self._looks_like_a_path(source):
            yield (
                ("source",),
                f"model not found: neither {self.base / source} nor {self.root / source} is there",
            )
        elif not _HUB_ID.fullmatch(source):
            yield ("source",), f"{shown(source)} is neither a folder nor a hub id (owner/name)"
        elif stated is None:
            yield ("source",), "a hub id needs `revision`, the 40 hex digits of a commit: names and tags move"
        elif not _COMMIT.fullmatch(stated):
            yield (
                ("revision",),
                f"expected the 40 hex digits of a commit, found {shown(stated)}: names and tags move",
            )

    def _looks_like_a_path(self, source: str) -> bool:
        first, *rest = source.split("/")
        return (
            first in {"", ".", "..", "~"}
            or len(rest) > 1
            or (bool(rest) and any((start / first).is_dir() for start in (self.base, self.root)))
        )

    def _digest(self, folder: Path) -> str:
        if folder not in self._digests:
            self._digests[folder] = content_digest(folder)
        return self._digests[folder]
