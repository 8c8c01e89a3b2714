"""A real ledger whose entries cannot be opened any more: the keys of their subjects are gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from withhold.domain.names import Position, SubjectNo
from withhold.errors import VerificationError
from withhold.ports import Ledger, Record


class ForgetfulLedger:
    """Passes everything on to a ledger but what opens an entry."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def record(self, position: Position) -> Record | None:
        raise VerificationError(f"entry {position}: the key that opens it is gone")

    def records_of(self, subject: SubjectNo) -> Iterator[Record]:
        raise VerificationError(f"subject {subject}: the key that opens its entries is gone")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)
