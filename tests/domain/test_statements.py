"""Statements: canonical whatever the facts, and read back only as what they say."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import forged
from tests.json_values import json_values
from withhold.domain import jws
from withhold.domain.canonical_json import canonical
from withhold.domain.jws import Unsigned
from withhold.domain.names import Position
from withhold.domain.notes import NoteKey, SignatureType
from withhold.domain.statements import (
    FACTS,
    MAX_NUMBER,
    MAX_TIME,
    Facts,
    facts_in,
    parse_facts,
    statement,
    utc,
)
from withhold.errors import VerificationError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
maybe = st.none() | texts
times = st.integers(0, MAX_TIME - 1)


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """Return any facts that a receipt can have."""
    kind = draw(st.sampled_from(["opted_out", "opted_in", "account_opened"]))
    basis = None
    status = None
    if kind != "account_opened":
        basis = draw(st.sampled_from(["consent", "legitimate_interest"]))
        word = {"opted_out": "Objected", "opted_in": "NotObjected"}[kind]
        consents = {
            "opted_out": ["ConsentRefused", "ConsentWithdrawn"],
            "opted_in": ["ConsentGiven"],
        }
        of_interest = [f"LegitimateInterest{word}"]
        status = draw(st.sampled_from(consents[kind] if basis == "consent" else of_interest))
    found = Facts(
        basis=basis,
        entry=draw(texts),
        form="full",
        holder=draw(maybe),
        kind=kind,
        label=draw(maybe),
        log=draw(texts),
        notice=draw(maybe),
        policy=draw(texts),
        position=Position(draw(st.integers(1, MAX_NUMBER))),
        product=draw(maybe),
        purpose=draw(st.sampled_from([None, "model_training", "service_improvement"])),
        recorded_at=draw(times),
        requested_at=draw(st.none() | times),
        status=status,
        subject=draw(maybe),
        surface=draw(maybe),
    )
    return draw(st.sampled_from([found, found.redacted()]))


@given(facts())
def test_a_statement_is_canonical_json_and_gives_its_facts_back(found: Facts) -> None:
    payload = statement(found)
    assert canonical(json.loads(payload)) == payload
    assert facts_in(payload) == found


@given(facts(), st.data())
def test_a_statement_with_any_character_changed_is_refused_or_has_other_facts(
    found: Facts, data: st.DataObject
) -> None:
    text = statement(found).decode()
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(exclude_categories=["Cs"]).filter(lambda c: c != text[place]))
    try:
        read = facts_in((text[:place] + letter + text[place + 1 :]).encode())
    except VerificationError:
        return
    assert read != found


@given(json_values(st.none() | st.booleans() | st.integers() | texts, texts))
def test_other_json_is_no_facts(value: object) -> None:
    if isinstance(value, dict):
        with pytest.raises(VerificationError):
            parse_facts(value)
    with pytest.raises(VerificationError):
        facts_in(canonical({FACTS: value}))  # type: ignore[dict-item]


@given(
    facts(),
    st.sampled_from([field.name for field in fields(Facts)]),
    st.booleans() | st.floats() | st.just([]),
)
def test_a_fact_of_another_type_is_refused(found: Facts, name: str, value: object) -> None:
    with pytest.raises(VerificationError):
        parse_facts({**asdict(found), name: value})


@given(times)
def test_times_are_shown_to_the_millisecond(milliseconds: int) -> None:
    text = utc(milliseconds)
    assert text.endswith("Z")
    assert len(text) == len("2026-11-23T20:49:00.000Z")
    assert int(text[20:23]) == milliseconds % 1000


KEY = NoteKey("withhold/test", SignatureType.ED25519, bytes(32))


@given(texts, st.binary(max_size=60), st.binary(min_size=64, max_size=64))
def test_a_signed_payload_is_read_back(kind: str, payload: bytes, signature: bytes) -> None:
    made = jws.unsigned(KEY, kind, payload)
    read = jws.parse(made.signed(signature))
    assert (read.key_id, read.type) == (jws.key_id(KEY), kind)
    assert (read.payload, read.signature, read.message) == (payload, signature, made.message)


@given(texts, st.binary(max_size=60))
def test_what_is_signed_is_never_the_text_of_a_checkpoint(kind: str, payload: bytes) -> None:
    message = jws.unsigned(KEY, kind, payload).message
    assert b"\n" not in message
    assert message.startswith(b"eyJ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "three parts"),
        ("a.b", "three parts"),
        ("a.b.c.d", "three parts"),
        ("e30.e30.e30", "names a key"),
        ("bm90.e30.e30", "header: expected a JSON object"),
        ("W10.e30.e30", "header: expected a JSON object"),
        ("é.e30.e30", "one form"),
        ("e31.e30.e30", "one form"),  # bits after the end that should be zero
        ("A" * 2000 + ".e30.e30", "at most 1024"),
    ],
)
def test_what_is_no_signed_payload_is_refused(text: str, told: str) -> None:
    with pytest.raises(VerificationError, match=told):
        jws.parse(text)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "EdDSA", "cty": "ld+json", "kid": "withhold/test+0", "typ": "t"},
        {"alg": "none", "cty": "ld+json", "kid": "withhold/test+0", "typ": "t"},
        {"alg": "Ed25519", "kid": "withhold/test+0", "typ": "t"},
        {"alg": "Ed25519", "crit": ["x"], "cty": "ld+json", "kid": "withhold/test+0", "typ": "t"},
        {"alg": "Ed25519", "cty": "ld+json", "kid": "two words", "typ": "t"},
        {"alg": "Ed25519", "cty": "ld+json", "kid": 1, "typ": "t"},
    ],
)
def test_another_header_is_refused(header: dict[str, object]) -> None:
    made = jws.unsigned(KEY, "t", canonical(header))  # type: ignore[arg-type]
    with pytest.raises(VerificationError, match="expected a header"):
        jws.parse(Unsigned(made.payload, made.payload).signed(bytes(64)))


@pytest.mark.parametrize("name", ["label", "subject", "surface"])
def test_half_of_a_character_has_no_statement(name: str) -> None:
    found = replace(forged.facts(b""), **{name: "\ud800"})
    with pytest.raises(VerificationError, match="halves of characters"):
        statement(found)
