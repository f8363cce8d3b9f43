"""Blobs, in a folder and in another of fsspec's file systems."""

from pathlib import Path

import pytest

from controller.adapters.blobs import Blobs
from controller.core.spec import Digest
from controller.errors import InvariantError, UnavailableError, UserError

HELLO = Digest("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")


@pytest.fixture(params=["folder", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """An empty store of each kind."""
    return Blobs(str(tmp_path / "blobs") if request.param == "folder" else f"memory://{tmp_path}")


def test_content_comes_back_under_its_digest(blobs: Blobs) -> None:
    """A blob's name is the SHA-256 of its content, and storing it twice is storing it once."""
    assert blobs.put(b"hello") == HELLO
    assert blobs.put(b"hello") == HELLO
    assert blobs.get(HELLO) == b"hello"
    assert blobs.get(blobs.put(b"")) == b""


def test_an_unknown_digest_is_a_user_error(blobs: Blobs) -> None:
    """Asking for what isn't there, or for what is no digest, says so."""
    with pytest.raises(UserError, match="there is no blob"):
        blobs.get(HELLO)
    with pytest.raises(UserError, match="64 hexadecimal digits"):
        blobs.get(Digest("../../etc/passwd"))


def test_altered_content_is_noticed(tmp_path: Path) -> None:
    """A blob that was changed on disk is never returned."""
    blobs = Blobs(str(tmp_path))
    blobs.put(b"hello")
    (tmp_path / HELLO[:2] / HELLO).write_bytes(b"jello")
    with pytest.raises(InvariantError, match="altered"):
        blobs.get(HELLO)


def test_no_drafts_are_left(tmp_path: Path) -> None:
    """Storing leaves the blob and nothing else."""
    Blobs(str(tmp_path)).put(b"hello")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [HELLO]


def test_a_store_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    """A root that is no folder is UnavailableError."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError):
        Blobs(str(tmp_path / "file")).put(b"hello")
