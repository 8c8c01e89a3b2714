"""The intake port: the write-ahead log of captured rows, and what is known of what they repeat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol

from withhold.domain.interactions import IdState, Provenance
from withhold.domain.names import Ordinal, Position, ProductId


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows of one product in order of ordinal, as columns of equal length.

    Attributes:
        first: the ordinal of the first row; the others follow without gaps.
        kinds: codes of `InteractionKind`.
        roles, contents: per row, the messages' roles and texts.
        positions: each row's position, the lowest of anything in it.
        party_sets: the distinct party sets, each sorted.
        set_nos: per row, an index into ``party_sets``.
    """

    product: ProductId
    first: Ordinal
    ids: list[str]
    kinds: list[int]
    conversations: list[str | None]
    projects: list[str | None]
    api_keys: list[str | None]
    roles: list[list[str]]
    contents: list[list[str]]
    positions: list[int]
    party_sets: list[tuple[int, ...]]
    set_nos: list[int]


class KnownId(NamedTuple):
    """What is known of an id.

    Attributes:
        ordinal: its row, None when it was refused, or deleted before it came.
        provenance: whose content it is; what rows that repeat it inherit. Nobody's, while it has not come.
        own: the lowest position of a copy of it by itself, without what it repeats.
    """

    state: IdState
    ordinal: Ordinal | None
    provenance: Provenance
    own: Position


NO_ROWS: Mapping[int, bytes] = MappingProxyType({})


class KnownConversation(NamedTuple):
    """What is known of a conversation.

    Attributes:
        marks: keyed hashes of the messages it had, so that repeated ones are recognised.
        newest: the highest position at which one of its rows was accepted.
        is_deleted: it was deleted, maybe before any of it came; nothing more of it is stored.
        alone: by mark, the key of the row that had the message first, where that row repeated nothing
            when it came: should an older row with the same message come late, it repeats that one.
    """

    provenance: Provenance
    marks: frozenset[int]
    newest: Position
    is_deleted: bool
    alone: Mapping[int, bytes] = NO_ROWS


class TraceKind(IntEnum):
    """What a trace is of; the value is its code in the store."""

    ROW = 0  # an interaction, stored or refused
    DOCUMENT = 1  # a document, by its hash
    CONVERSATION = 2  # a conversation, by its name


class Trace(NamedTuple):
    """By what something that rows repeat is found again, without its name.

    Attributes:
        product: of a row or a conversation; empty for a document, which is known in every product.
        key: a keyed hash.
    """

    kind: TraceKind
    product: ProductId
    key: bytes


class Use(NamedTuple):
    """That something repeats something.

    Attributes:
        source: what is repeated.
        user: what repeats it: a row, or the document or conversation that such a row is part of.
        position: the user's own position.
    """

    source: Trace
    user: Trace
    position: Position


class IntakeTransaction(Protocol):
    """One capture batch: what is known, and what is kept of it. Nothing is visible before it commits.

    Ids, hashes and conversation names are kept only as keyed hashes, outside the stored rows.
    """

    def ids(self, product: ProductId, ids: Iterable[str]) -> Mapping[str, KnownId]:
        """Return what is known of these ids; unknown ones are absent."""
        ...

    def documents(self, hashes: Iterable[str]) -> Mapping[str, Provenance]:
        """Return the provenance of documents captured in any product; unknown ones are absent."""
        ...

    def conversations(
        self, product: ProductId, names: Iterable[str]
    ) -> Mapping[str, KnownConversation]:
        """Return what is known of these conversations; unknown ones are absent."""
        ...

    def marks(self, texts: Iterable[str]) -> frozenset[int]:
        """Return the keyed hashes of messages' texts, 64-bit integers."""
        ...

    def next_ordinal(self, product: ProductId) -> Ordinal:
        """Return the ordinal the next stored row of the product will have."""
        ...

    def store(self, batch: RowBatch) -> None:
        """Append rows to the write-ahead log."""
        ...

    def put_ids(self, product: ProductId, known: Mapping[str, KnownId]) -> None:
        """Keep what became of ids; replaces what was known of them."""
        ...

    def put_documents(self, known: Mapping[str, Provenance]) -> None:
        """Keep the provenance of documents; replaces what was known of them."""
        ...

    def put_conversations(self, product: ProductId, known: Mapping[str, KnownConversation]) -> None:
        """Keep what is known of conversations; replaces what was known of them."""
        ...

    def trace(self, kind: TraceKind, product: ProductId, name: str) -> Trace:
        """Return the trace of a row's id, a document's hash or a conversation's name."""
        ...

    def put_uses(self, uses: Iterable[Use]) -> None:
        """Keep what repeats what; of a use that is known already the higher position stays."""
        ...

    def users(self, source: Trace, after: Position) -> Iterator[Trace]:
        """Yield everything whose use of a source has a position above ``after``."""
        ...

    def provenance(self, trace: Trace) -> Provenance | None:
        """Return whose content a row, document or conversation is, None when it is not known."""
        ...

    def put_provenance(self, trace: Trace, provenance: Provenance) -> None:
        """Keep whose content it is from now on; the rest of what is known of it stays."""
        ...

    def row(self, trace: Trace) -> KnownId | None:
        """Return what is known of a row."""
        ...

    def put_row(self, trace: Trace, known: KnownId) -> None:
        """Keep what became of a row; replaces what was known of it."""
        ...


class Intake(Protocol):
    """The write-ahead log of captured rows, and what is known of ids, documents and conversations.

    Durability: when `transaction` has been left without an error, everything put into it is on disk.
    Concurrency: one transaction at a time, by any thread of any process; readers never wait.
    """

    def transaction(self) -> AbstractContextManager[IntakeTransaction]:
        """Open a batch; leaving it commits, an exception leaves no trace.

        Raises:
            StorageError: the disk refused; nothing of the batch was kept.
        """
        ...

    def end(self, product: ProductId) -> Ordinal:
        """Return the ordinal after the last durable row of the product."""
        ...

    def unsealed(self, product: ProductId, first: Ordinal) -> Iterator[RowBatch]:
        """Yield the durable rows from ``first`` on, in order, in batches of bounded size."""
        ...

    def trim(self, product: ProductId, before: Ordinal) -> None:
        """Drop rows below an ordinal that are sealed in a registered file. Repeating it is harmless."""
        ...

    def find(self, product: ProductId, row_id: str) -> KnownId | None:
        """Return what is known of one id."""
        ...
