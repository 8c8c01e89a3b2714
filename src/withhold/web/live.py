"""Live: pages learn within a second that something they show has changed, wherever it was changed.

One watcher in each server process looks whether the ledger's head moved, only while somebody listens, and
tells those connections whose own switches show something else now. Other processes (a second server, a
command) are seen by the same look. What is sent is a mark, never content: the page asks for what it shows.

A connection ends with its session, with the server, and when its browser leaves. A page without scripts
has none; it is right whenever it is loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from litestar import Litestar, Request, Response
from litestar.response import Stream

from withhold.domain.names import Position
from withhold.errors import StorageError, UnknownAccount, UnknownOrganization
from withhold.ports import Ports
from withhold.services import sessions, switches
from withhold.services.switches import Holder
from withhold.web.log import told
from withhold.web.rendering import PLAIN
from withhold.web.routes import off_loop
from withhold.web.visits import Visit, to_sign_in, visit_of

POLL_SECONDS = 0.2  # between looks at the head, while somebody listens
BEAT_SECONDS = 15.0  # between signs of life, at each of which the session is looked up again
PER_SESSION = 6  # connections of one session: browsers open no more to one server
PER_SERVER = 2_000

_log = structlog.get_logger("withhold.live")


@dataclass(eq=False, slots=True)
class _Listener:
    """One connection, and what its page shows."""

    holder: Holder
    session_hash: bytes
    marks: str
    is_over: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Live:
    """The watcher of one server, and everybody who listens."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._listeners: set[_Listener] = set()
        self._awake = asyncio.Event()
        self._is_closed = False

    def wake(self) -> None:
        """Look now: something was changed here."""
        if self._listeners:
            self._awake.set()

    def close(self) -> None:
        """End every connection: the server is about to."""
        self._is_closed = True
        for listener in self._listeners:
            _end(listener)

    def end(self, session_hash: bytes) -> None:
        """End the connections of a session that ended."""
        for listener in self._listeners:
            if listener.session_hash == session_hash:
                _end(listener)

    @asynccontextmanager
    async def lifespan(self, _: Litestar) -> AsyncIterator[None]:
        """Watch as long as the application runs."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self.close()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def has_room(self, session_hash: bytes) -> bool:
        """Return whether one more connection of a session would not be one too many."""
        own = sum(each.session_hash == session_hash for each in self._listeners)
        return not self._is_closed and own < PER_SESSION and len(self._listeners) < PER_SERVER

    async def stream(self, session_hash: bytes, holder: Holder, marks: str) -> AsyncIterator[bytes]:
        """Yield what a connection is sent, until it ends.

        Args:
            session_hash: the session it belongs to and ends with.
            holder: whose switches its page shows.
            marks: of what the page shows already.
        """
        listener = _Listener(holder, session_hash, marks)
        self._listeners.add(listener)
        self._awake.set()  # what the page shows may be old already
        try:
            yield b": listening\n\n"
            while not listener.is_over:
                try:
                    async with asyncio.timeout(BEAT_SECONDS):
                        await listener.changed.wait()
                except TimeoutError:
                    if await off_loop(self._is_signed_out, listener):
                        break
                    yield b":\n\n"
                    continue
                listener.changed.clear()
                if not listener.is_over:
                    yield _event("standing", listener.marks)
            if not self._is_closed:
                yield _event("ended", "")
        finally:
            self._listeners.discard(listener)

    async def _watch(self) -> None:
        seen = Position(-1)
        while True:
            if not self._listeners:
                await self._awake.wait()
            with suppress(TimeoutError):
                # not wait_for: before Python 3.12 it loses a cancellation that comes with the wake-up
                async with asyncio.timeout(POLL_SECONDS):
                    await self._awake.wait()
            is_asked = self._awake.is_set()
            self._awake.clear()
            try:
                head = await off_loop(self._ports.ledger.head)
                if is_asked or head != seen:
                    await self._compare()
                seen = head
            except Exception as error:  # noqa: BLE001 (the next look tries again; pages stay as they are)
                _log.warning("looking for changes failed, trying again", error=told(error))

    async def _compare(self) -> None:
        listeners = list(self._listeners)
        holders = {listener.holder for listener in listeners}
        marks = await off_loop(self._marks, holders)
        for listener in listeners:
            found = marks[listener.holder]
            if found is None:
                _end(listener)
            elif found != listener.marks:
                listener.marks = found
                listener.changed.set()

    def _marks(self, holders: set[Holder]) -> dict[Holder, str | None]:
        return {holder: marks_of(self._ports, holder) for holder in holders}

    def _is_signed_out(self, listener: _Listener) -> bool:
        try:
            return sessions.signed_in(self._ports, listener.session_hash) is None
        except StorageError:
            return True


def marks_of(ports: Ports, holder: Holder) -> str | None:
    """Return the marks of what a holder's switches show, None when the viewer may not see them now."""
    try:
        return switches.marks(ports, holder)
    except (UnknownAccount, UnknownOrganization):
        return None


async def events(
    request: Request[Any, Any, Any], organization: str | None = None
) -> Response[Any] | Stream:
    """Answer a page that wants to be told when what it shows has changed."""

    def opened() -> tuple[Visit, Holder] | None:
        visit = visit_of(request)
        if visit is None:
            return None
        return visit, (visit.personal if organization is None else visit.of(organization))

    found = await off_loop(opened)
    if found is None:
        return to_sign_in(request)
    live: Live = request.app.state.live
    visit, holder = found
    if not live.has_room(visit.session_hash):  # the page is right without it, and says nothing
        headers = {**PLAIN, "Retry-After": "30"}
        return Response(b"", status_code=503, media_type="text/plain", headers=headers)
    seen = request.headers.get("last-event-id") or request.query_params.get("seen", "")
    return Stream(
        live.stream(visit.session_hash, holder, str(seen)),
        media_type="text/event-stream",
        headers={**PLAIN, "X-Accel-Buffering": "no"},
    )


def _end(listener: _Listener) -> None:
    listener.is_over = True
    listener.changed.set()


def _event(name: str, data: str) -> bytes:
    lines = f"event: {name}\n" + (f"id: {data}\n" if data else "") + f"data: {data}\n\n"
    return lines.encode()
