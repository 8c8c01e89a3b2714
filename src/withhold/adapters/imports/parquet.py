"""Parquet to import, read by a child process with limits on memory and time.

A Parquet file from outside may be built to harm its reader, so the bytes are decoded elsewhere: the
child (`parquet_child`) sends plain Arrow batches of the wanted columns, which are validated here.

Not here: the mapping of columns (`formats.mapping`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa

from withhold.domain.interactions import Interaction, Rejected
from withhold.errors import InputError
from withhold.formats.mapping import ColumnMapping
from withhold.services.imports import Chunk, Place

MAGIC = b"PAR1"
CHILD = "withhold.adapters.imports.parquet_child"


class ParquetSource:
    """A Parquet file with a mapping of its columns."""

    def __init__(
        self, path: Path, mapping: ColumnMapping, fingerprint: str, *, is_whole: bool
    ) -> None:
        """Check that the file is whole and has the columns.

        Raises:
            InputError: it is truncated, damaged, or lacks a column.
        """
        if not is_whole:
            raise InputError(
                f"{path.name}: truncated; expected a Parquet file to end with its footer"
            )
        self._path = path
        self._mapping = mapping
        self.fingerprint = fingerprint
        with _Child(path, mapping, None) as output:
            self.size = int(json.loads(output.read(1024) or b"0"))

    def chunks(self, start: Place) -> Iterator[Chunk]:
        """Yield one batch per batch of the child."""
        at = start
        with _Child(self._path, self._mapping, start.offset) as output:
            for batch in _batches(output, self._path.name):
                items = self._items(batch, at.line)
                after = Place(at.offset + len(items), at.line + len(items))
                yield Chunk(items, at.line, after)
                at = after

    def _items(self, batch: pa.RecordBatch, line: int) -> list[Interaction | Rejected]:
        prefix = self.fingerprint[:16]
        return [
            self._mapping.row(values, number, prefix)
            for number, values in enumerate(batch.to_pylist(), line)
        ]


class _Child:
    """The reading process: its output, and its verdict when it ends."""

    def __init__(self, path: Path, mapping: ColumnMapping, start: int | None) -> None:
        self._name = path.name
        columns = sorted(set(mapping.columns.values()))
        wanted = json.dumps({"path": str(path), "columns": columns, "start": start})
        self._process = subprocess.Popen(
            [sys.executable, "-m", CHILD, wanted],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def __exit__(self, kind: type[BaseException] | None, *_more: object) -> None:
        """End the process; say why it failed, unless the reader left by an error of its own."""
        if kind is not None and not issubclass(kind, _Ended):
            self._process.kill()
        _, said = self._process.communicate()
        if kind is None or issubclass(kind, _Ended):
            self._check(said.decode("utf-8", "replace"), is_cut=kind is not None)

    def _check(self, said: str, *, is_cut: bool) -> None:
        code = self._process.returncode
        if code == _REFUSED:
            raise InputError(f"{self._name}: {said.strip()[:1000]}")
        if code or is_cut:
            raise InputError(
                f"{self._name}: reading it ended its reader (code {code}): it is damaged, or needs more "
                "memory or time than an import may use"
            )


class _Ended(Exception):
    """The child's output ended before its end."""


_REFUSED = 3


def _batches(output: IO[bytes], name: str) -> Iterator[pa.RecordBatch]:
    try:
        with pa.ipc.open_stream(output) as stream:
            for batch in stream:
                batch.validate(full=True)
                yield batch
    except (pa.ArrowException, OSError) as error:
        raise _Ended(name) from error
