"""A real ledger whose appends fail as told: what a surface says when a save fails.

Asked before each append under ``ledger.append``; reads are the real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tests.fakes.faults import written
from tests.fakes.intake import Fault
from withhold.ports import Ledger, Transaction

T = TypeVar("T")


class FailingLedger:
    """Passes everything on to a ledger; ``how`` says how the next appends end, None for well."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.how: Fault | None = None

    def append(self, change: Callable[[Transaction], T]) -> T:
        return written(lambda _: self.how, "ledger.append", lambda: self._ledger.append(change))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)
