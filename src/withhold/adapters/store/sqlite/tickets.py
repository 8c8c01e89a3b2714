"""Jobs that wait for the control database, and how whoever waits is told.

A thread waits at a gate; somebody who may not block is called, by the crew and nobody else: an interrupt of
the main thread must not come between noting that somebody was told and telling them. Either way only what
is on disk counts as a result, and once a commit was sent nobody is told that nothing was recorded.

Not here: queueing and leading (`writers`), committing (`control`).
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

import apsw

from withhold.errors import StateUnknown, StorageError
from withhold.ports import Outcome

T = TypeVar("T")


class Ticket(Generic[T]):
    """A job that waits, and what became of it; implements `ports.Outcome`."""

    __slots__ = ("error", "is_done", "is_durable", "is_sent", "job", "result")

    def __init__(self, job: Callable[[apsw.Connection], T]) -> None:
        self.job = job
        self.result: T | None = None
        self.error: BaseException | None = None
        self.is_done = False
        self.is_sent = False  # the commit that holds it was begun: it may be on disk
        self.is_durable = False

    def get(self) -> T:
        """Return the job's result, which is on disk, or raise why there is none."""
        if self.error is not None:
            raise self.error
        if not self.is_durable:  # whoever led was interrupted
            if self.is_sent:
                raise StateUnknown("interrupted after the commit was sent; ask for the state")
            raise StorageError("interrupted; nothing was recorded")
        return self.result  # type: ignore[return-value]  # T may itself be None

    def settle(self) -> None:
        """Take the job for done, and let a thread that waits for it go on; again does no harm."""
        self.is_done = True


class Waiting(Ticket[T]):
    """The job of a thread that waits. Its gate opens when the job is done, or when it has to lead."""

    __slots__ = ("gate",)

    def __init__(self, job: Callable[[apsw.Connection], T]) -> None:
        super().__init__(job)
        self.gate: SimpleQueue[None] = SimpleQueue()  # opening it again does no harm

    def settle(self) -> None:
        super().settle()
        self.gate.put(None)


class Submitted(Ticket[T]):
    """The job of somebody who does not wait and is told."""

    __slots__ = ("_is_told", "_tell")

    def __init__(
        self, job: Callable[[apsw.Connection], T], tell: Callable[[Outcome[T]], None]
    ) -> None:
        super().__init__(job)
        self._tell = tell
        self._is_told = False

    def answer(self) -> None:
        """Tell what became of it, once, however often this is called; on one thread only."""
        if self._is_told:
            return
        self._is_told = True
        try:  # noqa: SIM105 (`suppress` costs as much as telling)
            self._tell(self)
        except BaseException:  # noqa: BLE001, S110 (a listener's own fault changes nothing on disk)
            pass
