"""From a rule's answer to an entry: what every service that appends has in common."""

from __future__ import annotations

import json
from collections.abc import Mapping

from withhold.domain.canonical_json import Json
from withhold.domain.changes import At, Change
from withhold.domain.ledger import NOTHING, Event, EventKind
from withhold.domain.names import Position
from withhold.errors import EntryErased, VerificationError
from withhold.ports import Clock, Ports, Record, Transaction


def here(transaction: Transaction, clock: Clock) -> At:
    """Return where the next entry of a transaction will stand."""
    return At(transaction.next, clock.now_ms())


def append(
    transaction: Transaction,
    kind: EventKind,
    change: Change,
    body: Mapping[str, Json],
    at: At,
    hidden: Mapping[str, Json] = NOTHING,
) -> Position:
    """Append the entry of a subject's change; return its position.

    Args:
        hidden: members of the body that name somebody else: the subject is given the event to keep.
    """
    record = change.record
    event = Event(kind, record.no, body, at.recorded_at, change.effects, record, hidden=hidden)
    return transaction.add(event)


def readable(ports: Ports, position: Position) -> Record | None:
    """Return an entry, None when there is none there or nobody can open it any more.

    Whether a key should be gone is for the audit to tell, and not for whoever shows an entry.
    """
    try:
        return ports.ledger.record(position)
    except (EntryErased, VerificationError):
        return None


def recorded_at(record: Record) -> int:
    """Return the UTC milliseconds since 1970 of an entry; shown, never compared."""
    return int(json.loads(record.event)["recorded_at"])


def actor_of(record: Record) -> str | None:
    """Return the account that acted, None for the provider's own services."""
    actor = record.hidden.get("actor", json.loads(record.event).get("actor"))
    return actor if isinstance(actor, str) else None
