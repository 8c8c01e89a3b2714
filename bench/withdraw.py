"""What withdrawing people from built datasets costs, in time and in bytes written.

    python -m bench.withdraw [--rows 3000000] [--json]

The opt-outs are in the ledger; measured is from there until every dataset yields the rows no more, vectors
and cursor durable. Bytes are counted twice: what is added to the vectors, and what the database's log
grew by, pages and all. They stand beside what a rebuild of the files would write.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.command import run
from bench.corpus import DEFAULT, FIRST_ACCOUNT, VIBE, change, corpus
from withhold.adapters.store.sqlite import bits as codec
from withhold.domain.standing import Becomes
from withhold.ports import Ports
from withhold.services import builds, withdrawals

TARGET_SECONDS = {1: 0.020, 1_000: 0.3, 100_000: 1.0}
FLIP_TARGET = 2.0
BYTES_TARGET = 1 / 1_000
MORE_DATASETS = 9
Figures = dict[str, float]


def main(rows: int = 3_000_000) -> Figures:
    """Measure, print a table, and return the figures (seconds and bytes)."""
    figures: Figures = {"rows": rows}
    for datasets in (1, 1 + MORE_DATASETS):
        with corpus(rows) as ports:
            for _ in range(datasets):
                builds.build(ports, "chat", VIBE)
            figures |= _measured(ports, datasets)
    _print(figures)
    return figures


def _measured(ports: Ports, datasets: int) -> Figures:
    files = ports.files.files()
    found: Figures = {"rebuild_bytes": float(sum(f.size_bytes for f in files))}
    order = _people_with_rows(ports)
    accounts = len(order)
    _withdraw(ports, order[:1])  # indexes are mapped and checked once in a process
    at = 1
    for people in TARGET_SECONDS:
        turns = 9 if people == 1 else 3 if people == 1_000 else 1
        each = min(people, (accounts - at) // turns)
        runs = []
        for _ in range(turns):
            runs.append(_withdraw(ports, order[at : at + each]))
            at += each
        runs.sort()
        key = f"{people}_accounts_{datasets}_datasets"
        found[key], found[f"{key}_bytes"], found[f"{key}_log_bytes"] = runs[len(runs) // 2]
    key = f"flip_{datasets}_datasets"
    found[key], found[f"{key}_bytes"], found[f"{key}_log_bytes"] = _withdraw(
        ports, np.array([DEFAULT])
    )
    return found


def _people_with_rows(ports: Ports) -> NDArray[np.int64]:
    """Return the accounts that have rows, in random order; many of them have only a few."""
    indexes = [ports.lake._index(f) for f in ports.files.files()]  # type: ignore[attr-defined]  # noqa: SLF001
    parties = np.unique(np.concatenate([index.parties for index in indexes])).astype(np.int64)
    return np.random.default_rng(3).permutation(parties[parties >= FIRST_ACCOUNT])


def _withdraw(ports: Ports, parties: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return seconds, bytes added to vectors, and bytes by which the database's log grew."""
    change(ports, parties, np.full(len(parties), int(Becomes.OUT)))
    control = ports.files._control  # type: ignore[attr-defined]  # noqa: SLF001
    log = Path(str(control._path) + "-wal")  # noqa: SLF001
    control._writer.pragma("wal_checkpoint", "TRUNCATE")  # noqa: SLF001
    before = _growths(ports)
    began = time.perf_counter()
    withdrawals.apply(ports)
    seconds = time.perf_counter() - began
    grown = {key: size for key, size in _growths(ports).items() if key not in before}
    return seconds, float(sum(grown.values())), float(log.stat().st_size)


def _growths(ports: Ports) -> dict[tuple[int, int], int]:
    return {
        (file.no, i): len(codec.pack(grown.bits))
        for file in ports.files.files()
        for i, grown in enumerate(ports.files.growth(file.no))
    }


def _print(figures: Figures) -> None:
    rebuild = figures["rebuild_bytes"]
    title = f"{int(figures['rows']):,} rows, a rebuild writes {rebuild / 1e6:.0f} MB"
    columns = ("withdrawn", "datasets", "took", "target", "bytes", "log bytes", "of a rebuild")
    table = Table(*columns, title=title)
    for datasets in (1, 1 + MORE_DATASETS):
        targets = {f"{n}_accounts": (f"{n:,} accounts", t) for n, t in TARGET_SECONDS.items()}
        targets["flip"] = ("a plan's default", FLIP_TARGET)
        for key, (name, target) in targets.items():
            whole = f"{key}_{datasets}_datasets"
            added, log = figures[f"{whole}_bytes"], figures[f"{whole}_log_bytes"]
            limit = f" (<= {BYTES_TARGET})" if key in {"1_accounts", "1000_accounts"} else ""
            table.add_row(
                name,
                str(datasets),
                f"{figures[whole] * 1000:.1f} ms",
                f"<= {target * 1000:.0f} ms",
                f"{added:,.0f}",
                f"{log:,.0f}",
                f"{added / rebuild:.6f}{limit}",
            )
    Console(stderr=True).print(table)


if __name__ == "__main__":
    run(main, __doc__)
