"""Reading through the loader, compared with unfiltered Arrow reading of the same columns and files.

Same batch size, same two threads, same codec; one row in ten is withheld, at random. Each way reads the
same files, warm, in turns; medians of the rounds, and the best round beside them. Opening the dataset, with
the hashes of all its files and its place on the list of readers, is outside the timed part and printed
by itself; renewals of the lease are inside.

    python -m bench.load [--rows 262144] [--json]
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
from pyroaring import BitMap
from rich.console import Console
from rich.table import Table

import withhold
from bench.command import run
from bench.corpus import captured
from withhold.adapters.embedded import LAKE, open_embedded
from withhold.adapters.lake.parquet import ParquetLake
from withhold.app import shipped_policy
from withhold.domain.admission import Reason
from withhold.domain.datasets import Manifest, ManifestFile
from withhold.domain.names import Ordinal, ProductId
from withhold.domain.vectors import ConsentVector
from withhold.ports import LakeFile, Ports, RowBatch
from withhold.services import policies

PRODUCT = ProductId("vibe")
COLUMNS = ["id", "messages"]
BATCH_ROWS, FILE_ROWS, THREADS, ROUNDS = 1024, 65_536, 2, 15
WITHHELD = 0.1
TARGET = 1.2


def main(rows: int = 262_144) -> dict[str, object]:
    """Measure, print a table, and return the figures."""
    pa.set_cpu_count(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with open_embedded(home) as ports:
            policies.adopt(ports, shipped_policy())
            files = _make(ports, rows)
            captured(home, rows)
        paths = [ParquetLake(home / LAKE).path(file) for file in files]
        started = time.perf_counter()
        with withhold.load("bench@1", home=home, batch_rows=BATCH_ROWS, columns=COLUMNS) as data:
            opening = time.perf_counter() - started
            expected = data.rows
            ways: dict[str, Callable[[], int]] = {
                "through the loader": lambda: _count(data.batches()),
                "Arrow, dataset scanner": lambda: _count(_scanner(paths)),
                "Arrow, iter_batches": lambda: _count(_iter_batches(paths)),
                "Arrow, groups on two threads": lambda: _count(_row_groups(paths)),
            }
            rounds = _in_turns(ways)
            assert ways["through the loader"]() == expected
    times = {name: statistics.median(taken) for name, taken in rounds.items()}
    best = {name: min(taken) for name, taken in rounds.items()}
    figures = {name: round(seconds, 4) for name, seconds in times.items()}
    ratio = _ratio(times)
    _print(times, best, (rows, expected, sum(f.size_bytes for f in files)), opening)
    return {
        "rows": rows,
        "yielded": expected,
        "seconds": figures,
        "opening_with_hashes_seconds": round(opening, 4),
        "ratio_to_fastest_arrow": round(ratio, 3),
        "ratio_of_best_rounds": round(_ratio(best), 3),
        "target": TARGET,
    }


def _count(batches: Iterator[pa.RecordBatch]) -> int:
    return sum(batch.num_rows for batch in batches)


def _scanner(paths: list[Path]) -> Iterator[pa.RecordBatch]:
    found: Iterator[pa.RecordBatch] = pyarrow.dataset.dataset([str(p) for p in paths]).to_batches(
        columns=COLUMNS, batch_size=BATCH_ROWS, use_threads=True
    )
    return found


def _iter_batches(paths: list[Path]) -> Iterator[pa.RecordBatch]:
    for path in paths:
        yield from pq.ParquetFile(path).iter_batches(BATCH_ROWS, columns=COLUMNS, use_threads=True)


def _row_groups(paths: list[Path]) -> Iterator[pa.RecordBatch]:
    """What the loader does, without the loader: the floor for its own way of reading."""
    groups = [(p, g) for p in paths for g in range(pq.read_metadata(p).num_row_groups)]

    def decode(unit: tuple[Path, int]) -> list[pa.RecordBatch]:
        file = pq.ParquetFile(unit[0])
        return list(
            file.iter_batches(BATCH_ROWS, row_groups=[unit[1]], columns=COLUMNS, use_threads=False)
        )

    with ThreadPoolExecutor(THREADS) as pool:
        for batches in pool.map(decode, groups):
            yield from batches


def _in_turns(ways: dict[str, Callable[[], int]]) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            taken[name].append(time.perf_counter() - started)
    return taken


def _make(ports: Ports, rows: int) -> list[LakeFile]:
    """Write a lake of ordinary text, withhold rows at random, and commit a version over it."""
    rng = np.random.default_rng(1)
    files = [
        _file(ports, rng, first, min(FILE_ROWS, rows - first))
        for first in range(0, rows, FILE_ROWS)
    ]
    manifest = Manifest(
        name="bench",
        version=1,
        product=PRODUCT,
        files=tuple(ManifestFile(f.no, f.sha256, f.size_bytes, f.rows, f.rows) for f in files),
        admitted=rows,
        withheld={},
        cutoff=ports.ledger.head(),
        policy_version="bench",
        policy_digest="",
        parents=(),
    )
    ports.datasets.commit(manifest, lambda _: False, 0)
    return files


def _file(ports: Ports, rng: np.random.Generator, first: int, rows: int) -> LakeFile:
    words = np.array(
        ["".join(map(chr, rng.integers(97, 123, n))) for n in rng.integers(2, 10, 9000)]
    )
    odds = 1 / np.arange(1, len(words) + 1)
    batches = []
    for at in range(first, first + rows, 8192):
        count = min(8192, first + rows - at)
        text = rng.choice(words, (count, 170), p=odds / odds.sum())
        batches.append(
            RowBatch(
                product=PRODUCT,
                first=Ordinal(at),
                ids=[f"row-{n:010d}" for n in range(at, at + count)],
                kinds=[0] * count,
                conversations=[None] * count,
                projects=[None] * count,
                api_keys=[None] * count,
                roles=[["user", "assistant"]] * count,
                contents=[[" ".join(t[:30]), " ".join(t[30:])] for t in text.tolist()],
                positions=[0] * count,
                party_sets=[(0, 1, 2, 3)],
                set_nos=[0] * count,
            )
        )
    out = BitMap(np.flatnonzero(rng.random(rows) < WITHHELD).tolist())
    vector = ConsentVector(ports.ledger.head(), {Reason.ACCOUNT: out})
    return ports.files.register(ports.lake.write(batches), vector)


def _ratio(times: dict[str, float]) -> float:
    loader, *others = times.values()
    return loader / min(others)


def _print(
    times: dict[str, float], best: dict[str, float], sizes: tuple[int, int, int], opening: float
) -> None:
    rows, yielded, size_bytes = sizes
    loader, *others = times.values()
    table = Table(
        title=f"Reading {rows:,} rows ({size_bytes / 1e6:,.0f} MB zstd), {THREADS} threads"
    )
    for heading in ("way", "seconds", "of fastest Arrow", "best round", "rows"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    for name, seconds in times.items():
        handed = yielded if seconds is loader else rows
        compared = f"{seconds / min(others):.2f}"
        table.add_row(name, f"{seconds:.3f}", compared, f"{best[name]:.3f}", f"{handed:,}")
    console = Console()
    console.print(table)
    console.print(
        f"loader: {_ratio(times):.2f} times the fastest Arrow way "
        f"({_ratio(best):.2f} by best rounds), target {TARGET}"
    )
    console.print(f"opening with the hashes of all files: {opening:.3f} s, not in the times above")


if __name__ == "__main__":
    run(main, __doc__)
