"""`Lake` in memory: rows as Python values, decided one by one by `domain.admission`.

Slow and plain on purpose: it is what the arrays of the real lake are compared with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from tests.fakes.reading import MemoryFile
from withhold.domain.admission import REASON_OF_KIND, Reason
from withhold.domain.names import FileNo, PartyNo, Position
from withhold.domain.standing import admits
from withhold.domain.vectors import RowSet
from withhold.errors import InputError, VerificationError
from withhold.ports import ConsentTable, LakeFile, LakeRow, RowBatch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class _Row:
    id: str
    conversation: str | None
    position: Position
    parties: tuple[PartyNo, ...]
    messages: tuple[tuple[str, str], ...]


class MemoryLake:
    """The lake of a test. `lose` makes a file unreadable."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[_Row, ...]] = {}

    def lose(self, file: LakeFile) -> None:
        del self._rows[file.sha256]

    def write(self, batches: Iterable[RowBatch]) -> LakeFile:
        taken = list(batches)
        if not taken:
            raise InputError("a lake file needs at least one row")
        rows = tuple(row for batch in taken for row in _rows_of(batch))
        name = hashlib.sha256(repr(rows).encode()).hexdigest()
        assert self._rows.setdefault(name, rows) == rows, "a file never changes"
        size = len(repr(rows))
        return LakeFile(FileNo(0), taken[0].product, name, size, len(rows), taken[0].first)

    def verify(self, file: LakeFile) -> None:
        self._of(file)

    def open(self, file: LakeFile) -> MemoryFile:
        return MemoryFile(
            tuple(
                {
                    "id": row.id,
                    "conversation": row.conversation,
                    "messages": [{"role": r, "content": c} for r, c in row.messages],
                }
                for row in self._of(file)
            )
        )

    def decide(self, file: LakeFile, table: ConsentTable) -> dict[Reason, frozenset[int]]:
        return self._withheld(file, table, None)

    def touched(
        self, file: LakeFile, raised: NDArray[np.uint32], table: ConsentTable
    ) -> dict[Reason, frozenset[int]]:
        return self._withheld(file, table, set(raised.tolist()))

    def holds(self, file: LakeFile, parties: Sequence[PartyNo]) -> bool:
        return bool(self.rows_of(file, parties))

    def rows_of(self, file: LakeFile, parties: Sequence[PartyNo]) -> frozenset[int]:
        return frozenset(
            i for i, row in enumerate(self._of(file)) if set(row.parties) & set(parties)
        )

    def parties(self, file: LakeFile, withheld: RowSet | None) -> frozenset[int]:
        rows = enumerate(self._of(file))
        return frozenset(
            party
            for number, row in rows
            if withheld is None or number not in withheld
            for party in row.parties
        )

    def row(self, file: LakeFile, row: int) -> LakeRow:
        found = self._of(file)[row]
        return LakeRow(found.id, file, row, found.position, found.parties)

    def conversation(self, file: LakeFile, name: str) -> frozenset[int]:
        return frozenset(i for i, row in enumerate(self._of(file)) if row.conversation == name)

    def row_set(self, rows: Iterable[int]) -> frozenset[int]:
        return frozenset(rows)

    def batches(
        self, file: LakeFile, columns: Sequence[str], batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        rows = self._of(file)
        values = {"id": [r.id for r in rows], "conversation": [r.conversation for r in rows]}
        whole = pa.record_batch({column: values[column] for column in columns})
        for at in range(0, len(rows), batch_rows):
            yield whole.slice(at, batch_rows)

    def _of(self, file: LakeFile) -> tuple[_Row, ...]:
        if file.sha256 not in self._rows:
            raise VerificationError(f"lake file {file.sha256}: it is missing")
        return self._rows[file.sha256]

    def _withheld(
        self, file: LakeFile, table: ConsentTable, only: set[int] | None
    ) -> dict[Reason, frozenset[int]]:
        found: dict[Reason, set[int]] = {}
        for number, row in enumerate(self._of(file)):
            if not row.parties and only is None:
                found.setdefault(Reason.UNKNOWN_SOURCE, set()).add(number)
            for party in row.parties:
                if only is not None and party not in only:
                    continue
                if not admits(table.standing(party), row.position):
                    found.setdefault(REASON_OF_KIND[table.kind(party)], set()).add(number)
        return {reason: frozenset(rows) for reason, rows in found.items()}


def _rows_of(batch: RowBatch) -> Iterator[_Row]:
    for i, row_id in enumerate(batch.ids):
        messages = tuple(zip(batch.roles[i], batch.contents[i], strict=True))
        parties = batch.party_sets[batch.set_nos[i]]
        position = Position(batch.positions[i])
        yield _Row(row_id, batch.conversations[i], position, parties, messages)
