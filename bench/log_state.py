"""Bringing write-ahead logs of SQLite into one state, so that two databases can be compared.

A commit that writes over blocks which its log has already costs about half of one that makes the file
longer.
"""

from __future__ import annotations

import apsw

from withhold.adapters.store.sqlite.control import WAL_PAGES


def written_over(connection: apsw.Connection, log_bytes: int) -> None:
    """Make a log that long, and let the next commits write over it, as where a server has run a while."""
    connection.wal_autocheckpoint(0)
    connection.execute("BEGIN; CREATE TABLE filler(bytes BLOB)")
    connection.execute("INSERT INTO filler VALUES (zeroblob(?))", (log_bytes,))
    connection.execute("DROP TABLE filler; COMMIT")
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
    connection.wal_autocheckpoint(WAL_PAGES)
