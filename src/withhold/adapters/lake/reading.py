"""Reading lake files: checked by length and hash, decoded row group by row group, filtered at once.

A file is hashed once in a process and then known by what the file system says of it (device, inode,
length, both times); every later reading compares that first. Nothing is found by listing a folder. Rows
are dropped by copying the others, while the batch is still in the processor's cache, so that nothing of
a withheld row stays in the buffers that are handed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyroaring import BitMap

from withhold.errors import StorageError, VerificationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from withhold.domain.vectors import RowSet
    from withhold.ports import LakeFile

_Stat = tuple[int, int, int, int, int]

# Files this process has hashed, as the file system described them. Setting an item of a dict is atomic;
# two threads that check the same file at once both hash it, which is harmless.
_checked: dict[tuple[str, str], _Stat] = {}


@dataclass(frozen=True, slots=True)
class ArrowChunk:
    """Admitted rows of one file, as Arrow columns; see `ports.Chunk`."""

    rows: NDArray[np.uint32]
    batch: pa.RecordBatch

    def without(self, withheld: RowSet) -> ArrowChunk:
        """Return the chunk without more rows."""
        return _kept(self, ~np.isin(self.rows, _numbers(withheld)))


class CheckedFile:
    """A Parquet file of the lake that was checked by length and hash; see `ports.OpenFile`."""

    def __init__(self, path: Path, file: LakeFile, stat: _Stat) -> None:
        self._path, self._file, self._stat = path, file, stat
        self._metadata: pq.FileMetaData | None = None
        with reading(file), self._opened() as parquet:
            self._metadata = found = parquet.metadata
        self.groups = tuple(found.row_group(g).num_rows for g in range(found.num_row_groups))

    def chunks(
        self, group: int, columns: Sequence[str], batch_rows: int, withheld: RowSet | None
    ) -> Iterator[ArrowChunk]:
        """Yield a row group in order, without the withheld rows."""
        first, rows = sum(self.groups[:group]), self.groups[group]
        keep = _keep(withheld, first, rows)
        numbers = np.flatnonzero(keep).astype(np.uint32) + np.uint32(first)
        with reading(self._file), self._opened() as parquet:
            # One thread decodes: readers run several groups side by side.
            batches = parquet.iter_batches(
                batch_rows, row_groups=[group], columns=list(columns), use_threads=False
            )
            found = list(batches if len(numbers) == rows else _filtered(batches, keep))
            self._check_unchanged()  # again, now that its bytes have been read
        at = 0
        for batch in found:
            yield ArrowChunk(numbers[at : at + batch.num_rows], batch)
            at += batch.num_rows

    def _opened(self) -> pq.ParquetFile:
        self._check_unchanged()
        return pq.ParquetFile(self._path, metadata=self._metadata)

    def _check_unchanged(self) -> None:
        if _stat_of(self._path) != self._stat:
            raise VerificationError(
                f"lake file {self._file.sha256}: it changed since it was checked; it is not read on"
            )


def open_checked(path: Path, file: LakeFile, verify: Callable[[LakeFile], None]) -> CheckedFile:
    """Open a file, after `verify` unless this process verified these very bytes before.

    Raises:
        VerificationError: it is missing, truncated or altered.
    """
    key = (str(path), file.sha256)
    with reading(file):
        stat = _stat_of(path)
        if _checked.get(key) != stat:
            verify(file)
            # Compared before each reading: if the file changed while it was hashed, nothing is read.
            _checked[key] = stat
        opened = CheckedFile(path, file, stat)
    if sum(opened.groups) != file.rows:
        raise VerificationError(
            f"lake file {file.sha256}: expected {file.rows} rows, got {sum(opened.groups)}"
        )
    return opened


@contextmanager
def reading(file: LakeFile) -> Iterator[None]:
    """Turn what disk and Parquet say into our errors; never into rows."""
    try:
        yield
    except FileNotFoundError as error:
        raise VerificationError(f"lake file {file.sha256}: it is missing; restore it") from error
    except pa.ArrowException as error:
        raise VerificationError(f"lake file {file.sha256}: it cannot be decoded") from error
    except OSError as error:
        # Arrow reports damaged pages and failed checksums as OSError without an errno.
        if error.errno is None:
            raise VerificationError(f"lake file {file.sha256}: it cannot be decoded") from error
        raise StorageError(f"lake file {file.sha256}: {error.strerror}") from error


def _stat_of(path: Path) -> _Stat:
    found = path.stat()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _numbers(rows: RowSet) -> NDArray[np.uint32]:
    return np.frombuffer(BitMap(rows).to_array(), dtype=np.uint32)


def _keep(withheld: RowSet | None, first: int, rows: int) -> NDArray[np.bool_]:
    """Return which of the rows from ``first`` on stay."""
    keep = np.ones(rows, dtype=np.bool_)
    if withheld is not None:
        numbers = _numbers(withheld)
        here = numbers[(numbers >= first) & (numbers < first + rows)]
        keep[here - first] = False
    return keep


def _filtered(
    batches: Iterator[pa.RecordBatch], keep: NDArray[np.bool_]
) -> Iterator[pa.RecordBatch]:
    """Copy the rows to keep, also of a batch that keeps all of its own.

    Batches may share buffers with their neighbours, and what is withheld must not be in them. Each is
    copied while it is in the processor's cache: a row group at once took a tenth longer.
    """
    at = 0
    for batch in batches:
        end = at + batch.num_rows
        yield batch.filter(pa.array(keep[at:end]))
        at = end


def _kept(chunk: ArrowChunk, keep: NDArray[np.bool_]) -> ArrowChunk:
    """Copy the rows to keep, even if that is all of them.

    Chunks of a row group share its buffers, so one without withheld rows of its own may still carry
    those of its neighbours.
    """
    places = np.flatnonzero(keep)
    return ArrowChunk(chunk.rows[places], chunk.batch.take(pa.array(places)))
