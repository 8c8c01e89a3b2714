"""Reading lake files: checked once, then in chunks from which the withheld rows are gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from withhold.domain.vectors import RowSet

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


class Chunk(Protocol):
    """Admitted rows of one file. The batch is a copy: nothing of a withheld row is in its buffers."""

    @property
    def rows(self) -> NDArray[np.uint32]:
        """The rows' numbers in the file, ascending."""
        ...

    @property
    def batch(self) -> pa.RecordBatch:
        """The rows' columns; as long as `rows`."""
        ...

    def without(self, withheld: RowSet) -> Chunk:
        """Return the chunk without more rows; the same one when it holds none of them."""
        ...


class OpenFile(Protocol):
    """A lake file whose length and hash were checked. Any number of threads may read it."""

    @property
    def groups(self) -> Sequence[int]:
        """The rows of each row group, in order: units that can be read side by side."""
        ...

    def chunks(
        self, group: int, columns: Sequence[str], batch_rows: int, withheld: RowSet | None
    ) -> Iterator[Chunk]:
        """Yield a row group in order, ``batch_rows`` rows at a time, without the withheld ones.

        Raises:
            VerificationError: the file is no longer the one that was checked, or cannot be read.
        """
        ...
