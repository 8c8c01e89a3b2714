"""The gate in front of both stores: once it is shut, nothing is recorded by this process.

Not here: why it is shut (`services.witnessing`).
"""

from __future__ import annotations

from withhold.errors import LedgerBehind


class StoreGate:
    """Implements `ports.Gate`; asked by the control store and the capture store before each write."""

    def __init__(self) -> None:
        self._reason = ""
        self._position: int | None = None

    @property
    def reason(self) -> str:
        return self._reason

    @property
    def position(self) -> int | None:
        return self._position

    def shut(self, reason: str, position: int | None = None) -> None:
        if not self._reason:
            self._reason, self._position = reason, position

    def check(self) -> None:
        if self._reason:
            raise LedgerBehind(f"read-only, nothing was recorded or yielded: {self._reason}")
