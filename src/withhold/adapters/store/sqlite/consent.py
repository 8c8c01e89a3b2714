"""The consent table: every standing at one position, as two arrays, caught up entry by entry.

A table that was handed out never changes: catching up copies the arrays when a standing changed and
shares them when none did. A party beyond the arrays is out, like a zero inside them.

Source: design sections 1 and 5. Not here: the entries themselves (`ledger`).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import apsw
import numpy as np
from numpy.typing import NDArray

from withhold.adapters.store.sqlite.codec import last_values
from withhold.domain.names import PartyNo, Position
from withhold.domain.parties import PartyKind
from withhold.domain.standing import OUT, Standing


@dataclass(frozen=True, slots=True)
class ArrayTable:
    """Standings at ``position``; implements `ports.ConsentTable`."""

    position: Position
    values: NDArray[np.uint64]
    kinds: NDArray[np.uint8]

    def standing(self, party: PartyNo) -> Standing:
        """Return the party's ``on_since``; ``OUT`` when it is unknown."""
        value = int(self.values[party]) if party < len(self.values) else 0
        return Standing(value - 1) if value else OUT

    def kind(self, party: PartyNo) -> PartyKind:
        """Return what holds the party; ``PartyKind.ACCOUNT`` when it is unknown."""
        return PartyKind(int(self.kinds[party])) if party < len(self.kinds) else PartyKind.ACCOUNT


EMPTY = ArrayTable(Position(0), np.zeros(0, np.uint64), np.zeros(0, np.uint8))


def advanced(table: ArrayTable, connection: apsw.Connection, to: Position) -> ArrayTable:
    """Return the table at ``to``, by the entries in (table.position, to] alone."""
    rows = connection.execute(
        "SELECT position, effects FROM entries WHERE position > ? AND position <= ?"
        " AND effects IS NOT NULL ORDER BY position",
        (table.position, to),
    )
    parties, changed = last_values(rows)
    if not len(parties):
        return ArrayTable(to, table.values, table.kinds)
    known = len(table.values)
    total = max(known, int(parties[-1]) + 1)
    values = np.zeros(total, np.uint64)
    values[:known] = table.values
    values[parties] = changed
    values.flags.writeable = False
    return ArrayTable(to, values, _kinds(table.kinds, connection, total))


def _kinds(kinds: NDArray[np.uint8], connection: apsw.Connection, total: int) -> NDArray[np.uint8]:
    known = len(kinds)
    if known == total:
        return kinds
    grown = np.zeros(total, np.uint8)
    grown[:known] = kinds
    rows = connection.execute(
        "SELECT no, kind FROM parties WHERE no >= ? AND no < ?", (known, total)
    ).fetchall()
    if rows:
        numbers, codes = zip(*rows, strict=True)
        grown[list(numbers)] = codes
    grown.flags.writeable = False
    return grown


class ConsentCache:
    """The newest table this process has, behind a lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._table = EMPTY

    def copy(self) -> ConsentCache:
        """Return a cache that starts here and of which this one learns nothing."""
        fresh = ConsentCache()
        fresh._table = self._table
        return fresh

    def at(self, connection: apsw.Connection, head: Position) -> ArrayTable:
        """Return a table at or after ``head``, the head of the snapshot ``connection`` holds."""
        with self._lock:
            if self._table.position < head:
                self._table = advanced(self._table, connection, head)
            return self._table
