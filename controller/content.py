"""What is in a folder, as one digest: a model on disk is what its files hold, not what it is called."""

import hashlib
from pathlib import Path


def content_digest(folder: Path) -> str:
    """Return the SHA-256 (hex) over the sorted relative names of a folder's files and the SHA-256 of each.

    Hidden files and folders are left out: download caches keep times in them. Raises OSError.
    """
    named = ((path.relative_to(folder), path) for path in folder.rglob("*") if path.is_file())
    files = sorted(
        (name.as_posix(), path) for name, path in named if not any(part.startswith(".") for part in name.parts)
    )
    total = hashlib.sha256()
    for name, path in files:
        with path.open("rb") as stream:
            total.update(f"{name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()
