"""Upkeep begins and ends with the application, whatever happens at that moment."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from pathlib import Path

import apsw
from litestar import Litestar

from withhold import app
from withhold.domain.names import AccountId
from withhold.domain.notes import Signature
from withhold.domain.witnesses import Prove
from withhold.ports import Ports
from withhold.services import directory, erasure
from withhold.services.directory import AccountRequest
from withhold.web.upkeep import PASS_SECONDS, Upkeep


def test_an_application_that_is_told_to_end_as_something_is_withdrawn_ends(tmp_path: Path) -> None:
    with app.open_ports(tmp_path / "home", make=True) as ports:
        upkeep = Upkeep(ports, lambda _product: None, lambda: None)

        async def wake_and_end() -> None:
            async with upkeep.lifespan(Litestar()):
                for _ in range(3):  # until the pass is waiting
                    await asyncio.sleep(0)
                upkeep.wake()

        async def is_ended() -> bool:
            ended, _ = await asyncio.wait([asyncio.create_task(wake_and_end())], timeout=5)
            return bool(ended)

        assert asyncio.run(is_ended())


def test_an_upkeep_that_is_woken_while_it_is_told_to_end_ends(tmp_path: Path) -> None:
    async def begin_and_end(ports: Ports) -> None:
        upkeep = Upkeep(ports, lambda _product: None, lambda: None)
        async with upkeep.lifespan(Litestar([])):
            await asyncio.sleep(0)  # it waits now
            upkeep.wake()  # and is woken and told to end in one turn of the loop

    with app.open_ports(tmp_path / "home", make=True) as ports:
        for _ in range(20):
            asyncio.run(asyncio.wait_for(begin_and_end(ports), 10))


class SlowWitness:
    """A witness that does not answer before it is told to."""

    name = "slow"

    def __init__(self) -> None:
        self.asked, self.answers = threading.Event(), threading.Event()

    def show(self, note: bytes, prove: Prove, had: int) -> tuple[Signature, ...]:
        self.asked.set()
        self.answers.wait()
        return ()


def test_a_slow_witness_delays_no_withdrawal(tmp_path: Path) -> None:
    async def withdrawn(ports: Ports, slow: SlowWitness) -> bool:
        upkeep = Upkeep(ports, lambda _product: None, lambda: None)
        async with upkeep.lifespan(Litestar([])):
            assert await asyncio.to_thread(slow.asked.wait, 20)
            directory.put_account(ports, AccountRequest(AccountId("ana")))
            for _ in range(100):
                upkeep.wake()
                await asyncio.sleep(0.1)
                if ports.files.cursor() == ports.ledger.head():
                    break
            reached = ports.files.cursor() == ports.ledger.head()
            slow.answers.set()
            return reached

    slow = SlowWitness()
    with app.open_ports(tmp_path / "home", make=True) as ports:
        watched = replace(ports, watch=replace(ports.watch, witnesses=(slow,)))
        assert asyncio.run(withdrawn(watched, slow))


def test_upkeep_completes_an_erasure_once_nobody_reads_and_tries_less_often_meanwhile(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    with app.open_ports(home, make=True) as ports:
        upkeep = Upkeep(ports, lambda _product: None, lambda: None)
        directory.put_account(ports, AccountRequest(AccountId("ana")))
        reader = apsw.Connection(str(home / "control.db"))
        reader.execute("BEGIN; SELECT count(*) FROM entries").fetchall()
        position = erasure.erase(ports, AccountId("ana")).position
        upkeep.once()
        reader.close()
        upkeep.once()  # just tried
        assert ports.ledger.erased_to() < position
        time.sleep(PASS_SECONDS)
        upkeep.once()
        assert ports.ledger.erased_to() == position
