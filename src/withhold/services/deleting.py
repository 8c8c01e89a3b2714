"""One way to delete rows: an entry of the ledger that names them, sealed under their account.

Deleted rows are withheld by every vector from that entry on, like rows of an opt-out. Deleting a row
twice is harmless.

Not here: which rows (`deletion`, `capture`), the bytes on disk (they go with the file).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from withhold.domain.canonical_json import Json
from withhold.domain.ledger import DeletedRow, Event, EventKind
from withhold.domain.names import SubjectNo
from withhold.domain.values import changed
from withhold.ports import Ports, Transaction


@dataclass(frozen=True, slots=True)
class Deletion:
    """Rows to delete.

    Attributes:
        subject: the account under whose key the entry is sealed; public, if that was erased.
        rows: what to delete.
    """

    subject: SubjectNo
    rows: tuple[DeletedRow, ...]


def delete_rows(ports: Ports, deletions: Sequence[Deletion]) -> None:
    """Append one entry per deletion, all in one transaction; durable on return."""
    if not deletions:
        return
    now = ports.clock.now_ms()

    def change(transaction: Transaction) -> None:
        for deletion in deletions:
            transaction.add(_event(transaction, deletion, now))

    ports.ledger.append(change)


def _event(transaction: Transaction, deletion: Deletion, now: int) -> Event:
    subject = transaction.subject(deletion.subject)
    ordinals: dict[str, list[Json]] = {}
    for row in deletion.rows:
        ordinals.setdefault(row.product, []).append(int(row.ordinal))
    rows: dict[str, Json] = dict(ordinals)
    if subject.is_erased:  # nothing can be sealed for it any more, and numbers of rows tell nothing
        return Event(EventKind.ROWS_DELETED, None, {"rows": rows}, now, deleted=deletion.rows)
    return Event(
        EventKind.ROWS_DELETED,
        subject.no,
        {"rows": rows},
        now,
        record=changed(subject, sequence=subject.sequence + 1, last=transaction.next),
        deleted=deletion.rows,
    )
