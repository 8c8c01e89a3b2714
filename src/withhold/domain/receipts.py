"""Receipts: one file that shows, without the provider, what was confirmed and where it stands.

    {"event":E,"format":"withhold/receipt/v2","jws":J,"opening":R,"position":N,"proof":P}    full
    {"format":"withhold/redacted-receipt/v2","jws":J,"position":N,"proof":P}      to show to others

    E   the event, canonical JSON as a text      R   what opens its commitment, hexadecimal; null if public
    N   where the entry stands
    J   the statement, signed (`statements`, `jws`)      P   where the entry is in the log (`proofs`)

The file is canonical JSON (RFC 8785) and nothing else: no white space, one newline at the end at most. So
each byte either is checked or is a signature of somebody the checker does not know, which counts for
nothing. Checking takes six steps, and an error names the one that failed:

    1 form        the file is a receipt, in its one form
    2 statement   the signed statement says what its facts say, and nothing else
    3 record      event and opening give the entry; the event is canonical JSON, and the statement says
                  what it says
    4 checkpoint  the log signed the head of its tree
    5 place       the entry stands at that position in that tree
    6 signature   a key that signed the checkpoint also signed the statement

A redacted receipt has no step 3: that the entry is what the statement calls it is then the provider's
signed word, which whoever holds the full receipt can hold against the entry.

Source: design section 6; RFC 7515, RFC 6962, C2SP tlog-proof.
Not here: what is read from a ledger (`services.receipts`), words for people (`formats.receipt_words`).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from withhold.domain import jws, steps
from withhold.domain.canonical_json import MAX_NUMBER, Json, canonical, parsed, reader
from withhold.domain.checkpoints import Checkpoint, Trust, opened_or_read
from withhold.domain.ledger import (
    ENTRY_BYTES,
    OPENING_BYTES,
    PUBLIC,
    SEALED,
    entry_bytes,
    public_commitment,
    sealed_commitment,
)
from withhold.domain.names import Position
from withhold.domain.notes import NoteKey, SignatureType, Verifies, parse_note
from withhold.domain.proofs import LogProof, parse_proof
from withhold.domain.statements import Facts, Form, facts_in, says, statement
from withhold.domain.steps import Step
from withhold.domain.tree import check_inclusion, leaf_hash
from withhold.errors import VerificationError, WithholdError

MAX_BYTES = 2 * 1024 * 1024  # the entry of a policy has the whole file in it, escaped twice

FORMATS = {
    "withhold/receipt/v2": Form.FULL,
    "withhold/redacted-receipt/v2": Form.REDACTED,
}
TYPES = {Form.FULL: "withhold-receipt+jws", Form.REDACTED: "withhold-redacted-receipt+jws"}
_FORMAT_OF = {form: name for name, form in FORMATS.items()}
_REDACTED_BEGINS = f'{{"format":"{_FORMAT_OF[Form.REDACTED]}"'.encode()
_OPENS = "the record is the one that the entry commits to, and the statement says what it says"
_STAYS_CLOSED = (
    "not in this form: the record; that it is what the statement says is the provider's word"
)

STEPS: Mapping[str, str] = {
    "form": "the file is a receipt, in its one form",
    "statement": "the statement says what its facts say, and nothing else",
    "record": _OPENS,
    "checkpoint": "the log signed the head of its tree",
    "place": "the entry stands at its position in that tree",
    "signature": "the same key signed the statement",
    "ledger": "this ledger has that entry there, and every entry up to then as it was",
}
"""The steps by name, in order, and what holds when one does; the last needs a ledger."""

Document = dict[str, Json]


@dataclass(frozen=True, slots=True)
class _Redacted:
    """The members of a redacted receipt's file."""

    format: str
    jws: str
    position: int
    proof: str


@dataclass(frozen=True, slots=True)
class _Full:
    """The members of a full receipt's file."""

    event: str
    format: str
    jws: str
    opening: str | None
    position: int
    proof: str


_full, _redacted = reader(_Full, "a full receipt"), reader(_Redacted, "a redacted receipt")


class Verified(NamedTuple):
    """A receipt in which everything that was checked holds.

    Attributes:
        facts: what it says.
        checkpoint: the head of the log's tree that it stands in.
        key: the log's key that signed the statement; None when no keys were given.
        key_id: how the statement names that key.
        witnessed: witnesses that saw the checkpoint, each with the time it gave.
        ledger: the step beyond the receipt's own bytes: this ledger still has it.
    """

    facts: Facts
    checkpoint: Checkpoint
    key: NoteKey | None
    key_id: str
    witnessed: tuple[tuple[NoteKey, int], ...]
    ledger: Step | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in order."""
        beyond = () if self.ledger is None else (self.ledger,)
        return (*_steps(self), *beyond)

    @property
    def position(self) -> Position:
        """Where the entry stands."""
        return self.facts.position

    @property
    def is_signed(self) -> bool:
        """Whether it was checked who signed."""
        return self.key is not None


# --- making -------------------------------------------------------------------------------------------


def unsigned(facts: Facts, key: NoteKey) -> jws.Unsigned:
    """Return the statement of a receipt, for a key of the log to sign."""
    return jws.unsigned(key, TYPES[Form(facts.form)], statement(facts))


def full(signed: str, proof: LogProof, event: bytes, opening: bytes | None) -> Document:
    """Return a receipt for whoever made the choice; its members are in order, ready to be encoded."""
    return {
        "event": event.decode(),
        "format": _FORMAT_OF[Form.FULL],
        "jws": signed,
        "opening": None if opening is None else opening.hex(),
        "position": proof.index + 1,
        "proof": bytes(proof).decode(),
    }


def redacted(signed: str, proof: LogProof) -> Document:
    """Return a receipt to show to others."""
    return {
        "format": _FORMAT_OF[Form.REDACTED],
        "jws": signed,
        "position": proof.index + 1,
        "proof": bytes(proof).decode(),
    }


def encoded(document: Document) -> bytes:
    """Return the bytes of a receipt's file."""
    return canonical(document) + b"\n"


def log_key(proof: LogProof, keys: tuple[NoteKey, ...]) -> NoteKey:
    """Return the newest Ed25519 key among these that signed the checkpoint of a proof.

    Raises:
        VerificationError: none did.
    """
    lines = {(line.name, line.key_id) for line in parse_note(proof.checkpoint).signatures}
    for key in reversed(keys):
        if key.type is SignatureType.ED25519 and (key.name, key.id) in lines:
            return key
    raise VerificationError("receipt: no Ed25519 key of the log signed its checkpoint")


# --- checking -----------------------------------------------------------------------------------------


def verify(data: bytes, trust: Trust | None, verifies: Verifies) -> Verified:
    """Check a receipt by its own bytes and the log's public keys.

    Args:
        data: the file.
        trust: whose signatures count; None checks everything but who signed, and says so.
        verifies: checks one signature.

    Raises:
        VerificationError: it does not hold; the message names the step.
    """
    step = "1 (form)"
    try:
        parts = _parsed(data)
        signed, proof = jws.parse(parts.jws), _proof(parts.proof)
        step = "2 (statement)"
        facts, entry = _facts(signed, parts)
        step = "3 (record)"
        if isinstance(parts, _Full):
            _check_record(parts, facts, entry)
        step = "4 (checkpoint)"
        checkpoint, signers, witnessed = opened_or_read(proof.checkpoint, trust, verifies)
        _expect(checkpoint.origin == facts.log, "a checkpoint of the log that the statement names")
        step = "5 (place)"
        _expect(proof.index + 1 == facts.position, "a proof for the position of the entry")
        check_inclusion(leaf_hash(entry), proof.index, proof.path, checkpoint.head)
        step = "6 (signature)"
        key = None if trust is None else _signer(signed, signers, verifies)
    except WithholdError as error:
        raise VerificationError(f"receipt, step {step}: {error}", step=int(step[0])) from error
    return Verified(facts, checkpoint, key, signed.key_id, witnessed)


def is_formed(document: Document) -> bool:
    """Return whether a document, written anew, is a receipt in its form; nothing else of it is checked."""
    try:
        _parsed(encoded(document))
    except (VerificationError, ValueError, TypeError, RecursionError):
        return False
    return True


def steps_before(step: int, data: bytes, *, is_keyed: bool) -> tuple[Step, ...]:
    """Return the steps before the one at which a file failed.

    Args:
        step: the number of that one (`VerificationError.step`).
        data: the file.
        is_keyed: whether it was said whose signatures count.
    """
    closed = {"record": _STAYS_CLOSED} if data.startswith(_REDACTED_BEGINS) else {}
    unsigned = {} if is_keyed else dict.fromkeys(("checkpoint", "signature"), steps.NO_KEYS)
    return steps.before(STEPS, step, closed | unsigned)


def read(document: Document) -> Verified:
    """Return what a receipt says that was made here, checked as far as its own bytes go.

    Raises:
        VerificationError: it does not hold; the message names the step.
    """
    return verify(encoded(document), None, lambda _key, _message, _signature: False)


def _parsed(data: bytes) -> _Full | _Redacted:
    if len(data) > MAX_BYTES:
        raise VerificationError(f"expected at most {MAX_BYTES} bytes, got {len(data)}")
    text = data.removesuffix(b"\n")
    is_redacted = text.startswith(_REDACTED_BEGINS)
    try:
        parts = _redacted(text) if is_redacted else _full(text)
        is_one_form = canonical(parts) == text and FORMATS.get(parts.format) is _form(parts)
    except (VerificationError, UnicodeEncodeError):
        is_one_form = False
    if not is_one_form:
        raise VerificationError(
            "expected a receipt in its one form: canonical JSON with exactly the members of its format, "
            "byte for byte as it was given"
        )
    _expect(0 < parts.position <= MAX_NUMBER, "a position that is exact in JSON")
    if isinstance(parts, _Full) and parts.opening is not None:
        is_whole = len(_bytes(parts.opening)) == OPENING_BYTES
        _expect(is_whole, f"an opening of {OPENING_BYTES} bytes")
    return parts


def _form(parts: _Full | _Redacted) -> Form:
    return Form.FULL if isinstance(parts, _Full) else Form.REDACTED


def _proof(text: str) -> LogProof:
    proof = parse_proof(text.encode())
    _expect(proof.extra is None, "a proof without anything that nobody vouches for")
    return proof


def _facts(signed: jws.Jws, parts: _Full | _Redacted) -> tuple[Facts, bytes]:
    """Return what is said, and the entry that it is said of."""
    form = _form(parts)
    _expect(signed.type == TYPES[form], "a statement for a receipt of this format")
    facts = facts_in(signed.payload)
    _expect(facts.form == form, "facts for a receipt of this format")
    _expect(facts.position == parts.position, "the position that the file names")
    entry = _bytes(facts.entry)
    is_formed = len(entry) == ENTRY_BYTES and entry[-33] in {SEALED, PUBLIC}
    is_here = is_formed and entry == entry_bytes(facts.position, entry[-33], entry[-32:])
    _expect(is_here, "the bytes of an entry at its position")
    return facts, entry


def _bytes(text: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    _expect(data.hex() == text, "bytes in lower-case hexadecimal")
    return data


def _check_record(parts: _Full, facts: Facts, entry: bytes) -> None:
    event = parts.event.encode()
    if parts.opening is None:
        expected = entry_bytes(facts.position, PUBLIC, public_commitment(event))
    else:
        commitment = sealed_commitment(bytes.fromhex(parts.opening), event)
        expected = entry_bytes(facts.position, SEALED, commitment)
    _expect(hmac.compare_digest(entry, expected), "an event and an opening that give the entry")
    # another text of the same values, or one that says a thing twice, could be read in two ways
    _expect(says(facts, parsed(event)), "a statement that says what the event says")


def _signer(signed: jws.Jws, signers: tuple[NoteKey, ...], verifies: Verifies) -> NoteKey:
    for key in signers:
        if key.type is SignatureType.ED25519 and jws.key_id(key) == signed.key_id:
            _expect(
                verifies(key, signed.message, signed.signature),
                "a signature of the statement that holds",
            )
            return key
    raise VerificationError(
        "expected a statement signed by a key that signed the checkpoint and is among these keys, "
        f"got one by {signed.key_id[:100]!r}"
    )


def _steps(found: Verified) -> tuple[Step, ...]:
    facts, key, size = found.facts, found.key, found.checkpoint.head.size
    is_full = facts.form == Form.FULL
    return (
        Step("form", f"the file is a {facts.form} receipt, in its one form"),
        Step("statement", "the statement says what its facts say, and nothing else"),
        Step("record", _OPENS if is_full else _STAYS_CLOSED, True if is_full else None),
        Step(
            "checkpoint",
            f"the log {facts.log} signed the head of its tree of {size:,} entries"
            if key is not None
            else f"not checked: who signed the head of the tree of {size:,} entries",
            None if key is None else True,
        ),
        Step("place", f"the entry stands at position {facts.position:,} in that tree"),
        Step(
            "signature",
            f"the same key signed the statement: {jws.key_id(key)}"
            if key is not None
            else f"not checked: whether {found.key_id} signed the statement",
            None if key is None else True,
        ),
    )


def _expect(holds: bool, expected: str) -> None:
    if not holds:
        raise VerificationError(f"expected {expected}")
