"""What every `Ledger` promises of erasing an account, held against the fake and the real store alike."""

from __future__ import annotations

import pytest

from tests.contracts.test_log import fill, ports, trust
from withhold.adapters.signing import verifies
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, Position, SubjectNo
from withhold.domain.proofs import check_proof
from withhold.domain.standing import OUT
from withhold.domain.tree import leaf_hash
from withhold.errors import EntryErased, UnknownAccount
from withhold.ports import Ports
from withhold.services import directory, erasure, log
from withhold.services.directory import AccountRequest

__all__ = ["ports"]
ANA, BO = AccountId("a1"), AccountId("a2")


def test_an_erased_account_is_out_and_found_by_its_number_alone(ports: Ports) -> None:
    fill(ports, 3)
    assert ports.ledger.erased_to() == 0
    done = erasure.erase(ports, ANA)
    assert ports.ledger.erased_to() == done.position
    assert done == erasure.Erasure(ports.ledger.head(), is_purged=True)
    with ports.ledger.directory() as found:
        assert found.find(SubjectKind.ACCOUNT, ANA) is None
        assert found.find(SubjectKind.ACCOUNT, "") is None
        record = found.subject(SubjectNo(1))
    assert (record.id, record.last) == ("", done.position)
    table = ports.ledger.standings()
    assert {table.standing(h.party) for h in record.holdings.values()} == {OUT}
    assert ports.ledger.verify() == done.position
    assert ports.log.verify() == done.position


def test_only_entries_of_the_erased_cannot_be_opened_and_all_stay_proven(ports: Ports) -> None:
    fill(ports, 3)
    entries = {}
    for position in (1, 2, 3):
        record = ports.ledger.record(Position(position))
        assert record is not None
        entries[position] = record.entry
    erasure.erase(ports, ANA)
    log.replace_key(ports)
    with pytest.raises(EntryErased):
        ports.ledger.record(Position(2))
    for position, entry in entries.items():
        proof = ports.log.proof(Position(position))
        check_proof(leaf_hash(entry), proof, trust(ports.log), verifies)
    for position in (1, 3, 4, 5):
        assert ports.ledger.record(Position(position)) is not None


def test_a_name_that_was_erased_opens_out_whatever_is_attested(ports: Ports) -> None:
    fill(ports, 3)
    first = erasure.erase(ports, ANA)
    again = directory.put_account(ports, AccountRequest(ANA))
    assert again.no not in {1, 2}
    assert all(holding.is_out for holding in again.holdings.values())
    second = erasure.erase(ports, ANA)
    assert second.position > first.position
    assert erasure.erase(ports, ANA) == second
    other = directory.put_account(ports, AccountRequest(AccountId("never-seen")))
    assert not any(holding.is_out for holding in other.holdings.values())
    with pytest.raises(UnknownAccount):
        erasure.erase(ports, AccountId("nobody"))
    assert ports.ledger.purge()


def test_a_change_that_is_refused_erases_nobody(ports: Ports) -> None:
    fill(ports, 3)

    def refused(transaction: object) -> None:
        erasure._erase(ports, ANA, transaction)  # type: ignore[arg-type]
        raise UnknownAccount("no")

    with pytest.raises(UnknownAccount):
        ports.ledger.append(refused)
    with ports.ledger.directory() as found:
        assert found.find(SubjectKind.ACCOUNT, ANA) is not None
    assert ports.ledger.record(Position(2)) is not None
    assert directory.put_account(ports, AccountRequest(ANA)).no == 1
