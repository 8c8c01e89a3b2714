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
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring
from operator import attrgetter, itemgetter
from types import NoneType
from typing import Any, NamedTuple, get_args, get_type_hints

from withhold.domain.ledger import EventKind, Json, canonical
from withhold.domain.names import Position
from withhold.domain.policy import LegalBasis, Policy, Purpose
from withhold.domain.times import utc
from withhold.errors import VerificationError

MAX_NUMBER = 2**53 - 1  # RFC 8785: the largest that is exact for every reader of JSON
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
_quoted = encode_basestring
_facts_in = json.JSONDecoder().raw_decode
_PLACE = re.compile(r'"\{(\w+)\}"')
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


# what a statement writes anew
_WRITTEN = ("recorded", "requested", "identifier", "id")
_NUMBERS = ("position", "recorded_at", "requested_at")
_numbers = attrgetter(*_NUMBERS)
_Takes = Callable[[tuple[object, ...]], tuple[Any, ...]]
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


def parse_facts(said: Json) -> Facts:
    """Return facts from their JSON.

    Raises:
        VerificationError: one is missing, unknown, or of another type.
    """
    return _parsed(said)[0]


def _parsed(said: Json) -> tuple[Facts, tuple[type, ...]]:
    if not isinstance(said, dict) or tuple(said) != Facts._fields:
        raise VerificationError("expected exactly the facts of a receipt, in order")
    facts = Facts._make(said.values())
    types = tuple(map(type, facts))
    if not _are_right(types):
        raise VerificationError("expected facts of the documented types")
    if not (
        0 < facts.position <= MAX_NUMBER
        and 0 <= facts.recorded_at < MAX_TIME
        and 0 <= (facts.requested_at or 0) < MAX_TIME
        and facts.status in _statuses(facts.kind, facts.basis)
    ):
        raise VerificationError("expected a position, times and a status that an entry can have")
    if facts.form != Form.FULL and facts != facts.redacted():
        raise VerificationError("expected a redacted receipt that tells nothing of whose it is")
    return facts, types


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
    types: tuple[type, ...]

    def has(self, name: str) -> bool:
        """Return whether a fact is told."""
        return self.types[Facts._fields.index(name)] is not NoneType


def statement(facts: Facts) -> bytes:
    """Return the statement of facts: canonical JSON, the payload that is signed.

    Writing it anew is much of what checking a receipt costs. So its text is put together once for each
    shape, with places for what differs.

    Raises:
        VerificationError: a fact has half of a character in it, which no UTF-8 can stand for.
    """
    return _written(facts, tuple(map(type, facts)))


def _written(facts: Facts, types: tuple[type, ...]) -> bytes:
    text, texts, places = _template(
        facts.kind,
        facts.status,
        facts.basis,
        facts.purpose,
        facts.holder == "organization",
        types,
    )
    identifier = _quoted(f"{facts.log}/{facts.position}")
    values = (
        f'"{utc(facts.recorded_at)}"',
        f'"{utc(facts.requested_at or 0)}"',
        identifier,
        '"urn:withhold:receipt:' + identifier[1:],
        *_numbers(facts),
        *map(_quoted, texts(facts)),
    )
    try:
        return (text % places(values)).encode()
    except UnicodeEncodeError:
        raise VerificationError("expected facts without halves of characters") from None


@lru_cache(maxsize=1024)  # few shapes ever come
def _template(*parts: Any) -> tuple[str, _Takes, _Takes]:
    """Return what the statements of a shape have in common.

    Args:
        parts: those of the `_Shape`, which is not made where what it leads to is at hand.

    Returns:
        Their canonical JSON with places for values; what takes the texts out of facts; and what takes
        the values in the order of the places, out of what is written anew, numbers and those texts.
    """
    shape = _Shape(*parts)
    said = dict(zip(Facts._fields, shape.types, strict=True))
    texts = [name for name, each in said.items() if each is str]
    found: dict[str, Json] = {
        "@context": _CONTEXT,
        "@id": "{id}",
        "@type": "withhold:Receipt",
        "dct:identifier": "{identifier}",
        FACTS: {name: f"{{{name}}}" for name in Facts._fields},
    }
    if shape.status is not None:
        found |= {
            "@type": "dpv:ConsentReceipt",
            "dct:conformsTo": {"@id": "dpv-27560:receipt"},
            "dpv:hasRecordOfActivity": _record(shape),
        }
    untold = {f'"{{{name}}}"' for name, each in said.items() if each is NoneType}
    text = _PLACE.sub(lambda at: "null" if at[0] in untold else at[0], canonical(found).decode())
    values = (*_WRITTEN, *_NUMBERS, *texts)
    places = map(values.index, _PLACE.findall(text))
    return _PLACE.sub("%s", text), attrgetter(*texts), itemgetter(*places)


def _record(shape: _Shape) -> dict[str, Json]:
    """Return the consent record of a choice."""
    status: dict[str, Json] = {"@type": f"dpv:{shape.status}"}
    if shape.has("surface"):
        status["dpv:hasIndicationMethod"] = "{surface}"
    if shape.has("requested_at"):
        status["dpv:isIndicatedAtTime"] = {"@type": "xsd:dateTime", "@value": "{requested}"}
    found: dict[str, Json] = {
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": {"@id": "dpv-27560:record"},
        "dct:created": {"@type": "xsd:dateTime", "@value": "{recorded}"},
        "dct:identifier": "{identifier}",
        "dpv:hasConsentStatus": status,
        "dpv:hasDataController": {"@type": "dpv:DataController", "dct:identifier": "{log}"},
        "dpv:hasProcess": _process(shape),
    }
    if shape.has("subject"):
        kind = "dpv:Organisation" if shape.is_organization else "dpv:DataSubject"
        found["dpv:hasDataSubject"] = {"@type": kind, "dct:identifier": "{subject}"}
    if shape.has("notice"):
        found["dpv:hasNotice"] = {"@type": "dpv:PrivacyNotice", "dct:identifier": "{notice}"}
    return found


def _process(shape: _Shape) -> dict[str, Json]:
    """Return the use of the data that the choice is about."""
    found: dict[str, Json] = {
        "@type": "dpv:Process",
        "dct:identifier": "{product}",
        "dct:title": "{label}",
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
    begin = payload.rfind(_FACTS_BEGIN)
    try:
        said, _ = _facts_in(payload[begin + len(_FACTS_BEGIN) :].decode())
    except (ValueError, RecursionError):
        begin = -1
    if begin < 0:
        raise VerificationError("expected a statement with the facts of a receipt at its end")
    facts, types = _parsed(said)
    if _written(facts, types) != payload:
        raise VerificationError("expected a statement that says what its facts say, and no more")
    return facts
