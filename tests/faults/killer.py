"""Kill this process at its n-th write, whichever layer makes it.

Every write of SQLite passes through a VFS of ours (write, sync, truncate, delete), and every rename,
removal and opening-for-writing of Python through an audit hook. So "every failpoint" needs no hook in
the product's own code: the process dies by SIGKILL before the n-th effect, or just after a sync.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import apsw

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Countdown:
    """Counts effects; kills the process at the n-th. ``at=0`` only counts."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.count = 0

    def reach(self) -> None:
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


class _File(apsw.VFSFile):
    def __init__(self, countdown: Countdown, name: Any, flags: list[int]) -> None:
        self._countdown = countdown
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 (SQLite's name)
        self._countdown.reach()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 (SQLite's name)
        self._countdown.reach()
        super().xSync(flags)
        self._countdown.reach()

    def xTruncate(self, size: int) -> None:  # noqa: N802 (SQLite's name)
        self._countdown.reach()
        super().xTruncate(size)


class _Disk(apsw.VFS):
    def __init__(self, countdown: Countdown) -> None:
        self._countdown = countdown
        super().__init__("withhold-killer", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> _File:  # noqa: N802 (SQLite's name)
        return _File(self._countdown, name, flags)

    def xDelete(self, name: str, sync: bool) -> None:  # noqa: N802 (SQLite's signature)
        self._countdown.reach()
        super().xDelete(name, sync)


def arm(at: int) -> Countdown:
    """Make this process die at its ``at``-th effect from now on; return the counter."""
    countdown = Countdown(at)
    disk = _Disk(countdown)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in {"os.rename", "os.remove", "os.mkdir", "os.link"} or (
            event == "open" and isinstance(args[2], int) and args[2] & _WRITING
        ):
            countdown.reach()

    sys.addaudithook(hook)
    countdown.disk = disk  # type: ignore[attr-defined]  # keeps the VFS alive as long as the counter
    return countdown
