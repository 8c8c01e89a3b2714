"""The credentials port: bearer tokens of services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Credential:
    """A bearer token as it is kept: by hash, with what it may reach."""

    name: str
    scopes: frozenset[str]


class Credentials(Protocol):
    """Bearer tokens of services. Only hashes are kept."""

    def add(self, token_hash: bytes, credential: Credential) -> None:
        """Keep a credential, durably."""
        ...

    def all(self) -> Sequence[tuple[bytes, Credential]]:
        """Return every credential with the hash of its token, by name."""
        ...

    def remove(self, token_hash: bytes) -> None:
        """Forget a credential, durably: its token reaches nothing from then on."""
        ...

    def find(self, token_hash: bytes) -> Credential | None:
        """Return what a token may reach, None when it is unknown."""
        ...
