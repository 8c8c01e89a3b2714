"""The writers that wait, and the one of them that leads.

    queue   job job job job job job ...      the first MAX_JOBS are the batch of whoever leads
            '---- batch ----'   '- the first thread among the next ones leads next, else the crew

Invariants:
- at most one leads at a time, and somebody does as long as anybody waits;
- that holds under an interrupt too, which in Python may come between any two calls of the main thread: who
  leads is one reference, jobs stay in the queue until they are done, and every step that ends a lead may be
  taken again and is, from the first, when one of them was interrupted: handing over comes last. Only an
  interrupt of what follows an interrupt may leave writers without a leader;
- whoever submitted is told by the crew, which nothing interrupts.

Source: "group commit". Not here: what a commit is (`control`), how one is told (`tickets`).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from withhold.adapters.store.sqlite.tickets import Submitted, Ticket, Waiting
from withhold.adapters.store.sqlite.worker import Worker
from withhold.errors import StorageError

T = TypeVar("T")
Batch = list[Ticket[Any]]

MAX_JOBS = 256  # in one commit, so that the first to wait is never kept long


class Writers:
    """The queue of one control database, for any number of threads."""

    def __init__(self, commit: Callable[[Batch], None], leave: Callable[[], None]) -> None:
        """Let nobody wait yet.

        Args:
            commit: commits a batch; called by whoever leads.
            leave: leaves nothing open of a commit, however it ended; may be called again.

        Raises:
            StorageError: the system gives no thread.
        """
        self._commit, self._leave = commit, leave
        self._mutex = threading.Lock()
        self._queue: deque[Ticket[Any]] = deque()
        self._batch: Batch = []
        self._crew = Worker("withhold-crew")  # leads for whoever submits
        self._leader: Ticket[Any] | Worker | None = None
        self._is_closed = False

    @property
    def are_led(self) -> bool:
        """Whether somebody leads, or is about to."""
        return self._leader is not None

    def wait(self, ticket: Waiting[T]) -> T:
        """Queue up, lead where it is one's turn, and return what the job returned.

        Raises:
            StorageError: the database is closed, or was opened before this process was forked off; nothing
                was recorded.
            WithholdError: what `Ticket.get` raises.
        """
        self._crew.check()
        try:
            self._join(ticket, ticket)
            while not ticket.is_done and self._leader is not ticket:
                ticket.gate.get()
            if not ticket.is_done:
                self._lead()
        except BaseException:  # an interrupt: do not leave the others without a leader
            self._abandon(ticket)
            raise
        return ticket.get()

    def submit(self, ticket: Submitted[T]) -> None:
        """Queue up and return; the crew leads unless somebody does.

        Raises:
            StorageError: as `wait` does.
        """
        self._crew.check()
        try:
            if self._join(ticket, self._crew):
                self._call(self._crew)
        except BaseException:
            self._abandon(ticket)
            raise

    def _join(self, ticket: Ticket[Any], leader: Ticket[Any] | Worker) -> bool:
        """Queue up; return whether nobody led, so that this leader is to."""
        with self._mutex:
            if self._is_closed:
                raise StorageError("the control database is closed; nothing was recorded")
            self._queue.append(ticket)
            is_first = self._leader is None
            if is_first:
                self._leader = leader
            return is_first

    def _lead(self) -> None:
        """Commit those who queued up to now, tell them, and let somebody else lead."""
        try:
            with self._mutex:
                self._batch = list(islice(self._queue, MAX_JOBS))
            self._commit(self._batch)
        finally:
            self._end()

    def _lead_for_others(self) -> None:
        # The crew may have been called twice. Whether it leads only a leader changes, and it is one thread.
        if self._leader is self._crew:
            self._lead()

    def _end(self) -> None:
        """Leave nothing open, tell everybody of the batch, and let somebody else lead."""
        with suppress(Exception):  # what is open all the same the next commit fails of, and undoes
            self._leave()
        for ticket in self._batch:
            ticket.settle()
        submitted = [ticket for ticket in self._batch if isinstance(ticket, Submitted)]
        if self._leader is self._crew:
            _tell(submitted)
        elif submitted:
            self._crew.begin(partial(_tell, submitted))
        self._hand_over()

    def _hand_over(self) -> None:
        """Let the first thread that waits lead, if its own job is among the next; else the crew.

        Decided in one piece: once nobody leads, whoever queues next does, and there is one leader only.
        """
        with self._mutex:
            self._batch = []
            while self._queue and self._queue[0].is_done:
                self._queue.popleft()
            following = islice(self._queue, MAX_JOBS)  # what the next leader commits
            threads = (ticket for ticket in following if isinstance(ticket, Waiting))
            self._leader = leader = next(threads, self._crew if self._queue else None)
        self._call(leader)

    def _call(self, leader: Ticket[Any] | Worker | None) -> None:
        """Wake whoever is to lead; who leads already does not notice."""
        if isinstance(leader, Waiting):
            leader.gate.put(None)
        elif leader is not None:
            self._crew.begin(self._lead_for_others)

    def _abandon(self, ticket: Ticket[Any]) -> None:
        """Let the others go on, wherever in waiting or leading somebody was interrupted.

        The job may be in the batch of a leader who commits it all the same: the interrupt is the answer.
        """
        with self._mutex:
            with suppress(ValueError):
                self._queue.remove(ticket)
            leader = self._leader
        if leader is ticket:
            self._end()
        else:
            self._call(leader)  # whoever was interrupted may have been about to

    def close(self) -> None:
        """Take no more jobs, and finish those that wait.

        Raises:
            StorageError: the database was opened before this process was forked off.
        """
        self._crew.check()
        with self._mutex:
            self._is_closed = True
        while self.are_led:  # another thread commits, for itself or for others: let it
            time.sleep(0.001)
        self._crew.close()


def _tell(submitted: Sequence[Submitted[Any]]) -> None:
    for ticket in submitted:
        ticket.answer()
