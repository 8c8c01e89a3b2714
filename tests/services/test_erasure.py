"""Erasing an account: out for ever, nothing left to find it by, and everybody else's proofs as before."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from tests.services.conftest import ROOT
from tests.services.test_capture import admitted, outcome
from tests.services.test_new_products import AGENT
from tests.simulator import STUDIO, VIBE, Provider, interaction, turns
from withhold.adapters.embedded import open_embedded
from withhold.adapters.signing import verifies
from withhold.domain.canonical_json import canonical
from withhold.domain.directory import Subject, SubjectKind
from withhold.domain.ledger import commitment_in, public_commitment
from withhold.domain.names import AccountId, Position, SubjectNo
from withhold.domain.proofs import parse_proof
from withhold.errors import (
    EntryErased,
    InputError,
    StorageError,
    UnknownAccount,
    VerificationError,
)
from withhold.ports import Ports
from withhold.services import audit, erasure, lookups, policies, receipts, sessions
from withhold.services.preferences import PreferenceRequest, set_preference


@pytest.fixture
def provider() -> Iterator[Provider]:
    home = Path(tempfile.mkdtemp(prefix="withhold-", dir=ROOT))
    made = Provider(home)
    made.found("acme", vibe="free")
    for person in ("ana", "bo"):
        made.sign_up(person)
    yield made
    made.close()
    shutil.rmtree(home, ignore_errors=True)


def erase(provider: Provider, account: str) -> erasure.Erasure:
    return erasure.erase(provider.ports, AccountId(account))


def everything_holds(provider: Provider) -> None:
    assert provider.ports.ledger.verify() == provider.head
    assert provider.ports.log.verify() == provider.head
    assert audit.audit(provider.ports).faults == ()


def test_no_dataset_yields_rows_of_somebody_erased(provider: Provider) -> None:
    outcome(provider, interaction("ana", "r1"), interaction("bo", "r2"))
    provider.seal()
    outcome(provider, interaction("ana", "r3"))
    provider.build("chat")
    erased = erase(provider, "ana")
    assert erased == erasure.Erasure(provider.head, is_purged=True)
    assert provider.load("chat@1") == ["r2"]
    provider.build("chat")
    assert provider.load("chat@2") == ["r2"]
    everything_holds(provider)


def test_what_repeats_content_of_somebody_erased_is_withheld(provider: Provider) -> None:
    sha = "0b" * 32
    provider.upload("ana", "d1", sha, conversation="c")
    outcome(provider, interaction("bo", "before", attachments=(sha,)))
    erase(provider, "ana")
    late = (
        interaction("bo", "r1", attachments=(sha,)),
        interaction("bo", "r2", derived_from=("d1",)),
        interaction("bo", "r3", conversation="c", messages=turns("question d1", "more")),
    )
    assert outcome(provider, *late) == "www"
    assert admitted(provider) == set()
    everything_holds(provider)


def test_the_same_name_later_is_somebody_new_who_starts_off(provider: Provider) -> None:
    token = provider.token()
    outcome(provider, interaction("ana", "r1", token=token))
    erase(provider, "ana")
    with pytest.raises(UnknownAccount):
        provider.status("ana")
    provider.sign_up("ana", opens="on")
    assert not provider.status("ana").allowed
    assert not provider.status("ana", STUDIO).allowed
    provider.opt_in("ana")
    assert outcome(provider, interaction("ana", "r2", token=token)) == "w"  # from before
    assert outcome(provider, interaction("ana", "r1")) == "d"
    assert outcome(provider, interaction("ana", "r3")) == "a"
    assert admitted(provider) == {"r3"}
    second = erase(provider, "ana")
    assert second.position == provider.head
    provider.sign_up("ana")
    assert not provider.status("ana").allowed
    everything_holds(provider)


def test_asking_again_answers_the_same_entry(provider: Provider) -> None:
    first = erase(provider, "ana")
    assert erase(provider, "ana") == first
    with pytest.raises(UnknownAccount):
        erase(provider, "nobody")


def test_a_session_from_before_is_nobodys_also_when_the_id_is_used_again(
    provider: Provider,
) -> None:
    sessions.sign_in(provider.ports, AccountId("ana"), b"h" * 32, b"s" * 32)
    kept = provider.ports.sessions.find(b"h" * 32)
    assert kept is not None
    erase(provider, "ana")
    assert provider.ports.sessions.find(b"h" * 32) is None
    provider.ports.sessions.add(b"h" * 32, kept)  # what a crash before its deletion leaves
    assert sessions.signed_in(provider.ports, b"h" * 32) is None
    provider.sign_up("ana")
    assert sessions.signed_in(provider.ports, b"h" * 32) is None


def test_only_who_was_erased_can_no_longer_be_opened(provider: Provider) -> None:
    theirs = provider.opt_out("ana").position
    others = provider.opt_out("bo")
    receipt = receipts.receipt(provider.ports, others.receipt)
    erase(provider, "ana")
    with pytest.raises(EntryErased):
        provider.ports.ledger.record(theirs)
    assert receipts.verify_receipt(provider.ports, receipt, verifies).position == others.position
    for position in range(1, provider.head + 1):  # every leaf is proven as before
        parse_proof(bytes(provider.ports.log.proof(Position(position))))


def test_standings_at_every_earlier_position_are_the_same(provider: Provider) -> None:
    provider.opt_out("ana")
    provider.opt_in("ana")
    before = [provider.ports.ledger.standings_at(Position(p)) for p in range(provider.head + 1)]
    erase(provider, "ana")
    for table in before:
        again = provider.ports.ledger.standings_at(table.position)
        assert again.values.tolist() == table.values.tolist()
    provider.crash()
    assert (
        not provider.ports.ledger.standings()
        .values[[h.party for h in _record(provider, 2).holdings.values()]]
        .any()
    )


def _record(provider: Provider, no: int) -> Subject:
    with provider.ports.ledger.directory() as directory:
        return directory.subject(SubjectNo(no))


def test_no_byte_of_the_key_and_of_the_name_is_left_in_the_databases(provider: Provider) -> None:
    name = "very-special-name-of-somebody"
    for n in range(700):  # in an order in which pages of names are split again and again
        provider.sign_up(f"{n * 7919 % 1000}-very")
    provider.sign_up(name)
    provider.opt_out(name)
    sessions.sign_in(provider.ports, AccountId(name), b"h" * 32, b"s" * 32)
    for n in range(700):
        provider.sign_up(f"very{n * 7919 % 1000}")
    with apsw.Connection(str(provider.home / "keys.db")) as keys:
        no = _number(provider.home, name)
        key = keys.execute("SELECT key FROM keys WHERE subject = ?", (no,)).get
    assert _found(provider.home, key)
    assert _found(provider.home, name.encode())
    assert erase(provider, name).is_purged
    assert _found(provider.home, key) == set()
    assert _found(provider.home, name.encode()) == set()


def _number(home: Path, name: str) -> int:
    with apsw.Connection(str(home / "control.db")) as control:
        return int(control.execute("SELECT no FROM subjects WHERE id = ?", (name,)).get)


def _found(home: Path, needle: bytes) -> set[str]:
    return {path.name for path in home.glob("*.db*") if needle in path.read_bytes()}


def test_what_idempotency_keys_did_is_forgotten(provider: Provider) -> None:
    request = PreferenceRequest(SubjectKind.ACCOUNT, "ana", VIBE, False, idempotency_key="k")
    set_preference(provider.ports, request)
    erase(provider, "ana")
    with apsw.Connection(str(provider.home / "control.db")) as control:
        assert control.execute("SELECT count(*) FROM idempotency").get == 0


def test_everybody_of_the_group_is_out_and_can_come_back(provider: Provider) -> None:
    provider.merge("ana", "bo")
    provider.sign_up("cy")
    erase(provider, "ana")
    assert not provider.status("bo").allowed
    provider.opt_in("bo")
    assert provider.status("bo").allowed
    provider.merge(
        "bo", "cy"
    )  # whom it was merged with before is gone, and nothing stands in the way
    provider.opt_out("cy")
    assert not provider.status("bo").allowed
    everything_holds(provider)


def test_an_off_by_an_erasure_is_an_entry_like_any_other_off(provider: Provider) -> None:
    provider.merge("ana", "bo")
    provider.opt_in("bo")
    by_hand = provider.opt_out("bo").position
    provider.opt_in("bo")
    erase(provider, "ana")
    by_erasure = provider.status("bo").position
    events = []
    for position in (by_hand, by_erasure):
        document = receipts.receipt(provider.ports, str(position))
        found = receipts.verify_receipt(provider.ports, document, verifies)
        events.append((json.loads(str(document["event"])), found.facts.status))
    (hand, said), (erased, also) = events
    assert set(hand) == set(erased)
    assert (erased["before"], erased["holder"], erased["surface"]) == ("in", "account", "erasure")
    assert said == also == "LegitimateInterestObjected"


def test_a_policy_with_a_new_product_is_adopted_after_an_erasure(provider: Provider) -> None:
    erase(provider, "ana")
    policies.adopt(
        provider.ports, provider.policy_text.replace('version = "', 'version = "x-', 1) + AGENT
    )
    assert provider.status("bo", "agent").allowed
    everything_holds(provider)


def test_a_shared_conversation_can_still_be_deleted(provider: Provider) -> None:
    outcome(provider, interaction("ana", "t1", conversation="c", messages=turns("one")))
    outcome(provider, interaction("bo", "t2", conversation="c", messages=turns("two")))
    erase(provider, "ana")
    assert admitted(provider) == {"t2"}
    provider.delete_conversation("c")
    assert admitted(provider) == set()
    assert lookups.explain(provider.ports, "t2").state == "deleted"
    everything_holds(provider)


class _Cut:
    """A ledger whose erasures are cut off before the purge."""

    def __init__(self, ports: Ports) -> None:
        self._ledger = ports.ledger

    def __getattr__(self, name: str) -> object:
        return getattr(self._ledger, name)

    def purge(self) -> bool:
        raise StorageError("the disk is full")


def test_whoever_opens_the_home_next_completes_an_erasure_that_was_cut_off(
    provider: Provider,
) -> None:
    theirs = provider.opt_out("ana").position
    cut = replace(provider.ports, ledger=_Cut(provider.ports))  # type: ignore[arg-type]
    with pytest.raises(StorageError):
        erasure.erase(cut, AccountId("ana"))
    assert provider.ports.ledger.record(theirs) is not None  # the key is still there
    everything_holds(provider)
    provider.crash()
    with pytest.raises(EntryErased):
        provider.ports.ledger.record(theirs)
    everything_holds(provider)


def test_a_key_that_another_process_deleted_is_used_no_more(provider: Provider) -> None:
    theirs = provider.opt_out("ana").position
    with open_embedded(provider.home) as other:
        assert other.ledger.record(theirs) is not None  # it knows the key now
        with other.ledger.directory() as directory:
            assert directory.find(SubjectKind.ACCOUNT, "ana") is not None
        erase(provider, "ana")
        with pytest.raises(EntryErased):
            other.ledger.record(theirs)
        with other.ledger.directory() as directory:
            assert directory.find(SubjectKind.ACCOUNT, "ana") is None
        other.ledger.verify()


def test_readers_that_are_open_delay_only_the_purge_of_the_log(provider: Provider) -> None:
    reader = apsw.Connection(str(provider.home / "control.db"))
    reader.execute("BEGIN; SELECT * FROM entries LIMIT 1").fetchall()
    done = erase(provider, "ana")
    assert not done.is_purged
    assert not admitted(provider)
    reader.close()
    with open_embedded(
        provider.home
    ) as other:  # opening leaves the log as it is: loaders open often
        assert other.ledger.erased_to() < done.position
        assert other.tags.secret(SubjectNo(2)) is None
    assert erase(provider, "ana") == done.__class__(done.position, is_purged=True)


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        (
            "UPDATE keys.keys SET key = zeroblob(32) WHERE subject = 3",
            "the key that opens it is gone",
        ),
        ("UPDATE entries SET effects = x'0000000000' WHERE subject = 2 AND kind = 3", "did is not"),
        ("UPDATE entries SET effects = NULL WHERE subject = 2 AND kind = 6", "did is not"),
        ("UPDATE entries SET subject = 3 WHERE kind = 12", "the key that opens it is gone"),
        ("DELETE FROM erased", "who was erased"),
        ("UPDATE entries SET previous = 0 WHERE kind = 12", "is missing"),
    ],
)
def test_what_an_erasure_closes_cannot_be_altered_unseen(
    provider: Provider, tampering: str, told: str
) -> None:
    provider.opt_out("ana")
    provider.opt_out("bo")
    erase(provider, "ana")
    everything_holds(provider)
    provider.close()
    with apsw.Connection(str(provider.home / "control.db")) as control:
        control.execute("ATTACH ? AS keys", (str(provider.home / "keys.db"),))
        control.execute(tampering)
    with open_embedded(provider.home) as ports, pytest.raises(VerificationError, match=told):
        ports.ledger.verify()


def test_a_key_that_a_backup_brought_back_is_deleted_again(provider: Provider) -> None:
    theirs = provider.opt_out("ana").position
    provider.close()
    shutil.copy(provider.home / "keys.db", provider.home / "older")
    provider.crash()
    erase(provider, "ana")
    assert provider.ports.ledger.purge()
    provider.close()
    keys = apsw.Connection(str(provider.home / "keys.db"))
    keys.execute("ATTACH ? AS older", (str(provider.home / "older"),))
    keys.execute(
        "INSERT OR REPLACE INTO keys SELECT * FROM older.keys"
    )  # what it notes stays newer
    keys.close()
    with open_embedded(provider.home) as ports, pytest.raises(EntryErased):
        ports.ledger.record(theirs)
    provider.crash()
    everything_holds(provider)


@pytest.mark.parametrize(
    "claim",
    [
        "INSERT INTO erased VALUES (99, 3, x'00')",  # there is no such entry
        "INSERT INTO erased SELECT last, 3, x'00' FROM (SELECT max(position) AS last FROM entries)",
        "UPDATE erased SET subject = 3",
        "UPDATE erased SET subject = 3; UPDATE entries SET subject = 3 WHERE kind = 12",
    ],
)
def test_no_key_is_deleted_without_an_entry_that_says_so(provider: Provider, claim: str) -> None:
    theirs = provider.opt_out("bo").position
    cut = replace(provider.ports, ledger=_Cut(provider.ports))  # type: ignore[arg-type]
    with pytest.raises(StorageError):
        erasure.erase(cut, AccountId("ana"))
    provider.opt_in("bo")
    provider.close()
    with apsw.Connection(str(provider.home / "control.db")) as control:
        control.execute(claim)
    with open_embedded(provider.home) as ports:
        assert not ports.ledger.purge()
        assert ports.ledger.record(theirs) is not None


def test_an_entry_that_erases_names_nobody(provider: Provider) -> None:
    position = erase(provider, "ana").position
    record = provider.ports.ledger.record(position)
    assert record is not None
    assert b"ana" not in record.event
    assert record.opening is None
    assert sorted(json.loads(record.event)) == [
        *("blind", "effects", "entries", "erased", "history", "kind", "name", "recorded_at", "v"),
    ]
    with pytest.raises(InputError):
        receipts.receipt(provider.ports, str(position + 1))


def test_what_is_public_of_somebody_erased_cannot_be_found_by_trying(provider: Provider) -> None:
    """Whoever follows the log has every commitment; the rest of such a body is numbers and times."""
    outcome(provider, interaction("ana", "t1", conversation="c", messages=turns("one")))
    outcome(provider, interaction("bo", "t2", conversation="c", messages=turns("two")))
    erased = [erase(provider, "ana").position]
    provider.delete_conversation("c")
    public = [*map(provider.ports.ledger.record, range(erased[0], provider.head + 1))]
    blinds = set()
    for record in public:
        assert record is not None
        if record.opening is None:
            body = json.loads(record.event)
            blinds.add(bytes.fromhex(body.pop("blind")))
            assert commitment_in(record.entry) == public_commitment(record.event)
            assert commitment_in(record.entry) != public_commitment(canonical(body))
    assert len(blinds) == 2  # of the erasure, and of the deletion for somebody who has no key
    assert {len(blind) for blind in blinds} == {32}
    everything_holds(provider)
