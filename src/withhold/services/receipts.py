"""Receipts: what somebody keeps as proof of an entry, made here and checked against this ledger.

A receipt is checked without any ledger by `domain.receipts.verify`. Whoever has the ledger too can ask for
more: that it still has that entry there, and that all its entries up to the receipt's checkpoint are those
it had then. A ledger that was rewritten and signed anew fails that against any one older receipt (S37).

Source: design section 6; scenarios S37, S39, S40. Not here: its bytes (`domain.receipts`), whose receipts
somebody may take (`history`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from withhold.domain import receipts
from withhold.domain.canonical_json import Json
from withhold.domain.names import Position
from withhold.domain.notes import Verifies
from withhold.domain.proofs import LogProof
from withhold.domain.receipts import Document, Verified
from withhold.domain.statements import Facts, facts_of
from withhold.domain.steps import Step
from withhold.domain.tree import TreeHead, check_consistency, check_inclusion, leaf_hash
from withhold.errors import InputError, UnknownReceipt, VerificationError
from withhold.ports import Ports, Record
from withhold.services.log import said, trust


def receipt(ports: Ports, receipt_id: str) -> Document:
    """Return the receipt of an entry, with whose it is.

    Raises:
        UnknownReceipt: there is none of that id.
        VerificationError: the key that opens the entry is gone.
    """
    return _full(ports, _record(ports, receipt_id))


def redacted(ports: Ports, receipt_id: str) -> Document:
    """Return the receipt of an entry without whose it is, to show to others.

    Raises:
        UnknownReceipt: there is none of that id.
        VerificationError: the key that opens the entry is gone.
    """
    record = _record(ports, receipt_id)
    proof = ports.log.proof(record.position)
    return receipts.redacted(_signed(ports, _facts(ports, record).redacted(), proof), proof)


def keys(ports: Ports) -> list[str]:
    """Return the log's public keys as verifier keys, the newest last: what whoever checks must have."""
    return [str(each.key) for each in ports.log.keys()]  # noqa: SIM118 (a method, not a dictionary's)


def verify_receipt(
    ports: Ports, document: bytes | Mapping[str, Json], verifies: Verifies
) -> Verified:
    """Check a receipt by its own bytes and this log's keys, and that this ledger still has all of it.

    Args:
        document: the file, or what it says.
        verifies: checks one signature.

    Raises:
        VerificationError: it does not hold; the message names the step, and the position if the ledger
            differs.
    """
    data = document if isinstance(document, bytes) else _file(document)
    found = receipts.verify(data, trust(ports.log), verifies)
    return found._replace(ledger=_check_ledger(ports, found))


def _file(document: Mapping[str, Json]) -> bytes:
    try:
        return receipts.encoded(dict(document))
    except (ValueError, TypeError, RecursionError):  # half of a character, or no JSON at all
        raise VerificationError(
            "receipt, step 1 (form): expected what JSON can say", step=1
        ) from None


def _record(ports: Ports, receipt_id: str) -> Record:
    is_position = receipt_id.isascii() and receipt_id.isdigit() and len(receipt_id) < 19
    record = ports.ledger.record(Position(int(receipt_id))) if is_position else None
    if record is None:
        raise UnknownReceipt(
            f"no entry {receipt_id[:40]}: the ledger has 1 to {ports.ledger.head()}; take the position "
            "from the answer about a preference"
        )
    return record


def _full(ports: Ports, record: Record) -> Document:
    proof = ports.log.proof(record.position)
    signed = _signed(ports, _facts(ports, record), proof)
    return receipts.full(signed, proof, record.event, record.opening)


def _facts(ports: Ports, record: Record) -> Facts:
    event: dict[str, Json] = json.loads(record.event)
    policy = ports.ledger.policy_at(record.position)
    return facts_of(event, record.entry, record.position, ports.log.origin, policy)


def _signed(ports: Ports, facts: Facts, proof: LogProof) -> str:
    """Return the statement, signed by the newest key that signed the checkpoint beside it."""
    known = ports.log.keys()
    key = receipts.log_key(proof, tuple(each.key for each in known))
    statement = receipts.unsigned(facts, key)
    return statement.signed(ports.log.sign(key, statement))


def check_ledger(
    ports: Ports, where: tuple[str, int], position: Position, entry: bytes, then: TreeHead
) -> None:
    """Check that this ledger has an entry, and begins with the tree that it was shown in.

    Args:
        where: what is checked, and the number of this step of it, for the message.
        position: of the entry.
        entry: its bytes.
        then: the head of that tree.

    Raises:
        VerificationError: it has not, or does not.
    """
    what = f"{where[0]}, step {where[1]} (ledger)"
    try:
        proof = ports.log.proof(position)
        now = said(proof.checkpoint).head
        check_inclusion(leaf_hash(entry), position - 1, proof.path, now)
    except (VerificationError, InputError) as error:
        raise VerificationError(
            f"{what}: this ledger has another entry, or none, at position {position}; "
            "it was rewritten, cut off, or is another one",
            step=where[1],
        ) from error
    try:
        check_consistency(then, now, ports.log.consistency(then.size, now.size))
    except (VerificationError, InputError) as error:
        raise VerificationError(
            f"{what}: the entry at position {position} is there, but the entries up to "
            f"position {then.size} are not those that the log signed then; it was rewritten or cut off",
            step=where[1],
        ) from error


def _check_ledger(ports: Ports, found: Verified) -> Step:
    """Check that this ledger has the entry, and begins with the tree that the receipt stands in."""
    then = found.checkpoint.head
    entry = bytes.fromhex(found.facts.entry)
    check_ledger(ports, ("receipt", 7), found.position, entry, then)
    return Step(
        "ledger", f"this ledger has that entry there, and every entry up to {then.size:,} as it was"
    )
