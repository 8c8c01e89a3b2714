"""`Members` in memory: looks through the whole directory of a `MemoryLedger` each time."""

from __future__ import annotations

from tests.fakes.ledger import MemoryLedger
from withhold.domain.names import SubjectNo


class MemoryMembers:
    """The index of a test."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    def now(self, organization: SubjectNo) -> list[SubjectNo]:
        return [
            subject.no
            for subject in self._ledger.subjects()
            if organization in {m.organization for m in subject.memberships_now()}
        ]
