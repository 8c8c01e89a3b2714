"""An export as a folder, with its lineage in a folder beside it.

    out/part-00000.parquet ...             the text, in Hugging Face ``messages`` shape, without any id
    out/manifest.json                      what it is, as of which position, the hash of every shard
    out/croissant.json, out/README.md      the same as Croissant 1.1 and as a Hugging Face dataset card
    out.lineage/part-00000.parquet ...     which row of which lake file each row is; stays in the house

Both are written under temporary names beside the target, flushed, and renamed: the lineage first, the
export last, so that what stands under the final name is whole. A shard without rows is left out, so
numbers may skip.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from withhold.domain.canonical_json import Json
from withhold.domain.exports import ExportStatement, Shard
from withhold.domain.names import Position
from withhold.errors import InputError, StorageError
from withhold.formats import croissant, dataset_card
from withhold.ports import Piece

MANIFEST = "manifest.json"
_PART = re.compile(r"part-\d{5}\.parquet")

LINEAGE = pa.schema(
    [
        pa.field("shard", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("file_sha256", pa.string(), nullable=False),
        pa.field("file_row", pa.int64(), nullable=False),
    ]
)


class ShardFile(Protocol):
    """One shard being written."""

    SUFFIX: str

    def __init__(self, path: Path) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def add(self, messages: pa.Array) -> None:
        """Append rows."""
        ...


class FolderExport:
    """Implements `ports.ExportWriter` over a local folder."""

    def __init__(self, target: Path, shard: type[ShardFile]) -> None:
        self._target, self._shard = target, shard
        self._lineage = target.with_name(f"{target.name}.lineage")
        self._prefix = f".{target.name}.writing-"
        self._work: Path | None = None

    def begin(self) -> None:
        """Make room for the export."""
        with _on_disk():
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._drop_abandoned()
        self._refuse_full()
        with _on_disk():
            prefix = f"{self._prefix}{os.getpid()}-"
            self._work = Path(tempfile.mkdtemp(prefix=prefix, dir=self._target.parent))
            for part in ("rows", "lineage"):
                (self._work / part).mkdir()

    def write(self, number: int, pieces: Iterable[Piece]) -> Shard | None:
        """Write a shard and its lineage, replacing what stood under its number."""
        work = self._begun()
        name = f"part-{number:05d}{self._shard.SUFFIX}"
        path, lineage = work / "rows" / name, work / "lineage" / f"part-{number:05d}.parquet"
        with _on_disk():
            rows, oldest = self._fill(path, lineage, pieces)
            if not rows:
                path.unlink()
                lineage.unlink()
                return None
            _flush(lineage)
            _flush(path)
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return Shard(name, rows, path.stat().st_size, digest, oldest)

    def publish(self, statement: ExportStatement) -> None:
        """Add the manifest, the Croissant description and the card, and give everything its final name."""
        work = self._begun()
        self._refuse_full()
        documents = {
            MANIFEST: _json(statement.body()),
            croissant.FILE: _json(croissant.document(statement)),
            dataset_card.FILE: dataset_card.text(statement),
        }
        with _on_disk():
            for name, content in documents.items():
                (work / "rows" / name).write_text(content, encoding="utf-8")
                _flush(work / "rows" / name)
            for folder in (work / "rows", work / "lineage"):
                folder.chmod(0o755 if folder.name == "rows" else 0o700)
                _flush(folder)
            # A crash between the two leaves a lineage without an export; the next run drops it.
            (work / "lineage").rename(self._lineage)
            (work / "rows").rename(self._target)
            _flush(self._target.parent)

    def discard(self) -> None:
        """Drop everything that was not published."""
        if self._work is not None:
            shutil.rmtree(self._work, ignore_errors=True)
            self._work = None

    def _fill(self, path: Path, lineage: Path, pieces: Iterable[Piece]) -> tuple[int, Position]:
        """Write a shard and its lineage; return how many rows it has and their lowest position."""
        rows, oldest = 0, None
        with (
            self._shard(path) as shard,
            pq.ParquetWriter(lineage, LINEAGE, compression="zstd") as kept,
        ):
            for piece in pieces:
                count = piece.chunk.batch.num_rows
                shard.add(piece.chunk.batch.column("messages"))
                kept.write_batch(_lineage(path.name, rows, piece))
                rows += count
                lowest = pc.min(piece.chunk.batch.column("position")).as_py()
                oldest = lowest if oldest is None else min(oldest, lowest)
        return rows, Position(oldest or 0)

    def _drop_abandoned(self) -> None:
        """Remove what a killed export of the same target left: it holds people's text."""
        for left in self._target.parent.glob(f"{self._prefix}*"):
            owner = left.name.removeprefix(self._prefix).partition("-")[0]
            if owner.isdecimal() and not _is_running(int(owner)):
                shutil.rmtree(left, ignore_errors=True)
        if not self._target.exists() and self._is_ours(self._lineage):
            shutil.rmtree(self._lineage)  # killed between the two renames of `publish`

    def _is_ours(self, folder: Path) -> bool:
        return folder.is_dir() and all(_PART.fullmatch(p.name) for p in folder.iterdir())

    def _refuse_full(self) -> None:
        for folder in (self._target, self._lineage):
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise InputError(f"export to {folder}: expected nothing or an empty folder there")

    def _begun(self) -> Path:
        if self._work is None:
            raise RuntimeError("an export is written between begin and publish")
        return self._work


def _json(document: dict[str, Json]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _lineage(shard: str, first: int, piece: Piece) -> pa.RecordBatch:
    count = piece.chunk.batch.num_rows
    return pa.record_batch(
        [
            pa.repeat(shard, count),
            pa.array(np.arange(first, first + count)),
            piece.chunk.batch.column("id"),
            pa.repeat(piece.sha256, count),
            pa.array(piece.chunk.rows.astype(np.int64)),
        ],
        schema=LINEAGE,
    )


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's, so it is there
        return True
    return True


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"the export could not be written: {error.strerror or error}") from error
