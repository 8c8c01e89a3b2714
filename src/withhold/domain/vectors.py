"""Consent vectors: which rows of one lake file are withheld, and up to which entry that is known.

A vector belongs to the file, not to a dataset, so one small write serves every dataset. Withheld only
grows: vectors merge by union, in any order, applied twice, on any machine. Bits and position move
together; the position moves from a to b only with every withdrawal in (a, b] included (design section 4).
A missing or damaged vector withholds the whole file.

The set type is the adapter's (a roaring bitmap); here only its algebra is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from withhold.domain.admission import Reason
from withhold.domain.names import Position


class RowSet(Protocol):
    """A set of row numbers of one file, 0-based."""

    def __or__(self, other: Any, /) -> Self: ...
    def __sub__(self, other: Any, /) -> Self: ...
    def __and__(self, other: Any, /) -> Self: ...
    def __len__(self) -> int: ...
    def __contains__(self, row: Any, /) -> bool: ...
    def __iter__(self) -> Iterator[int]: ...


Bits = Mapping[Reason, RowSet]
"""Withheld rows per reason. A row may stand under several reasons."""


@dataclass(frozen=True, slots=True)
class ConsentVector:
    """The withheld rows of a file.

    Attributes:
        applied: every withdrawal up to this position is in ``bits``.
        bits: withheld rows per reason; a reason without rows may be absent.
    """

    applied: Position
    bits: Bits

    def grown(self, added: Bits, applied: Position) -> ConsentVector:
        """Return the vector with more rows withheld, known up to ``applied``.

        The caller vouches that ``added`` holds every withdrawal in (self.applied, applied].
        """
        bits = dict(self.bits)
        for reason, rows in added.items():
            if len(rows):
                bits[reason] = bits[reason] | rows if reason in bits else rows
        return ConsentVector(max(applied, self.applied), bits)


def withheld(bits: Bits) -> RowSet | None:
    """Return all withheld rows, None when there are none."""
    union: RowSet | None = None
    for rows in bits.values():
        union = rows if union is None else union | rows
    return union


def counts(bits: Bits) -> dict[Reason, int]:
    """Return how many rows each reason withholds, each row counted once, under its first reason."""
    counted: dict[Reason, int] = {}
    seen: RowSet | None = None
    for reason in Reason:
        rows = bits.get(reason)
        if rows is None or not len(rows):
            continue
        fresh = rows if seen is None else rows - seen
        seen = rows if seen is None else seen | rows
        if len(fresh):
            counted[reason] = len(fresh)
    return counted
