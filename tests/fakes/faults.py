"""How a write of a fake fails, asked before each write by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tests.fakes.intake import Fault
from withhold.errors import StateUnknown, StorageError

T = TypeVar("T")
Faults = Callable[[str], Fault | None]


def no_faults(_: str) -> Fault | None:
    """Let every write succeed."""
    return None


def written(faults: Faults, name: str, write: Callable[[], T]) -> T:
    """Do a write, or fail as told: before it, or after it was kept."""
    fault = faults(name)
    if fault is Fault.FAIL_NOT_PERSISTED:
        raise StorageError(f"{name}: the disk is full; nothing was recorded")
    result = write()
    if fault is Fault.FAIL_PERSISTED:
        raise StateUnknown(f"{name}: the commit was not answered")
    return result


class FailOnce:
    """Fails the n-th write of all, once; counts them, so that a test can go through all of them."""

    def __init__(self, at: int, how: Fault) -> None:
        self._at, self._how = at, how
        self.is_over = False
        self.seen: list[str] = []

    def __call__(self, name: str) -> Fault | None:
        """Say how this write ends."""
        if self.is_over:
            return None
        self.seen.append(name)
        return self._how if len(self.seen) == self._at else None
