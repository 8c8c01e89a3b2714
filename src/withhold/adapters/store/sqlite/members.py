"""Which accounts are in an organisation now: an index beside the directory.

It is caught up from the entries that open or move accounts, a run of them at a time, whenever somebody
asks; toggles cost it nothing. It remembers the chain value it stands at, so that a ledger that was
restored from a backup is noticed and the index is made anew.

Source: the records of the directory, which are the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apsw

from withhold.adapters.store.sqlite.codec import KIND_CODE
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.directory import read_subject
from withhold.adapters.store.sqlite.entries import head_of
from withhold.adapters.store.sqlite.surfaces import SurfaceStore
from withhold.domain.ledger import CHAIN_START, EventKind
from withhold.domain.names import Position, SubjectNo

RUN = 20_000  # entries that are taken in at once, so that no snapshot is kept open for long

_MOVES = tuple(
    KIND_CODE[kind]
    for kind in (EventKind.ACCOUNT_OPENED, EventKind.ACCOUNT_MOVED, EventKind.ACCOUNT_ERASED)
)
_Rows = list[tuple[int, tuple[int, ...]]]
"""Accounts with the organisations they are in now."""
_Cursor = tuple[Position, bytes]
_START: _Cursor = (Position(0), CHAIN_START)


class SqliteMembers:
    """Implements `ports.Members` over the control database and the database of the surfaces."""

    def __init__(self, control: Control, store: SurfaceStore, run: int = RUN) -> None:
        self._control = control
        self._store = store
        self._run = run

    def now(self, organization: SubjectNo) -> Sequence[SubjectNo]:
        """Return the accounts that are members, in order of number."""
        with self._control.read() as connection:
            head = head_of(connection)
        while self._catch_up(head) < head:
            pass
        return self._store.read(lambda connection: _members(connection, organization))

    def _catch_up(self, head: Position) -> Position:
        """Take in one run of entries; return where the index stands."""
        before = self._store.read(_cursor)
        with self._control.read() as connection:
            after = before if _is_of_this_ledger(connection, before) else _START
            to = min(Position(after[0] + self._run), head)
            if to <= after[0]:
                return after[0]
            reached = (to, _chain_at(connection, to))
            changed = _changed(connection, after[0], to)

        def job(connection: apsw.Connection) -> None:
            if _cursor(connection) != before:
                return  # another process took it in
            if after != before:
                connection.execute("DELETE FROM members")
            _replace(connection, changed)
            connection.execute("REPLACE INTO members_cursor VALUES (1, ?, ?)", reached)

        self._store.write(job)
        return self._store.read(_cursor)[0]


def _members(connection: apsw.Connection, organization: SubjectNo) -> list[SubjectNo]:
    rows: Iterable[Any] = connection.execute(
        "SELECT account FROM members WHERE organization = ? ORDER BY account", (organization,)
    )
    return [SubjectNo(no) for (no,) in rows]


def _cursor(connection: apsw.Connection) -> _Cursor:
    row = connection.execute("SELECT position, chain FROM members_cursor").fetchone()
    return _START if row is None else (Position(row[0]), row[1])


def _chain_at(connection: apsw.Connection, position: Position) -> bytes | None:
    if position == 0:
        return CHAIN_START
    chain: bytes | None = connection.execute(
        "SELECT chain FROM entries WHERE position = ?", (position,)
    ).get
    return chain


def _is_of_this_ledger(connection: apsw.Connection, cursor: _Cursor) -> bool:
    return _chain_at(connection, cursor[0]) == cursor[1]


def _changed(connection: apsw.Connection, after: Position, to: Position) -> _Rows:
    """Return who was opened or moved in (after, to], with where they are now."""
    numbers: list[Any] = connection.execute(
        "SELECT DISTINCT subject FROM entries WHERE position > ? AND position <= ?"
        " AND kind IN (?, ?, ?)",
        (after, to, *_MOVES),
    ).fetchall()
    found: _Rows = []
    for (no,) in numbers:
        account = read_subject(connection, no)
        if account is not None:
            found.append((no, tuple(m.organization for m in account.memberships_now())))
    return found


def _replace(connection: apsw.Connection, changed: _Rows) -> None:
    connection.executemany("DELETE FROM members WHERE account = ?", [(no,) for no, _ in changed])
    connection.executemany(
        "INSERT INTO members VALUES (?, ?)",
        [(organization, no) for no, organizations in changed for organization in organizations],
    )
