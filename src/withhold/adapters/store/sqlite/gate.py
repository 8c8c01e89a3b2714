"""The gate in front of both stores: once it is shut, nothing is recorded by this process.

Not here: why it is shut (`services.witnessing`).
"""

from __future__ import annotations

from withhold.errors import LedgerBehind


class StoreGate:
    """Implements `ports.Gate`; asked by the control store and the capture store before each write."""

    def __init__(self) -> None:
        self._reason = ""

    @property
    def reason(self) -> str:
        return self._reason

    def shut(self, reason: str) -> None:
        self._reason = self._reason or reason

    def check(self) -> None:
        if self._reason:
            raise LedgerBehind(f"read-only, nothing was recorded or yielded: {self._reason}")
