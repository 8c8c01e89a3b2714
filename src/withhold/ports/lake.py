"""The lake ports: immutable files of rows, and where work on them runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from withhold.domain.names import PartyNo, Position
from withhold.domain.vectors import Bits, RowSet
from withhold.ports.files import LakeFile
from withhold.ports.intake import RowBatch
from withhold.ports.ledger import ConsentTable
from withhold.ports.reading import OpenFile

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LakeRow:
    """One row as the lake knows it, for explanations."""

    id: str
    file: LakeFile
    row: int
    position: Position
    parties: tuple[PartyNo, ...]


class Lake(Protocol):
    """Immutable, content-addressed files of rows, each with a side index party -> row numbers.

    Durability: `write` returns once file and side index are on disk under their final names. A file is
    never changed; writing the same rows twice gives the same name. Content is never logged.
    """

    def write(self, batches: Iterable[RowBatch]) -> LakeFile:
        """Write consecutive batches of one product into one file (``no`` 0); memory stays bounded."""
        ...

    def verify(self, file: LakeFile) -> None:
        """Check the file's length and hash.

        Raises:
            VerificationError: it is missing, truncated or altered.
        """
        ...

    def open(self, file: LakeFile) -> OpenFile:
        """Check the file's length and hash, once in a process while it stays as it is, and open it.

        Raises:
            VerificationError: it is missing, truncated or altered.
        """
        ...

    def decide(self, file: LakeFile, table: ConsentTable) -> Bits:
        """Decide every row of a file by its parties: the full decision, read from the file itself.

        Deletions are not the file's to know: the caller adds them.

        Raises:
            VerificationError: the file cannot be read; the caller withholds it whole.
        """
        ...

    def touched(self, file: LakeFile, raised: NDArray[np.uint32], table: ConsentTable) -> Bits:
        """Return the rows of these parties that the table withholds, through the side index.

        Args:
            raised: party numbers, sorted, each once.

        Raises:
            VerificationError: neither index nor file can be read; the caller withholds it whole.
        """
        ...

    def holds(self, file: LakeFile, parties: Sequence[PartyNo]) -> bool:
        """Return whether any row of the file has any of these parties."""
        ...

    def rows_of(self, file: LakeFile, parties: Sequence[PartyNo]) -> RowSet:
        """Return the rows of a file that have any of these parties."""
        ...

    def parties(self, file: LakeFile, withheld: RowSet | None) -> RowSet:
        """Return the parties of all rows but the withheld ones, from the file itself, as a set of numbers.

        Raises:
            VerificationError: the file cannot be read.
        """
        ...

    def row(self, file: LakeFile, row: int) -> LakeRow:
        """Return one row's position and parties."""
        ...

    def conversation(self, file: LakeFile, name: str) -> RowSet:
        """Return the rows of a conversation."""
        ...

    def row_set(self, rows: Iterable[int]) -> RowSet:
        """Return a set of row numbers."""
        ...

    def batches(
        self, file: LakeFile, columns: Sequence[str], batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Yield the file's rows in order; every batch but the last has ``batch_rows`` rows."""
        ...


class Engine(Protocol):
    """Where work on files runs. Tasks are idempotent per file."""

    def map(self, task: Callable[[LakeFile], T], files: Sequence[LakeFile]) -> Iterator[T]:
        """Run a task on every file, several at a time, and yield results in the order of the files."""
        ...
