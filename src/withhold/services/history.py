"""History: every change of a holder, newest first, and the receipts it may take.

A holder's record is its entries and nothing else; each says on which surface, by whom and under which
notice it was made. Whose receipt somebody may take is decided by the same record, so that an entry of
somebody else and one that does not exist look alike.

Source: articles A2, A7; scenarios S19, S39. Not here: receipts themselves (`receipts`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import cast

from withhold.domain.canonical_json import Json
from withhold.domain.ledger import EventKind
from withhold.domain.names import Position, ProductId
from withhold.domain.receipts import Document
from withhold.domain.standing import Becomes
from withhold.errors import UnknownReceipt
from withhold.ports import Ports, Record
from withhold.services import receipts
from withhold.services.events import actor_of
from withhold.services.switches import Holder, subject_of

PAGE = 50  # changes that are shown at once


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One change of a holder.

    Attributes:
        recorded_at: UTC milliseconds since 1970 of the entry.
        product: the product a choice is about, empty for other changes.
        surface: where the control stood, empty when no control was turned.
        actor: the account that acted, None for the provider's own services.
        notice: the text version shown beside the control, None when none was.
        plans: plans by product after an opening or a move.
        organizations: organizations and roles after an opening or a move.
        is_set_anew: whether a move left the standing on from here only.
        rows: how many rows were deleted.
    """

    position: Position
    recorded_at: int
    kind: EventKind
    product: ProductId
    surface: str
    actor: str | None
    notice: str | None
    plans: Mapping[str, str]
    organizations: tuple[tuple[str, str], ...]
    is_set_anew: bool
    rows: int


@dataclass(frozen=True, slots=True)
class History:
    """Changes of a holder, newest first.

    Attributes:
        older: the position to ask for the ones before, None when there are none.
    """

    entries: tuple[HistoryEntry, ...]
    older: Position | None


def history(
    ports: Ports, holder: Holder, before: Position | None = None, limit: int = PAGE
) -> History:
    """Return changes of a holder.

    Args:
        before: only entries below this position; all when None.
        limit: the most that are returned.

    Raises:
        UnknownAccount, UnknownOrganization: there is no such holder for this viewer.
        VerificationError: an entry does not open.
    """
    records = _records(ports, holder)
    found = list(islice((r for r in records if before is None or r.position < before), limit + 1))
    shown = tuple(_entry(record) for record in found[:limit])
    return History(shown, shown[-1].position if len(found) > limit else None)


def receipt_of(
    ports: Ports, holder: Holder, position: Position, *, is_redacted: bool = False
) -> Document:
    """Return the receipt of one of a holder's own entries.

    Args:
        is_redacted: without whose it is, to show to others.

    Raises:
        UnknownAccount, UnknownOrganization: there is no such holder for this viewer.
        UnknownReceipt: the entry is not there, or not the holder's.
    """
    for record in _records(ports, holder):
        if record.position <= position:
            if record.position == position:
                give = receipts.redacted if is_redacted else receipts.receipt
                return give(ports, str(position))
            break
    raise UnknownReceipt("no such receipt of this holder; its history lists those there are")


def _records(ports: Ports, holder: Holder) -> Iterator[Record]:
    with ports.ledger.directory() as directory:
        subject = subject_of(directory, holder)
    return ports.ledger.records_of(subject.no)


def _entry(record: Record) -> HistoryEntry:
    body = cast("dict[str, Json]", json.loads(record.event))
    moved = record.kind in {EventKind.ACCOUNT_MOVED, EventKind.ORGANIZATION_MOVED}
    effects = cast("list[list[int]]", body.get("effects") or [])
    return HistoryEntry(
        position=record.position,
        recorded_at=cast("int", body["recorded_at"]),
        kind=record.kind,
        product=ProductId(str(body.get("product") or "")),
        surface=str(body.get("surface") or ""),
        actor=actor_of(record),
        notice=cast("str | None", body.get("notice")),
        plans=cast("dict[str, str]", body.get("plans") or {}),
        organizations=tuple(
            (name, role) for name, role in cast("list[list[str]]", body.get("organizations") or [])
        ),
        is_set_anew=moved and any(becomes == Becomes.ON for _, becomes in effects),
        rows=len(cast("list[Json]", body.get("deleted") or [])),
    )
