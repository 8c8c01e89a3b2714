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

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from typing import Any

from withhold.domain.canonical_json import MAX_NUMBER, Json, canonical, reader
from withhold.domain.ledger import EventKind
from withhold.domain.names import Position
from withhold.domain.policy import LegalBasis, Policy, Purpose
from withhold.domain.times import utc
from withhold.errors import VerificationError

MAX_TIME = 253_402_300_800_000  # the year 10000, in milliseconds: where calendars of programs end

FACTS = "withhold:facts"
_FACTS_BEGIN = f',"{FACTS}":'.encode()
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
_OUT, _INTEREST = EventKind.OPTED_OUT.value, LegalBasis.LEGITIMATE_INTEREST.value
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


@dataclass(frozen=True, slots=True)
class Facts:
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
        return replace(
            self, form=Form.REDACTED.value, subject=None, surface=None, requested_at=None
        )


_read = reader(Facts, "the facts of a receipt, each of its type")
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
_NAMES = {field.name for field in fields(Facts)}
_HALVES = "expected facts without halves of characters"


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
    return parse_facts(found)


def says(facts: Facts, event: Mapping[str, Json]) -> bool:
    """Return whether full facts are those of an event, as far as an event tells."""
    told = tuple(map(event.get, _TOLD))
    return (
        _told(facts) == told
        and bool not in map(type, told)  # which equals a number here, and nowhere else
        and facts.status == _status(facts.kind, event.get("before"), facts.basis)
    )


def _status(kind: Json, before: Json, basis: Json) -> str | None:
    """Return the term for an entry; None for what is no choice."""
    if kind not in _CHOICES:
        return None
    is_out = kind == _OUT
    if basis == _INTEREST:
        return "LegitimateInterestObjected" if is_out else "LegitimateInterestNotObjected"
    if not is_out:
        return "ConsentGiven"
    return "ConsentWithdrawn" if before == "in" else "ConsentRefused"


def parse_facts(said: Mapping[str, Json]) -> Facts:
    """Return facts by name.

    Raises:
        VerificationError: one is missing, unknown, of another type, or nothing that an entry can have.
    """
    if said.keys() != _NAMES:
        raise VerificationError("expected exactly the facts of a receipt")
    try:
        return _checked(_read(canonical(said)))
    except UnicodeEncodeError:
        raise VerificationError(_HALVES) from None


def _checked(facts: Facts) -> Facts:
    if not (
        0 < facts.position <= MAX_NUMBER
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


def statement(facts: Facts) -> bytes:
    """Return the statement of facts: canonical JSON, the payload that is signed.

    Raises:
        VerificationError: a fact has half of a character in it, which no UTF-8 can stand for.
    """
    identifier = f"{facts.log}/{facts.position}"
    said: dict[str, Any] = {
        "@context": _CONTEXT,
        "@id": f"urn:withhold:receipt:{identifier}",
        "@type": "withhold:Receipt",
        "dct:identifier": identifier,
        FACTS: facts,
    }
    if facts.status is not None:
        said["@type"] = "dpv:ConsentReceipt"
        said["dct:conformsTo"] = {"@id": "dpv-27560:receipt"}
        said["dpv:hasRecordOfActivity"] = _record(facts, identifier)
    try:
        return canonical(said)
    except UnicodeEncodeError:
        raise VerificationError(_HALVES) from None


def _record(facts: Facts, identifier: str) -> dict[str, Json]:
    """Return the consent record of a choice."""
    status: dict[str, Json] = {"@type": f"dpv:{facts.status}"}
    if facts.surface is not None:
        status["dpv:hasIndicationMethod"] = facts.surface
    if facts.requested_at is not None:
        status["dpv:isIndicatedAtTime"] = _time(facts.requested_at)
    found: dict[str, Json] = {
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": {"@id": "dpv-27560:record"},
        "dct:created": _time(facts.recorded_at),
        "dct:identifier": identifier,
        "dpv:hasConsentStatus": status,
        "dpv:hasDataController": {"@type": "dpv:DataController", "dct:identifier": facts.log},
        "dpv:hasProcess": _process(facts),
    }
    if facts.subject is not None:
        kind = "dpv:Organisation" if facts.holder == "organization" else "dpv:DataSubject"
        found["dpv:hasDataSubject"] = {"@type": kind, "dct:identifier": facts.subject}
    if facts.notice is not None:
        found["dpv:hasNotice"] = {"@type": "dpv:PrivacyNotice", "dct:identifier": facts.notice}
    return found


def _process(facts: Facts) -> dict[str, Json]:
    """Return the use of the data that the choice is about."""
    found: dict[str, Json] = {
        "@type": "dpv:Process",
        "dct:identifier": facts.product,
        "dct:title": facts.label,
        "dpv:hasEntityInvolvement": {"@id": _CHOICES[facts.kind]},
        "dpv:hasLegalBasis": {"@id": _BASES.get(facts.basis or "", "dpv:LegalBasis")},
    }
    if facts.purpose is not None:
        found["dpv:hasPurpose"] = {"@id": _PURPOSES.get(facts.purpose, "dpv:Purpose")}
    if facts.status == "LegitimateInterestObjected":
        found["dpv:hasRight"] = {"@id": "eu-gdpr:A21"}
    return found


def _time(milliseconds: int) -> Json:
    return {"@type": "xsd:dateTime", "@value": utc(milliseconds)}


def facts_in(payload: bytes) -> Facts:
    """Return the facts of a statement; only one text is the statement of these facts.

    Raises:
        VerificationError: it has none, or says something else than they do.
    """
    # they stand last, and a quotation mark inside a text has a backslash before it
    begin = payload.rfind(_FACTS_BEGIN)
    if begin < 0:
        raise VerificationError("expected a statement with the facts of a receipt at its end")
    facts = _checked(_read(payload[begin + len(_FACTS_BEGIN) : -1]))
    if statement(facts) != payload:
        raise VerificationError("expected a statement that says what its facts say, and no more")
    return facts
