"""Statements: what the provider signs of an entry, as a consent receipt that other programs can read.

A statement is JSON-LD in the terms of the Data Privacy Vocabulary. All it says follows from the *facts*
that stand in it as a JSON literal: whoever checks reads the facts, writes the statement anew and compares
bytes, so that a statement cannot say one thing to programs and another to people.

    legitimate interest   opted out   dpv:LegitimateInterestObjected, by the right eu-gdpr:A21
                          opted in    dpv:LegitimateInterestNotObjected
    consent               opted out   dpv:ConsentWithdrawn after an opt-in, else dpv:ConsentRefused
                          opted in    dpv:ConsentGiven

Entries that are no choice (an account was opened, a policy adopted) have facts and no consent record.
A redacted statement leaves out whose entry it is, where the control stood and when it was asked for.

Times are shown and decide nothing; a choice holds from its position on.

Source: DPV 2.3, https://w3id.org/dpv; ISO/IEC TS 27560 in its DPV profile; GDPR Articles 6, 7 and 21.
Not here: signing and checking (`receipts`), the entry's bytes (`ledger`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from json.encoder import encode_basestring
from typing import NamedTuple, get_args, get_type_hints

from withhold.domain.ledger import EventKind, Json, canonical
from withhold.domain.names import Position
from withhold.domain.policy import LegalBasis, Policy, Purpose
from withhold.errors import VerificationError

MAX_TIME = 253_402_300_800_000  # the year 10000, in milliseconds: where calendars of programs end

FACTS = "withhold:facts"
_CONTEXT = canonical(
    {
        "ai": "https://w3id.org/dpv/ai#",
        "dct": "http://purl.org/dc/terms/",
        "dpv": "https://w3id.org/dpv#",
        "dpv-27560": "https://w3id.org/dpv/schema/dpv-27560#",
        "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
        "withhold": "urn:withhold:terms:",
        FACTS: {"@type": "@json"},
        "xsd": "http://www.w3.org/2001/XMLSchema#",
    }
).decode()
_quoted = encode_basestring
_CHOICES = {EventKind.OPTED_OUT.value: "dpv:OptingOutFromProcess"} | {
    EventKind.OPTED_IN.value: "dpv:OptingInToProcess"
}
_PURPOSES = {
    Purpose.MODEL_TRAINING.value: "ai:ModelTraining",
    Purpose.SERVICE_IMPROVEMENT.value: "dpv:ImproveExistingProductsAndServices",
}
_BASES = {
    LegalBasis.CONSENT.value: "dpv:Consent",
    LegalBasis.LEGITIMATE_INTEREST.value: "dpv:LegitimateInterest",
}


class Form(StrEnum):
    """How much a statement tells."""

    FULL = "full"  # for whoever made the choice
    REDACTED = "redacted"  # to show to others


class Facts(NamedTuple):
    """What a statement says.

    Attributes:
        basis: the policy's legal basis; None for what is no choice, as are label, purpose and status.
        entry: the entry's bytes, in hexadecimal.
        form: how much is told.
        holder: whether an account or an organization chose.
        kind: what the entry records.
        label: the product's name for people.
        log: the log's name.
        notice: the version of the texts that were shown, None when none was.
        policy: SHA-256 of the policy in force, in hexadecimal.
        position: of the entry.
        product: its id.
        purpose: what the product's data would be used for.
        recorded_at: UTC milliseconds since 1970; shown, never compared, as is `requested_at`.
        status: the term of the vocabulary for the choice.
        subject: the external id of whose entry it is; None in a redacted statement and a public entry.
        surface: where the control stood.
    """

    basis: str | None
    entry: str
    form: str
    holder: str | None
    kind: str
    label: str | None
    log: str
    notice: str | None
    policy: str
    position: Position
    product: str | None
    purpose: str | None
    recorded_at: int
    requested_at: int | None
    status: str | None
    subject: str | None
    surface: str | None

    def redacted(self) -> Facts:
        """Return the same without whose it is, where the control stood, when it was asked for."""
        return self._replace(
            form=Form.REDACTED.value, subject=None, surface=None, requested_at=None
        )


_NAMES = frozenset(Facts._fields)
_TYPES = tuple(  # exactly these, so that no boolean passes for a number
    tuple(int if each is Position else each for each in (get_args(hint) or (hint,)))
    for hint in get_type_hints(Facts).values()
)


def facts_of(
    event: Mapping[str, Json], entry: bytes, position: Position, log: str, policy: Policy
) -> Facts:
    """Return the facts of an entry.

    Args:
        event: the body it commits to.
        entry: its bytes.
        position: where it stands.
        log: the log's name.
        policy: the one in force there.

    Raises:
        VerificationError: the event is not of a known form.
    """
    kind = str(event.get("kind"))
    basis = label = purpose = None
    if kind in _CHOICES:
        basis, label = policy.basis.value, str(event.get("product"))
        for (
            product
        ) in policy.products:  # an off is taken also while its product is out of the policy
            if product.id == event.get("product"):
                label, purpose = product.label, product.purpose.value
    own = _own(event, basis)
    return parse_facts(
        {
            **own,
            "basis": basis,
            "entry": entry.hex(),
            "form": Form.FULL.value,
            "label": label,
            "log": log,
            "policy": policy.digest,
            "position": position,
            "purpose": purpose,
        }
    )


def says(facts: Facts, event: Mapping[str, Json]) -> bool:
    """Return whether full facts are those of an event, as far as an event tells."""
    return all(getattr(facts, name) == value for name, value in _own(event, facts.basis).items())


def _own(event: Mapping[str, Json], basis: str | None) -> dict[str, Json]:
    """Return what an event itself tells of the facts."""
    kind = event.get("kind")
    return {
        "holder": event.get("holder"),
        "kind": kind,
        "notice": event.get("notice"),
        "product": event.get("product"),
        "recorded_at": event.get("recorded_at"),
        "requested_at": event.get("requested_at"),
        "status": _status(kind, event.get("before"), basis) if kind in _CHOICES else None,
        "subject": event.get("subject"),
        "surface": event.get("surface"),
    }


def _status(kind: Json, before: Json, basis: Json) -> str:
    is_out = kind == EventKind.OPTED_OUT.value
    if basis == LegalBasis.LEGITIMATE_INTEREST.value:
        return "LegitimateInterestObjected" if is_out else "LegitimateInterestNotObjected"
    if not is_out:
        return "ConsentGiven"
    return "ConsentWithdrawn" if before == "in" else "ConsentRefused"


def parse_facts(said: Json) -> Facts:
    """Return facts from their JSON.

    Raises:
        VerificationError: one is missing, unknown, or of another type.
    """
    if not isinstance(said, dict) or said.keys() != _NAMES:
        raise VerificationError("expected exactly the facts of a receipt")
    facts = Facts(**said)  # type: ignore[arg-type]
    if not all(type(value) in types for value, types in zip(facts, _TYPES, strict=True)):
        raise VerificationError("expected facts of the documented types")
    if not (
        0 < facts.position < 2**63
        and 0 <= facts.recorded_at < MAX_TIME
        and 0 <= (facts.requested_at or 0) < MAX_TIME
        and facts.status in _statuses(facts.kind, facts.basis)
    ):
        raise VerificationError("expected a position, times and a status that an entry can have")
    if facts.form != Form.FULL and facts != facts.redacted():
        raise VerificationError("expected a redacted receipt that tells nothing of whose it is")
    return facts


def _statuses(kind: Json, basis: Json) -> tuple[str | None, ...]:
    """Return the terms that may stand for an entry of a kind."""
    if kind not in _CHOICES:
        return (None,)
    return (_status(kind, "in", basis), _status(kind, None, basis))


def statement(facts: Facts) -> bytes:
    """Return the statement of facts: canonical JSON, the payload that is signed.

    It is put together from its parts in their order: writing it again is what checking costs most.
    """
    identifier = _quoted(f"{facts.log}/{facts.position}")
    kind, conforms, record = "withhold:Receipt", "", ""
    if facts.status is not None:
        kind, conforms = "dpv:ConsentReceipt", '"dct:conformsTo":{"@id":"dpv-27560:receipt"},'
        record = f'"dpv:hasRecordOfActivity":{_record(facts, identifier)},'
    return (
        f'{{"@context":{_CONTEXT},"@id":"urn:withhold:receipt:{identifier[1:]},"@type":"{kind}",'
        f'{conforms}"dct:identifier":{identifier},{record}"{FACTS}":{_literal(facts)}}}'
    ).encode()


def _record(facts: Facts, identifier: str) -> str:
    """Return the consent record of a choice."""
    subject = notice = ""
    if facts.subject is not None:
        kind = "dpv:Organisation" if facts.holder == "organization" else "dpv:DataSubject"
        subject = f'"dpv:hasDataSubject":{_named(kind, facts.subject)},'
    if facts.notice is not None:
        notice = f'"dpv:hasNotice":{_named("dpv:PrivacyNotice", facts.notice)},'
    return (
        '{"@type":"dpv:ConsentRecord","dct:conformsTo":{"@id":"dpv-27560:record"},'
        f'"dct:created":{_time(facts.recorded_at)},"dct:identifier":{identifier},'
        f'"dpv:hasConsentStatus":{_indicated(facts)},'
        f'"dpv:hasDataController":{_named("dpv:DataController", facts.log)},'
        f'{subject}{notice}"dpv:hasProcess":{_process(facts)}}}'
    )


def _indicated(facts: Facts) -> str:
    """Return the status: what was said, how and when."""
    method = time = ""
    if facts.surface is not None:
        method = f',"dpv:hasIndicationMethod":{_quoted(facts.surface)}'
    if facts.requested_at is not None:
        time = f',"dpv:isIndicatedAtTime":{_time(facts.requested_at)}'
    return f'{{"@type":"dpv:{facts.status}"{method}{time}}}'


def _process(facts: Facts) -> str:
    """Return the use of the data that the choice is about."""
    purpose = right = ""
    if facts.purpose is not None:
        purpose = f',"dpv:hasPurpose":{{"@id":"{_PURPOSES.get(facts.purpose, "dpv:Purpose")}"}}'
    if facts.status == "LegitimateInterestObjected":
        right = ',"dpv:hasRight":{"@id":"eu-gdpr:A21"}'
    return (
        f'{{"@type":"dpv:Process","dct:identifier":{_quoted(facts.product or "")},'
        f'"dct:title":{_quoted(facts.label or "")},'
        f'"dpv:hasEntityInvolvement":{{"@id":"{_CHOICES[facts.kind]}"}},'
        f'"dpv:hasLegalBasis":{{"@id":"{_BASES.get(facts.basis or "", "dpv:LegalBasis")}"}}'
        f"{purpose}{right}}}"
    )


def _named(kind: str, identifier: str) -> str:
    return f'{{"@type":"{kind}","dct:identifier":{_quoted(identifier)}}}'


def _time(milliseconds: int) -> str:
    return f'{{"@type":"xsd:dateTime","@value":"{utc(milliseconds)}"}}'


def _literal(facts: Facts) -> str:
    members = [
        f'"{name}":{_quoted(value) if isinstance(value, str) else "null" if value is None else value}'
        for name, value in zip(Facts._fields, facts, strict=True)
    ]
    return f"{{{','.join(members)}}}"


def facts_in(payload: bytes) -> Facts:
    """Return the facts of a statement; only one text is the statement of these facts.

    Raises:
        VerificationError: it has none, or says something else than they do.
    """
    # they stand last, and a quotation mark inside a text has a backslash before it
    _, found, rest = payload.rpartition(b',"' + FACTS.encode() + b'":')
    try:
        said = json.loads(rest[:-1].decode())
    except (ValueError, RecursionError):
        found = b""
    if not found:
        raise VerificationError("expected a statement with the facts of a receipt at its end")
    facts = parse_facts(said)
    if statement(facts) != payload:
        raise VerificationError("expected a statement that says what its facts say, and no more")
    return facts


def utc(milliseconds: int) -> str:
    """Return UTC milliseconds since 1970 as ISO 8601."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{rest:03d}Z"
