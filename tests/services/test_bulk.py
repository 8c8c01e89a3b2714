"""Changes of many: a chunk at a time, complete when sent again, and nobody waits for all of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.fakes.ledger import POLICY, ports_over
from tests.services.conftest import ROOT
from tests.services.test_policies import without_studio
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, PlanId, ProductId
from withhold.errors import LedgerMoved, StorageError, UnknownAccount, UnknownPlan, UnknownProduct
from withhold.ports import Ports, Transaction
from withhold.services import directory, policies, preferences
from withhold.services.bulk import CHUNK
from withhold.services.directory import AccountRequest
from withhold.services.preferences import PreferenceRequest

T = TypeVar("T")
VIBE, STUDIO = ProductId("vibe"), ProductId("studio")
ACCOUNT = SubjectKind.ACCOUNT
MANY = [AccountId(f"a{n}") for n in range(CHUNK + 100)]
MANY_OPENED = 1 + len(MANY)  # the head after the policy and the accounts


class Watched(SqliteLedger):
    """The real ledger; a test sees how many entries each append makes, and what happens in between."""

    def __init__(self, control: Control, keys: SubjectKeys) -> None:
        super().__init__(control, keys)
        self.sizes: list[int] = []
        self.appends_left = -1  # without end
        self.between: Callable[[], None] | None = None

    def append(self, change: Callable[[Transaction], T]) -> T:
        if self.appends_left == 0:
            raise StorageError("the process ended here")
        self.appends_left -= 1
        before = self.head()
        result = super().append(change)
        self.sizes.append(self.head() - before)
        if self.between is not None:
            between, self.between = self.between, None
            between()
        return result


@pytest.fixture
def ledger() -> Iterator[Watched]:
    home = Path(tempfile.mkdtemp(prefix="withhold-", dir=ROOT))
    control, keys = Control(home / "control.db"), SubjectKeys(home / "keys.db")
    yield Watched(control, keys)
    control.close()
    keys.close()
    shutil.rmtree(home)


@pytest.fixture
def ports(ledger: Watched) -> Ports:
    made = ports_over(ledger)
    policies.adopt(made, without_studio(POLICY))
    directory.put_accounts(made, [AccountRequest(account) for account in MANY])
    ledger.sizes.clear()
    return made


def opt_out(ports: Ports, account: str, product: ProductId = VIBE) -> None:
    preferences.set_preference(ports, PreferenceRequest(ACCOUNT, account, product, False))


def all_off(accounts: list[AccountId]) -> list[PreferenceRequest]:
    return [PreferenceRequest(ACCOUNT, account, VIBE, False) for account in accounts]


def allowed(ports: Ports, product: ProductId) -> dict[str, bool]:
    return dict(zip(MANY, preferences.check(ports, product, MANY), strict=True))


def test_many_opt_outs_are_recorded_a_chunk_at_a_time(ports: Ports, ledger: Watched) -> None:
    answers = preferences.opt_out_many(ports, all_off(MANY))
    assert ledger.sizes == [CHUNK, 100]
    assert [a.position for a in answers] == list(range(MANY_OPENED + 1, 2 * MANY_OPENED))
    assert not any(allowed(ports, VIBE).values())


def test_one_wrong_request_refuses_all_chunks(ports: Ports, ledger: Watched) -> None:
    with pytest.raises(UnknownAccount):
        preferences.opt_out_many(ports, all_off([*MANY, AccountId("nobody")]))
    bad = AccountRequest(AccountId("z"), plans={VIBE: PlanId("gold")})
    with pytest.raises(UnknownPlan):
        directory.put_accounts(ports, [*(AccountRequest(AccountId(f"b{a}")) for a in MANY), bad])
    assert ledger.head() == MANY_OPENED


def test_sending_again_completes_what_ended_midway(ports: Ports, ledger: Watched) -> None:
    ledger.appends_left = 1
    with pytest.raises(StorageError):
        preferences.opt_out_many(ports, all_off(MANY))
    assert sum(allowed(ports, VIBE).values()) == 100
    ledger.appends_left = -1
    preferences.opt_out_many(ports, all_off(MANY))
    assert ledger.head() == MANY_OPENED + len(MANY), "what was recorded is not recorded again"


def test_a_new_product_is_prepared_a_chunk_at_a_time(ports: Ports, ledger: Watched) -> None:
    position = policies.adopt(ports, POLICY)
    assert max(ledger.sizes) == CHUNK
    assert sum(ledger.sizes) == len(MANY) + 1
    assert position == ledger.head()
    assert all(allowed(ports, STUDIO).values())
    assert ledger.verify() == position


def test_a_new_product_is_not_in_force_before_everybody_is_ready(
    ports: Ports, ledger: Watched
) -> None:
    ledger.appends_left = 1
    with pytest.raises(StorageError):
        policies.adopt(ports, POLICY)
    with pytest.raises(UnknownProduct):
        allowed(ports, STUDIO)
    ledger.appends_left = -1
    for account in (MANY[0], MANY[-1]):
        opt_out(ports, account)
    opt_out(ports, MANY[1], STUDIO)
    directory.put_account(ports, AccountRequest(AccountId("late")))
    policies.adopt(ports, POLICY)
    off = {name for name, is_on in allowed(ports, STUDIO).items() if not is_on}
    assert off == {MANY[0], MANY[1], MANY[-1]}
    assert preferences.check(ports, STUDIO, [AccountId("late")]) == [True]
    assert ledger.verify() == ledger.head()


def test_an_off_said_between_two_chunks_reaches_the_new_product(
    ports: Ports, ledger: Watched
) -> None:
    ledger.between = lambda: opt_out(ports, MANY[0])  # made ready by the chunk before
    policies.adopt(ports, POLICY)
    assert not allowed(ports, STUDIO)[MANY[0]]


def test_an_opening_between_two_chunks_gets_the_new_product(ports: Ports, ledger: Watched) -> None:
    request = AccountRequest(AccountId("late"))
    ledger.between = lambda: directory.put_account(ports, request) and None
    policies.adopt(ports, POLICY)
    assert preferences.check(ports, STUDIO, [AccountId("late")]) == [True]


def test_an_off_and_on_between_two_chunks_ends_the_attestation(
    ports: Ports, ledger: Watched
) -> None:
    def there_and_back() -> None:
        opt_out(ports, MANY[0])
        preferences.set_preference(ports, PreferenceRequest(ACCOUNT, MANY[0], VIBE, True))

    ledger.between = there_and_back
    policies.adopt(ports, POLICY)
    with ledger.directory() as snapshot:
        first, second = (snapshot.find(ACCOUNT, name) for name in MANY[:2])
    assert first is not None
    assert second is not None
    assert first.holdings[STUDIO].on_since == ledger.head() - 1
    assert second.holdings[STUDIO].on_since == 0


def test_another_policy_adopted_meanwhile_ends_the_adoption(ports: Ports, ledger: Watched) -> None:
    other = without_studio(POLICY).replace('version = "', 'version = "other-', 1)
    ledger.between = lambda: policies.adopt(ports, other) and None
    with pytest.raises(LedgerMoved):
        policies.adopt(ports, POLICY)
    policies.adopt(ports, POLICY)
    assert all(allowed(ports, STUDIO).values())
