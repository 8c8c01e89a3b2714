"""The watch of a reader: its lease, and what is withheld at the head of that lease.

A lease counts from when its request was sent, on a clock that goes on while the machine sleeps, and is
looked at before each yield. It is granted only at a head that the consent vectors have reached. A
renewal that fails changes nothing: the reader goes on with what it knows until the lease ends, and then
stops (design section 4, S33).

The reader is listed before its vectors are read, so that whoever is told "open readers stop within one
lease" after an opt-out can be told of every reader that does not know of it yet.
"""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from withhold.domain import lease as leases
from withhold.domain.names import FileNo
from withhold.errors import LeaseExpired, WithholdError
from withhold.ports import Ports, Reader
from withhold.services.reading import AtHead, ReadableFile, Withheld, at_head

Seconds = Callable[[], float]
_RETRIES_IN_A_LEASE = 20


def boot_time() -> float:
    """Return seconds on a clock that never goes back and counts sleep."""
    # Linux's CLOCK_MONOTONIC stands still while the machine sleeps; elsewhere there is only that one.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Watch:
    """Says before each yield whether to go on, and with what. For one thread at a time."""

    def __init__(
        self,
        ports: Ports,
        name: str,
        files: Sequence[ReadableFile],
        seconds: float,
        clock: Seconds = boot_time,
    ) -> None:
        self._ports, self._name, self._files = ports, name, files
        self._seconds, self._clock = seconds, clock
        self._process = os.getpid()
        self._id = secrets.token_hex(8)
        self._failure: WithholdError | None = None
        self._retry_at = 0.0
        self.renewals = 0
        self._lease, self.at_open = self._ask(None)
        self.now = self.at_open

    def of(self, file: FileNo) -> Withheld:
        """Return what is withheld of a file as far as the reader knows; any thread may ask."""
        return self.now.files[file]

    def ensure(self) -> None:
        """Renew the lease when that is due; called before each yield.

        Raises:
            LeaseExpired: it ended and could not be renewed.
            RuntimeError: the process was forked since the dataset was opened.
        """
        if os.getpid() != self._process:
            raise RuntimeError("a dataset opened before a fork: call withhold.load in each process")
        now = self._clock()
        if self._lease.is_due(now) and (now >= self._retry_at or now >= self._lease.ends):
            self._renew(now)
        try:
            # The clock is read again: a renewal that took long may have outlived the lease.
            self._lease.check(self._clock())
        except LeaseExpired as expired:
            raise expired from self._failure

    def close(self) -> None:
        """Take the reader off the list of open readers."""
        if os.getpid() == self._process:
            # When the store is gone the listing ends with the lease anyway.
            with suppress(WithholdError):
                self._ports.readers.close(self._id)

    def _renew(self, now: float) -> None:
        try:
            self._lease, self.now = self._ask(self.now)
        except WithholdError as error:
            # Nothing is admitted by this: the old lease still ends when it ends.
            self._failure = error
            self._retry_at = now + self._seconds / _RETRIES_IN_A_LEASE
        else:
            self._failure = None
            self.renewals += 1

    def _ask(self, before: AtHead | None) -> tuple[leases.Lease, AtHead]:
        sent = self._clock()
        until = self._ports.clock.now_ms() + math.ceil(self._seconds * 1000)
        self._ports.readers.renew(Reader(self._id, self._name, until))
        found = at_head(self._ports, self._files, before)
        return leases.grant(found.head, sent, self._seconds), found
