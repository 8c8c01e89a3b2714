"""The system clock. Its times are shown to people and decide nothing."""

from __future__ import annotations

import time


class SystemClock:
    """UTC wall time of this machine."""

    def now_ms(self) -> int:
        """Return UTC milliseconds since 1970."""
        return time.time_ns() // 1_000_000
