"""Shards as Parquet: one column, ``messages``, a list of role and content."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SCHEMA = pa.schema([pa.field("messages", MESSAGES)])
ROW_GROUP_ROWS = 8192


class ParquetShard:
    """Writes one shard; memory holds one row group."""

    SUFFIX = ".parquet"

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd", compression_level=3)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write what waits and close the file."""
        self._flush()
        self._writer.close()

    def add(self, messages: pa.Array) -> None:
        """Append rows."""
        self._waiting.append(pa.record_batch([messages], schema=SCHEMA))
        self._rows += len(messages)
        if self._rows >= ROW_GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting))
        self._waiting, self._rows = [], 0
