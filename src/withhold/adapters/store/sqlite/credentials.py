"""Bearer tokens of services, in the control database: only hashes are kept."""

from __future__ import annotations

from collections.abc import Sequence

from withhold.adapters.store.sqlite.control import Control
from withhold.ports import Credential


class SqliteCredentials:
    """Implements `ports.Credentials`."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def add(self, token_hash: bytes, credential: Credential) -> None:
        """Keep a credential, durably."""
        row = (token_hash, credential.name, ",".join(sorted(credential.scopes)))
        self._control.run(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO credentials VALUES (?, ?, ?)", row
            ).fetchall()
        )

    def all(self) -> Sequence[tuple[bytes, Credential]]:
        """Return every credential with the hash of its token, by name."""
        with self._control.read() as connection:
            rows = connection.execute(
                "SELECT hash, name, scopes FROM credentials ORDER BY name, hash"
            )
            return [(token_hash, _credential(name, scopes)) for token_hash, name, scopes in rows]

    def remove(self, token_hash: bytes) -> None:
        """Forget a credential, durably."""
        self._control.run(
            lambda connection: connection.execute(
                "DELETE FROM credentials WHERE hash = ?", (token_hash,)
            ).fetchall()
        )

    def find(self, token_hash: bytes) -> Credential | None:
        """Return what a token may reach, None when it is unknown."""
        with self._control.read() as connection:
            row = connection.execute(
                "SELECT name, scopes FROM credentials WHERE hash = ?", (token_hash,)
            ).fetchone()
        return None if row is None else _credential(*row)


def _credential(name: str, scopes: str) -> Credential:
    return Credential(name, frozenset(filter(None, scopes.split(","))))
