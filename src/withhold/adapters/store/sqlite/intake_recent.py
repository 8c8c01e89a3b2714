"""What is known by key: the newest as records of whole batches and in memory, the rest in sorted tables.

Keys are hashes, so what a batch learns belongs all over a table: written there at once, each key would
dirty a page of its own, several times the bytes of a row (measured at 300,000 ids: 13 of 35 microseconds
a row). So a transaction appends one record for each table, and what the records say is kept in memory as
well. When it is much, it is sorted and merged into the table at once: then a page takes several keys.

Invariants:
- the newest record that names a key is right; without one the table is;
- records are numbered without gaps and numbers are never used again, so that a process sees what others
  recorded, and whether they merged something that it has not seen;
- memory changes only after the commit. Where the commit was not answered, its record is met as another
  process's would be, if it was kept.

Not here: what is known (`services.capture`), how keys are made (`intake`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import apsw
import msgspec

from withhold.adapters.store.sqlite.intake_columns import KEY_BYTES

C = TypeVar("C", bound=tuple[Any, ...])

_AT_ONCE = 500  # keys of one query

RECENT_TABLE = """
CREATE TABLE IF NOT EXISTS recent_{table} (
    no INTEGER PRIMARY KEY AUTOINCREMENT, keys BLOB NOT NULL, known BLOB NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Room:
    """How much is recent at most; what is more is merged.

    The more, the fewer bytes are written for a row. A key takes 300 bytes of memory, and the batch that
    finds the room full waits for 3 microseconds a key.

    Attributes:
        keys: how many.
        bytes: of their last column, the only one that may be long.
    """

    keys: int = 50_000
    bytes: int = 16 * 1024 * 1024


USUAL = Room()


class Recent(Generic[C]):
    """What the records of one table say that are not merged; for one writer at a time."""

    def __init__(
        self, table: str, columns: str, decode: Callable[[bytes], list[C]], room: Room
    ) -> None:
        """Begin with nothing read.

        Args:
            table: its name.
            columns: the names of its columns but the key, in order.
            decode: decodes the columns of many keys from MessagePack.
            room: how much is kept until it is merged.
        """
        self.table = table
        self.known: dict[bytes, C] = {}
        self._bytes = 0
        self._upto = 0
        self._decode = decode
        self._room = room
        self._select = f"SELECT key, {columns} FROM {table} WHERE key IN "
        self._newest = f"SELECT seq FROM sqlite_sequence WHERE name = 'recent_{table}'"
        holes = ", ".join("?" * (columns.count(",") + 2))
        self._merge = f"INSERT OR REPLACE INTO {table} VALUES ({holes})"

    def catch_up(self, connection: apsw.Connection) -> None:
        """Take in what other processes recorded."""
        newest = connection.execute(self._newest).get or 0
        if newest == self._upto:
            return
        query = f"SELECT keys, known FROM recent_{self.table} WHERE no > ? ORDER BY no"
        records: list[Any] = connection.execute(query, (self._upto,)).fetchall()
        if len(records) < newest - self._upto:  # some are merged: what is here may be older
            self._clear()
        for keys, known in records:
            self._add(self._unpacked(keys, known))
        self._upto = newest

    def in_table(
        self, connection: apsw.Connection, keys: Collection[bytes]
    ) -> Iterator[tuple[bytes, C]]:
        """Yield what the table says of these keys."""
        for key, *columns in select(connection, self._select, keys):
            yield key, tuple(columns)  # type: ignore[misc]  # they are in the order of its columns

    def find(self, connection: apsw.Connection, key: bytes) -> C | None:
        """Return what is known of one key, outside of a transaction."""
        query = f"SELECT keys, known FROM recent_{self.table} WHERE instr(keys, ?) ORDER BY no DESC"
        # records before the table, for they may be merged between the two queries
        records: list[Any] = connection.execute(query, (key,)).fetchall()
        for keys, known in records:
            columns = self._unpacked(keys, known).get(key)
            if columns is not None:
                return columns
        return next((columns for _, columns in self.in_table(connection, (key,))), None)

    def record(self, connection: apsw.Connection, put: Mapping[bytes, C]) -> bool:
        """Write a record, before the commit; return whether everything was merged with it."""
        connection.execute(
            f"INSERT INTO recent_{self.table} (keys, known) VALUES (?, ?)",
            (b"".join(put), msgspec.msgpack.encode(list(put.values()))),
        )
        size = self._bytes + _size(put)
        if len(self.known) + len(put) <= self._room.keys and size <= self._room.bytes:
            return False
        rows = [(key, *columns) for key, columns in sorted({**self.known, **put}.items())]
        connection.executemany(self._merge, rows)
        connection.execute(f"DELETE FROM recent_{self.table}")
        return True

    def recorded(self, put: Mapping[bytes, C], *, is_merged: bool) -> None:
        """Remember a record that is committed."""
        if is_merged:
            self._clear()
        else:
            self._add(put)
        self._upto += 1  # last: when this is interrupted the record is read again

    def _add(self, known: Mapping[bytes, C]) -> None:
        self.known.update(known)
        self._bytes += _size(known)

    def _clear(self) -> None:
        self.known, self._bytes = {}, 0

    def _unpacked(self, keys: bytes, known: bytes) -> dict[bytes, C]:
        split = [keys[at : at + KEY_BYTES] for at in range(0, len(keys), KEY_BYTES)]
        return dict(zip(split, self._decode(known), strict=True))


class Keyed(Generic[C]):
    """One table in one transaction: put together, and recorded before the commit."""

    def __init__(self, connection: apsw.Connection, recent: Recent[C]) -> None:
        """Take an open transaction, and what its process has read so far."""
        self._db = connection
        self._recent = recent
        self._is_current = False
        self._is_merged = False
        self._put: dict[bytes, C] = {}

    def get(self, key: bytes) -> C | None:
        """Return what is known of one key."""
        return next((columns for _, columns in self.find((key,))), None)

    def find(self, keys: Collection[bytes]) -> Iterator[tuple[bytes, C]]:
        """Yield what is known of these keys."""
        self._catch_up()
        recent, put = self._recent.known, self._put
        older: list[bytes] = []
        for key in keys:
            columns = put.get(key) or recent.get(key)
            if columns is None:
                older.append(key)
            else:
                yield key, columns
        yield from self._recent.in_table(self._db, older)

    def put(self, known: Mapping[bytes, C]) -> None:
        """Keep what is known by these keys; replaces what was known."""
        self._put.update(known)

    def record(self) -> None:
        """Write what was put, before the commit."""
        if self._put:
            self._catch_up()
            self._is_merged = self._recent.record(self._db, self._put)

    def committed(self) -> None:
        """Remember what was recorded, after the commit."""
        if self._put:
            self._recent.recorded(self._put, is_merged=self._is_merged)

    def _catch_up(self) -> None:
        """Once in a transaction, and only where something is asked or put: nobody writes meanwhile."""
        if not self._is_current:
            self._recent.catch_up(self._db)
            self._is_current = True


def select(
    connection: apsw.Connection, query: str, keys: Collection[bytes]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of these keys; few statement texts, so that they stay prepared."""
    wanted = sorted(keys)
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        slots = 1 if len(some) == 1 else _AT_ONCE
        holes = ",".join("?" * slots)
        yield from connection.execute(
            f"{query}({holes})", (*some, *((None,) * (slots - len(some))))
        )


def _size(known: Mapping[bytes, tuple[Any, ...]]) -> int:
    return sum([len(columns[-1]) for columns in known.values()])
