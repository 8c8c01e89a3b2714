"""The process that decodes Parquet from outside: ``python -m … {"path", "columns", "start"}``.

It limits its own memory and time first. It writes an Arrow stream of the columns from row ``start`` on
(or, without ``start``, the number of rows) and exits 0; or one sentence on stderr and exits 3.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow.parquet as pq

MEMORY = 4 * 1024**3  # address space, most of it libraries and never touched
SECONDS = 120  # processor time of one batch
ROW_GROUP = 1024**3  # bytes of the wanted columns of one row group, uncompressed
BATCH_ROWS = 1_000
BATCH = 256 * 1024**2
REFUSED = 3


def main(argument: str) -> int:
    """Do what the argument asks for; return the exit code."""
    _limit()
    import pyarrow as pa  # noqa: PLC0415 (after the limits)

    asked = json.loads(argument)
    try:
        if asked["start"] is None:
            sys.stdout.write(str(_open(asked["path"], asked["columns"]).metadata.num_rows))
        else:
            _send(asked["path"], asked["columns"], asked["start"])
    except _Refused as refusal:
        sys.stderr.write(str(refusal))
        return REFUSED
    except (pa.ArrowMemoryError, MemoryError):
        sys.stderr.write("a row group needs more memory than an import may use; write smaller ones")
        return REFUSED
    except (pa.ArrowException, OSError, ValueError):
        sys.stderr.write("not a readable Parquet file: truncated or damaged")
        return REFUSED
    return 0


class _Refused(Exception):
    """What a person should read."""


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _allow_seconds()


def _allow_seconds() -> None:
    """Give the next batch its time; a file of any length may be read, no batch may hang."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _open(path: str, columns: list[str]) -> pq.ParquetFile:
    import pyarrow.parquet as pq  # noqa: PLC0415 (after the limits)

    file = pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True)
    present = file.schema_arrow.names
    missing = [c for c in columns if c not in present]
    if missing:
        raise _Refused(f"no column {', '.join(missing)}; it has {', '.join(present[:50])[:500]}")
    return file


def _send(path: str, columns: list[str], start: int) -> None:
    import pyarrow as pa  # noqa: PLC0415 (after the limits)

    file = _open(path, columns)
    schema = pa.schema([file.schema_arrow.field(c) for c in columns])
    with pa.ipc.new_stream(sys.stdout.buffer, schema) as out:
        for group, skipped in _groups(file.metadata, columns, start):
            skip = skipped
            for batch in file.iter_batches(
                BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False
            ):
                _allow_seconds()
                if batch.nbytes > BATCH:
                    raise _Refused(
                        f"row group {group}: rows of more than {BATCH // BATCH_ROWS} bytes on average"
                    )
                taken = batch.slice(min(skip, batch.num_rows))
                skip -= batch.num_rows - taken.num_rows
                if taken.num_rows:
                    out.write_batch(taken.select(columns))


def _groups(metadata: pq.FileMetaData, columns: list[str], start: int) -> Iterator[tuple[int, int]]:
    """Yield row groups from row ``start`` on, each with how many of its rows to skip."""
    before = 0
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        parts = (row_group.column(i) for i in range(row_group.num_columns))
        size = sum(
            p.total_uncompressed_size for p in parts if p.path_in_schema.split(".")[0] in columns
        )
        if size > ROW_GROUP:
            raise _Refused(
                f"row group {group}: {size} bytes uncompressed; expected at most {ROW_GROUP}; "
                "write the file with smaller row groups"
            )
        if before + row_group.num_rows > start:
            yield group, max(start - before, 0)
        before += row_group.num_rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
