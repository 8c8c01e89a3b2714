"""The log port: the tree over the ledger's entries, its signed heads, its proofs and its tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from withhold.domain.checkpoints import LogKey
from withhold.domain.jws import Unsigned
from withhold.domain.names import Position
from withhold.domain.notes import NoteKey, Signature
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
        """Return every Ed25519 key the log ever had, the newest last, and the sizes it may sign."""
        ...

    def second_keys(self) -> tuple[LogKey, ...]:
        """Return every ML-DSA-44 key the log ever had, the newest last, and the sizes it may sign.

        It signs the checkpoints that are kept; each is replaced together with the Ed25519 key.
        """
        ...

    def checkpoint(self) -> bytes:
        """Return the head of the tree, signed: a C2SP checkpoint.

        Raises:
            StorageError: the tree cannot be read, or the key cannot be used.
        """
        ...

    def keep(self, seconds: int) -> bytes:
        """Sign the head with both kinds of keys, keep that durably, and return it.

        Of a tree that is kept already, what is kept is returned. Only the newest kept checkpoint and the
        newest one with a cosignature stay.

        Args:
            seconds: UTC seconds since 1970, said in the second signature; it decides nothing.

        Raises:
            InputError: the tree is empty.
            StorageError: the disk refused, or a key cannot be used.
        """
        ...

    def kept(self, *, cosigned: bool = False) -> bytes | None:
        """Return the newest kept checkpoint, None when there is none.

        Args:
            cosigned: only one that carries a cosignature.
        """
        ...

    def cosign(self, size: int, lines: Sequence[Signature]) -> None:
        """Add cosignatures, which the caller has checked, to the kept checkpoint of a size, durably.

        A line of the same key takes the place of the earlier one. Nothing is done when that checkpoint is
        not kept any more.
        """
        ...

    def proof(self, position: Position) -> LogProof:
        """Return the proof that the entry at a position is in the tree of the checkpoint it carries.

        Raises:
            InputError: there is no entry at that position.
        """
        ...

    def proofs(self, positions: Sequence[Position]) -> tuple[LogProof, ...]:
        """Return the proofs of several entries in one tree, under one checkpoint.

        Raises:
            InputError: there is no entry at one of the positions.
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

    def root(self, size: int) -> bytes:
        """Return the root of the tree as it was at a size. In a change it sees the change's own entries.

        Raises:
            InputError: the tree was never of that size.
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

    def new_keys(self) -> tuple[str, str]:
        """Make the keys that are to follow, durably; return both as verifier keys, ML-DSA-44 second.

        They sign nothing before an entry of the ledger says so (`EventKind.LOG_KEY_REPLACED`).

        Raises:
            StorageError: the disk refused; nothing changed.
        """
        ...

    def replacement(self, position: Position, seconds: int) -> LogProof:
        """Return the proof that an entry which replaced the keys is the last of the tree that ends there.

        Its checkpoint is signed by both kinds of the keys before that entry, and of those after it. It can
        be had for every replacement and for ever, also when no commit ended there.

        Args:
            position: of that entry.
            seconds: UTC seconds since 1970, said in the second signatures; it decides nothing.

        Raises:
            InputError: no entry at that position replaced the keys.
            StorageError: a key cannot be used.
        """
        ...

    def verify(self, seen: Callable[[Position], None] | None = None) -> Position:
        """Recompute the tree from the entries, compare everything stored of it; return its size.

        Args:
            seen: told now and then which position was reached.

        Raises:
            VerificationError: names the first tile or head that does not follow.
        """
        ...
