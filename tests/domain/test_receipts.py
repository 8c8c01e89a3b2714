"""Receipts by their own bytes: every step, every byte, and what hostile files get."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.issued import CONSENT, checked, full, provider, redacted, sign_up, trust, turn
from withhold.adapters.signing import SeedSigner, verifies
from withhold.domain import jws, receipts
from withhold.domain.canonical_json import canonical
from withhold.domain.checkpoints import LogKey, Trust
from withhold.domain.notes import SignatureType
from withhold.domain.receipts import MAX_BYTES, Verified
from withhold.domain.statements import FACTS
from withhold.errors import VerificationError
from withhold.ports import Ports
from withhold.services import log

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def ports() -> Ports:
    """Give a provider of some people, whose ana said off at the console, and then bo."""
    made = provider()
    sign_up(made, *(f"p{n}" for n in range(6)), "ana", "bo")
    turn(made, "ana", surface="console", notice="2026-11-23", actor="ana")
    turn(made, "bo")
    return made


ANA, BO = "10", "11"


def refused(ports: Ports, data: bytes) -> str:
    with pytest.raises(VerificationError) as caught:
        checked(ports, data)
    return str(caught.value)


def changed(data: bytes, change: Change) -> bytes:
    """Return a receipt with members changed, in its one form again."""
    document = json.loads(data)
    change(document)
    return canonical(document) + b"\n"


def payload_of(document: dict[str, Any]) -> dict[str, Any]:
    text = document["jws"].split(".")[1]
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return said


def signed_anew(document: dict[str, Any], said: dict[str, Any]) -> None:
    """Let the log's own key sign another statement: what only the provider could do."""
    signer = SeedSigner("withhold/test", SignatureType.ED25519, bytes(32))
    kind = receipts.TYPES[receipts.FORMATS[document["format"]]]
    statement = jws.unsigned(signer.key, kind, canonical(said))
    document["jws"] = statement.signed(signer.sign(statement.message))


# --- what holds -----------------------------------------------------------------------------------


def test_a_receipt_says_what_was_confirmed_where_and_under_what(ports: Ports) -> None:
    found = checked(ports, full(ports, ANA))
    facts = found.facts
    assert (found.position, facts.kind, facts.subject, facts.holder) == (
        10, "opted_out", "ana", "account",
    )  # fmt: skip
    assert (facts.product, facts.label, facts.purpose) == ("vibe", "Vibe", "model_training")
    assert (facts.surface, facts.notice) == ("console", "2026-11-23")
    assert (facts.basis, facts.status) == ("legitimate_interest", "LegitimateInterestObjected")
    assert facts.policy == ports.ledger.policy_at(found.position).digest
    assert facts.requested_at is not None
    assert facts.requested_at < facts.recorded_at
    assert found.is_signed
    assert [step.name for step in found.steps] == [
        "form", "statement", "record", "checkpoint", "place", "signature",
    ]  # fmt: skip
    assert all(step.holds for step in found.steps)


def test_without_keys_everything_but_who_signed_is_checked_and_that_is_said(ports: Ports) -> None:
    found = receipts.verify(full(ports, ANA), None, verifies)
    assert not found.is_signed
    assert [step.name for step in found.steps if not step.holds] == ["checkpoint", "signature"]
    altered = changed(full(ports, ANA), lambda d: d.update(opening="00" * 32))
    with pytest.raises(VerificationError, match=r"step 3 \(record\)"):
        receipts.verify(altered, None, verifies)


def test_a_redacted_receipt_verifies_and_does_not_tell_whose_it_is(ports: Ports) -> None:
    data = redacted(ports, ANA)
    found = checked(ports, data)
    assert (found.facts.kind, found.facts.product, found.position) == ("opted_out", "vibe", 10)
    assert (found.facts.subject, found.facts.surface, found.facts.requested_at) == (None,) * 3
    assert [step.name for step in found.steps if not step.holds] == ["record"]
    document = json.loads(data)
    told = data + canonical(payload_of(document))
    for secret in (b"ana", json.loads(full(ports, ANA))["opening"].encode(), b"console"):
        assert secret not in told


@pytest.mark.parametrize(
    ("choices", "status"),
    [
        ([False], "ConsentRefused"),
        ([True], "ConsentGiven"),
        ([True, False], "ConsentWithdrawn"),
        ([False, True], "ConsentGiven"),
    ],
)
def test_under_consent_an_off_withdraws_what_was_given_and_else_refuses(
    choices: list[bool], status: str
) -> None:
    ports = provider(CONSENT)
    sign_up(ports, "ana")
    answers = [turn(ports, "ana", allowed) for allowed in choices]
    assert checked(ports, full(ports, answers[-1].receipt)).facts.status == status


def test_an_opt_in_under_legitimate_interest_ends_the_objection(ports: Ports) -> None:
    other = provider()
    sign_up(other, "ana")
    turn(other, "ana")
    found = checked(other, full(other, turn(other, "ana", allowed=True).receipt))
    assert found.facts.status == "LegitimateInterestNotObjected"


def test_entries_that_are_no_choice_have_receipts_too(ports: Ports) -> None:
    policy, opened = checked(ports, full(ports, "1")), checked(ports, full(ports, "8"))
    assert (policy.facts.kind, policy.facts.subject, policy.facts.status) == (
        "policy_adopted", None, None,
    )  # fmt: skip
    assert (opened.facts.kind, opened.facts.subject) == ("account_opened", "ana")
    assert "dpv:hasRecordOfActivity" not in payload_of(json.loads(full(ports, "1")))


def test_the_statement_is_a_consent_receipt_of_the_vocabulary(ports: Ports) -> None:
    said = payload_of(json.loads(full(ports, ANA)))
    record = said["dpv:hasRecordOfActivity"]
    process = record["dpv:hasProcess"]
    assert said["@type"] == "dpv:ConsentReceipt"
    assert said["dct:conformsTo"] == {"@id": "dpv-27560:receipt"}
    assert record["@type"] == "dpv:ConsentRecord"
    assert record["dct:conformsTo"] == {"@id": "dpv-27560:record"}
    assert record["dpv:hasDataSubject"] == {"@type": "dpv:DataSubject", "dct:identifier": "ana"}
    assert record["dpv:hasConsentStatus"]["@type"] == "dpv:LegitimateInterestObjected"
    assert record["dpv:hasConsentStatus"]["dpv:hasIndicationMethod"] == "console"
    assert process["dpv:hasEntityInvolvement"] == {"@id": "dpv:OptingOutFromProcess"}
    assert process["dpv:hasPurpose"] == {"@id": "ai:ModelTraining"}
    assert process["dpv:hasLegalBasis"] == {"@id": "dpv:LegitimateInterest"}
    assert process["dpv:hasRight"] == {"@id": "eu-gdpr:A21"}


# --- S39: forged, altered, somebody else's --------------------------------------------------------


@pytest.mark.parametrize("make", [full, redacted])
def test_no_byte_of_a_receipt_can_be_changed(
    ports: Ports, make: Callable[[Ports, str], bytes]
) -> None:
    data = make(ports, ANA)
    believed = trust(ports)
    for place in range(len(data)):
        for mask in (0x01, 0x20, 0x80):
            altered = bytearray(data)
            altered[place] ^= mask
            try:
                receipts.verify(bytes(altered), believed, verifies)
            except VerificationError:
                continue
            pytest.fail(f"byte {place} may be {altered[place]:#x}")


def test_lines_of_keys_that_the_checker_does_not_know_count_for_nothing() -> None:
    made = provider()
    sign_up(made, "ana")
    off = turn(made, "ana")
    old = made.log.keys()[0]
    log.replace_key(made)
    data = full(made, off.receipt)  # its checkpoint is signed by both keys
    newest = made.log.keys()[-1]
    believed = Trust(made.log.origin, (newest,))
    before = receipts.verify(data, believed, verifies)
    line = data.index(b"\\n\xe2\x80\x94 ") + 2  # of the old key, which this checker does not know
    assert old.key.id in base64.b64decode(data[line:].split(b" ")[2].split(b"\\n")[0])
    signature = data.index(b" ", line + 5) + 10
    accepted = 0
    for place in range(signature, signature + 60):
        altered = bytearray(data)
        altered[place] ^= 0x01
        try:
            found = receipts.verify(bytes(altered), believed, verifies)
        except VerificationError:
            continue
        accepted += 1
        assert (found.facts, found.key) == (before.facts, before.key)
    assert accepted


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.update(event=d["event"].replace("vibe", "vibf")), "step 3"),
        (lambda d: d.update(event=d["event"].replace("ana", "eve")), "step 3"),
        (lambda d: d.update(opening="00" * 32), "step 3"),
        (lambda d: d.update(opening="00" * 31), "step 1"),
        (lambda d: d.update(opening=None), "step 3"),
        (lambda d: d.update(opening=d["opening"].upper()), "step 1"),
        (lambda d: d.update(position=9), "step 2"),
        (lambda d: d.update(position=True), "step 1"),
        (lambda d: d.update(proof=d["proof"].replace("index 9", "index 8")), "step 5"),
        (lambda d: d.update(proof=d["proof"].replace("@v1\n", "@v1\nextra aGk=\n")), "step 1"),
        (lambda d: d.update(format="withhold/receipt/v1"), "step 1"),
        (lambda d: d.update(more=1), "step 1"),
        (lambda d: d.pop("opening"), "step 1"),
        (lambda d: d.update(jws=d["jws"] + "="), "step 1"),
        (lambda d: d.update(jws=d["jws"].rpartition(".")[0] + "."), "step 1"),
        (lambda d: d.update(jws=1), "step 1"),
    ],
)
def test_an_altered_receipt_fails_and_the_step_is_named(
    ports: Ports, change: Change, told: str
) -> None:
    assert told in refused(ports, changed(full(ports, ANA), change))


def test_no_part_of_another_persons_receipt_fits(ports: Ports) -> None:
    mine, others = full(ports, ANA), json.loads(full(ports, BO))
    for name in ("event", "opening", "position", "jws", "proof"):
        refused(ports, changed(mine, lambda d, name=name: d.update({name: others[name]})))
    everything_but_whose = ("event", "opening", "position", "proof")
    refused(ports, changed(mine, lambda d: d.update({n: others[n] for n in everything_but_whose})))


def test_a_redacted_receipt_is_no_full_one_and_the_reverse(ports: Ports) -> None:
    shown, mine = json.loads(redacted(ports, ANA)), json.loads(full(ports, ANA))
    assert "step 2" in refused(ports, canonical({**mine, "jws": shown["jws"]}))
    assert "step 2" in refused(ports, canonical({**shown, "jws": mine["jws"]}))


def test_a_line_of_an_unknown_key_whose_name_is_no_name_or_not_utf_8_is_refused(
    ports: Ports,
) -> None:
    data = full(ports, ANA)
    line = f"— other {base64.b64encode(bytes(68)).decode()}\\n".encode()
    longer = data.removesuffix(b'"}\n') + line + b'"}\n'
    assert checked(ports, longer).is_signed
    assert "step 1" in refused(ports, longer.replace(b" other ", b" oth\xffer "))
    for space in ("\ufeff", "\x85", "\u2003"):
        message = refused(ports, longer.replace(b" other ", f" oth{space}er ".encode()))
        assert "step 4" in message and "a name" in message, ascii(space)


def test_another_key_of_the_same_name_is_refused(ports: Ports) -> None:
    stranger = SeedSigner(ports.log.origin, SignatureType.ED25519, b"x" * 32)
    believed = Trust(ports.log.origin, (LogKey(stranger.key),))
    with pytest.raises(VerificationError, match=r"step 4 \(checkpoint\).*none of these keys"):
        receipts.verify(full(ports, ANA), believed, verifies)


def test_a_log_of_another_name_is_refused(ports: Ports) -> None:
    key = SeedSigner("other.example", SignatureType.ED25519, bytes(32)).key
    with pytest.raises(
        VerificationError, match=r"the keys are those of .other\.example.; a key of the log"
    ):
        receipts.verify(full(ports, ANA), Trust("other.example", (LogKey(key),)), verifies)


def test_not_even_the_provider_can_let_a_statement_differ_from_the_event(ports: Ports) -> None:
    def another_kind(document: dict[str, Any]) -> None:
        said = payload_of(document)
        said[FACTS]["kind"] = "opted_in"
        signed_anew(document, said)

    def another_person(document: dict[str, Any]) -> None:
        said = payload_of(document)
        said[FACTS]["subject"] = "eve"
        said["dpv:hasRecordOfActivity"]["dpv:hasDataSubject"]["dct:identifier"] = "eve"
        signed_anew(document, said)

    def another_status(document: dict[str, Any]) -> None:
        said = payload_of(document)
        said["dpv:hasRecordOfActivity"]["dpv:hasConsentStatus"]["@type"] = "dpv:ConsentGiven"
        signed_anew(document, said)

    assert "step 2" in refused(ports, changed(full(ports, ANA), another_kind))
    assert "step 3" in refused(ports, changed(full(ports, ANA), another_person))
    assert "step 2" in refused(ports, changed(full(ports, ANA), another_status))


def test_a_statement_that_tells_whose_it_is_is_not_redacted(ports: Ports) -> None:
    def told(document: dict[str, Any]) -> None:
        said = payload_of(document)
        said[FACTS]["subject"] = "ana"
        signed_anew(document, said)

    assert "tells nothing of whose it is" in refused(ports, changed(redacted(ports, ANA), told))


# --- hostile files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"null",
        b"[]",
        b"{}",
        b"not a receipt",
        b"\xff\xfe",
        b'{"format":"withhold/receipt/v2"}',
        b'{"format":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 1_000_000,
        b'{"a":' * 100_000,
        b'{"format":' + b"9" * 10_000 + b"}",
        b'{"format":NaN}',
        b'{"format":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        b'{"event":1,"format":"withhold/receipt/v2","jws":{},"opening":[],"position":{},"proof":[]}',
        b'{"event":"","format":"withhold/receipt/v2","jws":"..","opening":"","position":1,"proof":""}',
        b'"' + b"x" * (MAX_BYTES + 1) + b'"',
    ],
    ids=range(18),
)
def test_a_hostile_file_gets_a_clear_error(ports: Ports, data: bytes) -> None:
    message = refused(ports, data)
    assert message.startswith("receipt, step 1 (form): expected ")
    assert len(message) < 400


def test_white_space_and_another_order_of_members_are_refused(ports: Ports) -> None:
    data = full(ports, ANA)
    document = json.loads(data)
    others = [
        json.dumps(document).encode(),
        json.dumps(document, indent=2).encode(),
        b" " + data,
        data + b"\n",
        json.dumps(dict(reversed(document.items())), separators=(",", ":")).encode(),
        data.replace(b'"event":', b'"event":"{}","event":', 1),
        data.replace(b'"format":"w', b'"format":"\\u0077', 1),
    ]
    for other in others:
        assert "canonical JSON" in refused(ports, other)
    assert checked(ports, data.removesuffix(b"\n")).position == 10


def test_a_receipt_is_a_value(ports: Ports) -> None:
    one, other = checked(ports, full(ports, ANA)), checked(ports, full(ports, ANA))
    assert isinstance(one, Verified)
    assert one == other
