"""A log of one's own: whoever has a log's key can sign whatever they like, also what contradicts itself.

Checking must refuse all of it by its step, and nothing that is signed may make it fail in another way.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from withhold.adapters.signing import SeedSigner
from withhold.domain import jws, receipts
from withhold.domain.absence import Kind, TagProof, dataset_id, leaf_root, secret_commitment, tag_of
from withhold.domain.canonical_json import Json, canonical
from withhold.domain.checkpoints import Checkpoint, LogKey, Trust, signed
from withhold.domain.ledger import PUBLIC, SEALED, entry_bytes, public_commitment, sealed_commitment
from withhold.domain.names import Position
from withhold.domain.notes import SignatureType, encoded
from withhold.domain.proofs import LogProof
from withhold.domain.receipts import Document
from withhold.domain.statements import Facts, statement
from withhold.domain.tree import Frontier, leaf_hash

LOG = "withhold/forger"
SIGNER = SeedSigner(LOG, SignatureType.ED25519, bytes(range(32)))
TRUST = Trust(LOG, (LogKey(SIGNER.key),))
OPENING = bytes(31) + b"r"
SECRET = bytes(31) + b"u"
POSITION = Position(2)  # of every entry that a receipt is about

EVENT: dict[str, Json] = {
    "actor": "ana",
    "before": None,
    "effects": [[3, 2]],
    "holder": "account",
    "kind": "opted_out",
    "notice": "2026-11-23",
    "product": "vibe",
    "recorded_at": 1_795_691_143_208,
    "requested_at": 1_795_691_143_201,
    "sequence": 2,
    "subject": "ana",
    "surface": "console",
    "v": 1,
}


@dataclass(frozen=True)
class Entry:
    """An event as it is committed to, by whoever it is."""

    event: bytes
    opening: bytes | None = OPENING

    def at(self, position: int) -> bytes:
        """Return the bytes of the entry."""
        if self.opening is None:
            return entry_bytes(Position(position), PUBLIC, public_commitment(self.event))
        commitment = sealed_commitment(self.opening, self.event)
        return entry_bytes(Position(position), SEALED, commitment)


def in_log(first: bytes, second: bytes) -> tuple[LogProof, LogProof]:
    """Return the proofs of two entries in the signed log that has these two alone."""
    leaves = [leaf_hash(first), leaf_hash(second)]
    head = Frontier().grown(leaves)[0].head()
    note = bytes(signed(Checkpoint(LOG, head), [SIGNER], 0))
    return LogProof(0, (leaves[1],), note), LogProof(1, (leaves[0],), note)


def facts(of: bytes, **changes: Any) -> Facts:
    """Return the facts of the event above, with some of them changed."""
    found = Facts(
        basis="legitimate_interest",
        entry=of.hex(),
        form="full",
        holder="account",
        kind="opted_out",
        label="Vibe",
        log=LOG,
        notice="2026-11-23",
        policy="00" * 32,
        position=POSITION,
        product="vibe",
        purpose="model_training",
        recorded_at=1_795_691_143_208,
        requested_at=1_795_691_143_201,
        status="LegitimateInterestObjected",
        subject="ana",
        surface="console",
    )
    return replace(found, **changes)


def receipt(
    said: Facts | Callable[[bytes], bytes] | None = None,
    event: bytes | None = None,
    opening: bytes | None = OPENING,
    **changes: Any,
) -> Document:
    """Return a receipt that this log signed.

    Args:
        said: what makes the payload from the right one; facts for their statement; None for the right one.
        event: what the entry commits to, the event above by default.
        opening: of the entry.
        changes: facts that differ.
    """
    entry = Entry(canonical(EVENT) if event is None else event, opening)
    found = facts(entry.at(POSITION), **changes) if not isinstance(said, Facts) else said
    if changes.get("form") == "redacted":
        found = found.redacted()
    payload = statement(found)
    if callable(said):
        payload = said(payload)
    _, proof = in_log(b"another entry", entry.at(POSITION))
    form = receipts.Form(found.form) if found.form in set(receipts.Form) else receipts.Form.FULL
    text = sign(payload, receipts.TYPES[form])
    if form is receipts.Form.REDACTED:
        return receipts.redacted(text, proof)
    document = receipts.full(text, proof, b"", entry.opening)
    return {**document, "event": entry.event.decode()}


def sign(payload: bytes, kind: str) -> str:
    """Return any payload under any type as the log signs it."""
    made = jws.unsigned(SIGNER.key, kind, payload)
    return made.signed(SIGNER.sign(made.message))


def sign_header(header: bytes, payload: bytes) -> str:
    """Return any payload under any header as the log signs it."""
    parts = [base64.urlsafe_b64encode(each).rstrip(b"=").decode() for each in (header, payload)]
    made = jws.Unsigned(*parts)
    return made.signed(SIGNER.sign(made.message))


def dataset_proof(tagging: bytes | None = None, opened: bytes | None = None) -> dict[str, Any]:
    """Return a proof of presence that this log signed, of any two events."""
    manifest = "11" * 32
    tag = tag_of(SECRET, dataset_id("chat@1", manifest))
    tagging = tagging or canonical(
        {
            "commit": 1,
            "dataset": "chat@1",
            "kind": "dataset_tagged",
            "manifest": manifest,
            "root": leaf_root(tag).hex(),
            "v": 1,
        }
    )
    opened = opened or canonical(
        {
            "kind": "account_opened",
            "sequence": 1,
            "subject": "ana",
            "tag_secret": secret_commitment(SECRET).hex(),
            "v": 1,
        }
    )
    account, tagged = Entry(opened), Entry(tagging, None)
    first, second = in_log(account.at(1), tagged.at(2))
    return {
        "format": "withhold/dataset-proof/v1",
        "account": "ana",
        "dataset": "chat@1",
        "present": True,
        "secret": SECRET.hex(),
        "tag_proof": encoded(bytes(TagProof(Kind.PRESENT, ()))),
        "tagging": {"event": tagged.event.decode(), "proof": bytes(second).decode()},
        "account_entry": {
            "event": account.event.decode(),
            "opening": OPENING.hex(),
            "proof": bytes(first).decode(),
        },
    }
