"""From a rule's answer to an entry: what every service that appends has in common."""

from __future__ import annotations

from collections.abc import Mapping

from withhold.domain.changes import At, Change
from withhold.domain.ledger import Event, EventKind, Json
from withhold.domain.names import Position
from withhold.ports import Clock, Transaction


def here(transaction: Transaction, clock: Clock) -> At:
    """Return where the next entry of a transaction will stand."""
    return At(transaction.next, clock.now_ms())


def append(
    transaction: Transaction, kind: EventKind, change: Change, body: Mapping[str, Json], at: At
) -> Position:
    """Append the entry of a subject's change; return its position."""
    record = change.record
    return transaction.add(Event(kind, record.no, body, at.recorded_at, change.effects, record))
