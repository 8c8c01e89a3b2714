"""Sealing: captured rows leave the write-ahead log for an immutable lake file.

    rows from the first unsealed ordinal -> file -> decided at the head -> registered -> log trimmed

The file is decided *before* it is registered and registered only if no withdrawal was applied meanwhile,
so from its first moment a file is known up to its own position. Two sealers at once are harmless: one
registers, the other finds the ordinals taken and goes on after them. A crash anywhere leaves rows in the
log, or an unregistered file that nobody reads; sealing again completes it.

Source: design section 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import chain

from withhold.domain.admission import Reason
from withhold.domain.names import Ordinal, Position, ProductId
from withhold.domain.vectors import Bits, ConsentVector
from withhold.errors import LedgerMoved, StorageError
from withhold.ports import LakeFile, Ports, RowBatch


@dataclass(frozen=True, slots=True)
class FileSize:
    """Where a lake file ends: at whichever comes first.

    Large files, because a decision costs some of its time per file (measured with 65,536 rows a file:
    a tenth slower); small enough that one file is rewritten or fetched in seconds.
    """

    rows: int = 262_144
    characters: int = 256 * 1024 * 1024


USUAL = FileSize()

_ROW_FIELDS = tuple(
    f.name for f in fields(RowBatch) if f.name not in {"product", "first", "party_sets"}
)


def seal(ports: Ports, product: ProductId | None = None, *, size: FileSize = USUAL) -> None:
    """Seal every row that was durable when this was called.

    Args:
        product: only this product's rows; all products' when None.
        size: where files end.
    """
    for each in _products(ports) if product is None else (product,):
        end = ports.intake.end(each)
        while (first := ports.files.sealed(each)) < end:
            _seal_one(ports, each, first, size)
        ports.intake.trim(each, first)


def decide(ports: Ports, file: LakeFile) -> tuple[Position, Bits]:
    """Decide every row of a file by its parties and what was deleted: the full decision.

    Returns:
        The position decided at, not below the head when this was called, and the withheld rows.

    Raises:
        VerificationError: the file cannot be read.
    """
    table = ports.ledger.standings()
    return table.position, with_deleted(ports, file, ports.lake.decide(file, table), table.position)


def with_deleted(ports: Ports, file: LakeFile, bits: Bits, to: Position) -> Bits:
    """Return the bits with the rows that entries up to ``to`` deleted."""
    rows = ports.files.deleted(file, to)
    return {**bits, Reason.DELETED: ports.lake.row_set(rows)} if rows else bits


def _products(ports: Ports) -> list[ProductId]:
    with ports.ledger.directory() as directory:
        return [product.id for product in directory.policy.products]


def _seal_one(ports: Ports, product: ProductId, first: Ordinal, size: FileSize) -> None:
    rows = _up_to_a_file(ports.intake.unsealed(product, first), size)
    head = next(rows, None)
    if head is None or head.first != first:
        if ports.files.sealed(product) != first:
            return  # another sealer was faster, and its rows left the log
        raise StorageError(
            f"rows of {product} from ordinal {first} are not in the log; restore it from a backup"
        )
    file = ports.lake.write(chain([head], rows))
    while True:
        applied, bits = decide(ports, file)
        try:
            ports.files.register(file, ConsentVector(applied, bits))
        except LedgerMoved:
            if ports.files.sealed(product) != first:
                return  # another sealer was faster; its file holds these rows
            continue
        return


def _up_to_a_file(batches: Iterator[RowBatch], size: FileSize) -> Iterator[RowBatch]:
    """Yield as many rows as go into one file."""
    rows, characters = size.rows, size.characters
    for batch in batches:
        taken = _that_fit(batch, rows, characters)
        yield _first_rows(batch, taken)
        rows -= taken
        characters -= sum(sum(map(len, texts)) for texts in batch.contents[:taken])
        if taken < len(batch.ids) or rows == 0 or characters <= 0:
            return


def _that_fit(batch: RowBatch, rows: int, characters: int) -> int:
    """Return how many rows of a batch fit; at least one, however long it is."""
    for taken, texts in enumerate(batch.contents[:rows]):
        if characters <= 0:
            return max(taken, 1)
        characters -= sum(map(len, texts))
    return min(len(batch.ids), rows)


def _first_rows(batch: RowBatch, rows: int) -> RowBatch:
    if rows == len(batch.ids):
        return batch
    return replace(batch, **{name: getattr(batch, name)[:rows] for name in _ROW_FIELDS})
