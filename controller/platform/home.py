"""The data directory of a local platform: what lies where, and the record of what runs.

Imports the standard library only, because every `gatectl` verb reads it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Process:
    """A process we started; `started_at_s` (Unix seconds) tells it from a later one with the same pid."""

    pid: int
    started_at_s: float


@dataclass(frozen=True, slots=True)
class Platform:
    """What `platform.json` records; no secret is among it.

    `embedded` says that the database is ours to start and stop. Addresses are None for parts never started.
    """

    embedded: bool = True
    database_url: str | None = None
    ray_address: str | None = None
    api_url: str | None = None
    gateway_url: str | None = None
    processes: Mapping[str, Process] = field(default_factory=dict)

    def with_process(self, name: str, process: Process | None) -> "Platform":
        """Return the record with one process set, or taken out."""
        kept = {key: value for key, value in self.processes.items() if key != name}
        return replace(self, processes=kept | ({name: process} if process else {}))


@dataclass(frozen=True, slots=True)
class Home:
    """The data directory."""

    root: Path

    @staticmethod
    def current() -> "Home":
        """Return $SWAPGATE_HOME, or `.swapgate` under the working directory."""
        return Home(Path(os.environ.get("SWAPGATE_HOME") or ".swapgate").expanduser().absolute())

    @property
    def postgres(self) -> Path:
        """Return the folder of the private database."""
        return self.root / "postgres"

    @property
    def logs(self) -> Path:
        """Return the folder of the processes' output."""
        return self.root / "logs"

    @property
    def blobs(self) -> Path:
        """Return the folder of images and results, unless SWAPGATE_BLOBS names another place."""
        return self.root / "blobs"

    @property
    def record(self) -> Path:
        """Return the file that says what runs."""
        return self.root / "platform.json"

    @property
    def token_file(self) -> Path:
        """Return the file with the local operator's token."""
        return self.root / "token"

    def create(self) -> None:
        """Make the folders, for their owner alone."""
        for folder in (self.root, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self) -> Platform | None:
        """Return the record, None when there is none or it is damaged (`up` then starts from nothing)."""
        try:
            value = json.loads(self.record.read_text())
            processes = {name: Process(**of) for name, of in value.pop("processes").items()}
            return Platform(**value, processes=processes)
        except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def write(self, platform: Platform) -> None:
        """Replace the record in one move, so that no reader sees half of it."""
        write_private(self.record, json.dumps(asdict(platform), indent=2) + "\n")

    def token(self) -> str | None:
        """Return the local operator's token, None before the first `up`."""
        try:
            return self.token_file.read_text().strip() or None
        except (FileNotFoundError, PermissionError):
            return None


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, in one move."""
    draft = path.with_suffix(f".{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def to_json(platform: Platform | None) -> dict[str, Any]:
    """Return plain JSON values of a record."""
    return asdict(platform or Platform())
