"""Reading a dataset: its files, checked, and what is withheld of each at the head.

Missing or damaged vectors withhold the whole file (design section 4), and a file whose vector is behind
the head is no better. What a reader has once withheld it withholds as long as it reads, whatever the
store says later. Shared by the loader and by exports.

Not here: decoding and filtering (`ports.OpenFile`), leases (`loader`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from withhold.domain.admission import Reason
from withhold.domain.datasets import Dataset, DatasetRef
from withhold.domain.names import FileNo, Position
from withhold.domain.vectors import ConsentVector, RowSet, counts, withheld
from withhold.errors import UnknownDataset, VerificationError
from withhold.ports import LakeFile, OpenFile, Ports
from withhold.services import withdrawals


@dataclass(frozen=True, slots=True)
class Withheld:
    """What may not be read of one file.

    Attributes:
        rows: the withheld rows, None when there are none.
        is_whole: nothing of the file may be read, whatever ``rows`` says.
        counts: rows per reason, each row counted once.
    """

    rows: RowSet | None
    is_whole: bool
    counts: Mapping[Reason, int]

    def holds(self, row: int) -> bool:
        """Return whether a row is withheld."""
        return self.is_whole or (self.rows is not None and row in self.rows)

    def __len__(self) -> int:
        """Return how many rows are withheld."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class AtHead:
    """What is withheld of every file of a dataset, every withdrawal up to ``head`` included."""

    head: Position
    files: Mapping[FileNo, Withheld]


@dataclass(frozen=True, slots=True)
class ReadableFile:
    """A file of a dataset that was checked by length and hash."""

    file: LakeFile
    opened: OpenFile


def dataset(ports: Ports, ref: DatasetRef) -> Dataset:
    """Return a committed version.

    Raises:
        UnknownDataset: there is none.
    """
    found = ports.datasets.get(ref)
    if found is None:
        raise UnknownDataset(f"dataset {ref}: there is no such version; see withhold datasets")
    return found


def open_files(ports: Ports, version: Dataset) -> tuple[ReadableFile, ...]:
    """Check every file of a version against its manifest and open it, several at a time.

    Raises:
        VerificationError: a file is missing, truncated, altered, or registered as something else.
    """
    registered = {file.no: file for file in ports.files.files(version.manifest.product)}
    files: list[LakeFile] = []
    for named in version.manifest.files:
        file = registered.get(named.no)
        if file is None or (file.sha256, file.size_bytes, file.rows) != (
            named.sha256,
            named.size_bytes,
            named.rows,
        ):
            raise VerificationError(
                f"dataset {version.ref}: file {named.no} of its manifest is not the one registered "
                "under that number; nothing is read"
            )
        files.append(file)
    opened = ports.engine.map(ports.lake.open, files)
    return tuple(ReadableFile(*pair) for pair in zip(files, opened, strict=True))


def at_head(ports: Ports, files: Iterable[ReadableFile], before: AtHead | None = None) -> AtHead:
    """Apply every withdrawal up to the head and return what is withheld of the files.

    Args:
        before: what the same reader withheld earlier; an unchanged file keeps its very object.
    """
    head = withdrawals.apply(ports)
    if before is not None and before.head == head:
        return before
    lake_files = [f.file for f in files]
    vectors = ports.files.vectors([f.no for f in lake_files])
    earlier = before.files if before is not None else {}
    return AtHead(
        head,
        {f.no: _withheld(f, vectors.get(f.no), head, earlier.get(f.no)) for f in lake_files},
    )


def _withheld(
    file: LakeFile, vector: ConsentVector | None, head: Position, before: Withheld | None
) -> Withheld:
    if before is not None and before.is_whole:
        return before
    if vector is None or vector.applied < head:
        return Withheld(None, True, {Reason.UNREADABLE: file.rows})
    rows = withheld(vector.bits)
    if before is None:
        return Withheld(rows, False, counts(vector.bits))
    if before.rows is not None:
        rows = before.rows if rows is None else before.rows | rows
    if rows is None or (before.rows is not None and len(rows) == len(before.rows)):
        return before
    return Withheld(rows, False, counts(vector.bits))
