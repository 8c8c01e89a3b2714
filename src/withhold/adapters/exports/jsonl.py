"""Shards as JSON lines: ``{"messages": [{"role": ..., "content": ...}]}``, UTF-8, one row a line."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec
import pyarrow as pa


class JsonlShard:
    """Writes one shard; memory holds one batch."""

    SUFFIX = ".jsonl"

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._encoder = msgspec.json.Encoder()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def add(self, messages: pa.Array) -> None:
        """Append rows."""
        lines = self._encoder.encode_lines([{"messages": m} for m in messages.to_pylist()])
        self._file.write(lines)
