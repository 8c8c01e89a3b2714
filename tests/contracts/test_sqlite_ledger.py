"""What the ledger in SQLite does besides what every ledger does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.test_ledger import SqliteHome, adopt, adopt_text, open_account
from tests.fakes.ledger import POLICY
from withhold.errors import LockedByPlan, StorageError
from withhold.ports import Transaction


def test_a_policy_seen_by_two_jobs_of_a_lost_transaction_is_forgotten(tmp_path: Path) -> None:
    other = POLICY.replace('version = "', 'version = "other-', 1)

    def refuse(transaction: Transaction) -> None:
        raise LockedByPlan("no")

    with SqliteHome(tmp_path).open() as ledger:

        def lost(transaction: Transaction) -> None:
            adopt_text(transaction, other)
            with pytest.raises(LockedByPlan):
                ledger.append(refuse)  # whoever comes next begins with a fresh transaction
            assert ledger.append(lambda t: t.policy.version).startswith("other-")
            raise StorageError("the commit failed")

        with pytest.raises(StorageError):
            ledger.append(lost)
        version = ledger.append(lambda t: adopt_text(t, POLICY))
        assert not version.startswith("other-")
        assert ledger.append(lambda t: t.policy.version) == version
        with ledger.directory() as directory:
            assert directory.policy.version == version


def test_a_check_of_a_long_ledger_tells_how_far_it_is(tmp_path: Path) -> None:
    with SqliteHome(tmp_path).open() as real:
        adopt(real)
        for number in range(5):
            names = [f"p{number}-{each}" for each in range(300)]
            real.append(lambda t, names=names: [open_account(t, name) for name in names])  # type: ignore[misc]
        told: list[int] = []
        assert real.verify(told.append) == 1_501
        assert told == [1_024]
