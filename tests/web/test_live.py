"""Live: whoever shows something that changed is told, nobody else is, and everything ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulator import VIBE, Provider
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId
from withhold.errors import StorageError
from withhold.services import sessions, switches
from withhold.services.switches import Holder
from withhold.web import live as module
from withhold.web.live import PER_SESSION, Live

HASH = b"h" * 32


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path)
    made.found("acme", vibe="pro")
    made.sign_up("ana")
    made.sign_up("mia", "acme")
    made.sign_up("ben")
    for account in ("ana", "mia", "ben"):
        sessions.sign_in(made.ports, AccountId(account), hash_of(account), b"s" * 32)
    yield made
    made.close()


def hash_of(account: str) -> bytes:
    return account.encode().ljust(32, b"-")


def own(account: str) -> Holder:
    return Holder(SubjectKind.ACCOUNT, account, AccountId(account))


class Listening:
    """A page that listens: what it was sent so far."""

    def __init__(self, live: Live, holder: Holder, marks: str) -> None:
        self._stream = live.stream(hash_of(holder.viewer), holder, marks)
        self.events: list[tuple[str, str]] = []
        self.is_over = False
        self.told = asyncio.Event()
        self._task = asyncio.create_task(self._listen(self._stream))

    async def _listen(self, stream: AsyncIterator[bytes]) -> None:
        async for chunk in stream:
            lines = dict(
                line.split(": ", 1) for line in chunk.decode().splitlines() if ": " in line
            )
            if "event" in lines:
                self.events.append((lines["event"], lines.get("id", "")))
                self.told.set()
        self.is_over = True
        self.told.set()

    async def wait(self) -> None:
        await asyncio.wait_for(self.told.wait(), 5)
        self.told.clear()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._stream.aclose()  # type: ignore[attr-defined]


def run(provider: Provider, work: Callable[[Live], Awaitable[None]]) -> None:
    async def inside() -> None:
        live = Live(provider.ports)
        async with live.lifespan(None):  # type: ignore[arg-type]
            await work(live)

    asyncio.run(inside())


def marks(provider: Provider, holder: Holder) -> str:
    return switches.marks(provider.ports, holder)


def test_whoever_shows_it_is_told_and_nobody_else_is(provider: Provider) -> None:
    async def work(live: Live) -> None:
        ana = Listening(live, own("ana"), marks(provider, own("ana")))
        ben = Listening(live, own("ben"), marks(provider, own("ben")))
        await asyncio.sleep(0.05)
        provider.opt_out("ana")  # as another process would: nobody wakes the watcher
        await ana.wait()
        assert ana.events == [("standing", marks(provider, own("ana")))]
        await asyncio.sleep(0.5)
        assert ben.events == []
        await ana.close()
        await ben.close()

    run(provider, work)


def test_a_members_page_is_told_when_the_organization_changes(provider: Provider) -> None:
    async def work(live: Live) -> None:
        mia = Listening(live, own("mia"), marks(provider, own("mia")))
        await asyncio.sleep(0.05)
        provider.opt_out("acme", VIBE, organization=True)
        live.wake()
        await mia.wait()
        assert [name for name, _ in mia.events] == ["standing"]
        await mia.close()

    run(provider, work)


def test_a_page_that_shows_something_old_is_told_when_it_begins_to_listen(
    provider: Provider,
) -> None:
    old = marks(provider, own("ana"))
    provider.opt_out("ana")

    async def work(live: Live) -> None:
        ana = Listening(live, own("ana"), old)
        await ana.wait()
        assert ana.events == [("standing", marks(provider, own("ana")))]
        await ana.close()

    run(provider, work)


def test_a_page_that_shows_what_holds_is_left_alone(provider: Provider) -> None:
    async def work(live: Live) -> None:
        ana = Listening(live, own("ana"), marks(provider, own("ana")))
        await asyncio.sleep(0.5)
        assert ana.events == []
        await ana.close()

    run(provider, work)


def test_signing_out_ends_the_connections_of_that_session_only(provider: Provider) -> None:
    async def work(live: Live) -> None:
        ana = Listening(live, own("ana"), marks(provider, own("ana")))
        ben = Listening(live, own("ben"), marks(provider, own("ben")))
        await asyncio.sleep(0.05)
        live.end(hash_of("ana"))
        await ana.wait()
        await asyncio.sleep(0.05)
        assert ana.events == [("ended", "")]
        assert ana.is_over
        assert not ben.is_over
        await ben.close()

    run(provider, work)


def test_whoever_may_not_see_it_any_more_is_sent_away(provider: Provider) -> None:
    holder = Holder(SubjectKind.ORGANIZATION, "acme", AccountId("mia"))

    async def work(live: Live) -> None:
        mia = Listening(live, holder, marks(provider, holder))
        await asyncio.sleep(0.05)
        provider.move("mia")
        await mia.wait()
        await asyncio.sleep(0.05)
        assert mia.events == [("ended", "")]
        assert mia.is_over

    run(provider, work)


def test_the_end_of_the_server_ends_every_connection_at_once(provider: Provider) -> None:
    async def work(live: Live) -> None:
        pages = [Listening(live, own(a), marks(provider, own(a))) for a in ("ana", "ben")]
        await asyncio.sleep(0.05)
        live.close()
        for page in pages:
            await page.wait()
            assert page.is_over
            assert page.events == [], "the page is to come back, not to go away"
        assert not live.has_room(HASH)

    run(provider, work)


def test_a_session_has_only_so_many_connections_and_leaving_makes_room(
    provider: Provider,
) -> None:
    async def work(live: Live) -> None:
        seen = marks(provider, own("ana"))
        pages = [Listening(live, own("ana"), seen) for _ in range(PER_SESSION)]
        await asyncio.sleep(0.05)
        assert not live.has_room(hash_of("ana"))
        assert live.has_room(hash_of("ben"))
        await pages.pop().close()
        assert live.has_room(hash_of("ana"))
        for page in pages:
            await page.close()

    run(provider, work)


def test_nobody_looks_while_nobody_listens(provider: Provider) -> None:
    looks: list[int] = []

    class Counting:
        def __getattr__(self, name: str) -> object:
            if name == "head":
                looks.append(1)
            return getattr(provider.ports.ledger, name)

    async def inside() -> None:
        live = Live(replace(provider.ports, ledger=Counting()))  # type: ignore[arg-type]
        async with live.lifespan(None):  # type: ignore[arg-type]
            await asyncio.sleep(3 * module.POLL_SECONDS)
            live.wake()
            await asyncio.sleep(3 * module.POLL_SECONDS)

    asyncio.run(inside())
    assert looks == []


def test_a_look_that_fails_is_tried_again(provider: Provider) -> None:
    class Flaky:
        fails = 2

        def __getattr__(self, name: str) -> object:
            if name == "head" and self.fails:
                self.fails -= 1
                raise StorageError("the database cannot be read")
            return getattr(provider.ports.ledger, name)

    async def inside() -> None:
        live = Live(replace(provider.ports, ledger=Flaky()))  # type: ignore[arg-type]
        async with live.lifespan(None):  # type: ignore[arg-type]
            ana = Listening(live, own("ana"), marks(provider, own("ana")))
            await asyncio.sleep(0.05)
            provider.opt_out("ana")
            await ana.wait()
            assert [name for name, _ in ana.events] == ["standing"]
            await ana.close()

    asyncio.run(inside())
