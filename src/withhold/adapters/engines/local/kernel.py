"""The decision as arrays: the same answer as `domain.admission`, for every row of a file at once.

Rows share few party sets, so a set is decided once and its rows follow. Standings arrive as
``on_since + 1`` with 0 for out; subtracting one in unsigned arithmetic makes "out" the largest number
there is, so missing memory withholds and one comparison decides.

Shapes: S sets, E parties in all sets together, R rows. A set's parties are
``parties[offsets[s]:offsets[s + 1]]``.

Not here: reading files (`adapters.lake`), deletions (the caller adds them).
"""

from __future__ import annotations

import array
from typing import TYPE_CHECKING

import numpy as np
from pyroaring import BitMap

from withhold.domain.admission import REASON_OF_KIND, Reason
from withhold.domain.parties import PartyKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from withhold.ports import ConsentTable

OUT = np.uint64(2**64 - 1)
"""What ``values - 1`` gives for a party that is out or unknown; above every position."""


def bitmap(rows: NDArray[np.uint32]) -> BitMap:
    """Return a roaring bitmap of row numbers."""
    # The array module is the one input that pyroaring takes without a loop over Python integers.
    return BitMap(array.array("I", np.ascontiguousarray(rows, dtype=np.uint32).tobytes()))


def since_of(parties: NDArray[np.uint32], table: ConsentTable) -> NDArray[np.uint64]:
    """Return ``on_since`` of parties[E]; OUT for one that is out or unknown."""
    if not len(parties) or int(parties.max()) < len(table.values):
        # `take` is twice as fast here as indexing with 32-bit numbers.
        return np.take(table.values, parties) - np.uint64(1)
    since = np.full(len(parties), OUT, dtype=np.uint64)
    known = parties < len(table.values)
    since[known] = table.values[parties[known]] - np.uint64(1)
    return since


def kinds_of(parties: NDArray[np.uint32], table: ConsentTable) -> NDArray[np.uint8]:
    """Return the `PartyKind` codes of parties[E]; ACCOUNT for one that is unknown."""
    kinds = np.full(len(parties), PartyKind.ACCOUNT, dtype=np.uint8)
    known = parties < len(table.kinds)
    kinds[known] = table.kinds[parties[known]]
    return kinds


def decide(
    positions: NDArray[np.uint64],
    set_nos: NDArray[np.uint32],
    offsets: NDArray[np.uint32],
    parties: NDArray[np.uint32],
    table: ConsentTable,
) -> dict[Reason, BitMap]:
    """Decide every row by its parties.

    Args:
        positions: [R] each row's position.
        set_nos: [R] each row's party set.
        offsets: [S + 1] where each set's parties begin.
        parties: [E] party numbers, set after set.
        table: standings at one position.

    Returns:
        Withheld rows per reason; a row stands under every reason that holds for it.
    """
    if not len(positions):
        return {}
    sizes = np.diff(offsets)
    bits: dict[Reason, BitMap] = {}
    empty = sizes == 0
    if empty.any():  # nobody is known to have allowed these rows
        _put(bits, Reason.UNKNOWN_SOURCE, np.flatnonzero(empty[set_nos]))
    since = since_of(parties, table)
    # Parties that are on since before the oldest row withhold nothing here: leave them out early.
    against = np.flatnonzero(since > positions.min())
    if not len(against):
        return bits
    sets = (np.searchsorted(offsets, against, side="right") - 1).astype(np.uint32)
    since, kinds = since[against], kinds_of(parties[against], table)
    rows = np.flatnonzero(np.take(need(len(sizes), sets, since), set_nos) > positions)
    if kinds.min() == kinds.max():  # the usual file: only people, only one reason
        _put(bits, REASON_OF_KIND[PartyKind(int(kinds[0]))], rows)
        return bits
    row_sets, row_positions = set_nos[rows], positions[rows]
    for kind, reason in REASON_OF_KIND.items():
        mine = kinds == kind
        if mine.any():
            of_kind = np.take(need(len(sizes), sets[mine], since[mine]), row_sets)
            _put(bits, reason, rows[of_kind > row_positions])
    return bits


def need(sets: int, of: NDArray[np.uint32], since: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return, for each of ``sets`` sets, the highest ``since`` of the parties listed for it, else 0.

    Args:
        sets: how many sets there are.
        of: [N] which set each listed party is in.
        since: [N] its ``on_since``.
    """
    highest = np.zeros(sets, dtype=np.uint64)
    np.maximum.at(highest, of, since)
    return highest


def slices(
    offsets: NDArray[np.uint32], values: NDArray[np.uint32], which: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return ``values[offsets[i]:offsets[i + 1]]`` for every i of ``which``, end to end, and the sizes."""
    starts = offsets[which].astype(np.int64)
    sizes = offsets[which + 1].astype(np.int64) - starts
    before = np.cumsum(sizes) - sizes
    return values[np.repeat(starts - before, sizes) + np.arange(sizes.sum())], sizes


def _put(bits: dict[Reason, BitMap], reason: Reason, rows: NDArray[np.int64]) -> None:
    if len(rows):
        bits[reason] = bitmap(rows.astype(np.uint32))
