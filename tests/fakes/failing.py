"""A real ledger whose appends fail as told, or that cannot be read any more after one.

What a surface says when a save fails, or when it went well and what holds cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from tests.fakes.faults import written
from tests.fakes.intake import Fault
from withhold.domain.directory import Directory
from withhold.errors import StorageError
from withhold.ports import Ledger, Transaction

T = TypeVar("T")


class FailingLedger:
    """Passes everything on to a ledger.

    Attributes:
        how: how the next appends end, None for well.
        goes_blind: whether the directory cannot be read any more once something was appended.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._is_blind = False
        self.how: Fault | None = None
        self.goes_blind = False

    def append(self, change: Callable[[Transaction], T]) -> T:
        result = written(lambda _: self.how, "ledger.append", lambda: self._ledger.append(change))
        self._is_blind = self.goes_blind
        return result

    def directory(self) -> AbstractContextManager[Directory]:
        if self._is_blind:
            raise StorageError("the database cannot be read")
        return self._ledger.directory()

    def recover(self) -> None:
        """Fail no more."""
        self.how, self.goes_blind, self._is_blind = None, False, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)
