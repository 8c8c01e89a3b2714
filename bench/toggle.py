"""What a durable toggle costs: beside a bare one-row insert and the disk itself, in one run.

    python -m bench.toggle [--accounts 100000] [--toggles 5000] [--threads 64]

Everything is measured on one folder, in turns, so that both sides see the same disk. A toggle is the
whole way through `services.preferences.set_preference`: lookup, rule, sealed entry, chain, effects,
record, and the flush. The bare side is the same SQLite with the same settings and one small row.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

import withhold
from withhold.adapters.clock import SystemClock
from withhold.adapters.store.sqlite.control import Control, connect
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, ProductId
from withhold.ports import Ports
from withhold.services import directory, policies, preferences
from withhold.services.directory import AccountRequest
from withhold.services.preferences import PreferenceRequest

POLICY = Path(withhold.__file__).parent / "policies" / "default.toml"
VIBE = ProductId("vibe")
ROUNDS = 10  # the sides take turns this often, so that a slow moment of the disk hits both
TARGET_RATIO = 1.5
TARGET_PER_SECOND = 15_000


@contextmanager
def opened(folder: Path, accounts: int) -> Iterator[Ports]:
    """Open a ledger with this many accounts."""
    control = Control(folder / "control.db")
    keys = SubjectKeys(folder / "keys.db")
    unused = dict.fromkeys(Ports.__dataclass_fields__)  # a toggle needs the ledger and the clock
    ledger = SqliteLedger(control, keys)
    ports = Ports(**{**unused, "ledger": ledger, "clock": SystemClock()})  # type: ignore[arg-type]
    policies.adopt(ports, POLICY.read_text(encoding="utf-8"))
    for first in range(0, accounts, 10_000):
        numbers = range(first, min(first + 10_000, accounts))
        directory.put_accounts(ports, [AccountRequest(AccountId(f"a{n}")) for n in numbers])
    yield ports
    control.close()
    keys.close()


def toggler(ports: Ports, accounts: range, seed: int) -> Callable[[], None]:
    """Return a function that turns the switch of a random account to what it is not.

    Nobody else may turn switches of these accounts: a toggle that changes nothing would cost nothing.
    """
    chance = random.Random(seed)
    on: dict[int, bool] = {}

    def toggle() -> None:
        account = chance.choice(accounts)
        on[account] = not on.get(account, True)
        preferences.set_preference(
            ports, PreferenceRequest(SubjectKind.ACCOUNT, f"a{account}", VIBE, on[account])
        )

    return toggle


def bare_insert(folder: Path) -> Callable[[], None]:
    """Return a function that inserts one small row durably, with the ledger's own settings."""
    connection = connect(folder / "bare.db")
    connection.execute(
        "CREATE TABLE bare(no INTEGER PRIMARY KEY, who TEXT, allowed INTEGER) STRICT"
    )

    def insert() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO bare(who, allowed) VALUES (?, ?)", ("a1", 0))
        connection.execute("COMMIT")

    return insert


def raw_flush(folder: Path) -> Callable[[], None]:
    """Return a function that writes 4 KB into a file that is already allocated, and flushes it."""
    size = 64 * 1024 * 1024
    file = os.open(folder / "raw", os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(file, 0, size)
    os.fsync(file)
    page, state = os.urandom(4096), [0]

    def flush() -> None:
        os.pwrite(file, page, state[0] % size)
        state[0] += 4096
        os.fdatasync(file)

    return flush


def in_turns(sides: dict[str, Callable[[], None]], times: int) -> dict[str, list[float]]:
    """Run every side ``times`` times, in turns; return the seconds of each call."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, call in sides.items():
            for _ in range(times // ROUNDS):
                start = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - start)
    return seconds


def together(ports: Ports, accounts: int, threads: int, times: int) -> float:
    """Let many clients toggle at once; return toggles a second."""
    clients = [toggler(ports, range(n, accounts, threads), seed=n) for n in range(threads)]

    def work(toggle: Callable[[], None]) -> None:
        for _ in range(times // threads):
            toggle()

    workers = [threading.Thread(target=work, args=(client,)) for client in clients]
    before = ports.ledger.head()
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - start
    return (ports.ledger.head() - before) / seconds  # entries: what was changed, not what was asked


def main(
    accounts: int = 100_000, toggles: int = 5_000, threads: int = 64, folder: Path | None = None
) -> dict[str, float]:
    """Measure, print a table, and return the figures."""
    with tempfile.TemporaryDirectory(dir=folder) as name, opened(Path(name), accounts) as ports:
        here = Path(name)
        own = accounts // 10  # of the one client; the others belong to the many
        toggle = toggler(ports, range(accounts - own, accounts), seed=4711)
        sides = {"toggle": toggle, "insert": bare_insert(here), "flush": raw_flush(here)}
        seconds = in_turns(sides, toggles)
        per_second = together(ports, accounts - own, threads, toggles * 8)
    figures = {
        f"{side}_{what}_us": cost * 1e6
        for side, samples in seconds.items()
        for what, cost in (
            ("median", statistics.median(samples)),
            ("p99", statistics.quantiles(samples, n=100)[98]),
        )
    }
    figures["times_bare_insert"] = figures["toggle_median_us"] / figures["insert_median_us"]
    figures["times_raw_flush"] = figures["toggle_median_us"] / figures["flush_median_us"]
    figures["toggles_per_second"] = per_second
    _print(figures, threads)
    return figures


def _print(figures: dict[str, float], threads: int) -> None:
    table = Table(title="A durable toggle")
    for column in ("", "measured", "target"):
        table.add_column(column)
    for side in ("toggle", "insert", "flush"):
        median, p99 = figures[f"{side}_median_us"], figures[f"{side}_p99_us"]
        table.add_row(f"{side}, one client", f"{median:,.0f} us (p99 {p99:,.0f})", "")
    ratio = f"{figures['times_bare_insert']:.2f} x"
    table.add_row("toggle : bare insert", ratio, f"at most {TARGET_RATIO} x")
    table.add_row("toggle : raw flush", f"{figures['times_raw_flush']:.2f} x", "")
    rate = f"{figures['toggles_per_second']:,.0f} / s"
    table.add_row(f"{threads} clients", rate, f"at least {TARGET_PER_SECOND:,} / s")
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--toggles", type=int, default=5_000)
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--json", action="store_true")
    asked = vars(parser.parse_args())
    as_json = asked.pop("json")
    found = main(**asked)
    if as_json:
        print(json.dumps(found))
