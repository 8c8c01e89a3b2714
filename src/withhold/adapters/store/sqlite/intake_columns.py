"""What is known of ids, documents and conversations, as columns of the capture store.

Rows of an installation share few authors, so each set of them is packed and unpacked once and remembered.

Not here: the tables and their keys (`intake`, `intake_recent`).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import msgspec

from withhold.domain.interactions import IdState, Provenance
from withhold.domain.names import Ordinal, Position, ProductId, SubjectNo
from withhold.domain.parties import Author
from withhold.ports import NO_ROWS, KnownConversation, KnownId

KEY_BYTES = 16

IdColumns = tuple[int, int | None, int, int, bytes]
"""State, ordinal, own position, position, packed authors."""
ConversationColumns = tuple[int, bytes, int, int, bytes]
"""Position, packed authors, newest position, whether deleted, packed messages."""

DECODE_IDS = msgspec.msgpack.Decoder(list[IdColumns]).decode
DECODE_CONVERSATIONS = msgspec.msgpack.Decoder(list[ConversationColumns]).decode

MEMORY = 50_000  # sets of authors that are remembered

_COUNT = struct.Struct("<I")
_ALONE = struct.Struct(f"<Q{KEY_BYTES}s")
_AUTHORS = msgspec.msgpack.Decoder(list[tuple[int, int | None, str]])


class Packer:
    """Packs and unpacks what is known, for one user at a time."""

    def __init__(self) -> None:
        """Begin with nothing remembered."""
        self._packed: dict[frozenset[Author], bytes] = {}
        self._authors: dict[bytes, frozenset[Author]] = {}

    def columns(self, provenance: Provenance) -> tuple[int, bytes]:
        """Return position and packed authors."""
        authors, position = provenance
        packed = self._packed.get(authors)
        if packed is None:
            fields = [(a.account, a.organization, a.product) for a in authors]
            packed = msgspec.msgpack.encode(fields)
            self._remember(authors, packed)
        return position, packed

    def provenance(self, position: int, packed: bytes) -> Provenance:
        """Return what these columns say."""
        authors = self._authors.get(packed)
        if authors is None:
            authors = frozenset(
                Author(
                    SubjectNo(account),
                    None if organization is None else SubjectNo(organization),
                    ProductId(product),
                )
                for account, organization, product in _AUTHORS.decode(packed)
            )
            self._remember(authors, packed)
        return Provenance(authors, Position(position))

    def id_columns(self, known: KnownId) -> IdColumns:
        """Return the columns of what is known of an id."""
        state, ordinal, provenance, own = known
        # a plain number: the collector never looks at tuples of plain values again
        return (int(state), ordinal, own, *self.columns(provenance))

    def known_id(self, columns: IdColumns) -> KnownId:
        """Return what the columns of an id say."""
        state, ordinal, own, position, authors = columns
        place = None if ordinal is None else Ordinal(ordinal)
        return KnownId(IdState(state), place, self.provenance(position, authors), Position(own))

    def conversation_columns(self, known: KnownConversation) -> ConversationColumns:
        """Return the columns of what is known of a conversation."""
        provenance, marks, newest, is_deleted, alone = known
        packed = pack_messages(marks, alone)
        return (*self.columns(provenance), newest, int(is_deleted), packed)

    def known_conversation(self, columns: ConversationColumns) -> KnownConversation:
        """Return what the columns of a conversation say."""
        position, authors, newest, is_deleted, packed = columns
        provenance = self.provenance(position, authors)
        marks, alone = unpack_messages(packed)
        return KnownConversation(provenance, marks, Position(newest), bool(is_deleted), alone)

    def _remember(self, authors: frozenset[Author], packed: bytes) -> None:
        if len(self._packed) >= MEMORY:
            self._packed, self._authors = {}, {}
        self._packed[authors] = packed
        self._authors[packed] = authors


def pack_messages(marks: frozenset[int], alone: Mapping[int, bytes]) -> bytes:
    """Return the column of a conversation's messages.

    That is how many marks there are (u32), the marks (u64 each), and for each of those whose row repeated
    nothing the mark again with the key of that row (16 bytes).
    """
    rows = b"".join([_ALONE.pack(mark, key) for mark, key in alone.items()])
    return struct.pack(f"<I{len(marks)}Q", len(marks), *marks) + rows


def unpack_messages(packed: bytes) -> tuple[frozenset[int], Mapping[int, bytes]]:
    """Return marks, and by mark the rows that repeated nothing, of such a column."""
    (count,) = _COUNT.unpack_from(packed)
    end = _COUNT.size + count * 8
    marks = unpack_marks(packed[_COUNT.size : end])
    return marks, dict(_ALONE.iter_unpack(packed[end:])) if len(packed) > end else NO_ROWS


def unpack_marks(packed: bytes) -> frozenset[int]:
    """Return marks from their 64-bit integers."""
    return frozenset(struct.unpack(f"<{len(packed) // 8}Q", packed))
