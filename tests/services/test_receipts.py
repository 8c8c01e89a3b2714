"""Receipts and the ledger they come from: whose they are, rotation, a ledger that was rewritten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tests.fakes.ledger import POLICY
from tests.issued import checked, full, provider, redacted, sign_up, trust, turn
from tests.simulator import Provider, rewritten
from withhold.adapters.embedded import open_embedded
from withhold.adapters.signing import verifies
from withhold.domain import receipts as files
from withhold.domain.checkpoints import Trust
from withhold.domain.directory import SubjectKind
from withhold.domain.ledger import hidden
from withhold.domain.names import AccountId
from withhold.errors import UnknownReceipt, VerificationError
from withhold.ports import Ports
from withhold.services import directory, log, policies, receipts
from withhold.services.events import actor_of

EVE = "eve#1"  # never by chance in base64


@pytest.fixture
def ports() -> Ports:
    made = provider()
    sign_up(made, "ana", "eve", organization="acme")
    return made


def test_a_receipt_is_checked_against_its_ledger_as_bytes_or_as_a_document(ports: Ports) -> None:
    off = turn(ports, "ana")
    for form in (receipts.receipt, receipts.redacted):
        document = form(ports, off.receipt)
        for given in (document, files.encoded(document), json.loads(files.encoded(document))):
            found = receipts.verify_receipt(ports, given, verifies)
            assert found.position == off.position
            assert found.steps[-1].name == "ledger"
    for odd in ({**document, "jws": "\ud800"}, {**document, "jws": b""}):
        with pytest.raises(VerificationError, match="step 1"):
            receipts.verify_receipt(ports, odd, verifies)
    turn(ports, "ana", allowed=True)  # the ledger grows, and older receipts go on holding
    assert receipts.verify_receipt(ports, document, verifies).position == off.position


@pytest.mark.parametrize("receipt_id", ["", "0", "99", "x", "-1", "9" * 40, "²", "1.0"])
def test_an_unknown_receipt_is_refused(ports: Ports, receipt_id: str) -> None:
    for form in (receipts.receipt, receipts.redacted):
        with pytest.raises(UnknownReceipt):
            form(ports, receipt_id)


# --- whose ----------------------------------------------------------------------------------------


def test_no_receipt_names_anybody_but_whose_it_is(ports: Ports) -> None:
    sign_up(ports, EVE, organization="acme")
    by_admin = turn(ports, "ana", actor=EVE).position
    of_all = turn(ports, "acme", kind=SubjectKind.ORGANIZATION, actor=EVE).position
    directory.merge(ports, [AccountId("ana"), AccountId(EVE)])
    merged = ports.ledger.head() - 1
    for position in (by_admin, of_all, merged):
        for data in (full(ports, str(position)), redacted(ports, str(position))):
            assert EVE.encode() not in data
            assert EVE.encode() not in files.jws.parse(json.loads(data)["jws"]).payload
            checked(ports, data)
    record = ports.ledger.record(by_admin)
    assert record is not None
    assert actor_of(record) == EVE  # the provider itself still knows


def test_who_acted_is_plain_when_it_was_the_person_and_none_for_the_provider(ports: Ports) -> None:
    own, service = turn(ports, "ana", actor="ana").position, turn(ports, "eve").position
    for position, expected in ((own, "ana"), (service, None)):
        record = ports.ledger.record(position)
        assert record is not None
        assert not record.hidden
        assert actor_of(record) == expected


def test_what_is_hidden_differs_by_person_and_by_entry() -> None:
    said = {str(hidden(key, n, "actor", "eve")) for key in (b"a" * 32, b"b" * 32) for n in (1, 2)}
    assert len(said) == 4


# --- S40: keys that were replaced -----------------------------------------------------------------


def test_receipts_from_before_a_rotation_verify_with_the_old_key_and_with_all(ports: Ports) -> None:
    off = turn(ports, "ana")
    before = full(ports, off.receipt)
    kept = trust(ports)  # what somebody kept then
    log.replace_key(ports)
    turn(ports, "eve")
    log.replace_key(ports)
    after = full(ports, turn(ports, "ana", allowed=True).receipt)
    assert files.verify(before, kept, verifies).position == off.position
    assert checked(ports, before).position == off.position
    assert receipts.verify_receipt(ports, before, verifies).position == off.position
    assert checked(ports, after).key == ports.log.keys()[-1].key
    with pytest.raises(VerificationError, match="step 4"):
        files.verify(after, kept, verifies)


def test_a_replaced_key_vouches_for_no_receipt_of_a_newer_tree(ports: Ports) -> None:
    log.replace_key(ports)
    data = full(ports, turn(ports, "ana").receipt)
    first = ports.log.keys()[0]
    with pytest.raises(VerificationError, match="none of these keys"):
        files.verify(data, Trust(ports.log.origin, (first,)), verifies)


def test_a_receipt_at_the_rotation_itself_is_signed_by_both_keys(ports: Ports) -> None:
    position = log.replace_key(ports)
    data = full(ports, str(position))
    old, new = ports.log.keys()
    assert files.verify(data, Trust(ports.log.origin, (new,)), verifies).key == new.key
    assert files.verify(data, Trust(ports.log.origin, (old, new)), verifies).key == new.key
    with pytest.raises(VerificationError, match="step 6"):  # the statement is the new key's
        files.verify(data, Trust(ports.log.origin, (old,)), verifies)


# --- S37: a ledger that was rewritten, over real homes --------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path / "home")
    for name in ("ana", "bo", "cy"):
        made.sign_up(name)
    yield made
    made.close()


def test_a_receipt_fails_against_a_ledger_that_was_rewritten_and_signed_anew(
    home: Provider, tmp_path: Path
) -> None:
    off = home.opt_out("ana")
    document = receipts.receipt(home.ports, off.receipt)
    for number, names in enumerate((("ana", "bo", "cy", "dan", "eli"), ("ana",), ("x",))):
        other = rewritten(tmp_path / f"other{number}", home.home / "keys.db", *names)
        with open_embedded(other) as ports:
            # by its own bytes it holds: the key is the same; the ledger is not
            assert checked(ports, files.encoded(document)).position == off.position
            with pytest.raises(VerificationError, match=f"step 7.*position {off.position}"):
                receipts.verify_receipt(ports, document, verifies)


def test_a_ledger_that_lost_its_newest_entries_fails_a_receipt_of_an_older_one(
    home: Provider,
) -> None:
    opened = home.ports.ledger.head()
    home.opt_out("ana")
    document = receipts.receipt(home.ports, str(opened))  # of an entry that stays
    folder, size = home.home, home.head
    home.close()
    with apsw.Connection(str(folder / "control.db")) as connection:
        connection.execute("DELETE FROM entries WHERE position = ?", (size,))
    told = f"step 7.*up to position {size} are not those"
    with open_embedded(folder) as ports, pytest.raises(VerificationError, match=told):
        receipts.verify_receipt(ports, document, verifies)
    home.crash()


def test_a_receipt_outlives_the_key_that_opens_its_entry(home: Provider) -> None:
    off = home.opt_out("ana")
    document = receipts.receipt(home.ports, off.receipt)
    folder = home.home
    home.close()
    with apsw.Connection(str(folder / "keys.db")) as connection:
        connection.execute("DELETE FROM keys")
    with open_embedded(folder) as ports:
        assert receipts.verify_receipt(ports, document, verifies).facts.subject == "ana"
        with pytest.raises(VerificationError, match="the key that opens it is gone"):
            receipts.receipt(ports, off.receipt)
    home.crash()


def test_the_policy_in_a_receipt_is_the_one_in_force_at_its_entry(ports: Ports) -> None:
    with ports.ledger.directory() as known:
        before = known.policy.digest
    off = turn(ports, "ana")
    text = POLICY.replace('version = "2026-11-26"', 'version = "b"', 1)
    policies.adopt(ports, text.replace('label = "Vibe"', 'label = "Vibe 2"'))
    on = turn(ports, "ana", allowed=True)
    assert checked(ports, full(ports, off.receipt)).facts.policy == before
    found = checked(ports, full(ports, on.receipt)).facts
    assert (found.policy != before, found.label) == (True, "Vibe 2")
