"""The log port: the tree over the ledger's entries, its signed heads, its proofs and its tiles."""

from __future__ import annotations

from typing import Protocol

from withhold.domain.checkpoints import LogKey
from withhold.domain.jws import Unsigned
from withhold.domain.names import Position
from withhold.domain.notes import NoteKey
from withhold.domain.proofs import LogProof
from withhold.domain.tiles import TileId
from withhold.domain.tree import Proof


class Log(Protocol):
    """What anyone may see of the ledger, and check without us (RFC 6962, C2SP tlog-tiles).

    Consistency: every answer is of a tree that holds each entry that was durable when it was asked for,
    written by any process. What a checkpoint covers is on disk, so no two ever disagree.
    Concurrency: any number of threads.
    """

    @property
    def origin(self) -> str:
        """The log's name: the first line of its checkpoints."""
        ...

    def keys(self) -> tuple[LogKey, ...]:
        """Return every public key the log ever signed with, the newest last, and the sizes it may sign."""
        ...

    def checkpoint(self) -> bytes:
        """Return the head of the tree, signed: a C2SP checkpoint.

        Raises:
            StorageError: the tree cannot be read, or the key cannot be used.
        """
        ...

    def proof(self, position: Position) -> LogProof:
        """Return the proof that the entry at a position is in the tree of the checkpoint it carries.

        Raises:
            InputError: there is no entry at that position.
        """
        ...

    def sign(self, key: NoteKey, statement: Unsigned) -> bytes:
        """Return the signature of one of the log's keys over the statement of a receipt.

        It takes statements and nothing else, so that what it signs can never be a checkpoint.

        Args:
            key: one that signed the checkpoint the receipt carries.
            statement: what to sign; whatever it says is durable.

        Raises:
            InputError: it is no key of the log.
            StorageError: the key cannot be used; nothing was signed.
        """
        ...

    def consistency(self, old: int, new: int) -> Proof:
        """Return the proof that the tree of size ``new`` begins with that of size ``old``.

        Raises:
            InputError: the tree was never of those sizes.
        """
        ...

    def tile(self, tile: TileId) -> bytes | None:
        """Return a full tile, a partial one at the right edge, or a bundle of entries; None for none."""
        ...

    def new_key(self) -> str:
        """Make the key that is to follow, durably, and return its public key as a verifier key.

        It signs nothing before an entry of the ledger says so (`EventKind.LOG_KEY_REPLACED`).

        Raises:
            StorageError: the disk refused; nothing changed.
        """
        ...

    def verify(self) -> Position:
        """Recompute the tree from the entries, compare everything stored of it; return its size.

        Raises:
            VerificationError: names the first tile or head that does not follow.
        """
        ...
