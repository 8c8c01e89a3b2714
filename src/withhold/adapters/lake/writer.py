"""Writing a lake file: streamed, deterministic, under the hash of its own bytes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from withhold.adapters.lake.columns import (
    DICTIONARY_COLUMNS,
    FORMAT,
    FORMAT_KEY,
    PARTY_SETS_KEY,
    PRODUCT_KEY,
    SCHEMA,
    PartySets,
)
from withhold.adapters.lake.durable import make_folder, publish
from withhold.domain.names import FileNo, Ordinal, ProductId
from withhold.errors import StorageError
from withhold.ports import LakeFile

ROW_GROUP_ROWS = 16_384
"""Rows decoded at a time by a reader; about 16 MB of ordinary text."""

ZSTD_LEVEL = 1


def path_of(folder: Path, sha256: str) -> Path:
    """Return where the file of that hash lies."""
    return folder / sha256[:2] / f"{sha256}.parquet"


class FileWriter:
    """Writes one file; memory holds one row group. Leaving without `finish` drops what was written."""

    def __init__(self, folder: Path, product: ProductId, first: Ordinal) -> None:
        self._folder, self._product, self._first = folder, product, first
        make_folder(folder)
        try:
            descriptor, name = tempfile.mkstemp(prefix=".writing-", dir=folder)
            os.close(descriptor)
            self._temporary = Path(name)
            self._writer = pq.ParquetWriter(
                name,
                SCHEMA,
                compression="zstd",
                compression_level=ZSTD_LEVEL,
                use_dictionary=DICTIONARY_COLUMNS,
                write_statistics=["position"],
                write_page_checksum=True,
            )
        except OSError as error:
            raise StorageError(f"could not write to the lake: {error}") from error
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self._rows = 0

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Drop the temporary file unless it was published."""
        self._temporary.unlink(missing_ok=True)

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows in the columns of `SCHEMA`.

        Raises:
            StorageError: the disk refused.
        """
        while batch.num_rows:
            # Row groups end at fixed rows, so that the bytes do not depend on how rows were batched.
            head = batch.slice(0, ROW_GROUP_ROWS - self._pending_rows)
            self._pending.append(head)
            self._pending_rows += head.num_rows
            batch = batch.slice(head.num_rows)
            if self._pending_rows == ROW_GROUP_ROWS:
                self._flush()

    def finish(self, sets: PartySets) -> LakeFile:
        """Publish the file with the party sets its rows name; return it, not yet registered.

        Raises:
            StorageError: the disk refused; no file was published.
        """
        self._flush()
        metadata = {
            FORMAT_KEY: FORMAT,
            PRODUCT_KEY: self._product.encode(),
            PARTY_SETS_KEY: sets.dump(),
        }
        try:
            self._writer.add_key_value_metadata(metadata)
            self._writer.close()
            with self._temporary.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                size = os.fstat(file.fileno()).st_size
        except OSError as error:
            raise StorageError(f"could not write to the lake: {error}") from error
        publish(self._temporary, path_of(self._folder, sha256))
        return LakeFile(FileNo(0), self._product, sha256, size, self._rows, self._first)

    def _flush(self) -> None:
        if not self._pending_rows:
            return
        group = pa.Table.from_batches(self._pending, SCHEMA).combine_chunks()
        try:
            self._writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
        except OSError as error:
            raise StorageError(f"could not write to the lake: {error}") from error
        self._rows += self._pending_rows
        self._pending, self._pending_rows = [], 0
