"""The database of the surfaces: sign-in sessions, and the index of members.

It is a database of its own, so that signing in never waits for the ledger nor the ledger for it. Nothing
in it is worth a backup: without it everybody signs in again and the index is made anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import apsw

from withhold.adapters.store.sqlite.control import connect
from withhold.errors import StorageError

T = TypeVar("T")

VERSION = 2
APPLICATION_ID = 0x57485330  # "WHS0"
_TABLES = """
CREATE TABLE sessions(
  hash BLOB PRIMARY KEY, account TEXT NOT NULL, no INTEGER NOT NULL, secret BLOB NOT NULL,
  made_at INTEGER NOT NULL, ends_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_account ON sessions(account, made_at);
CREATE INDEX sessions_by_end ON sessions(ends_at);
CREATE TABLE members(
  organization INTEGER NOT NULL, account INTEGER NOT NULL,
  PRIMARY KEY(organization, account)) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_account ON members(account);
CREATE TABLE members_cursor(
  one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL, chain BLOB NOT NULL) STRICT;
"""


class SurfaceStore:
    """One connection that threads take turns at; other processes have their own.

    It is opened at the first use: a command that asks for neither sessions nor members leaves no file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: apsw.Connection | None = None

    def write(self, job: Callable[[apsw.Connection], T]) -> T:
        """Run a job in one transaction; return its result once that is on disk.

        Raises:
            StorageError: nothing of it was kept, or the database belongs to a newer program.
        """
        with self._opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = job(connection)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            return result

    def read(self, job: Callable[[apsw.Connection], T]) -> T:
        """Run a job that only reads.

        Raises:
            StorageError: it cannot be read, or the database belongs to a newer program.
        """
        with self._opened() as connection:
            return job(connection)

    @contextmanager
    def _opened(self) -> Iterator[apsw.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = _prepared(connect(self._path))
                yield self._connection
            except apsw.Error as error:
                raise StorageError(
                    f"surfaces.db refused ({type(error).__name__}); nothing was kept, check the disk"
                ) from error

    def truncate_log(self) -> None:
        """Move what is in the write-ahead log into the database, and leave no bytes there if it can be.

        Raises:
            StorageError: the disk refused.
        """
        with self._opened() as connection, suppress(apsw.BusyError):
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def close(self) -> None:
        """Close; nothing is used afterwards."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()


def _prepared(connection: apsw.Connection) -> apsw.Connection:
    with connection:  # a savepoint: another process may make the tables at the same time
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")  # takes the write lock
        known = int(connection.pragma("user_version"))
        if known > VERSION:
            raise StorageError(
                f"surfaces.db has schema {known}, this program knows {VERSION}; use the newer program"
            )
        if known < VERSION:
            # of an older program: everybody signs in again, and the index is made anew
            for table in ("sessions", "members", "members_cursor"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")
            connection.execute(_TABLES)
            connection.execute(f"PRAGMA user_version = {VERSION}")
    return connection
