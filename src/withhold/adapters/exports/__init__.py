"""Writers of exports, by format."""

from __future__ import annotations

from pathlib import Path

from withhold.adapters.exports.folder import FolderExport, ShardFile
from withhold.adapters.exports.jsonl import JsonlShard
from withhold.adapters.exports.parquet import ParquetShard
from withhold.errors import InputError

FORMATS: dict[str, type[ShardFile]] = {"parquet": ParquetShard, "jsonl": JsonlShard}


def export_to(target: Path, format_name: str) -> FolderExport:
    """Return a writer of an export into a folder.

    Raises:
        InputError: there is no such format.
    """
    shard = FORMATS.get(format_name)
    if shard is None:
        raise InputError(f"export format {format_name[:40]!r}: expected {' or '.join(FORMATS)}")
    return FolderExport(target, shard)
