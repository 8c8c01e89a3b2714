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
import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring
from operator import attrgetter
from typing import NamedTuple, get_args, get_type_hints

from withhold.domain.ledger import EventKind, Json, canonical
from withhold.domain.names import Position
from withhold.domain.policy import LegalBasis, Policy, Purpose
from withhold.errors import VerificationError

MAX_TIME = 253_402_300_800_000  # the year 10000, in milliseconds: where calendars of programs end

FACTS = "withhold:facts"
_EPOCH = date(1970, 1, 1).toordinal()
_CONTEXT: Json = {
    "ai": "https://w3id.org/dpv/ai#",
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "dpv-27560": "https://w3id.org/dpv/schema/dpv-27560#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "withhold": "urn:withhold:terms:",
    FACTS: {"@type": "@json"},
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_quoted = encode_basestring
_PLACE = re.compile(r'"(%\(\w+\)s)"')
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


_TYPES = tuple(  # exactly these, so that no boolean passes for a number
    tuple(int if each is Position else each for each in (get_args(hint) or (hint,)))
    for hint in get_type_hints(Facts).values()
)


_TOLD = (  # by the event itself
    "holder",
    "kind",
    "notice",
    "product",
    "recorded_at",
    "requested_at",
    "subject",
    "surface",
)
_told = attrgetter(*_TOLD)


@lru_cache(maxsize=256)  # few combinations ever come
def _are_right(types: tuple[type, ...]) -> bool:
    return all(each in allowed for each, allowed in zip(types, _TYPES, strict=True))


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
        for product in policy.products:  # it may have left: an off is taken then too
            if product.id == event.get("product"):
                label, purpose = product.label, product.purpose.value
    found: dict[str, Json] = {
        **dict(zip(_TOLD, map(event.get, _TOLD), strict=True)),
        "basis": basis,
        "entry": entry.hex(),
        "form": Form.FULL.value,
        "label": label,
        "log": log,
        "policy": policy.digest,
        "position": position,
        "purpose": purpose,
        "status": _status(kind, event.get("before"), basis),
    }
    return parse_facts({name: found[name] for name in Facts._fields})


def says(facts: Facts, event: Mapping[str, Json]) -> bool:
    """Return whether full facts are those of an event, as far as an event tells."""
    return _told(facts) == tuple(map(event.get, _TOLD)) and facts.status == _status(
        facts.kind, event.get("before"), facts.basis
    )


def _status(kind: Json, before: Json, basis: Json) -> str | None:
    """Return the term for an entry; None for what is no choice."""
    if kind not in _CHOICES:
        return None
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
    if not isinstance(said, dict) or tuple(said) != Facts._fields:
        raise VerificationError("expected exactly the facts of a receipt, in order")
    facts = Facts._make(said.values())
    if not _are_right(tuple(map(type, facts))):
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


@lru_cache(maxsize=64)
def _statuses(kind: str, basis: str | None) -> tuple[str | None, ...]:
    """Return the terms that may stand for an entry of a kind."""
    return (_status(kind, "in", basis), _status(kind, None, basis))


class _Shape(NamedTuple):
    """What two statements have in common that differ in their texts and numbers alone."""

    kind: str
    status: str | None
    basis: str | None
    purpose: str | None
    is_organization: bool
    has_subject: bool
    has_notice: bool
    has_surface: bool
    has_request: bool


def statement(facts: Facts) -> bytes:
    """Return the statement of facts: canonical JSON, the payload that is signed.

    Writing it anew is much of what checking a receipt costs. So its text is put together once for each
    shape, with places for what differs.
    """
    shape = _Shape(
        facts.kind,
        facts.status,
        facts.basis,
        facts.purpose,
        facts.holder == "organization",
        facts.subject is not None,
        facts.notice is not None,
        facts.surface is not None,
        facts.requested_at is not None,
    )
    quoted = [_quoted(v) if isinstance(v, str) else "null" if v is None else v for v in facts]
    values = dict(zip(Facts._fields, quoted, strict=True))
    values["identifier"] = identifier = _quoted(f"{facts.log}/{facts.position}")
    values["inner"] = identifier[1:-1]
    values["recorded"] = f'"{utc(facts.recorded_at)}"'
    values["requested"] = f'"{utc(facts.requested_at or 0)}"'
    return (_template(shape) % values).encode()


@lru_cache(maxsize=1024)  # few shapes ever come
def _template(shape: _Shape) -> str:
    """Return the statements of a shape, as canonical JSON with a place for each text and number."""
    found: dict[str, Json] = {
        "@context": _CONTEXT,
        "@id": "urn:withhold:receipt:%(inner)s",
        "@type": "withhold:Receipt",
        "dct:identifier": "%(identifier)s",
        FACTS: {name: f"%({name})s" for name in Facts._fields},
    }
    if shape.status is not None:
        found |= {
            "@type": "dpv:ConsentReceipt",
            "dct:conformsTo": {"@id": "dpv-27560:receipt"},
            "dpv:hasRecordOfActivity": _record(shape),
        }
    return _PLACE.sub(r"\1", canonical(found).decode())


def _record(shape: _Shape) -> dict[str, Json]:
    """Return the consent record of a choice."""
    status: dict[str, Json] = {"@type": f"dpv:{shape.status}"}
    if shape.has_surface:
        status["dpv:hasIndicationMethod"] = "%(surface)s"
    if shape.has_request:
        status["dpv:isIndicatedAtTime"] = {"@type": "xsd:dateTime", "@value": "%(requested)s"}
    found: dict[str, Json] = {
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": {"@id": "dpv-27560:record"},
        "dct:created": {"@type": "xsd:dateTime", "@value": "%(recorded)s"},
        "dct:identifier": "%(identifier)s",
        "dpv:hasConsentStatus": status,
        "dpv:hasDataController": {"@type": "dpv:DataController", "dct:identifier": "%(log)s"},
        "dpv:hasProcess": _process(shape),
    }
    if shape.has_subject:
        kind = "dpv:Organisation" if shape.is_organization else "dpv:DataSubject"
        found["dpv:hasDataSubject"] = {"@type": kind, "dct:identifier": "%(subject)s"}
    if shape.has_notice:
        found["dpv:hasNotice"] = {"@type": "dpv:PrivacyNotice", "dct:identifier": "%(notice)s"}
    return found


def _process(shape: _Shape) -> dict[str, Json]:
    """Return the use of the data that the choice is about."""
    found: dict[str, Json] = {
        "@type": "dpv:Process",
        "dct:identifier": "%(product)s",
        "dct:title": "%(label)s",
        "dpv:hasEntityInvolvement": {"@id": _CHOICES[shape.kind]},
        "dpv:hasLegalBasis": {"@id": _BASES.get(shape.basis or "", "dpv:LegalBasis")},
    }
    if shape.purpose is not None:
        found["dpv:hasPurpose"] = {"@id": _PURPOSES.get(shape.purpose, "dpv:Purpose")}
    if shape.status == "LegitimateInterestObjected":
        found["dpv:hasRight"] = {"@id": "eu-gdpr:A21"}
    return found


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
    day, rest = divmod(milliseconds, 86_400_000)
    minutes, rest = divmod(rest, 60_000)
    seconds, rest = divmod(rest, 1_000)
    return f"{_date(day)}T{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}.{rest:03d}Z"


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return date.fromordinal(_EPOCH + day).isoformat()
