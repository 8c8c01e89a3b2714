"""Appending from an event loop: answered when durable, done also when nobody waits any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.fakes.ledger import POLICY, ports_over
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, ProductId
from withhold.errors import LockedByPlan, UnknownAccount
from withhold.ports import Ports, Transaction
from withhold.services import directory, policies, preferences
from withhold.services.directory import AccountRequest
from withhold.services.preferences import PreferenceRequest, PreferenceStatus
from withhold.web.appends import Appends

VIBE = ProductId("vibe")
PEOPLE = 50


def in_a_loop(tmp_path: Path, story: Callable[[Ports, Appends], Awaitable[None]]) -> None:
    """Run a story over a real ledger with accounts p0, p1, …; check the whole ledger afterwards."""
    control, keys = Control(tmp_path / "control.db"), SubjectKeys(tmp_path / "keys.db")
    ports = ports_over(SqliteLedger(control, keys))
    policies.adopt(ports, POLICY)
    directory.put_accounts(ports, [AccountRequest(AccountId(f"p{n}")) for n in range(PEOPLE)])

    async def main() -> None:
        await story(ports, Appends())

    asyncio.run(main())
    ports.ledger.verify()
    control.close()
    keys.close()


def off(ports: Ports, account: str) -> Callable[[Transaction], PreferenceStatus]:
    return preferences.turning(
        ports, PreferenceRequest(SubjectKind.ACCOUNT, account, VIBE, allowed=False)
    )


def test_many_at_once_are_each_answered_with_their_own_entry(tmp_path: Path) -> None:
    async def story(ports: Ports, appends: Appends) -> None:
        before = ports.ledger.head()
        names = [f"p{n}" for n in range(PEOPLE)]
        answered = await asyncio.gather(
            *(appends.append(ports.ledger, off(ports, name)) for name in names)
        )
        assert len({status.position for status in answered}) == PEOPLE
        assert ports.ledger.head() == before + PEOPLE
        for name, status in zip(names, answered, strict=True):
            assert preferences.status(ports, SubjectKind.ACCOUNT, name, VIBE) == status

    in_a_loop(tmp_path, story)


def test_what_refuses_a_change_is_raised_where_it_was_asked_for(tmp_path: Path) -> None:
    async def story(ports: Ports, appends: Appends) -> None:
        with pytest.raises(UnknownAccount):
            await appends.append(ports.ledger, off(ports, "nobody"))
        assert not (await appends.append(ports.ledger, off(ports, "p1"))).allowed

    in_a_loop(tmp_path, story)


def test_a_change_is_recorded_although_whoever_asked_has_left(tmp_path: Path) -> None:
    async def story(ports: Ports, appends: Appends) -> None:
        held, release = threading.Event(), threading.Event()

        def hold(_: Transaction) -> None:
            held.set()
            assert release.wait(30)

        first = asyncio.create_task(appends.append(ports.ledger, hold))
        await asyncio.to_thread(held.wait, 30)
        leaving = asyncio.create_task(appends.append(ports.ledger, off(ports, "p1")))
        await asyncio.sleep(0)
        leaving.cancel()
        release.set()
        await first
        # whoever comes after it is answered after it
        assert not (await appends.append(ports.ledger, off(ports, "p2"))).allowed
        assert not preferences.status(ports, SubjectKind.ACCOUNT, "p1", VIBE).allowed

    in_a_loop(tmp_path, story)


def test_a_loop_that_has_ended_takes_no_answer_and_harms_nobody(tmp_path: Path) -> None:
    async def story(ports: Ports, appends: Appends) -> None:
        def abandon() -> None:
            async def ask_and_leave() -> None:
                asking = asyncio.create_task(appends.append(ports.ledger, off(ports, "p1")))
                await asyncio.sleep(0)
                asking.cancel()

            asyncio.run(ask_and_leave())

        await asyncio.to_thread(abandon)
        with pytest.raises(LockedByPlan):
            await Appends().append(ports.ledger, refused)
        assert not preferences.status(ports, SubjectKind.ACCOUNT, "p1", VIBE).allowed

    def refused(_: Transaction) -> None:
        raise LockedByPlan("no")

    in_a_loop(tmp_path, story)
