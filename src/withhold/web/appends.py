"""Appending to the ledger from an event loop, without a thread for each request.

The ledger tells on its own thread what became of a change. All that one commit answers wakes the loop
once: waking it for each costs more than the changes themselves (`bench/toggle.py`).

What was asked for is done, also when the client has left meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from litestar import Request

from withhold.ports import Ledger, Outcome, Transaction

T = TypeVar("T")


class Appends:
    """The requests of one event loop that wait for the ledger."""

    def __init__(self) -> None:
        self._told: deque[tuple[asyncio.Future[Any], Outcome[Any]]] = deque()
        self._is_due = False

    async def append(self, ledger: Ledger, change: Callable[[Transaction], T]) -> T:
        """Append a change and return its result once that is durable.

        Raises:
            WithholdError: as `Ledger.append` does.
        """
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[T] = loop.create_future()
        ledger.submit(change, partial(self._tell, loop, waiting))
        return await waiting

    def _tell(
        self, loop: asyncio.AbstractEventLoop, waiting: asyncio.Future[T], outcome: Outcome[T]
    ) -> None:
        """Keep what became of a change and wake the loop, if it is not awake for it; on any thread."""
        self._told.append((waiting, outcome))
        if not self._is_due:
            self._is_due = True
            loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._is_due = False  # first: what is told from here on wakes the loop again
        while self._told:
            waiting, outcome = self._told.popleft()
            if not waiting.cancelled():
                _settle(waiting, outcome)


def _settle(waiting: asyncio.Future[T], outcome: Outcome[T]) -> None:
    try:
        waiting.set_result(outcome.get())
    except Exception as error:  # noqa: BLE001 (it is raised where the change was asked for)
        waiting.set_exception(error)


def appends_of(request: Request[Any, Any, Any]) -> Appends:
    """Return the waiting appends of the application."""
    appends: Appends = request.app.state.appends
    return appends
