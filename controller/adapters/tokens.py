"""API tokens: known in plain text once, at their making; kept as SHA-256."""

import hashlib
import secrets

from controller.adapters.database import Database
from controller.errors import ConflictError, UserError

ROLES = ("viewer", "operator")
_ENTROPY_BYTES = 32  # so random that a fast hash is safe


class Tokens:
    """Who may call the API: `viewer` reads, `operator` also changes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_token(self, name: str, role: str) -> str:
        """Make a token and return it, never to be seen again; ConflictError when the name is taken."""
        if role not in ROLES:
            raise UserError(f"{role} is not a role; allowed: {', '.join(ROLES)}")
        token = secrets.token_urlsafe(_ENTROPY_BYTES)
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO tokens (name, sha256, role) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                [name, _sha256(token), role],
            )
            if not cursor.rowcount:
                raise ConflictError(f"there is a token {name} already: remove it first or choose another name")
        return token

    def role_of(self, token: str) -> tuple[str, str] | None:
        """Return the name and role behind a token, None when it is unknown."""
        rows = self._database.rows("SELECT name, role FROM tokens WHERE sha256 = %s", [_sha256(token)])
        return (rows[0]["name"], rows[0]["role"]) if rows else None

    def remove_token(self, name: str) -> bool:
        """Revoke a token by name; say whether there was one."""
        with self._database.transaction() as cursor:
            return cursor.execute("DELETE FROM tokens WHERE name = %s", [name]).rowcount > 0


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
