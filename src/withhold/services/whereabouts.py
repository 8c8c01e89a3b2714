"""Whereabouts: which datasets hold rows of a holder, which dropped them, who reads, what was handed out.

Said before the click as well as after it. A dataset drops rows for ever, at once; open readers follow
within one lease; exports are copies, and whether one holds rows of the holder follows from its position:
it has what was withdrawn after it.

Source: article A7; scenarios S17, S35; design sections 1 and 7 (the withdrawal walk). Not here: words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from withhold.domain.exports import Export
from withhold.domain.names import Position, ProductId
from withhold.ports import Ports
from withhold.services.events import readable, recorded_at
from withhold.services.lookups import DatasetRows, where_of
from withhold.services.switches import Holder, subject_of


@dataclass(frozen=True, slots=True)
class Drop:
    """Rows that a dataset yields no more.

    Attributes:
        position: withheld from this entry on, at the latest.
        recorded_at: UTC milliseconds since 1970 of that entry, None when it cannot be read any more.
    """

    position: Position
    recorded_at: int | None
    rows: int


@dataclass(frozen=True, slots=True)
class Copy:
    """An export that holds rows of the holder; it is listed, never recalled.

    Attributes:
        position: every withdrawal up to this entry was taken in when it was written.
        rows: how many rows of the holder it holds.
    """

    position: Position
    recorded_at: int
    rows: int


@dataclass(frozen=True, slots=True)
class InDataset:
    """A holder's rows in one dataset version.

    Attributes:
        committed_at: UTC milliseconds since 1970 of the version's entry.
        rows: rows of the holder that it yields now.
        drops: what it yields no more, in order of position.
        copies: exports of it that hold rows of the holder, oldest first.
        readers: how many readers of it are open.
    """

    name: str
    product: ProductId
    position: Position
    committed_at: int
    rows: int
    drops: tuple[Drop, ...]
    copies: tuple[Copy, ...]
    readers: int


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a holder's rows are.

    Attributes:
        datasets: every version that yields or yielded some, newest first.
    """

    datasets: tuple[InDataset, ...]

    @property
    def holding(self) -> tuple[InDataset, ...]:
        """Those that yield rows of the holder now."""
        return tuple(each for each in self.datasets if each.rows)

    @property
    def readers(self) -> int:
        """How many readers are open on versions that hold or held rows of the holder."""
        return sum(each.readers for each in self.datasets)

    def removed(self, since: Position) -> tuple[int, int]:
        """Return from how many datasets the rows are gone since an entry, and of how many."""
        held = [
            each
            for each in self.datasets
            if each.rows or any(d.position >= since for d in each.drops)
        ]
        return sum(not each.rows for each in held), len(held)


def whereabouts(ports: Ports, holder: Holder, product: ProductId | None = None) -> Whereabouts:
    """Return where a holder's rows are; what is withdrawn up to now is taken in first.

    Args:
        product: only rows that are the holder's for this product; all when None.

    Raises:
        UnknownAccount, UnknownOrganization: there is no such holder for this viewer.
        VerificationError: a file of the lake does not open.
    """
    with ports.ledger.directory() as directory:
        holdings = subject_of(directory, holder).holdings
    parties = [own.party for each, own in holdings.items() if product in {None, each}]
    found = where_of(ports, parties)
    exports = ports.datasets.exports()
    open_now = [reader.dataset for reader in ports.readers.open(ports.clock.now_ms())]
    times: dict[Position, int | None] = {}
    return Whereabouts(
        tuple(_in_dataset(ports, each, exports, open_now, times) for each in reversed(found))
    )


def _in_dataset(
    ports: Ports,
    found: DatasetRows,
    exports: Sequence[Export],
    open_now: Sequence[str],
    times: dict[Position, int | None],
) -> InDataset:
    name, dataset = str(found.dataset.ref), found.dataset
    drops = []
    for position, rows in found.withdrawn:
        if position not in times:
            entry = readable(ports, position)  # whoever it is of, only its time is taken
            times[position] = None if entry is None else recorded_at(entry)
        drops.append(Drop(position, times[position], rows))
    held = (
        (export, _rows_at(found, export.contents.cutoff))
        for export in exports
        if export.dataset == name
    )
    copies = tuple(Copy(e.contents.cutoff, e.recorded_at, rows) for e, rows in held if rows)
    return InDataset(
        name,
        dataset.manifest.product,
        dataset.position,
        dataset.committed_at,
        found.rows,
        tuple(drops),
        copies,
        open_now.count(name),
    )


def _rows_at(found: DatasetRows, position: Position) -> int:
    """Return how many rows of the holder a version yielded at a position."""
    return found.rows + sum(rows for at, rows in found.withdrawn if at > position)
