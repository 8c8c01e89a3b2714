"""The capture store: the write-ahead log of rows, and what is known of ids, documents, conversations.

One SQLite file of its own (WAL, synchronous=FULL), so that capturing never makes an opt-out wait. A
batch is one transaction: rows and what is known of them are durable together, or not at all.

Ids, hashes and conversation names are keys of a keyed BLAKE2b, so that what outlives the rows names
nobody. Rows lie in the log as zstd-compressed MessagePack, one record per batch and product.

Not here: what is stored (`services.capture`), sealing rows into lake files (`services.sealing`).
"""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import apsw
import msgspec
import pyarrow as pa

from withhold.adapters.store.sqlite import intake_uses
from withhold.adapters.store.sqlite.gate import StoreGate
from withhold.adapters.store.sqlite.intake_columns import (
    DECODE_CONVERSATIONS,
    DECODE_IDS,
    ConversationColumns,
    IdColumns,
    Packer,
    unpack_marks,
)
from withhold.adapters.store.sqlite.intake_recent import (
    RECENT_TABLE,
    USUAL,
    Keyed,
    Recent,
    Room,
    select,
)
from withhold.adapters.store.sqlite.private import open_private
from withhold.domain.interactions import Provenance
from withhold.domain.names import Ordinal, Position, ProductId
from withhold.errors import StateUnknown, StorageError, VerificationError
from withhold.ports import (
    IntakeTransaction,
    KnownConversation,
    KnownId,
    RowBatch,
    Trace,
    TraceKind,
    Use,
)

T = TypeVar("T")

VERSION = 5
BUSY_MS = 30_000
_CODEC = "zstd"
_LEVEL = 1

TABLES = """
CREATE TABLE IF NOT EXISTS log (
    product TEXT NOT NULL, first INTEGER NOT NULL, rows INTEGER NOT NULL,
    size INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (product, first)
) STRICT;
CREATE TABLE IF NOT EXISTS ends (product TEXT PRIMARY KEY, next INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS documents (
    key BLOB PRIMARY KEY, position INTEGER NOT NULL, authors BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ids (
    key BLOB PRIMARY KEY, state INTEGER NOT NULL, ordinal INTEGER, own INTEGER NOT NULL,
    position INTEGER NOT NULL, authors BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS conversations (
    key BLOB PRIMARY KEY, position INTEGER NOT NULL, authors BLOB NOT NULL,
    newest INTEGER NOT NULL, deleted INTEGER NOT NULL, marks BLOB NOT NULL
) STRICT, WITHOUT ROWID;
"""
TABLES += "".join(RECENT_TABLE.format(table=table) for table in ("ids", "conversations"))

_SELECT_DOCUMENTS = "SELECT key, position, authors FROM documents WHERE key IN "
_BATCH = msgspec.msgpack.Decoder(RowBatch)


class _Keys:
    """Keyed hashes; one domain per use, so that no two uses share a key."""

    def __init__(self, key: bytes) -> None:
        self._ids = hashlib.blake2b(key=key, digest_size=16, person=b"withhold/id")
        self._documents = hashlib.blake2b(key=key, digest_size=16, person=b"withhold/doc")
        self._conversations = hashlib.blake2b(key=key, digest_size=16, person=b"withhold/conv")
        self._marks = hashlib.blake2b(key=key, digest_size=8, person=b"withhold/mark")

    def ids(self, product: ProductId, names: Iterable[str]) -> dict[str, bytes]:
        of_product = self._ids.copy()
        of_product.update(f"{product}\0".encode())
        return {name: _digest(of_product, name) for name in names}

    def document(self, sha256: str) -> bytes:
        return _digest(self._documents, sha256)

    def conversation(self, product: ProductId, name: str) -> bytes:
        return _digest(self._conversations, f"{product}\0{name}")

    def marks(self, texts: Iterable[str]) -> frozenset[int]:
        digests = [_digest(self._marks, text) for text in texts]
        return unpack_marks(b"".join(digests))


def _digest(keyed: hashlib.blake2b, text: str) -> bytes:
    state = keyed.copy()
    state.update(text.encode())
    return state.digest()


class SqliteIntake:
    """`Intake` over one SQLite file; see the module and the port for what it promises."""

    def __init__(
        self, path: Path, key: bytes, gate: StoreGate | None = None, room: Room = USUAL
    ) -> None:
        """Open or make the store.

        Args:
            path: the file.
            key: 16 to 64 bytes; the same for the whole life of the store.
            gate: asked before anything is written.
            room: how much of what is known is kept apart until it is merged.

        Raises:
            StorageError: it cannot be opened, or another version wrote it.
        """
        self._path = path
        self._gate = gate or StoreGate()
        self._keys = _Keys(key)
        self._writing = (
            threading.Lock()
        )  # one transaction at a time in this process; SQLite for the rest
        self._ids = Recent("ids", "state, ordinal, own, position, authors", DECODE_IDS, room)
        self._conversations = Recent(
            "conversations", "position, authors, newest, deleted, marks", DECODE_CONVERSATIONS, room
        )
        self._packer = Packer()
        self._idle: deque[apsw.Connection] = deque()
        self._writer = _wrapped(lambda: _open(path))

    def close(self) -> None:
        """Close every connection."""
        self._writer.close()
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def transaction(self) -> Iterator[IntakeTransaction]:
        """Open a batch; leaving it commits, an exception leaves no trace."""
        self._gate.check()
        with self._writing:
            _wrapped(lambda: self._writer.execute("BEGIN IMMEDIATE"))
            ids = Keyed(self._writer, self._ids)
            conversations = Keyed(self._writer, self._conversations)
            try:
                yield _Transaction(self._writer, self._keys, self._packer, ids, conversations)
                ids.record()
                conversations.record()
            except apsw.Error as error:
                self._roll_back()
                raise _refused(error) from error
            except BaseException:
                self._roll_back()
                raise
            self._commit()
            ids.committed()
            conversations.committed()

    def _commit(self) -> None:
        try:
            self._writer.execute("COMMIT")
        except (apsw.FullError, apsw.BusyError) as error:
            self._roll_back()
            raise _refused(error) from error
        except apsw.Error as error:
            self._roll_back()
            raise StateUnknown(
                "capture store: the batch may or may not be on disk; send it again, "
                "its ids make that harmless"
            ) from error

    def _roll_back(self) -> None:
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    @contextmanager
    def _read(self) -> Iterator[apsw.Connection]:
        """Lend a connection of its own to one reader; readers never wait for the writer."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _wrapped(lambda: _open(self._path))
        try:
            yield connection
        except apsw.Error as error:
            raise _refused(error) from error
        finally:
            self._idle.append(connection)

    def end(self, product: ProductId) -> Ordinal:
        """Return the ordinal after the last durable row of the product."""
        with self._read() as connection:
            return _end(connection, product)

    def unsealed(self, product: ProductId, first: Ordinal) -> Iterator[RowBatch]:
        """Yield the durable rows from ``first`` on, batch by batch as they were stored."""
        at, end = int(first), int(self.end(product))
        while at < end:
            batch = self._batch_from(product, at)
            if batch is None:
                return
            yield batch
            at = batch.first + len(batch.ids)

    def _batch_from(self, product: ProductId, at: int) -> RowBatch | None:
        query = (
            "SELECT size, body FROM log WHERE product = ?1 AND first + rows > ?2 AND first >= "
            "coalesce((SELECT max(first) FROM log WHERE product = ?1 AND first <= ?2), 0) "
            "ORDER BY first LIMIT 1"
        )
        with self._read() as connection:
            found = connection.execute(query, (product, at)).fetchone()
        return None if found is None else _from(_unpacked(*found), at)

    def trim(self, product: ProductId, before: Ordinal) -> None:
        """Drop rows below an ordinal, by whole batches; what straddles it stays until later."""
        with self.transaction() as kept:
            assert isinstance(kept, _Transaction)
            kept.drop(product, before)

    def find(self, product: ProductId, row_id: str) -> KnownId | None:
        """Return what is known of one id."""
        with self._read() as connection:
            found = self._ids.find(connection, self._keys.ids(product, (row_id,))[row_id])
        return None if found is None else Packer().known_id(found)


class _Transaction:
    """`IntakeTransaction` on an open SQLite transaction."""

    def __init__(
        self,
        connection: apsw.Connection,
        keys: _Keys,
        packer: Packer,
        ids: Keyed[IdColumns],
        conversations: Keyed[ConversationColumns],
    ) -> None:
        self._db = connection
        self._keys = keys
        self._packer = packer
        self._ids = ids
        self._conversations = conversations
        # what is asked for is put afterwards: each name is hashed once
        self._hashed: defaultdict[ProductId, dict[str, bytes]] = defaultdict(dict)
        self._chats: dict[tuple[ProductId, str], bytes] = {}

    def ids(self, product: ProductId, ids: Iterable[str]) -> Mapping[str, KnownId]:
        """Return what is known of these ids."""
        hashed = self._keys.ids(product, ids)
        self._hashed[product] |= hashed
        names = {key: name for name, key in hashed.items()}
        unpacked = self._packer.known_id
        return {names[key]: unpacked(columns) for key, columns in self._ids.find(names)}

    def documents(self, hashes: Iterable[str]) -> Mapping[str, Provenance]:
        """Return the provenance of documents captured in any product."""
        names = {self._keys.document(sha256): sha256 for sha256 in hashes}
        return {
            names[key]: self._packer.provenance(position, authors)
            for key, position, authors in select(self._db, _SELECT_DOCUMENTS, names)
        }

    def conversations(
        self, product: ProductId, names: Iterable[str]
    ) -> Mapping[str, KnownConversation]:
        """Return what is known of these conversations."""
        keys = {self._conversation(product, name): name for name in names}
        unpacked = self._packer.known_conversation
        return {keys[key]: unpacked(columns) for key, columns in self._conversations.find(keys)}

    def marks(self, texts: Iterable[str]) -> frozenset[int]:
        """Return the keyed hashes of messages' texts."""
        return self._keys.marks(texts)

    def next_ordinal(self, product: ProductId) -> Ordinal:
        """Return the ordinal the next stored row of the product will have."""
        return _end(self._db, product)

    def store(self, batch: RowBatch) -> None:
        """Append rows to the write-ahead log."""
        if batch.first != self.next_ordinal(batch.product):
            raise VerificationError(
                f"capture store: rows of {batch.product} must follow the last one"
            )
        body = msgspec.msgpack.encode(batch)
        packed = pa.Codec(_CODEC, _LEVEL).compress(body, asbytes=True)
        rows = len(batch.ids)
        self._db.execute(
            "INSERT INTO log VALUES (?, ?, ?, ?, ?)",
            (batch.product, batch.first, rows, len(body), packed),
        )
        self._db.execute(
            "INSERT INTO ends VALUES (?1, ?2) ON CONFLICT DO UPDATE SET next = ?2",
            (batch.product, batch.first + rows),
        )

    def put_ids(self, product: ProductId, known: Mapping[str, KnownId]) -> None:
        """Keep what became of ids."""
        key_of, columns = self._id, self._packer.id_columns
        self._ids.put({key_of(product, name): columns(one) for name, one in known.items()})

    def put_documents(self, known: Mapping[str, Provenance]) -> None:
        """Keep the provenance of documents."""
        rows = [(self._keys.document(sha), *self._packer.columns(p)) for sha, p in known.items()]
        self._db.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", sorted(rows))

    def put_conversations(self, product: ProductId, known: Mapping[str, KnownConversation]) -> None:
        """Keep what is known of conversations."""
        key_of, columns = self._conversation, self._packer.conversation_columns
        self._conversations.put({key_of(product, n): columns(one) for n, one in known.items()})

    def trace(self, kind: TraceKind, product: ProductId, name: str) -> Trace:
        """Return the trace of a row's id, a document's hash or a conversation's name."""
        if kind is TraceKind.ROW:
            return Trace(kind, product, self._id(product, name))
        if kind is TraceKind.CONVERSATION:
            return Trace(kind, product, self._conversation(product, name))
        return Trace(kind, ProductId(""), self._keys.document(name))

    def put_uses(self, uses: Iterable[Use]) -> None:
        """Keep what repeats what."""
        intake_uses.put_uses(self._db, uses)

    def users(self, source: Trace, after: Position) -> Iterator[Trace]:
        """Yield everything whose use of a source has a position above ``after``."""
        return intake_uses.users(self._db, source, after)

    def provenance(self, trace: Trace) -> Provenance | None:
        """Return whose content a row, document or conversation is, None when it is not known."""
        if trace.kind is TraceKind.ROW:
            row = self.row(trace)
            return None if row is None else row.provenance
        if trace.kind is TraceKind.CONVERSATION:
            chat = self._chat(trace)
            return None if chat is None else chat.provenance
        found = next(select(self._db, _SELECT_DOCUMENTS, (trace.key,)), None)
        return None if found is None else self._packer.provenance(*found[1:])

    def put_provenance(self, trace: Trace, provenance: Provenance) -> None:
        """Keep whose content it is from now on; the rest of what is known of it stays."""
        packed = self._packer
        if trace.kind is TraceKind.ROW:
            row = self.row(trace)
            if row is not None:
                self.put_row(trace, row._replace(provenance=provenance))
        elif trace.kind is TraceKind.CONVERSATION:
            chat = self._chat(trace)
            if chat is not None:
                lowered = chat._replace(provenance=provenance)
                self._conversations.put({trace.key: packed.conversation_columns(lowered)})
        else:
            self._db.execute(
                "UPDATE documents SET position = ?, authors = ? WHERE key = ?",
                (*packed.columns(provenance), trace.key),
            )

    def row(self, trace: Trace) -> KnownId | None:
        """Return what is known of a row."""
        found = self._ids.get(trace.key)
        return None if found is None else self._packer.known_id(found)

    def put_row(self, trace: Trace, known: KnownId) -> None:
        """Keep what became of a row; replaces what was known of it."""
        self._ids.put({trace.key: self._packer.id_columns(known)})

    def _chat(self, trace: Trace) -> KnownConversation | None:
        found = self._conversations.get(trace.key)
        return None if found is None else self._packer.known_conversation(found)

    def drop(self, product: ProductId, before: Ordinal) -> None:
        """Delete the batches of the log that lie wholly below an ordinal."""
        self._db.execute(
            "DELETE FROM log WHERE product = ? AND first + rows <= ?", (product, before)
        )

    def _id(self, product: ProductId, name: str) -> bytes:
        hashed = self._hashed[product]
        if name not in hashed:
            hashed |= self._keys.ids(product, (name,))
        return hashed[name]

    def _conversation(self, product: ProductId, name: str) -> bytes:
        key = self._chats.get((product, name))
        if key is None:
            key = self._chats[product, name] = self._keys.conversation(product, name)
        return key


def _end(connection: apsw.Connection, product: ProductId) -> Ordinal:
    found = connection.execute("SELECT next FROM ends WHERE product = ?", (product,)).fetchone()
    return Ordinal(found[0] if found else 0)


def _unpacked(size: int, body: bytes) -> RowBatch:
    try:
        return _BATCH.decode(pa.Codec(_CODEC).decompress(body, size))
    except (msgspec.DecodeError, OSError, ValueError) as error:
        raise VerificationError(
            "capture store: a record of the log is damaged; restore it"
        ) from error


def _from(batch: RowBatch, at: int) -> RowBatch:
    """Return the rows of a batch from an ordinal on."""
    skip = at - batch.first
    if skip <= 0:
        return batch
    return RowBatch(
        batch.product,
        Ordinal(at),
        batch.ids[skip:],
        batch.kinds[skip:],
        batch.conversations[skip:],
        batch.projects[skip:],
        batch.api_keys[skip:],
        batch.roles[skip:],
        batch.contents[skip:],
        batch.positions[skip:],
        batch.party_sets,
        batch.set_nos[skip:],
    )


def _open(path: Path) -> apsw.Connection:
    connection = open_private(path)
    connection.set_busy_timeout(BUSY_MS)
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "wal_autocheckpoint = 4000",  # 16 MB: random ids dirty many pages, so check in seldom
        "cache_size = -32768",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    version = connection.pragma("user_version")
    if version not in {0, VERSION}:  # there is no release yet whose stores could be older
        connection.close()
        raise StorageError(
            f"capture store: written by version {version}, this program reads {VERSION}; use that one"
        )
    if version == 0:
        connection.execute(
            f"BEGIN IMMEDIATE; {TABLES}{intake_uses.TABLES} PRAGMA user_version = {VERSION}; COMMIT"
        )
    return connection


def _wrapped(action: Callable[[], T]) -> T:
    try:
        return action()
    except apsw.Error as error:
        raise _refused(error) from error


def _refused(error: apsw.Error) -> StorageError:
    """Return what the disk or the database said, as one of ours; nothing was kept."""
    if isinstance(error, apsw.FullError):
        return StorageError("capture store: the disk is full; nothing of the batch was kept")
    if isinstance(error, apsw.BusyError):
        return StorageError(
            "capture store: another process is writing; nothing was kept; try again"
        )
    return StorageError(f"capture store: {type(error).__name__}; nothing of the batch was kept")
