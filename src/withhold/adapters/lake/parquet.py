"""The lake on a local disk: content-addressed Parquet files, each with a side index.

    lake/<first two hex digits>/<sha256>.parquet     the rows; never changed
    lake/<first two hex digits>/<sha256>.index       derived from it (`side_index`)

Invariants:
- a file is published before its index, and both before the caller is told; a crash in between leaves a
  file without an index, which is made on first use;
- the full decision reads the file itself, never the index, so that one checks the other;
- what cannot be read is a `VerificationError`, and the caller withholds the whole file.

Not here: which files exist (`store.sqlite.files`), deletions.
"""

from __future__ import annotations

import hashlib
import resource
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyroaring import BitMap

from withhold.adapters.engines.local import kernel
from withhold.adapters.lake import side_index
from withhold.adapters.lake.columns import PARTY_SETS_KEY, PartySets, SetNumbers, to_arrow
from withhold.adapters.lake.reading import CheckedFile, open_checked
from withhold.adapters.lake.side_index import SideIndex
from withhold.adapters.lake.writer import FileWriter, path_of
from withhold.domain.admission import REASON_OF_KIND
from withhold.domain.names import PartyNo, Position
from withhold.domain.parties import PartyKind
from withhold.domain.vectors import Bits, RowSet
from withhold.errors import InputError, StorageError, VerificationError
from withhold.ports import LakeFile, LakeRow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from withhold.ports import ConsentTable, RowBatch

OPEN_INDEXES = max(16, min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4))
"""Side indexes kept mapped and checked; the least recently used is closed first. Each holds a file
descriptor, and those of this process are not all ours."""


class ParquetLake:
    """A lake in one folder; any number of threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._indexes: OrderedDict[str, SideIndex] = OrderedDict()
        self._lock = Lock()

    def write(self, batches: Iterable[RowBatch]) -> LakeFile:
        """Write consecutive batches of one product into one file and its side index."""
        arriving = iter(batches)
        batch = next(arriving, None)
        if batch is None:
            raise InputError("a lake file needs at least one row; got no batch")
        numbers = SetNumbers()
        with FileWriter(self._folder, batch.product, batch.first) as writer:
            while batch is not None:
                writer.add(to_arrow(batch, numbers.renumber(batch)))
                batch = next(arriving, None)
            file = writer.finish(numbers.sets())
        self._index(file)
        return file

    def verify(self, file: LakeFile) -> None:
        """Check the file's length and hash."""
        with _reading(file), self.path(file).open("rb") as opened:
            size = opened.seek(0, 2)
            if size != file.size_bytes:
                raise VerificationError(
                    f"lake file {file.sha256}: expected {file.size_bytes} bytes, got {size}"
                )
            opened.seek(0)
            if hashlib.file_digest(opened, "sha256").hexdigest() != file.sha256:
                raise VerificationError(f"lake file {file.sha256}: its bytes have another hash")

    def open(self, file: LakeFile) -> CheckedFile:
        """Check the file's length and hash, once in a process while it stays as it is, and open it."""
        return open_checked(self.path(file), file, self.verify)

    def decide(self, file: LakeFile, table: ConsentTable) -> Bits:
        """Decide every row of a file by its parties, from the file itself.

        Checksums guard the pages and a digest the party sets; the footer is guarded only by the file's
        hash, so a file that this process did not just write is verified first (`services.builds`).
        """
        positions, set_nos, sets = self._parties(file)
        return kernel.decide(positions, set_nos, sets.offsets, sets.parties, table)

    def touched(self, file: LakeFile, raised: NDArray[np.uint32], table: ConsentTable) -> Bits:
        """Return the rows of these parties that the table withholds, through the side index."""
        rows = self._index(file).withheld(raised, table)
        return {REASON_OF_KIND[PartyKind(kind)]: kernel.bitmap(of) for kind, of in rows.items()}

    def holds(self, file: LakeFile, parties: Sequence[PartyNo]) -> bool:
        """Return whether any row of the file has any of these parties."""
        return self._index(file).holds(_numbers(parties))

    def rows_of(self, file: LakeFile, parties: Sequence[PartyNo]) -> BitMap:
        """Return the rows of a file that have any of these parties."""
        return kernel.bitmap(self._index(file).rows_of(_numbers(parties)))

    def parties(self, file: LakeFile, withheld: RowSet | None) -> BitMap:
        """Return the parties of all rows but the withheld ones, from the file itself."""
        _, set_nos, sets = self._parties(file)
        is_in = np.ones(len(set_nos), dtype=np.bool_)
        if withheld is not None:
            is_in[np.fromiter(withheld, np.int64, len(withheld))] = False
        used = np.zeros(len(sets), dtype=np.bool_)
        used[set_nos[is_in]] = True
        found, _ = kernel.slices(sets.offsets, sets.parties, np.flatnonzero(used))
        return kernel.bitmap(np.unique(found))

    def row(self, file: LakeFile, row: int) -> LakeRow:
        """Return one row's position and parties."""
        if not 0 <= row < file.rows:
            raise InputError(f"lake file {file.sha256} has {file.rows} rows; got row {row}")
        index = self._index(file)
        found = next(self._slice(file, ["id"], row)).column("id")[0].as_py()
        parties = tuple(PartyNo(p) for p in index.parties_of(row))
        return LakeRow(found, file, row, Position(int(index.positions[row])), parties)

    def conversation(self, file: LakeFile, name: str) -> BitMap:
        """Return the rows of a conversation."""
        return kernel.bitmap(self._index(file).conversation(name))

    def row_set(self, rows: Iterable[int]) -> BitMap:
        """Return a set of row numbers."""
        return BitMap(rows)

    def batches(
        self, file: LakeFile, columns: Sequence[str], batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Yield the file's rows in order; every batch but the last has ``batch_rows`` rows."""
        with (
            _reading(file),
            pq.ParquetFile(self.path(file), page_checksum_verification=True) as opened,
        ):
            waiting: list[pa.RecordBatch] = []
            rows = 0
            for group in range(opened.num_row_groups):
                for read in opened.read_row_group(group, columns=list(columns)).to_batches():
                    batch = read
                    while rows + batch.num_rows >= batch_rows:
                        wanted = batch_rows - rows
                        yield _joined([*waiting, batch.slice(0, wanted)])
                        batch, waiting, rows = batch.slice(wanted), [], 0
                    if batch.num_rows:
                        waiting.append(batch)
                        rows += batch.num_rows
            if waiting:
                yield _joined(waiting)

    def path(self, file: LakeFile) -> Path:
        """Return where a file lies."""
        return path_of(self._folder, file.sha256)

    def _slice(self, file: LakeFile, columns: list[str], row: int) -> Iterator[pa.RecordBatch]:
        """Yield the one row asked for, reading only its row group."""
        with (
            _reading(file),
            pq.ParquetFile(self.path(file), page_checksum_verification=True) as opened,
        ):
            for group in range(opened.num_row_groups):
                rows = opened.metadata.row_group(group).num_rows
                if row < rows:
                    table = opened.read_row_group(group, columns=columns)
                    yield from table.slice(row, 1).to_batches()
                    return
                row -= rows

    def _parties(self, file: LakeFile) -> tuple[NDArray[np.uint64], NDArray[np.uint32], PartySets]:
        """Read position and party set of every row, and the sets, from the file itself."""
        with (
            _reading(file),
            pq.ParquetFile(
                self.path(file), memory_map=True, page_checksum_verification=True
            ) as opened,
        ):
            value = (opened.metadata.metadata or {}).get(PARTY_SETS_KEY)
            if value is None or opened.metadata.num_rows != file.rows:
                raise VerificationError(f"lake file {file.sha256}: it is not the file registered")
            table = opened.read(columns=["position", "party_set"], use_threads=False)
            if table.num_columns != 2:
                raise VerificationError(f"lake file {file.sha256}: it is not the file registered")
        sets = PartySets.load(value)
        positions = table.column("position").to_numpy().view(np.uint64)
        set_nos = table.column("party_set").to_numpy().view(np.uint32)
        if len(set_nos) and int(set_nos.max()) >= len(sets):
            raise VerificationError(f"lake file {file.sha256}: a row names a party set it has not")
        return positions, set_nos, sets

    def _index(self, file: LakeFile) -> SideIndex:
        with self._lock:
            index = self._indexes.get(file.sha256)
            if index is not None:
                self._indexes.move_to_end(file.sha256)
                return index
        index = self._open_index(file)
        with self._lock:
            self._indexes[file.sha256] = index
            while len(self._indexes) > OPEN_INDEXES:
                self._indexes.popitem(last=False)
        return index

    def _open_index(self, file: LakeFile) -> SideIndex:
        path = self.path(file).with_suffix(".index")
        try:
            return side_index.load(path, file.sha256)
        except VerificationError:
            self.verify(file)  # rebuilt only from the bytes that were registered
        positions, set_nos, sets = self._parties(file)
        names = [
            name
            for batch in self.batches(file, ["conversation"], 65_536)
            for name in batch.column("conversation").to_pylist()
        ]
        side_index.save(side_index.build(positions, set_nos, sets, names), file.sha256, path)
        return side_index.load(path, file.sha256)


def _numbers(parties: Sequence[PartyNo]) -> NDArray[np.uint32]:
    return np.unique(np.asarray(parties, dtype=np.uint32))


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


@contextmanager
def _reading(file: LakeFile) -> Iterator[None]:
    """Turn what disk and Parquet say into our errors; never into rows."""
    try:
        yield
    except FileNotFoundError as error:
        raise VerificationError(f"lake file {file.sha256}: it is missing") from error
    except pa.ArrowException as error:
        raise VerificationError(f"lake file {file.sha256}: it cannot be decoded") from error
    except OSError as error:
        # Arrow reports damaged pages and failed checksums as OSError without an errno.
        if error.errno is None:
            raise VerificationError(f"lake file {file.sha256}: it cannot be decoded") from error
        raise StorageError(f"lake file {file.sha256}: {error.strerror}") from error
