"""Ledger entries: the exact bytes that are chained, and what they commit to.

An entry says nothing to whoever reads it: it carries a keyed commitment to its event, and the event
itself is kept encrypted under the subject's key. Deleting the key forgets the person while the chain
still verifies. Each subject numbers its own events, so an omission shows.

    event      canonical JSON (RFC 8785) of the event body, strings, integers, booleans, lists, objects
    opening    r = HMAC-SHA256(subject key, "r" || u64(sequence))
    commitment C = SHA-256("withhold/leaf/v1\\0" || r || event)          of a sealed event
               C = SHA-256("withhold/public/v1\\0" || event)            of a public event
    hidden     a member whose value names somebody else stands in the event as {"hidden": hex(H)}, where
               H = SHA-256("withhold/hidden/v1\\0" || HMAC-SHA256(subject key, "h" || u64(sequence) || name)
                           || canonical JSON of the value)
    entry      "withhold/entry/v1\\0" || u64(position) || u8(class) || C     (class 0 sealed, 1 public)
    chain      chain_0 = 32 zero bytes; chain_n = SHA-256("withhold/chain/v1\\0" || chain_(n-1) || entry_n)

A person is given an event to keep. So whatever in it names somebody else is hidden: committed to by a
hash that only the keeper of the subject's key can open, with the value kept beside the event.

A public event about one person, who was erased, has no key that could seal it. It carries 32 random bytes,
``blind``, kept in its body: its numbers and times are few enough to be tried against the commitment,
which everybody has.

Integers are big-endian. Positions start at 1. The tree and its signed checkpoints stand on these
entries (`tree`, `checkpoints`), receipts on both (`receipts`).

Source: design sections 1, 2 and 6; RFC 6962 for the shape of what will stand on top.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from withhold.domain.canonical_json import Json, canonical
from withhold.domain.directory import PlanParties, Subject, SubjectKind
from withhold.domain.names import Ordinal, Position, ProductId, SubjectNo
from withhold.domain.standing import Effect
from withhold.domain.values import Value
from withhold.errors import VerificationError

CHAIN_START = bytes(32)
SEALED, PUBLIC = 0, 1
_LEAF, _OPEN = b"withhold/leaf/v1\0", b"withhold/public/v1\0"
_HIDDEN = b"withhold/hidden/v1\0"
_ENTRY, _CHAIN = b"withhold/entry/v1\0", b"withhold/chain/v1\0"
NOTHING: Mapping[str, Json] = {}
BLIND_BYTES = OPENING_BYTES = 32
ENTRY_BYTES = len(_ENTRY) + 8 + 1 + 32


class EventKind(StrEnum):
    """What an entry records."""

    POLICY_ADOPTED = "policy_adopted"  # public; carries the effects on plan parties
    ORGANIZATION_OPENED = "organization_opened"  # an organisation and its plans
    ORGANIZATION_MOVED = "organization_moved"  # an organisation changed plans
    ACCOUNT_OPENED = "account_opened"  # an account; the only place for "never been out"
    ACCOUNT_MOVED = "account_moved"  # an account changed plan or organisations
    ACCOUNTS_MERGED = "accounts_merged"  # an account joined a group; off wins
    OPTED_OUT = "opted_out"  # a holder turned training off
    OPTED_IN = "opted_in"  # a holder turned training on
    ROWS_DELETED = "rows_deleted"  # rows of an account were deleted
    DATASET_COMMITTED = "dataset_committed"  # public; a dataset version exists from here on
    LOG_KEY_REPLACED = "log_key_replaced"  # public; from here on another key signs the log
    DATASET_TAGGED = "dataset_tagged"  # public; the root over the tags of a version's accounts
    ACCOUNT_ERASED = "account_erased"  # public; an account is out for ever, and its key is deleted
    DATASET_EXPORTED = "dataset_exported"  # public; a copy of a version is about to be handed out


OPENED: Mapping[SubjectKind, EventKind] = {
    SubjectKind.ACCOUNT: EventKind.ACCOUNT_OPENED,
    SubjectKind.ORGANIZATION: EventKind.ORGANIZATION_OPENED,
}
"""What opens a subject."""

PERSONAL = frozenset({EventKind.ACCOUNT_ERASED, EventKind.ROWS_DELETED})
"""Kinds that tell something of one person also when they are public, so that they carry a blind."""


@dataclass(frozen=True, slots=True)
class DeletedRow:
    """A row that an entry deletes."""

    product: ProductId
    ordinal: Ordinal


class Event(Value, frozen=True):
    """Something that happened, ready to be appended, with all it changes.

    The ledger writes the entry, the effects and the derived records in one transaction.

    Attributes:
        kind: what happened.
        subject: whose key seals the body; of a public event whom it is about, None for nobody.
        body: what is committed to; the ledger adds ``kind``, ``v``, ``subject`` (external id),
            ``sequence``, ``effects`` and ``recorded_at``, and ``blind`` to a public one of a person.
        recorded_at: UTC milliseconds since 1970; shown, never compared.
        effects: standings that change.
        record: the subject's record after this event, already naming its position; None when public.
        plans: parties of plans after this event (policy adoption only).
        deleted: rows this event deletes.
        hidden: members of the body that name somebody else; only a hash of each is committed to.
    """

    kind: EventKind
    subject: SubjectNo | None
    body: Mapping[str, Json]
    recorded_at: int
    effects: tuple[Effect, ...] = ()
    record: Subject | None = None
    plans: tuple[PlanParties, ...] = ()
    deleted: tuple[DeletedRow, ...] = ()
    hidden: Mapping[str, Json] = NOTHING


def opening(subject_key: bytes, sequence: int) -> bytes:
    """Return ``r``, the 32 bytes that open the commitment of a subject's event."""
    return hmac.digest(subject_key, b"r" + sequence.to_bytes(8, "big"), "sha256")


def hidden(subject_key: bytes, sequence: int, name: str, value: Json) -> Json:
    """Return what stands in an event for a member whose value names somebody else."""
    blind = hmac.digest(subject_key, b"h" + sequence.to_bytes(8, "big") + name.encode(), "sha256")
    return {"hidden": hashlib.sha256(_HIDDEN + blind + canonical(value)).hexdigest()}


def sealed_commitment(r: bytes, event: bytes) -> bytes:
    """Return the 32-byte commitment to a sealed event."""
    return hashlib.sha256(_LEAF + r + event).digest()


def public_commitment(event: bytes) -> bytes:
    """Return the 32-byte commitment to a public event."""
    return hashlib.sha256(_OPEN + event).digest()


def entry_bytes(position: Position, entry_class: int, commitment: bytes) -> bytes:
    """Return the bytes of the entry at ``position``."""
    return _ENTRY + position.to_bytes(8, "big") + bytes((entry_class,)) + commitment


def chained(previous: bytes, entry: bytes) -> bytes:
    """Return the chain value after ``entry``, given the one before it."""
    return hashlib.sha256(_CHAIN + previous + entry).digest()


def broken(position: int, how: str) -> VerificationError:
    """Return the error that names an entry which does not hold."""
    return VerificationError(f"entry {position}: {how}", position=position)


def check_entry(entry: bytes, position: Position, previous: bytes, chain: bytes) -> None:
    """Check that an entry stands at its position and in its chain.

    Raises:
        VerificationError: it does not; the message names the position.
    """
    if len(entry) != ENTRY_BYTES or not entry.startswith(_ENTRY):
        raise broken(position, f"expected {ENTRY_BYTES} bytes of an entry v1")
    if entry[len(_ENTRY) : len(_ENTRY) + 8] != position.to_bytes(8, "big"):
        raise broken(position, "its bytes name another position")
    if not hmac.compare_digest(chained(previous, entry), chain):
        raise broken(position, "the chain does not hold here")


def is_sealed(entry: bytes) -> bool:
    """Return whether an entry commits to a sealed event, by its own bytes."""
    return entry[-33:-32] == bytes((SEALED,))


def commitment_in(entry: bytes) -> bytes:
    """Return the commitment that an entry carries."""
    return entry[-32:]
