"""Files to import, by what they are: `open_source` looks at the first bytes, not at the name.

Not here: decoding rows (`formats`), reading Parquet (`parquet`, in a child process).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from withhold.adapters.imports.parquet import MAGIC, ParquetSource
from withhold.domain.interactions import MAX_ROW_BYTES, Interaction, Rejected
from withhold.errors import InputError
from withhold.formats.interactions import decode_line
from withhold.formats.mapping import ColumnMapping, decode_mapped
from withhold.services.imports import Chunk, Place, Source

CHUNK_ROWS = 1_000
CHUNK_BYTES = 8 * 1024 * 1024
_SAMPLE = 1024 * 1024


def open_source(path: Path, mapping: ColumnMapping | None = None) -> Source:
    """Return a file as a source.

    Args:
        path: JSON lines or Parquet.
        mapping: where fields come from; None for Withhold's own JSON lines.

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
            raise InputError(f"{path.name}: Parquet needs a column mapping, for example --map account=user_id")
        return ParquetSource(path, mapping, named, is_whole=tail[-4:] == MAGIC)
    if path.suffix == ".parquet":
        raise InputError(f"{path.name}: not a Parquet file; expected it to start with {MAGIC.decode()}")
    if head.lstrip()[:1] == b"[":
        raise InputError(f"{path.name}: a JSON array; expected one JSON object per line")
    return LinesSource(path, mapping, named, size)


class LinesSource:
    """JSON lines, ours or mapped."""

    def __init__(
        self, path: Path, mapping: ColumnMapping | None, fingerprint: str, size: int
    ) -> None:
        """Keep what was found out about the file."""
        self._path = path
        self._mapping = mapping
        self.fingerprint = fingerprint
        self.size = size

    def chunks(self, start: Place) -> Iterator[Chunk]:
        """Yield batches of at most CHUNK_ROWS lines and about CHUNK_BYTES."""
        with self._path.open("rb") as file:
            file.seek(start.offset)
            at = start
            while chunk := self._chunk(file, at):
                yield chunk
                at = chunk.after

    def _chunk(self, file: BinaryIO, at: Place) -> Chunk | None:
        items: list[Interaction | Rejected] = []
        while len(items) < CHUNK_ROWS and file.tell() - at.offset < CHUNK_BYTES:
            line = _read_line(file)
            if line is None:
                break
            items.append(self._decoded(line, at.line + len(items)))
        if not items:
            return None
        return Chunk(items, at.line, Place(file.tell(), at.line + len(items)))

    def _decoded(self, line: bytes, number: int) -> Interaction | Rejected:
        if self._mapping is None:
            return decode_line(line, number)
        return decode_mapped(line, number, self._mapping, self.fingerprint[:16])


def _read_line(file: BinaryIO) -> bytes | None:
    """Return the next line, None at the end; of one over the cap only as much as shows that it is."""
    line = file.readline(MAX_ROW_BYTES + 2)
    rest = line
    while rest and not rest.endswith(b"\n"):
        rest = file.readline(CHUNK_BYTES)
    return line.removesuffix(b"\n") if line else None
