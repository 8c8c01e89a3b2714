"""What a provider signs itself: whatever it is, it is refused by its step and never an accident."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import forged
from tests.json_values import json_values
from withhold.adapters.signing import verifies
from withhold.domain import dataset_proofs, receipts
from withhold.domain.canonical_json import canonical
from withhold.domain.receipts import Verified
from withhold.domain.statements import FACTS, Facts
from withhold.errors import InputError, VerificationError

HALF = "\ud800"  # of a character


def check(data: bytes) -> Verified:
    return receipts.verify(data, forged.TRUST, verifies)


def refused(document: dict[str, Any]) -> str:
    with pytest.raises(VerificationError) as caught:
        check(receipts.encoded(document))
    return str(caught.value)


def text_of(value: object) -> str:
    """Return the JSON of a value in canonical order, halves of characters as escapes."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def event_with(**members: object) -> bytes:
    return text_of({**forged.EVENT, **members}).encode()


def test_what_is_forged_here_holds_unless_it_is_changed() -> None:
    assert check(receipts.encoded(forged.receipt())).is_signed
    assert check(receipts.encoded(forged.receipt(form="redacted"))).is_signed
    assert check(receipts.encoded(forged.receipt(opening=None))).is_signed
    found = dataset_proofs.check(forged.dataset_proof(), forged.TRUST, verifies)
    assert (found.account, found.present) == ("ana", True)


# --- halves of characters -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["label", "log", "notice", "policy", "product", "subject"])
def test_half_of_a_character_in_a_statement_is_refused_by_its_step(name: str) -> None:
    def halved(payload: bytes) -> bytes:
        said = json.loads(payload)
        said[FACTS][name] = HALF
        return text_of(said).encode()

    assert "step 2 (statement)" in refused(forged.receipt(halved))


def test_half_of_a_character_in_an_event_is_refused_by_its_step() -> None:
    for event in (event_with(actor=HALF), event_with(**{HALF: 1}), event_with(subject=HALF)):
        assert "step 3 (record)" in refused(forged.receipt(event=event))


@pytest.mark.parametrize("name", ["kid", "typ"])
def test_half_of_a_character_in_a_header_is_refused_by_its_step(name: str) -> None:
    header = {"alg": "Ed25519", "cty": "ld+json", "kid": "a+b", "typ": "t", name: HALF}
    signed = forged.sign_header(text_of(header).encode(), b"{}")
    assert "step 1 (form)" in refused({**forged.receipt(), "jws": signed})


def test_half_of_a_character_in_a_proof_about_a_dataset_is_refused() -> None:
    whole = forged.dataset_proof()
    tagging, opened = (json.loads(whole[n]["event"]) for n in ("tagging", "account_entry"))
    for document in (
        {**whole, "account": HALF},
        {**whole, "dataset": HALF},
        {**whole, "tag_proof": HALF},
        forged.dataset_proof(tagging=text_of({**tagging, "dataset": HALF}).encode()),
        forged.dataset_proof(opened=text_of({**opened, "subject": HALF}).encode()),
    ):
        with pytest.raises(VerificationError):
            dataset_proofs.check(document, forged.TRUST, verifies)


@pytest.mark.parametrize("one", [True, 1.0, 2, "1", None])
@pytest.mark.parametrize(
    ("entry", "name"), [("tagging", "v"), ("account_entry", "v"), ("account_entry", "sequence")]
)
def test_what_only_equals_one_is_not_one_in_a_proof_about_a_dataset(
    entry: str, name: str, one: object
) -> None:
    event = {**json.loads(forged.dataset_proof()[entry]["event"]), name: one}
    argument = {"tagging": "tagging", "account_entry": "opened"}[entry]
    document = forged.dataset_proof(**{argument: text_of(event).encode()})
    with pytest.raises(VerificationError):
        dataset_proofs.check(document, forged.TRUST, verifies)
    right = forged.dataset_proof(**{argument: text_of({**event, name: 1}).encode()})
    assert dataset_proofs.check(right, forged.TRUST, verifies).is_signed


# --- the event has one form -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        canonical(forged.EVENT).replace(b":", b": ", 1),
        b" " + canonical(forged.EVENT),
        canonical(forged.EVENT) + b"\n",
        canonical(forged.EVENT).replace(b'"v":1', b'"v":1.0'),
        canonical(forged.EVENT).replace(b'"v":1', b'"v":1e0'),
        canonical(forged.EVENT).replace(b'"v":1', b'"v":1.5'),
        canonical(forged.EVENT).replace(b'"v":1', b'"v":-0'),
        canonical(forged.EVENT).replace(b'"v":1', b'"v":NaN'),
        canonical(forged.EVENT).replace(b'"v":1', b'"v":9007199254740992'),
        canonical(forged.EVENT).replace(b'"v":1', b'"v":-9007199254740992'),
        canonical(forged.EVENT).replace(b'"v":1', b'"v":' + b"9" * 5000),
        canonical(forged.EVENT).replace(b'"v":1', b'"v":1,"v":1'),
        canonical(forged.EVENT).replace(b'"console"', b'"\\u0063onsole"'),
        canonical(forged.EVENT).replace(b"{", b'{"z":1,', 1),
        b"[]",
        b"null",
        b"",
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
    ids=range(19),
)
def test_an_event_in_another_form_is_refused_though_the_entry_commits_to_it(event: bytes) -> None:
    expected = "step 3 (record): expected a JSON object in canonical form"
    assert expected in refused(forged.receipt(event=event))


def test_the_largest_exact_number_may_stand_in_an_event() -> None:
    for number in (2**53 - 1, 1 - 2**53):
        assert check(receipts.encoded(forged.receipt(event=event_with(v=number)))).is_signed
    assert check(receipts.encoded(forged.receipt(event=event_with(actor="9" * 40)))).is_signed


def test_a_boolean_is_no_time() -> None:
    document = forged.receipt(event=event_with(recorded_at=True), recorded_at=1)
    assert "step 3 (record)" in refused(document)


# --- anything -------------------------------------------------------------------------------------

FACT_NAMES = [field.name for field in fields(Facts)]
ANY_TEXT = st.text(max_size=8) | st.text(st.characters(categories=["Cs"]), max_size=2)
ANY = json_values(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | ANY_TEXT, ANY_TEXT
)


@st.composite
def changed(draw: st.DrawFn, whole: dict[str, Any], *inside: str) -> dict[str, Any]:
    """Return an object with some members put in, taken out or changed, in it or in objects of it."""
    found: dict[str, Any] = json.loads(json.dumps(whole))
    for _ in range(draw(st.integers(0, 3))):
        part = draw(st.sampled_from([found, *(found[each] for each in inside if each in found)]))
        if not isinstance(part, dict):
            continue
        name = draw(st.sampled_from([*part, *FACT_NAMES]) | ANY_TEXT)
        if draw(st.booleans()):
            part[name] = draw(ANY)
        else:
            part.pop(name, None)
    return found


def written(value: object) -> st.SearchStrategy[bytes]:
    """Return a value as JSON, or almost."""
    raw = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    texts = [text_of(value), raw.encode("utf-8", "replace").decode(), json.dumps(value)]
    return st.sampled_from([*(each.encode() for each in texts), texts[0].encode()[:-1], b"\xff"])


PAYLOAD: dict[str, Any] = {}
forged.receipt(lambda payload: PAYLOAD.update(json.loads(payload)) or payload)


@given(changed(PAYLOAD, FACTS, "dpv:hasRecordOfActivity").flatmap(written))
def test_whatever_is_signed_as_a_statement_is_refused_and_never_an_accident(payload: bytes) -> None:
    try:
        found = check(receipts.encoded(forged.receipt(lambda _: payload)))
    except (VerificationError, InputError):
        return
    assert asdict(found.facts) == json.loads(payload)[FACTS]


@given(changed(forged.EVENT).flatmap(written).filter(lambda event: event != b"\xff"))
def test_whatever_an_event_is_it_is_refused_and_never_an_accident(event: bytes) -> None:
    try:
        check(receipts.encoded(forged.receipt(event=event)))
    except (VerificationError, InputError):
        return
    told = json.loads(event)
    assert canonical(told) == event
    assert {n: told.get(n) for n in ("kind", "subject", "recorded_at")} == {
        n: forged.EVENT[n] for n in ("kind", "subject", "recorded_at")
    }


TAGGING, OPENED = (
    json.loads(forged.dataset_proof()[name]["event"]) for name in ("tagging", "account_entry")
)


@given(
    changed(TAGGING).flatmap(written).filter(lambda event: event != b"\xff"),
    changed(OPENED).flatmap(written).filter(lambda event: event != b"\xff"),
)
def test_whatever_the_events_of_a_proof_are_it_is_refused_and_never_an_accident(
    tagging: bytes, opened: bytes
) -> None:
    try:
        found = dataset_proofs.check(forged.dataset_proof(tagging, opened), forged.TRUST, verifies)
    except (VerificationError, InputError):
        return
    assert (found.account, found.dataset, found.present) == ("ana", "chat@1", True)


@given(changed(forged.dataset_proof(), "tagging", "account_entry"))
def test_whatever_a_proof_says_it_is_refused_and_never_an_accident(
    document: dict[str, Any],
) -> None:
    try:
        found = dataset_proofs.check(document, forged.TRUST, verifies)
    except (VerificationError, InputError):
        return
    assert (found.account, found.dataset, found.present) == ("ana", "chat@1", True)


@given(changed(forged.receipt()))
def test_whatever_a_receipt_says_it_is_refused_and_never_an_accident(
    document: dict[str, Any],
) -> None:
    for data in (text_of(document).encode(), json.dumps(document).encode()):
        try:
            found = check(data)
        except (VerificationError, InputError):
            continue
        assert found.facts.subject == "ana"
