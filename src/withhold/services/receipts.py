"""Receipts: what somebody keeps as proof of an entry, and checking one against this ledger.

A receipt holds the entry's bytes, the event it commits to and the opening of that commitment, so that
whoever has it can recompute the commitment and the chain value themselves. The signature and the
inclusion proof under a witnessed head stand on the same bytes and come later.

Source: design section 6; the bytes are those of `domain.ledger`.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping

from withhold.domain.ledger import (
    PUBLIC,
    SEALED,
    Json,
    chained,
    entry_bytes,
    public_commitment,
    sealed_commitment,
)
from withhold.domain.names import Position
from withhold.errors import UnknownReceipt, VerificationError
from withhold.ports import Ports

VERSION = "withhold/receipt/v1"

_COMMITMENT_FAILS = "receipt: the event is not what its entry commits to"


def receipt(ports: Ports, receipt_id: str) -> dict[str, Json]:
    """Return the receipt of an entry.

    Raises:
        UnknownReceipt: there is none of that id.
    """
    is_position = receipt_id.isascii() and receipt_id.isdigit() and len(receipt_id) < 19
    record = ports.ledger.record(Position(int(receipt_id))) if is_position else None
    if record is None:
        raise UnknownReceipt("no such receipt; take its address from the answer about a preference")
    event: Json = json.loads(record.event)
    return {
        "receipt": VERSION,
        "position": record.position,
        "kind": record.kind.value,
        "event": event,
        "event_bytes": record.event.decode(),
        "opening": None if record.opening is None else record.opening.hex(),
        "entry": record.entry.hex(),
        "previous_chain": record.previous_chain.hex(),
        "chain": record.chain.hex(),
    }


def verify_receipt(ports: Ports, document: Mapping[str, Json]) -> Position:
    """Check a receipt by its own bytes, and that this ledger has that entry; return its position.

    Raises:
        VerificationError: it was altered, or this ledger does not have that entry.
    """
    position = document.get("position")
    event = document.get("event_bytes")
    if document.get("receipt") != VERSION or not isinstance(event, str):
        raise VerificationError(f"receipt: expected a document of form {VERSION}")
    if not isinstance(position, int) or isinstance(position, bool) or not 0 < position < 2**63:
        raise VerificationError("receipt: expected a position of at least 1")
    _check_bytes(document, Position(position), event.encode())
    stands = ports.ledger.record(Position(position))
    if stands is None or not hmac.compare_digest(stands.chain, _bytes(document, "chain")):
        raise VerificationError(f"receipt: this ledger has another entry, or none, at {position}")
    return Position(position)


def _check_bytes(document: Mapping[str, Json], position: Position, event: bytes) -> None:
    """Recompute commitment and chain from what the receipt itself holds."""
    if document.get("opening") is None:
        expected = entry_bytes(position, PUBLIC, public_commitment(event))
    else:
        commitment = sealed_commitment(_bytes(document, "opening"), event)
        expected = entry_bytes(position, SEALED, commitment)
    entry = _bytes(document, "entry")
    if not hmac.compare_digest(entry, expected) or _differs(document, event):
        raise VerificationError(_COMMITMENT_FAILS)
    chain = chained(_bytes(document, "previous_chain"), entry)
    if not hmac.compare_digest(chain, _bytes(document, "chain")):
        raise VerificationError("receipt: its chain value does not follow from its entry")


def _differs(document: Mapping[str, Json], event: bytes) -> bool:
    """Return whether what people read differs from what is committed to."""
    try:
        committed = json.loads(event)
    except ValueError:
        return True
    return bool(document.get("event") != committed or document.get("kind") != committed.get("kind"))


def _bytes(document: Mapping[str, Json], name: str) -> bytes:
    value = document.get(name)
    try:
        return bytes.fromhex(value if isinstance(value, str) else "not hexadecimal")
    except ValueError:
        raise VerificationError(f"receipt: expected hexadecimal bytes in {name!r}") from None
