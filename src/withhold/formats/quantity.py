"""Numbers with what they count, as people write them."""

from __future__ import annotations


def quantity(number: int, thing: str) -> str:
    """Return a number with what it counts: ``1 shard``, ``1,024 shards``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
