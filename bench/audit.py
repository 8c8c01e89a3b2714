"""What a full audit costs: every entry opened, every hash taken, every row of every file decided again.

    python -m bench.audit [--people 100000] [--rows 1000000] [--json]

Once over a home of people, each opened and half of them turned off (sealed entries, which are opened), and
once over the corpus of the other benchmarks with a version that is built and tagged. Steps are timed by
what the audit says it is at, beside the least that anybody could do for the entries: reading them and
hashing each once into a leaf and once, on average, into the tree.
"""

from __future__ import annotations

import tempfile
import time
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.command import run
from bench.corpus import VIBE, corpus
from withhold.adapters.embedded import open_embedded
from withhold.app import shipped_policy
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId
from withhold.ports import Ports
from withhold.services import builds, directory, policies, preferences, tagging
from withhold.services.audit import audit
from withhold.services.directory import AccountRequest
from withhold.services.preferences import PreferenceRequest

BATCH = 1_000  # accounts of one transaction
Figures = dict[str, float]


def main(people: int = 100_000, rows: int = 1_000_000) -> Figures:
    """Measure, print a table, and return the figures."""
    with tempfile.TemporaryDirectory() as folder, open_embedded(Path(folder)) as ports:
        _provision(ports, people)
        of_people = _audited(ports)
        least = _least(ports)
    with corpus(rows) as ports:
        builds.build(ports, "chat", VIBE)
        tagging.tag_all(ports)
        of_rows = _audited(ports)
    entries = of_people["entries"]
    figures = {
        "entries": entries,
        "entries_audit_seconds": of_people["seconds"],
        "entries_ledger_us_each": round(1e6 * of_people["ledger"] / entries, 1),
        "entries_tree_us_each": round(1e6 * of_people["tree"] / entries, 2),
        "entries_least_us_each": round(1e6 * least / entries, 2),
        "rows": of_rows["rows"],
        "rows_audit_seconds": of_rows["seconds"],
        "rows_files_us_each": round(1e6 * of_rows["files"] / of_rows["rows"], 3),
        "rows_datasets_us_each": round(1e6 * of_rows["datasets"] / of_rows["rows"], 3),
    }
    _print(figures)
    return figures


def _provision(ports: Ports, people: int) -> None:
    """Open people, and turn every second one off."""
    policies.adopt(ports, shipped_policy())
    for first in range(0, people, BATCH):
        names = [AccountId(f"person-{n}") for n in range(first, min(first + BATCH, people))]
        directory.put_accounts(ports, [AccountRequest(name) for name in names])
        offs = [PreferenceRequest(SubjectKind.ACCOUNT, n, VIBE, False) for n in names[::2]]
        preferences.opt_out_many(ports, offs)


def _audited(ports: Ports) -> Figures:
    """Audit a home; return the seconds of the whole and of each step."""
    begun: dict[str, float] = {}
    began = time.perf_counter()
    report = audit(ports, lambda step, _done, _total: begun.setdefault(step, time.perf_counter()))
    ended = time.perf_counter()
    assert report.holds, report.faults
    times = [began, *list(begun.values())[1:], ended]
    steps = dict.fromkeys(("ledger", "tree", "files", "datasets"), 0.0)
    for step, (start, end) in zip(begun, pairwise(times), strict=True):
        steps[step] = end - start
    return {
        **steps,
        "seconds": round(ended - began, 3),
        "entries": float(report.position),
        "rows": float(report.rows),
    }


def _least(ports: Ports) -> float:
    ledger: Any = ports.ledger
    began = time.perf_counter()
    node = b""
    with ledger._control.read() as connection:  # noqa: SLF001 (no port hands out bare entries)
        for (entry,) in connection.execute("SELECT entry FROM entries ORDER BY position"):
            node = sha256(b"\1" + node + sha256(b"\0" + entry).digest()).digest()
    return time.perf_counter() - began


def _print(figures: Figures) -> None:
    title = f"A full audit: {figures['entries']:,.0f} entries; {figures['rows']:,.0f} rows"
    table = Table("", "measured", title=title)
    for name, value in figures.items():
        shown = f"{value:,.0f}" if name in {"entries", "rows"} else f"{value:,.3f}"
        table.add_row(name.replace("_", " "), shown)
    Console(stderr=True).print(table)


if __name__ == "__main__":
    run(main, __doc__)
