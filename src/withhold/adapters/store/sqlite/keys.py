"""Keys: one random key per subject, the key of capture tokens, the seeds of the log; one database.

Deleting a key forgets the person while the chain still verifies, so keys stand apart: a backup of the
control database need not hold them. A key is on disk *before* the entry that needs it: a key without an
entry is harmless, an entry without a key is lost. Keys are therefore made ahead, in blocks that double, so
that bulk openings cost one flush per block.

A key is given only by whoever made it, and only while it has the file open. A key that was there before may
belong to somebody whom the ledger at hand does not know, because it is older than the keys: two people with
one key could read each other, and be erased only together. So numbers have gaps, and no key has two owners.

A key is deleted by writing zeros over it, in place: a row that is taken out may leave copies in pages that
are merged later. The file's own log is truncated before the deletion counts as done.

Source: design sections 1, 2 and 6. Not here: whose key is deleted, and when (`ledger`).
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw

from withhold.adapters.store.sqlite.control import connect, refused
from withhold.domain.names import Position, SubjectNo

KEY_BYTES = 32
DELETED = bytes(KEY_BYTES)  # stands in the place of a key that was deleted
FIRST_BLOCK = 16  # keys made at once for the first subject; a command mostly opens one
BLOCK = 1024  # at most; also a page of keys
MEMORY = 262_144  # keys kept in memory; 32 bytes each, and their objects

_TABLES = """
CREATE TABLE IF NOT EXISTS keys(subject INTEGER PRIMARY KEY, key BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS token_key(only INTEGER PRIMARY KEY CHECK(only = 1), key BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS log_name(only INTEGER PRIMARY KEY CHECK(only = 1), name TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS log_seeds(no INTEGER PRIMARY KEY, seed BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS erased_to(only INTEGER PRIMARY KEY CHECK(only = 1), position INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS second_seeds(no INTEGER PRIMARY KEY, seed BLOB NOT NULL) STRICT;
"""


def _prepare(connection: apsw.Connection, log_name: str | None) -> None:
    """Make what is not there yet: tables, and what is made once.

    The lock comes first. Who has read already is not made to wait for a writer but refused at once: what
    it read may be old.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_TABLES)
        for made_once, value in (
            ("token_key VALUES (1, ?)", secrets.token_bytes(KEY_BYTES)),
            ("log_seeds VALUES (1, ?)", secrets.token_bytes(KEY_BYTES)),
            ("second_seeds VALUES (1, ?)", secrets.token_bytes(KEY_BYTES)),
            ("erased_to VALUES (1, ?)", 0),
            ("log_name VALUES (1, ?)", log_name or f"withhold/{secrets.token_hex(8)}"),
        ):
            connection.execute(f"INSERT OR IGNORE INTO {made_once}", (value,))
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


class SubjectKeys:
    """The keys of one home, for any number of threads and processes."""

    def __init__(self, path: Path, log_name: str | None = None) -> None:
        """Open the keys, making the file when it is not there.

        Args:
            path: of the file.
            log_name: the name that the log gets when it is made; None for one by chance.

        Raises:
            StorageError: it cannot be opened.
        """
        try:
            self._connection = connect(path)
            _prepare(self._connection, log_name)
        except apsw.Error as error:
            raise refused(error) from error
        self._lock = threading.Lock()
        self._known: dict[int, bytes] = {}
        self._version = 0
        self._name_key = b""
        self._fresh = range(0)

    def token_key(self) -> bytes:
        """Return the key of capture tokens."""
        with self._lock:
            return bytes(self._connection.execute("SELECT key FROM token_key").get)

    def erased_name(self, kind: str, name: str) -> bytes:
        """Return the keyed hash of a name by which it is known that it was erased, and nothing else."""
        if not self._name_key:
            self._name_key = hmac.digest(self.token_key(), b"withhold/erased/v1\0", "sha256")
        return hmac.digest(self._name_key, f"{kind}\0{name}".encode(), "sha256")

    def log_name(self) -> str:
        """Return the log's name, which is in every checkpoint and never changes."""
        with self._lock:
            return str(self._connection.execute("SELECT name FROM log_name").get)

    def log_seeds(self) -> list[tuple[bytes, bytes]]:
        """Return the seeds of the log's keys, Ed25519 and ML-DSA-44, in the order they were made."""
        with self._lock:
            rows: list[tuple[bytes, bytes]]
            rows = self._connection.execute(  # type: ignore[assignment]
                "SELECT log_seeds.seed, second_seeds.seed FROM log_seeds JOIN second_seeds USING(no)"
                " ORDER BY no"
            ).fetchall()
        return rows

    def add_log_seeds(self, seed: bytes, second: bytes) -> None:
        """Keep another pair of seeds, durably.

        Raises:
            StorageError: the disk refused; nothing was kept.
        """
        try:
            with self._lock, self._connection:
                self._connection.execute("INSERT INTO log_seeds(seed) VALUES (?)", (seed,))
                self._connection.execute(
                    "INSERT INTO second_seeds VALUES (last_insert_rowid(), ?)", (second,)
                )
        except apsw.Error as error:
            raise refused(error) from error

    def get(self, subject: SubjectNo) -> bytes | None:
        """Return a subject's key, None when there is none (any more)."""
        key = self._known.get(subject)
        if key is None:
            with self._lock:
                key = self._connection.execute(
                    "SELECT key FROM keys WHERE subject = ?", (subject,)
                ).get
            if key is None or key == DELETED:
                return None
            self._keep(subject, key)
        return key

    def many(self, subjects: Iterable[int]) -> Iterator[bytes | None]:
        """Yield the key of each subject, None for one whose key is gone; nothing of them is kept.

        Args:
            subjects: numbers, ascending.
        """
        page, keys = -1, dict[int, bytes]()
        for subject in subjects:
            if subject // BLOCK != page:
                page = subject // BLOCK
                with self._lock:
                    keys = dict(
                        self._connection.execute(
                            "SELECT subject, key FROM keys WHERE subject >= ? AND subject < ?",
                            (page * BLOCK, (page + 1) * BLOCK),
                        )
                    )
            key = keys.get(subject)
            yield None if key == DELETED else key

    def refresh(self) -> None:
        """Forget what is remembered of keys if another process changed any: it may have deleted some."""
        with self._lock:
            version = self._connection.execute("PRAGMA data_version").get
        if version != self._version:
            self._known.clear()
            self._version = version

    def erased_to(self) -> Position:
        """Return the position up to which the keys of erased subjects are known to be gone."""
        with self._lock:
            return Position(self._connection.execute("SELECT position FROM erased_to").get)

    def left(self, subjects: Sequence[int]) -> set[int]:
        """Return those of the subjects whose key is still there."""
        with self._lock:
            rows: Any = self._connection.execute(
                "SELECT subject FROM keys WHERE key != ?"
                " AND subject IN (SELECT value FROM json_each(?))",
                (DELETED, json.dumps(subjects)),
            ).fetchall()
        return {no for (no,) in rows}

    def delete(self, subjects: Sequence[int]) -> None:
        """Delete keys, durably and without leaving their bytes in the file; repeating it is harmless.

        Raises:
            StorageError: the disk refused, or the file's log is in use; it is not known to be done.
        """
        try:
            with self._lock:
                with self._connection:
                    self._connection.executemany(
                        "UPDATE keys SET key = ? WHERE subject = ?",
                        [(DELETED, subject) for subject in subjects],
                    )
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.Error as error:
            raise refused(error) from error
        finally:
            self._known.clear()

    def set_erased_to(self, position: Position) -> None:
        """Note that the keys of every subject erased up to a position are gone."""
        try:
            with self._lock, self._connection:
                self._connection.execute(
                    "UPDATE erased_to SET position = max(position, ?)", (position,)
                )
        except apsw.Error as error:
            raise refused(error) from error

    def give(self, least: SubjectNo) -> SubjectNo:
        """Return a number whose key is nobody's, on disk before this returns; the lowest from one on.

        Giving the same number again is right: whoever has a number in the ledger asks for a higher one.

        Raises:
            StorageError: it could not be made durable.
        """
        if least not in self._fresh:
            is_next = least == self._fresh.stop
            self._fresh = self._made(
                least, min(2 * len(self._fresh), BLOCK) if is_next else FIRST_BLOCK
            )
        return max(least, SubjectNo(self._fresh.start))

    def _made(self, least: int, count: int) -> range:
        """Make keys with numbers above all that were ever made, by any process."""
        try:
            with self._lock, self._connection:
                # takes the lock for writing before it reads, so that no two make the same
                self._connection.execute("UPDATE erased_to SET position = position")
                last = self._connection.execute("SELECT max(subject) FROM keys").get or 0
                first = max(least, last + 1)
                fresh = range(first, first + count)
                self._connection.executemany(
                    "INSERT INTO keys VALUES (?, ?)",
                    [(no, secrets.token_bytes(KEY_BYTES)) for no in fresh],
                )
        except apsw.Error as error:
            raise refused(error) from error
        return fresh

    def _keep(self, subject: int, key: bytes) -> None:
        if len(self._known) >= MEMORY:
            self._known.clear()
        self._known[subject] = key

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
