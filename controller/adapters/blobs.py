"""Content-addressed files: a folder, or whatever fsspec reaches by URL (`s3://...` with its package installed)."""

import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import Any

from controller.core.spec import Digest
from controller.errors import InvariantError, MissingBlobError, UnavailableError, UserError

_DIGEST = re.compile(r"[0-9a-f]{64}")
BLOBS_VARIABLE = "SWAPGATE_BLOBS"


class FsspecBlobs:
    """Implements `controller.bench_ports.Blobs`; usable from any thread.

    A file is there whole or not at all: a folder gets it by rename, an object store by one write.
    """

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        try:
            self._files, self._root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise UserError(
                f"{BLOBS_VARIABLE}: no blobs can be kept at {url.split('://', 1)[0]}://...: {error}; allowed: a "
                "folder, or the URL of an object store whose fsspec package is installed"
            ) from error
        self._local = "file" in _protocols(self._files)

    def put(self, content: bytes) -> Digest:
        """Keep content and return its digest; a no-op when it is there."""
        digest = Digest(hashlib.sha256(content).hexdigest())
        path = self._path(digest)
        try:
            if self._local:
                _write(Path(path), content)
            elif not self._files.exists(path):
                self._files.pipe_file(path, content)
        except OSError as error:
            raise UnavailableError(f"the blob store takes no content: {error}") from error
        return digest

    def get(self, digest: str) -> bytes:
        """Return the content of a digest; MissingBlobError when there is none, InvariantError when it was changed."""
        try:
            content: bytes = self._files.cat_file(self._path(digest))
        except FileNotFoundError as error:
            raise MissingBlobError(f"there is no blob {digest[:12]} in {self._root}") from error
        except OSError as error:
            raise UnavailableError(f"the blob store does not answer: {error}") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise InvariantError(f"the blob {digest[:12]} in {self._root} is not what was stored there")
        return content

    def remove(self, digest: str) -> None:
        """Remove the content of a digest; a no-op when there is none."""
        try:
            if self._files.exists(path := self._path(digest)):
                self._files.rm_file(path)
        except OSError as error:
            raise UnavailableError(f"the blob store removes no content: {error}") from error

    def _path(self, digest: str) -> str:
        if not _DIGEST.fullmatch(digest):
            raise MissingBlobError(f"{digest!r} is no digest: 64 hexadecimal digits in lower case")
        return f"{self._root}/{digest[:2]}/{digest}"


def _write(path: Path, content: bytes) -> None:
    """Write a file whole, for its owner alone, unless it is there."""
    if path.exists():
        return
    for folder in (path.parent.parent, path.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _protocols(files: Any) -> tuple[str, ...]:
    found = files.protocol
    return (found,) if isinstance(found, str) else tuple(found)
