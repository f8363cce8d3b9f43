"""Content-addressed storage: bytes under their SHA-256, in a local folder or wherever fsspec reaches."""

import hashlib
import secrets

import fsspec

from controller.core.spec import Digest
from controller.errors import InvariantError, UnavailableError, UserError


class Blobs:
    """Blobs under `url`: a folder, or an fsspec URL such as `s3://bucket/prefix`."""

    def __init__(self, url: str) -> None:
        self._files, self._root = fsspec.core.url_to_fs(url)

    def put(self, content: bytes) -> Digest:
        """Store content and return its digest; a no-op when it is there. UnavailableError when it can't be written."""
        digest = Digest(hashlib.sha256(content).hexdigest())
        path = self._path(digest)
        try:
            if not self._files.exists(path):
                # Under another name first: a crash must not leave half a blob under a whole one's name.
                draft = f"{path}.{secrets.token_hex(4)}"
                self._files.makedirs(path.removesuffix(f"/{digest}"), exist_ok=True)
                self._files.pipe_file(draft, content)
                self._files.mv(draft, path)
        except OSError as error:
            raise UnavailableError(f"the blob store {self._root} can't be written: {error}") from error
        return digest

    def get(self, digest: Digest) -> bytes:
        """Return the content of a digest.

        UserError when it is not there, InvariantError when it was altered, UnavailableError when it can't be read.
        """
        try:
            content = bytes(self._files.cat_file(self._path(digest)))
        except FileNotFoundError:
            raise UserError(f"there is no blob {digest} in {self._root}") from None
        except OSError as error:
            raise UnavailableError(f"the blob store {self._root} can't be read: {error}") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise InvariantError(f"the blob {digest} in {self._root} was altered")
        return content

    def _path(self, digest: Digest) -> str:
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise UserError(f"{digest!r} is not a digest: 64 hexadecimal digits are")
        return f"{self._root}/{digest[:2]}/{digest}"
