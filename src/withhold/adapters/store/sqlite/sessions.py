"""Who is signed in, in the database of the surfaces."""

from __future__ import annotations

import apsw

from withhold.adapters.store.sqlite.surfaces import SurfaceStore
from withhold.domain.names import AccountId, SubjectNo
from withhold.domain.sessions import PER_ACCOUNT, Session


class SqliteSessions:
    """Implements `ports.Sessions`."""

    def __init__(self, store: SurfaceStore) -> None:
        self._store = store

    def add(self, id_hash: bytes, session: Session) -> None:
        """Keep a session, durably; the oldest of the account make room."""
        row = (
            id_hash,
            session.account,
            session.no,
            session.secret,
            session.made_at,
            session.ends_at,
        )

        def job(connection: apsw.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?)", row)
            connection.execute(
                "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE account = ?"
                " ORDER BY hash = ? DESC, made_at DESC LIMIT -1 OFFSET ?)",
                (session.account, id_hash, PER_ACCOUNT),
            )

        self._store.write(job)

    def find(self, id_hash: bytes) -> Session | None:
        """Return a session, over or not; None when there is none of that id."""
        row = self._store.read(
            lambda connection: connection.execute(
                "SELECT account, no, secret, made_at, ends_at FROM sessions WHERE hash = ?",
                (id_hash,),
            ).fetchone()
        )
        return None if row is None else Session(AccountId(row[0]), SubjectNo(row[1]), *row[2:])

    def end(self, id_hash: bytes) -> None:
        """Forget a session, durably."""

        def job(connection: apsw.Connection) -> None:
            connection.execute("DELETE FROM sessions WHERE hash = ?", (id_hash,))

        self._store.write(job)

    def end_all(self, account: AccountId) -> None:
        """Forget every session of an id, durably; its bytes are overwritten, in the log as well."""

        def job(connection: apsw.Connection) -> None:
            connection.execute("DELETE FROM sessions WHERE account = ?", (account,))

        self._store.write(job)
        self._store.truncate_log()

    def sweep(self, now_ms: int) -> int:
        """Forget every session that ended by ``now_ms``; return how many."""

        def job(connection: apsw.Connection) -> int:
            connection.execute("DELETE FROM sessions WHERE ends_at <= ?", (now_ms,))
            return int(connection.changes())

        return self._store.write(job)
