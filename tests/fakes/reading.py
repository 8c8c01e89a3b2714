"""`OpenFile` and `Chunk` in memory: rows as Python values, left out one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from withhold.domain.vectors import RowSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

Values = dict[str, object]


@dataclass(frozen=True)
class MemoryChunk:
    kept: tuple[tuple[int, Values], ...]

    @property
    def rows(self) -> NDArray[np.uint32]:
        return np.array([row for row, _ in self.kept], dtype=np.uint32)

    @property
    def batch(self) -> pa.RecordBatch:
        return pa.RecordBatch.from_pylist([values for _, values in self.kept])

    def without(self, withheld: RowSet) -> MemoryChunk:
        return MemoryChunk(tuple(k for k in self.kept if k[0] not in withheld))


@dataclass(frozen=True)
class MemoryFile:
    """One row group holds all rows."""

    values: tuple[Values, ...]

    @property
    def groups(self) -> Sequence[int]:
        return (len(self.values),)

    def chunks(
        self, group: int, columns: Sequence[str], batch_rows: int, withheld: RowSet | None
    ) -> Iterator[MemoryChunk]:
        assert group == 0
        rows = [(n, {c: v[c] for c in columns}) for n, v in enumerate(self.values)]
        for at in range(0, len(rows), batch_rows):
            chunk = MemoryChunk(tuple(rows[at : at + batch_rows]))
            yield chunk if withheld is None else chunk.without(withheld)
