"""Files to import, by what they are: `open_source` looks at the first bytes, not at the name.

Not here: decoding rows (`formats`), reading Parquet (`parquet`, in a child process).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from withhold.adapters.imports.parquet import MAGIC, ParquetSource
from withhold.domain.interactions import MAX_ROW_BYTES, Interaction, Rejected
from withhold.errors import InputError
from withhold.formats.interactions import decode_line
from withhold.formats.mapping import ColumnMapping, decode_mapped
from withhold.services.imports import Chunk, Place, Source

_SAMPLE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is read at once.

    Attributes:
        rows: rows of a batch.
        batch: bytes of a batch, about.
        row: bytes of one row; longer lines are rejected.
    """

    rows: int = 1_000
    batch: int = 8 * 1024 * 1024
    row: int = MAX_ROW_BYTES


def open_source(
    path: Path, mapping: ColumnMapping | None = None, sizes: Sizes | None = None
) -> Source:
    """Return a file as a source.

    Args:
        path: JSON lines or Parquet.
        mapping: where fields come from; None for Withhold's own JSON lines.
        sizes: how much of a text file is read at once.

    Raises:
        InputError: it cannot be read, is a JSON array, or is Parquet and no mapping was given.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_SAMPLE)
            size = file.seek(0, 2)
            file.seek(max(size - _SAMPLE, 0))
            tail = file.read(_SAMPLE)
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read: {error.strerror}") from error
    how = mapping.canonical() if mapping else ""
    named = hashlib.sha256(b"%d\0%s\0" % (size, how.encode()) + head + tail).hexdigest()
    if head[:4] == MAGIC:
        if mapping is None:
            raise InputError(
                f"{path.name}: Parquet needs a column mapping, for example --map account=user_id"
            )
        return ParquetSource(path, mapping, named, is_whole=tail[-4:] == MAGIC)
    if path.suffix == ".parquet":
        raise InputError(
            f"{path.name}: not a Parquet file; expected it to start with {MAGIC.decode()}"
        )
    if head.lstrip()[:1] == b"[":
        raise InputError(f"{path.name}: a JSON array; expected one JSON object per line")
    return LinesSource(path, mapping, Sizes() if sizes is None else sizes, named, size)


class LinesSource:
    """JSON lines, ours or mapped."""

    def __init__(
        self,
        path: Path,
        mapping: ColumnMapping | None,
        sizes: Sizes,
        fingerprint: str,
        size: int,
    ) -> None:
        """Keep what was found out about the file."""
        self._path = path
        self._mapping = mapping
        self._sizes = sizes
        self.fingerprint = fingerprint
        self.size = size

    def chunks(self, start: Place) -> Iterator[Chunk]:
        """Yield batches of bounded size."""
        with self._path.open("rb") as file:
            file.seek(start.offset)
            at = start
            while chunk := self._chunk(file, at):
                yield chunk
                at = chunk.after

    def _chunk(self, file: BinaryIO, at: Place) -> Chunk | None:
        items: list[Interaction | Rejected] = []
        sizes = self._sizes
        while len(items) < sizes.rows and file.tell() - at.offset < sizes.batch:
            line = _read_line(file, sizes)
            if line is None:
                break
            items.append(self._decoded(line, at.line + len(items)))
        if not items:
            return None
        return Chunk(items, at.line, Place(file.tell(), at.line + len(items)))

    def _decoded(self, line: bytes, number: int) -> Interaction | Rejected:
        if len(line) > self._sizes.row:
            return Rejected(number, f"row: expected at most {self._sizes.row} bytes")
        if self._mapping is None:
            return decode_line(line, number)
        return decode_mapped(line, number, self._mapping, self.fingerprint[:16])


def _read_line(file: BinaryIO, sizes: Sizes) -> bytes | None:
    """Return the next line, None at the end; of one over the cap only as much as shows that it is."""
    line = file.readline(sizes.row + 2)
    rest = line
    while rest and not rest.endswith(b"\n"):
        rest = file.readline(sizes.batch)
    return line.removesuffix(b"\n") if line else None
