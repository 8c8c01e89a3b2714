"""Reading lake files: checked by length and hash, decoded row group by row group, filtered at once.

A file is hashed once in a process and then known by what the file system says of it (device, inode,
length, both times); every later opening compares that, and hashes again when it differs. Nothing is
found by listing a folder. Rows are dropped by copying the others, while the batch is still in the
processor's cache, so that nothing of a withheld row stays in the buffers that are handed on.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from withhold.errors import VerificationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from withhold.domain.vectors import RowSet
    from withhold.ports import LakeFile

_BLOCK_BYTES = 1 << 20
_Stat = tuple[int, int, int, int, int]

# Files this process has hashed, as the file system described them. Reads and writes of a dict item are
# atomic; two threads that check the same file at once both hash it.
_checked: dict[tuple[str, str], _Stat] = {}


@dataclass(frozen=True, slots=True)
class ArrowChunk:
    """Admitted rows of one file, as Arrow columns."""

    rows: NDArray[np.uint32]
    batch: pa.RecordBatch

    def without(self, withheld: RowSet) -> ArrowChunk:
        """Return the chunk without more rows."""
        if not len(self.rows):
            return self
        return _kept(self, ~np.isin(self.rows, _numbers(withheld)))


class CheckedFile:
    """A Parquet file of the lake that was checked by length and hash."""

    def __init__(self, path: Path, stat: _Stat, name: str) -> None:
        self._path, self._stat, self._name = path, stat, name
        with self._opened() as parquet:
            self._metadata = parquet.metadata
        of = self._metadata.row_group
        self.groups = tuple(of(g).num_rows for g in range(self._metadata.num_row_groups))

    def chunks(
        self, group: int, columns: Sequence[str], batch_rows: int, withheld: RowSet | None
    ) -> Iterator[ArrowChunk]:
        """Yield a row group without the withheld rows; see `ports.OpenFile`."""
        first, rows = sum(self.groups[:group]), self.groups[group]
        keep = np.ones(rows, dtype=np.bool_)
        if withheld is not None:
            numbers = _numbers(withheld)
            low, high = np.searchsorted(numbers, (first, first + rows))
            keep[numbers[low:high] - first] = False
        at = 0
        for batch in self._decoded(group, columns, batch_rows):
            numbers = np.arange(first + at, first + at + batch.num_rows, dtype=np.uint32)
            yield _kept(ArrowChunk(numbers, batch), keep[at : at + batch.num_rows])
            at += batch.num_rows

    def _decoded(
        self, group: int, columns: Sequence[str], batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        with self._opened() as parquet:
            try:
                # Columns are decoded by this thread alone: readers run several row groups side by side.
                yield from parquet.iter_batches(
                    batch_rows, row_groups=[group], columns=list(columns), use_threads=False
                )
            except (pa.ArrowException, OSError) as error:
                raise VerificationError(f"lake file {self._name}: it cannot be read") from error

    def _opened(self) -> pq.ParquetFile:
        try:
            parquet = pq.ParquetFile(
                pa.OSFile(str(self._path)), metadata=getattr(self, "_metadata", None)
            )
        except (pa.ArrowException, OSError) as error:
            raise VerificationError(f"lake file {self._name}: it cannot be read") from error
        if _stat_of(self._path, self._name) != self._stat:
            raise VerificationError(
                f"lake file {self._name}: it changed since it was checked; open the dataset again"
            )
        return parquet


def open_checked(path: Path, file: LakeFile) -> CheckedFile:
    """Check a file unless this process did already, and open it.

    Raises:
        VerificationError: it is missing, truncated or altered.
    """
    name = f"{file.sha256[:12]}…"
    key = (str(path), file.sha256)
    stat = _stat_of(path, name)
    if stat[2] != file.size_bytes:
        raise VerificationError(
            f"lake file {name}: expected {file.size_bytes} bytes, found {stat[2]}; restore it"
        )
    if _checked.get(key) != stat:
        check_hash(path, file)
        _checked[key] = stat
    opened = CheckedFile(path, stat, name)
    if sum(opened.groups) != file.rows:
        raise VerificationError(
            f"lake file {name}: expected {file.rows} rows, found {sum(opened.groups)}"
        )
    return opened


def check_hash(path: Path, file: LakeFile) -> None:
    """Hash a file, never reading past its expected length.

    Raises:
        VerificationError: it is missing, truncated or altered.
    """
    name, digest, left = f"{file.sha256[:12]}…", hashlib.sha256(), file.size_bytes
    try:
        with path.open("rb", buffering=0) as stream:
            while block := stream.read(min(_BLOCK_BYTES, left + 1)):
                digest.update(block)
                left -= len(block)
                if left < 0:
                    break
    except OSError as error:
        raise VerificationError(f"lake file {name}: it cannot be read; restore it") from error
    if left:
        raise VerificationError(f"lake file {name}: expected {file.size_bytes} bytes; restore it")
    if digest.hexdigest() != file.sha256:
        raise VerificationError(f"lake file {name}: its hash differs; it was altered, restore it")


def _stat_of(path: Path, name: str) -> _Stat:
    try:
        found = os.stat(path)
    except OSError as error:
        raise VerificationError(f"lake file {name}: it is missing; restore it") from error
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _numbers(withheld: RowSet) -> NDArray[np.int64]:
    return np.sort(np.fromiter(withheld, dtype=np.int64, count=len(withheld)))


def _kept(chunk: ArrowChunk, keep: NDArray[np.bool_]) -> ArrowChunk:
    """Copy the rows to keep; a whole batch passes as it is."""
    if keep.all():
        return chunk
    places = np.flatnonzero(keep)
    return ArrowChunk(chunk.rows[places], chunk.batch.take(pa.array(places)))
