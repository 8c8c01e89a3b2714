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
    3 record      event and opening give the entry, and the statement says what the event says
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
import json
from collections.abc import Callable
from dataclasses import dataclass
from json.encoder import encode_basestring
from types import TracebackType
from typing import NamedTuple

from withhold.domain import jws
from withhold.domain.checkpoints import Checkpoint, Trust, opened, parse_checkpoint
from withhold.domain.ledger import (
    ENTRY_BYTES,
    PUBLIC,
    SEALED,
    Json,
    canonical,
    entry_bytes,
    public_commitment,
    sealed_commitment,
)
from withhold.domain.names import Position
from withhold.domain.notes import NoteKey, SignatureType, Verifies, parse_note
from withhold.domain.proofs import LogProof, parse_proof
from withhold.domain.statements import Facts, Form, facts_in, says, statement
from withhold.domain.tree import check_inclusion, leaf_hash
from withhold.errors import VerificationError, WithholdError

OPENING_BYTES = 32
MAX_BYTES = 2 * 1024 * 1024  # the entry of a policy has the whole file in it, escaped twice

FORMATS = {
    "withhold/receipt/v2": Form.FULL,
    "withhold/redacted-receipt/v2": Form.REDACTED,
}
TYPES = {Form.FULL: "withhold-receipt+jws", Form.REDACTED: "withhold-redacted-receipt+jws"}
_FORMAT_OF = {form: name for name, form in FORMATS.items()}
_OPENED = frozenset({"event", "format", "jws", "opening", "position", "proof"})
_CLOSED = frozenset({"format", "jws", "position", "proof"})

_OPENS = "the record is the one that the entry commits to, and the statement says what it says"
_STAYS_CLOSED = (
    "the record is not in this receipt; that it is what the statement says is the provider's word"
)

Document = dict[str, Json]


class Step(NamedTuple):
    """One step of checking.

    Attributes:
        name: short and stable.
        said: what was found, for people.
        holds: False when it could not be checked: whose keys to believe was not said.
    """

    name: str
    said: str
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Verified:
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


class _At:
    """Names the step in the errors of what runs inside it."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: object, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, WithholdError):
            raise VerificationError(f"receipt, step {self._name}: {error}") from error


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
    with _At("1 (form)"):
        form, document = _parsed(data)
        signed = jws.parse(_text(document, "jws"))
        proof = _proof(document)
    with _At("2 (statement)"):
        facts = _facts(signed, form)
        _expect(document["position"] == facts.position, "the position that the statement names")
    entry = bytes.fromhex(facts.entry)
    if form is Form.FULL:
        with _At("3 (record)"):
            _check_record(document, facts, entry)
    with _At("4 (checkpoint)"):
        checkpoint, signers, witnessed = _checkpoint(proof, trust, verifies)
        _expect(checkpoint.origin == facts.log, "a checkpoint of the log that the statement names")
    with _At("5 (place)"):
        _expect(proof.index + 1 == facts.position, "a proof for the position of the entry")
        check_inclusion(leaf_hash(entry), proof.index, proof.path, checkpoint.head)
    with _At("6 (signature)"):
        key = None if trust is None else _signer(signed, signers, verifies)
    return Verified(facts, checkpoint, key, signed.key_id, witnessed)


def read(document: Document) -> Verified:
    """Return what a receipt says that was made here, checked as far as its own bytes go.

    Raises:
        VerificationError: it does not hold; the message names the step.
    """
    return verify(encoded(document), None, lambda _key, _message, _signature: False)


def _parsed(data: bytes) -> tuple[Form, Document]:
    if len(data) > MAX_BYTES:
        raise VerificationError(f"expected at most {MAX_BYTES} bytes, got {len(data)}")
    document = _object(data.removesuffix(b"\n"), "the file", _flat)
    form = FORMATS.get(str(document.get("format")))
    if form is None:
        expected = " or ".join(FORMATS)
        raise VerificationError(f"expected a receipt of the format {expected}")
    if document.keys() != (_OPENED if form is Form.FULL else _CLOSED):
        raise VerificationError("expected exactly the members of a receipt of its format")
    return form, document


def _object(data: bytes, what: str, encode: Callable[[Document], bytes] = canonical) -> Document:
    """Return the object that canonical JSON is."""
    try:
        found = json.loads(data.decode())
        is_canonical = isinstance(found, dict) and encode(found) == data
    except (ValueError, RecursionError):  # not UTF-8, not JSON, half of a character
        is_canonical = False
    if not is_canonical:
        raise VerificationError(
            f"expected {what} to be canonical JSON, byte for byte as it was given; "
            "white space or another order of its members is refused"
        )
    return dict(found)


def _flat(document: Document) -> bytes:
    """Return the canonical JSON of texts, numbers and nulls by name; of anything else, other bytes."""
    members = [f"{encode_basestring(name)}:{_scalar(document[name])}" for name in sorted(document)]
    return f"{{{','.join(members)}}}".encode()


def _scalar(value: Json) -> str:
    if isinstance(value, str):
        return encode_basestring(value)
    return str(value) if type(value) is int else "null"


def _text(document: Document, name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise VerificationError(f"expected a text in {name!r}")
    return value


def _proof(document: Document) -> LogProof:
    proof = parse_proof(_text(document, "proof").encode())
    _expect(proof.extra is None, "a proof without anything that nobody vouches for")
    return proof


def _facts(signed: jws.Jws, form: Form) -> Facts:
    _expect(signed.type == TYPES[form], "a statement for a receipt of this format")
    facts = facts_in(signed.payload)
    _expect(facts.form == form, "facts for a receipt of this format")
    entry = bytes.fromhex(_hexadecimal(facts.entry))
    is_formed = len(entry) == ENTRY_BYTES and entry[-33] in {SEALED, PUBLIC}
    is_here = is_formed and entry == entry_bytes(facts.position, entry[-33], entry[-32:])
    _expect(is_here, "the bytes of an entry at its position")
    return facts


def _hexadecimal(text: str) -> str:
    try:
        is_one_form = bytes.fromhex(text).hex() == text
    except ValueError:
        is_one_form = False
    _expect(is_one_form, "bytes in lower-case hexadecimal")
    return text


def _check_record(document: Document, facts: Facts, entry: bytes) -> None:
    event = _text(document, "event").encode()
    position = facts.position
    if document["opening"] is None:
        expected = entry_bytes(position, PUBLIC, public_commitment(event))
    else:
        r = bytes.fromhex(_hexadecimal(_text(document, "opening")))
        _expect(len(r) == OPENING_BYTES, f"an opening of {OPENING_BYTES} bytes")
        expected = entry_bytes(position, SEALED, sealed_commitment(r, event))
    _expect(hmac.compare_digest(entry, expected), "an event and an opening that give the entry")
    _expect(says(facts, _object(event, "the event")), "a statement that says what the event says")


def _checkpoint(
    proof: LogProof, trust: Trust | None, verifies: Verifies
) -> tuple[Checkpoint, tuple[NoteKey, ...], tuple[tuple[NoteKey, int], ...]]:
    if trust is None:
        return parse_checkpoint(parse_note(proof.checkpoint).text), (), ()
    found = opened(proof.checkpoint, trust, verifies)
    return found.checkpoint, found.signed_by, found.witnessed


def _signer(signed: jws.Jws, signers: tuple[NoteKey, ...], verifies: Verifies) -> NoteKey:
    for key in signers:
        if key.type is SignatureType.ED25519 and jws.key_id(key) == signed.key_id:
            _expect(
                verifies(key, signed.message, signed.signature),
                "a signature of the statement that holds",
            )
            return key
    raise VerificationError("expected a statement signed by a key that signed the checkpoint")


def _steps(found: Verified) -> tuple[Step, ...]:
    facts, key, size = found.facts, found.key, found.checkpoint.head.size
    is_full = facts.form == Form.FULL
    return (
        Step("form", f"the file is a {facts.form} receipt, in its one form"),
        Step("statement", "the statement says what its facts say, and nothing else"),
        Step("record", _OPENS if is_full else _STAYS_CLOSED, is_full),
        Step(
            "checkpoint",
            f"the log {facts.log} signed the head of its tree of {size:,} entries"
            if key is not None
            else f"not checked: who signed the head of the tree of {size:,} entries",
            key is not None,
        ),
        Step("place", f"the entry stands at position {facts.position:,} in that tree"),
        Step(
            "signature",
            f"the same key signed the statement: {jws.key_id(key)}"
            if key is not None
            else f"not checked: whether {found.key_id} signed the statement",
            key is not None,
        ),
    )


def _expect(holds: bool, expected: str) -> None:
    if not holds:
        raise VerificationError(f"expected {expected}")
