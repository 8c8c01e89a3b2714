"""What a build costs: beside reading, beside copying, and beside a database's joins, in one run.

    python -m bench.build [--rows 3000000] [--json]

(a) a version over a lake that is already there, at a tenth, a third and all of the rows;
(b) the full decision of every row, with its vectors committed, beside decoding and encoding every row
    again (the fastest of three writers) and beside merely reading what it needs: positions, set
    numbers and the party sets;
(c) the decision alone on one party a row, beside DuckDB, all emitting the same row numbers. The as-of
    join that looks only at the state at capture is there because it is wrong, and must stay different.

Both sides run on the same files with two threads, in turns; figures are medians.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "2")

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyroaring import BitMap
from rich.console import Console
from rich.table import Table

from bench.command import run
from bench.corpus import FILE_ROWS, VIBE, corpus, zipf
from withhold.adapters.engines.local import kernel
from withhold.adapters.engines.local.engine import LocalEngine
from withhold.adapters.lake.columns import PARTY_SETS_KEY, PartySets
from withhold.adapters.store.sqlite.consent import ArrayTable
from withhold.domain.admission import Reason
from withhold.domain.names import FileNo, Ordinal, Position
from withhold.domain.vectors import ConsentVector, withheld
from withhold.ports import LakeFile, Ports
from withhold.services import builds, sealing

THREADS = 2
TURNS = 5
COPY_TARGET = 50.0
READ_TARGET = 0.6
FLAT_TARGET = 4.0  # ten times the rows may cost this much more; most of it is the commit itself
Figures = dict[str, float | str | bool]

HASH_JOIN = """
    SELECT row FROM {rows} JOIN t_exceptions USING (party) WHERE on_since > position"""
AS_OF = """
    WITH last_out AS (SELECT party, max(stands) AS stands FROM t_events WHERE is_out GROUP BY party)
    SELECT row FROM {rows} r
    ASOF LEFT JOIN t_events e ON r.party = e.party AND r.position >= e.stands
    LEFT JOIN last_out o ON r.party = o.party
    WHERE e.is_out OR o.stands > r.position"""
NAIVE = """
    SELECT row FROM {rows} r
    ASOF JOIN t_events e ON r.party = e.party AND r.position >= e.stands WHERE e.is_out"""


def main(rows: int = 3_000_000) -> Figures:
    """Measure, print a table, and return the figures (seconds and ratios)."""
    pa.set_cpu_count(THREADS)
    figures: Figures = {"rows": rows}
    with tempfile.TemporaryDirectory(prefix="withhold-bench-") as folder:
        for size in dict.fromkeys((rows // 10, rows // 3, rows)):
            with corpus(size) as ports:
                figures[f"build_{size}"] = median(lambda p=ports: builds.build(p, "chat", VIBE))
                if size == rows:
                    figures |= _decision(ports, Path(folder))
        figures |= _joins(rows, Path(folder))
    first, last = figures[f"build_{rows // 10}"], figures[f"build_{rows}"]
    figures["build_growth"] = float(last) / float(first)
    _print(figures, rows)
    return figures


def median(job: Callable[[], object], turns: int = TURNS) -> float:
    """Return the median of the seconds a job takes, after one turn that does not count."""
    job()
    return statistics.median(_seconds(job) for _ in range(turns))


def _seconds(job: Callable[[], object]) -> float:
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def _decision(ports: Ports, folder: Path) -> Figures:
    files = ports.files.files()
    paths = [ports.lake.path(f) for f in files]  # type: ignore[attr-defined]

    def read(file: LakeFile) -> int:
        with pq.ParquetFile(
            ports.lake.path(file),
            memory_map=True,
            page_checksum_verification=True,  # type: ignore[attr-defined]
        ) as opened:
            sets = PartySets.load(opened.metadata.metadata[PARTY_SETS_KEY])
            assert len(sets)
            return int(opened.read(["position", "party_set"], use_threads=False).num_rows)

    def reading() -> None:
        assert sum(ports.engine.map(read, files)) == sum(f.rows for f in files)

    def deciding() -> None:
        for _ in ports.engine.map(lambda f: sealing.decide(ports, f), files):
            pass

    def committing() -> None:
        decided = ports.engine.map(lambda f: sealing.decide(ports, f), files)
        vectors = {f.no: ConsentVector(*d) for f, d in zip(files, decided, strict=True)}
        ports.files.replace(vectors)

    def forgotten() -> float:
        """Give every vector up, so that each is written anew."""
        head = ports.ledger.head()
        ports.files.apply(
            ports.files.cursor(), head, {f.no: None for f in files}, last=files[-1].no
        )
        return _seconds(committing)

    reading()
    deciding()
    reads, decides, commits = [], [], []
    for _ in range(TURNS):  # in turns, so that a slow moment of the machine hits all
        reads.append(_seconds(reading))
        decides.append(_seconds(deciding))
        commits.append(forgotten())
    copies = _copies(ports, paths, folder)
    fastest = min(copies, key=lambda name: copies[name])
    found: Figures = {f"copy_{name}": seconds for name, seconds in copies.items()}
    found |= {
        "read": statistics.median(reads),
        "decide": statistics.median(decides),
        "decide_and_commit": statistics.median(commits),
        "fastest_copy": fastest,
    }
    found["copy_ratio"] = copies[fastest] / statistics.median(commits)
    found["read_ratio"] = statistics.median(reads) / statistics.median(commits)
    return found


def _copies(ports: Ports, paths: list[Path], folder: Path) -> dict[str, float]:
    """Time copies of the admitted rows: decoded, filtered, encoded with the same codec and level."""
    target = folder / "copy.parquet"

    def by_arrow() -> None:
        schema = pq.read_schema(paths[0])
        with pq.ParquetWriter(target, schema, compression="zstd", compression_level=1) as out:
            for file in ports.files.files():
                vector = ports.files.vectors([file.no])[file.no]
                keep = np.ones(file.rows, dtype=np.bool_)
                if vector is not None and (rows := withheld(vector.bits)) is not None:
                    keep[list(rows)] = False
                table = pq.read_table(ports.lake.path(file))  # type: ignore[attr-defined]
                out.write_table(table.filter(pa.array(keep)))

    def by_polars() -> None:
        pl.scan_parquet(paths).filter(pl.col("party_set") >= 0).sink_parquet(
            target, compression="zstd", compression_level=1
        )

    def by_duckdb() -> None:
        with duckdb.connect(config={"threads": THREADS}) as connection:
            connection.execute(
                f"COPY (SELECT * FROM read_parquet({[str(p) for p in paths]}) WHERE party_set >= 0)"
                f" TO '{target}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
            )

    jobs = {"pyarrow": by_arrow, "polars": by_polars, "duckdb": by_duckdb}
    return {name: _seconds(job) for name, job in jobs.items()}


def _joins(rows: int, folder: Path) -> Figures:
    """Compare the decision of one party a row with DuckDB, row number for row number."""
    paths, table, events = _one_party(rows, folder)
    numbered = [
        LakeFile(FileNo(i), VIBE, str(path), 0, 0, Ordinal(0)) for i, path in enumerate(paths)
    ]

    def decide(file: LakeFile) -> NDArray[np.int64]:
        with pq.ParquetFile(file.sha256, memory_map=True) as opened:
            sets = PartySets.load(opened.metadata.metadata[PARTY_SETS_KEY])
            columns = opened.read(["position", "party_set"], use_threads=False)
        positions = columns.column("position").to_numpy().view(np.uint64)
        numbers = columns.column("party_set").to_numpy().view(np.uint32)
        bits = kernel.decide(positions, numbers, sets.offsets, sets.parties, table)
        rows = np.array(bits.get(Reason.ACCOUNT, BitMap()).to_array(), dtype=np.int64)
        return rows + file.no * FILE_ROWS

    def ours() -> NDArray[np.int64]:
        return np.concatenate(list(LocalEngine(THREADS).map(decide, numbered)))

    connection = duckdb.connect(config={"threads": THREADS})
    connection.register("exceptions", _folded(table))
    connection.register("events", events)
    for name in ("exceptions", "events"):
        connection.execute(f"CREATE TABLE t_{name} AS SELECT * FROM {name}")
    source = f"read_parquet({[str(p) for p in paths]})"

    def sql(query: str) -> Callable[[], NDArray[np.int64]]:
        return lambda: connection.execute(query.format(rows=source)).fetchnumpy()["row"]

    routes = {
        "withhold": ours,
        "hash_join": sql(HASH_JOIN),
        "as_of": sql(AS_OF),
        "naive": sql(NAIVE),
    }
    found: Figures = {}
    digests: dict[str, str] = {}
    for name, route in routes.items():
        digests[name] = hashlib.sha256(np.sort(route()).astype("<i8").tobytes()).hexdigest()
    turns: dict[str, list[float]] = {name: [] for name in routes}
    for _ in range(TURNS):
        for name, route in routes.items():
            turns[name].append(_seconds(route))
    found |= {f"join_{name}": statistics.median(seconds) for name, seconds in turns.items()}
    connection.close()
    found["join_same_rows"] = digests["withhold"] == digests["hash_join"] == digests["as_of"]
    found["naive_is_wrong"] = digests["naive"] != digests["withhold"]
    found["hash_join_ratio"] = float(found["join_hash_join"]) / float(found["join_withhold"])
    found["as_of_ratio"] = float(found["join_as_of"]) / float(found["join_withhold"])
    return found


def _one_party(rows: int, folder: Path) -> tuple[list[Path], ArrayTable, pa.Table]:
    """Write rows of one party each; return the files, the standings, and the raw events."""
    generator = np.random.default_rng(11)
    people = max(rows * 2 // 3, 1_000)
    leaving = generator.choice(people, people // 10, replace=False)
    back = leaving[: len(leaving) // 2]
    who = np.concatenate([leaving, back])
    at = np.arange(1, len(who) + 1)
    values = np.ones(people, dtype=np.uint64)
    values[leaving] = 0
    values[back] = at[len(leaving) :] + 1
    party = zipf(generator, people, rows)
    position = generator.integers(0, len(who) + 1, rows)
    paths = []
    for first in range(0, rows, FILE_ROWS):
        part = slice(first, min(first + FILE_ROWS, rows))
        paths.append(folder / f"one-{first}.parquet")
        _write_one_party(paths[-1], first, party[part], position[part])
    kinds = np.zeros(people, dtype=np.uint8)
    events = pa.table({"party": who, "stands": at, "is_out": np.arange(len(who)) < len(leaving)})
    return paths, ArrayTable(Position(len(who)), values, kinds), events


def _write_one_party(
    path: Path, first: int, party: NDArray[np.int64], position: NDArray[np.int64]
) -> None:
    """Write what each side reads: the party itself for a join, its set's number for the kernel."""
    distinct, numbers = np.unique(party, return_inverse=True)
    sets = PartySets(np.arange(len(distinct) + 1, dtype=np.uint32), distinct.astype(np.uint32))
    columns = {
        "row": np.arange(first, first + len(party)),
        "party": party,
        "position": position,
        "party_set": numbers.astype(np.int32),
    }
    table = pa.table(columns).replace_schema_metadata({PARTY_SETS_KEY: sets.dump()})
    pq.write_table(table, path, compression="zstd", compression_level=1)


def _folded(table: ArrayTable) -> pa.Table:
    """Return the parties that are not simply on, with ``on_since``: what a join would be given."""
    party = np.flatnonzero(table.values != 1)
    on_since = table.values[party] - np.uint64(1)
    return pa.table({"party": party, "on_since": np.minimum(on_since, 2**62).astype(np.int64)})


def _print(figures: Figures, rows: int) -> None:
    table = Table("what", "measured", "compared with", "ratio", "target", title=f"{rows:,} rows")

    def line(what: str, mine: float, other: str, ratio: float, target: str) -> None:
        table.add_row(what, f"{mine * 1000:.1f} ms", other, f"{ratio:.2f}", target)

    of = {key: value for key, value in figures.items() if isinstance(value, float)}
    for key in [k for k in of if k.startswith("build_") and k != "build_growth"]:
        name = f"a build over an unchanged lake, {int(key[6:]):,} rows"
        growth = of[key] / of[f"build_{rows // 10}"]
        line(name, of[key], "the smallest lake", growth, f"<= {FLAT_TARGET}")
    copy = f"{figures['fastest_copy']} copy {of['copy_' + str(figures['fastest_copy'])]:.2f} s"
    committed = "every row decided, vectors committed"
    line(committed, of["decide_and_commit"], copy, of["copy_ratio"], f">= {COPY_TARGET}")
    read = f"reading what it needs {of['read'] * 1000:.1f} ms"
    line(committed, of["decide_and_commit"], read, of["read_ratio"], f">= {READ_TARGET}")
    line("one party a row", of["join_withhold"], "DuckDB hash join", of["hash_join_ratio"], ">= 1")
    line("one party a row", of["join_withhold"], "DuckDB as-of join", of["as_of_ratio"], ">= 5")
    Console(stderr=True).print(table)
    Console(stderr=True).print(
        f"same row numbers: {figures['join_same_rows']}; "
        f"the join on the state at capture is wrong: {figures['naive_is_wrong']}"
    )


if __name__ == "__main__":
    run(main, __doc__)
