"""A person's proof that a dataset has rows of them, or has none: one JSON document, checked offline.

    format         "withhold/dataset-proof/v1"
    account        the account's id          \\
    dataset        NAME@VERSION               > for people; each must be what the entries say
    present        true, false or null       /    null: opened after the commit, see `Verdict`
    secret         u, hexadecimal: whoever has it can make this account's tags
    tag_proof      base64 of the proof in the prefix tree
    tagging        {"event", "proof"}             the entry with the root over the version's tags
    account_entry  {"event", "opening", "proof"}  the entry that opened the account, which commits to u

``event`` is the canonical JSON that an entry commits to, ``proof`` the text of a C2SP tlog-proof. Both
proofs have one checkpoint, so that both entries are shown to be in one tree. Whoever checks needs the
log's public key and nothing else: not the operator, not the account's key, not the ledger.

Checking takes seven steps (`STEPS`), and an error names the one that failed.

Invariant: what is said for people is only ever what the signed tree says; everything else is refused.

What it does not prove: that the tags are those of the people whose rows the dataset has. That takes an
auditor with the manifest and the keys (`services.audit`).

Source: design section 6. Not here: making one (`services.absence`).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType

from withhold.domain import steps
from withhold.domain.absence import (
    Kind,
    TagProof,
    check_absent,
    check_present,
    dataset_id,
    parse_tag_proof,
    secret_commitment,
    tag_of,
)
from withhold.domain.canonical_json import Json, parsed
from withhold.domain.checkpoints import OpenedCheckpoint, Trust, opened_or_read
from withhold.domain.ledger import (
    PUBLIC,
    SEALED,
    EventKind,
    entry_bytes,
    public_commitment,
    sealed_commitment,
)
from withhold.domain.names import AccountId, Position
from withhold.domain.notes import Verifies, decoded, encoded
from withhold.domain.proofs import LogProof, parse_proof
from withhold.domain.steps import Step
from withhold.domain.tree import check_inclusion, leaf_hash
from withhold.errors import VerificationError

FORMAT = "withhold/dataset-proof/v1"

STEPS: Mapping[str, str] = {
    "form": "the document has its fields and no others, each in its one form",
    "checkpoint": "the log signed the head of its tree",
    "place": "both entries stand in that tree",
    "account": "the first of them opened the account, and commits to the secret",
    "tagging": "the second of them tags a version that was committed before",
    "tag": "the tree of that version's tags has the account's tag, or has it not, as its proof shows",
    "claim": "account, dataset and claim are what the entries and the tree say",
    "ledger": "this ledger has both entries there, and every entry up to then as it was",
}
"""The steps by name, in order, and what holds when one does; the last needs a ledger."""

_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "format": str,
    "account": str,
    "dataset": str,
    "present": (bool, NoneType),
    "secret": str,
    "tag_proof": str,
    "tagging": dict,
    "account_entry": dict,
}
_TAGGING: Mapping[str, type] = {"event": str, "proof": str}
_ACCOUNT_ENTRY: Mapping[str, type] = {"event": str, "opening": str, "proof": str}
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """An entry with what it commits to and where it stands.

    Attributes:
        event: the canonical bytes of its event body.
        opening: ``r`` of a sealed event, None of a public one.
        proof: that the entry is in the log.
    """

    event: bytes
    opening: bytes | None
    proof: LogProof

    @property
    def position(self) -> Position:
        """Where the entry stands."""
        return Position(self.proof.index + 1)

    @property
    def entry(self) -> bytes:
        """The bytes of the entry, as they follow from the event."""
        if self.opening is None:
            return entry_bytes(self.position, PUBLIC, public_commitment(self.event))
        return entry_bytes(self.position, SEALED, sealed_commitment(self.opening, self.event))


@dataclass(frozen=True, slots=True)
class DatasetProof:
    """The parts of the document that everything else follows from.

    Attributes:
        secret: ``u`` of the account.
        tag_proof: what stands in the place of its tag.
        tagging: the entry with the root.
        account_entry: the entry that opened the account.
    """

    secret: bytes
    tag_proof: TagProof
    tagging: ShownEntry
    account_entry: ShownEntry

    @property
    def present(self) -> bool | None:
        """What the entries and the tree say of the account, as `Verdict.present` has it."""
        if self.tag_proof.kind is Kind.PRESENT:
            return True
        opened, commit = self.account_entry.position, _event(self.tagging.event)["commit"]
        return None if isinstance(commit, int) and opened > commit else False

    def document(self) -> dict[str, Json]:
        """Return the document, as it is handed out."""
        tagging, opened = _event(self.tagging.event), _event(self.account_entry.event)
        return {
            "format": FORMAT,
            "account": opened["subject"],
            "dataset": tagging["dataset"],
            "present": self.present,
            "secret": self.secret.hex(),
            "tag_proof": encoded(bytes(self.tag_proof)),
            "tagging": _shown(self.tagging),
            "account_entry": _shown(self.account_entry),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a proof shows.

    Attributes:
        present: whether the account had a row that the version yielded when it was committed. None when it
            was opened after the commit: it cannot have had one, and that nothing of it is there is said of
            no earlier account of that name, whose rows may well be in the version.
        commit: the entry that committed the version.
        manifest: the hash of its manifest, in hexadecimal.
        tagged: the entry with the root over its tags.
        opened: the entry that opened the account.
        checkpoint: the signed head that all this follows from; signed by nobody known when no keys were
            given.
        ledger: the step beyond the document's own bytes: this ledger still has it.
    """

    account: AccountId
    dataset: str
    present: bool | None
    commit: Position
    manifest: str
    tagged: Position
    opened: Position
    checkpoint: OpenedCheckpoint
    ledger: Step | None = None

    @property
    def is_signed(self) -> bool:
        """Whether it was checked who signed."""
        return bool(self.checkpoint.signed_by)

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in order."""
        return _steps(self)

    @property
    def is_vacuous(self) -> bool:
        """Whether nothing is shown but that this account came too late to be in the version."""
        return self.present is None

    @property
    def said(self) -> str:
        """What is shown, in one sentence for people."""
        return claim(self.account, self.dataset, self.present)


def claim(account: str, dataset: str, present: bool | None) -> str:
    """Return what a proof says, in one sentence for people.

    Args:
        account: whom it is about.
        dataset: ``NAME@VERSION``.
        present: as in `Verdict`.
    """
    if present is None:
        return (
            f"this account {account} was opened after {dataset} was committed, so it cannot have been "
            "in it; that says nothing of an earlier account of that name."
        )
    return f"{dataset} had {'' if present else 'no '}rows of {account} when it was committed."


def parse(document: Mapping[str, object]) -> DatasetProof:
    """Return a document in its parts; nothing is checked yet but its form.

    Raises:
        VerificationError: it is not of the form.
    """
    _check_fields(document, _FIELDS, "the document")
    if document["format"] != FORMAT:
        raise _refused(f"the format {FORMAT}", "another")
    return DatasetProof(
        _hash(document["secret"], "secret"),
        parse_tag_proof(decoded(str(document["tag_proof"]))),
        _entry(document["tagging"], _TAGGING, "tagging"),
        _entry(document["account_entry"], _ACCOUNT_ENTRY, "account_entry"),
    )


def check(document: Mapping[str, object], trust: Trust | None, verifies: Verifies) -> Verdict:
    """Check a document and return what it shows.

    Args:
        document: as parsed from JSON.
        trust: whom the caller believes; never taken from the document. None checks everything but who
            signed, and says so.
        verifies: checks one signature.

    Raises:
        VerificationError: it does not follow; the message names the step and says what.
    """
    step = "1 (form)"
    try:
        proof = parse(document)
        tagging, opening = proof.tagging, proof.account_entry
        step = "2 (checkpoint)"
        if tagging.proof.checkpoint != opening.proof.checkpoint:
            raise _refused("one checkpoint for both entries", "two")
        checkpoint = opened_or_read(tagging.proof.checkpoint, trust, verifies)
        step = "3 (place)"
        for each in (tagging, opening):
            leaf, head = leaf_hash(each.entry), checkpoint.checkpoint.head
            check_inclusion(leaf, each.proof.index, each.proof.path, head)
        step = "4 (account)"
        account = _account_of(proof)
        step = "5 (tagging)"
        dataset, manifest, commit = _version_of(tagging)
        step = "6 (tag)"
        _check_tag(proof, dataset_id(dataset, manifest))
        step = "7 (claim)"  # of an account that came later not even absence is shown
        present = proof.present
        said = {name: document[name] for name in ("account", "dataset", "present")}
        if said != {"account": account, "dataset": dataset, "present": present}:
            raise _refused("what follows from its entries", "another account, dataset or claim")
    except VerificationError as error:
        raise VerificationError(
            f"dataset proof, step {step}: {error}", step=int(step[0])
        ) from error
    tagged, opened_at = tagging.position, opening.position
    return Verdict(account, dataset, present, commit, manifest, tagged, opened_at, checkpoint)


def _version_of(tagging: ShownEntry) -> tuple[str, str, Position]:
    """Return the version whose tags an entry has, the hash of its manifest, and its commit."""
    event = _event(tagging.event)
    if event.get("kind") != EventKind.DATASET_TAGGED or not _is_one(event.get("v")):
        raise _refused("an entry that tags a dataset", "another kind")
    dataset, manifest, commit = event.get("dataset"), event.get("manifest"), event.get("commit")
    if not (isinstance(dataset, str) and isinstance(manifest, str) and _HASH.fullmatch(manifest)):
        raise _refused("a dataset and the hash of its manifest in the tagging", "something else")
    if not isinstance(commit, int) or isinstance(commit, bool) or not 0 < commit < tagging.position:
        raise _refused("a commit before the tagging", "something else")
    return dataset, manifest, Position(commit)


def _check_tag(proof: DatasetProof, version: str) -> None:
    """Check what stands in the place of the account's tag."""
    root = _hash(_event(proof.tagging.event).get("root"), "root")
    check_tag = check_present if proof.tag_proof.kind is Kind.PRESENT else check_absent
    check_tag(tag_of(proof.secret, version), proof.tag_proof, root)


def steps_before(step: int, *, is_keyed: bool) -> tuple[Step, ...]:
    """Return the steps before the one at which a document failed.

    Args:
        step: the number of that one (`VerificationError.step`).
        is_keyed: whether it was said whose signatures count.
    """
    return steps.before(STEPS, step, {} if is_keyed else {"checkpoint": steps.NO_KEYS})


def _steps(found: Verdict) -> tuple[Step, ...]:
    checkpoint, said = found.checkpoint.checkpoint, dict(STEPS)
    size = f"{checkpoint.head.size:,}"
    said["checkpoint"] = (
        f"the log {checkpoint.origin} signed the head of its tree of {size} entries"
        if found.is_signed
        else f"{steps.NO_KEYS} the head of the tree of {size} entries"
    )
    said["place"] += f", at positions {found.opened:,} and {found.tagged:,}"
    said["tagging"] = (
        f"the second of them tags {found.dataset}, which was committed before, at {found.commit:,}"
    )
    holds = {"checkpoint": True if found.is_signed else None}
    beyond = () if found.ledger is None else (found.ledger,)
    own = tuple(STEPS)[:-1]
    return (*(Step(name, said[name], holds.get(name, True)) for name in own), *beyond)


def _account_of(proof: DatasetProof) -> AccountId:
    """Return whose entry it is, checked to be the opening that commits to the secret."""
    event = _event(proof.account_entry.event)
    is_first = _is_one(event.get("v")) and _is_one(event.get("sequence"))
    if event.get("kind") != EventKind.ACCOUNT_OPENED or not is_first:
        raise _refused("the entry that opened the account", "another")
    committed = _hash(event.get("tag_secret"), "tag_secret")
    if not hmac.compare_digest(committed, secret_commitment(proof.secret)):
        raise _refused("the secret that the account's entry commits to", "another")
    account = event.get("subject")
    if not isinstance(account, str):
        raise _refused("an account in its entry", "none")
    return AccountId(account)


# --- form ---------------------------------------------------------------------------------------------


def _shown(entry: ShownEntry) -> dict[str, Json]:
    shown: dict[str, Json] = {"event": entry.event.decode(), "proof": bytes(entry.proof).decode()}
    return shown if entry.opening is None else {**shown, "opening": entry.opening.hex()}


def _entry(value: object, fields: Mapping[str, type], where: str) -> ShownEntry:
    assert isinstance(value, dict)  # as its field is checked to be
    _check_fields(value, fields, where)
    opening = _hash(value["opening"], "opening") if "opening" in fields else None
    proof = parse_proof(_bytes(value["proof"]))
    if proof.extra is not None:
        raise _refused(f"a proof without extra data in {where}", "some")
    return ShownEntry(_bytes(value["event"]), opening, proof)


def _event(event: bytes) -> dict[str, Json]:
    """Return an event body, which has one form, so that it says one thing to every reader."""
    try:
        return parsed(event)
    except VerificationError:
        raise _refused("an event as canonical JSON", "something else") from None


def _is_one(value: Json) -> bool:
    return value == 1 and value is not True  # which equals one here, and nowhere else


def _check_fields(
    value: Mapping[str, object], fields: Mapping[str, type | tuple[type, ...]], where: str
) -> None:
    is_formed = value.keys() == fields.keys() and all(
        type(value[name]) in (kinds if isinstance(kinds, tuple) else (kinds,))
        for name, kinds in fields.items()
    )
    if not is_formed:
        raise _refused(f"{', '.join(fields)} in {where}", "something else")


def _hash(value: object, where: str) -> bytes:
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise _refused(f"32 bytes as lower-case hexadecimal in {where}", "something else")
    return bytes.fromhex(value)


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise _refused("text", "half of a character") from None


def _refused(expected: str, got: str) -> VerificationError:
    return VerificationError(f"expected {expected}, got {got}")
