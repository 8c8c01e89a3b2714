"""Who reads datasets now, in the control database.

Listed so that people can be told; nothing here decides whether a row is yielded.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from withhold.adapters.store.sqlite.control import Control
from withhold.ports import Reader


class SqliteReaders:
    """`ports.Readers` over the control database."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def renew(self, reader: Reader) -> None:
        """Note that a reader is open until its lease ends."""
        self._execute(
            "REPLACE INTO readers VALUES (?, ?, ?)", reader.id, reader.dataset, reader.ends_at
        )

    def close(self, reader_id: str) -> None:
        """Forget a reader that has stopped."""
        self._execute("DELETE FROM readers WHERE id = ?", reader_id)

    def open(self, now_ms: int) -> Sequence[Reader]:
        """Return the readers whose lease has not ended."""
        with self._control.read() as connection:
            rows = connection.execute(
                "SELECT id, dataset, ends_at FROM readers WHERE ends_at > ? ORDER BY id", (now_ms,)
            )
            return [Reader(*row) for row in rows]

    def _execute(self, statement: str, *values: str | int) -> None:
        def job(connection: apsw.Connection) -> None:
            connection.execute(statement, values)

        self._control.run(job)
