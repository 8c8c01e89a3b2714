"""What a durable toggle costs: beside a bare one-row insert and the disk itself, in one run.

    python -m bench.toggle [--accounts 100000] [--toggles 5000] [--clients 64]

Everything is measured on one folder, in turns, so that both sides see the same disk. A toggle is the
whole way through `services.preferences.set_preference`: lookup, rule, sealed entry, chain, effects,
record, the tree of the log, the flush, and the signed checkpoint. The bare side is the same SQLite with
the same settings and one small row.

Between them stands the same work in one flat function (`flat_toggle`): what a toggle costs above it is
ours to lower.

Both sides are measured in both states of the write-ahead log (`log_state`), each against the other in the
same one: over a log that was written once, as in a server that has run a while, and from an empty one.

Many clients are the tasks of one event loop, each of which waits for its answer before it asks again, as
the requests of the HTTP server do, with its loop and its settings of the garbage collector; the same number
of threads stands beside them.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

import withhold
from bench.command import run
from bench.flat_toggle import flat_toggle
from bench.log_state import written_over
from withhold.adapters.clock import SystemClock
from withhold.adapters.store.sqlite.control import Control, connect
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.adapters.store.sqlite.log import SqliteLog
from withhold.adapters.store.sqlite.log_keys import LogKeys
from withhold.adapters.store.sqlite.worker import Worker
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, ProductId
from withhold.ports import Ports
from withhold.services import directory, policies, preferences
from withhold.services.directory import AccountRequest
from withhold.services.preferences import PreferenceRequest
from withhold.web.appends import Appends
from withhold.web.server import collect_less

POLICY = Path(withhold.__file__).parent / "policies" / "default.toml"
VIBE = ProductId("vibe")
CROWD_ROUNDS = 5  # of the crowd, in each way
ROUNDS = 10  # the sides take turns this often, so that a slow moment of the disk hits both
TARGET_RATIO = 1.5
TARGET_PER_SECOND = 15_000


@contextmanager
def opened(folder: Path, accounts: int) -> Iterator[tuple[Ports, Control]]:
    """Open a ledger with this many accounts."""
    control = Control(folder / "control.db")
    keys = SubjectKeys(folder / "keys.db")
    unused = dict.fromkeys(Ports.__dataclass_fields__)  # a toggle needs the ledger and the clock
    ledger = SqliteLedger(control, keys)
    SqliteLog(control, LogKeys(keys))  # every commit grows the tree and is signed
    ports = Ports(**{**unused, "ledger": ledger, "clock": SystemClock()})  # type: ignore[arg-type]
    policies.adopt(ports, POLICY.read_text(encoding="utf-8"))
    for first in range(0, accounts, 10_000):
        numbers = range(first, min(first + 10_000, accounts))
        directory.put_accounts(ports, [AccountRequest(AccountId(f"a{n}")) for n in numbers])
    yield ports, control
    control.close()
    keys.close()


class Client:
    """Somebody who turns switches of random accounts to what they are not.

    Nobody else may turn switches of these accounts: a toggle that changes nothing would cost nothing.
    """

    def __init__(self, ports: Ports, accounts: range, seed: int) -> None:
        self._ports = ports
        self._accounts = accounts
        self._chance = random.Random(seed)
        self._on: dict[int, bool] = {}

    @property
    def ids(self) -> list[str]:
        """The external ids of the accounts."""
        return [f"a{account}" for account in self._accounts]

    def _next(self) -> PreferenceRequest:
        account = self._chance.choice(self._accounts)
        self._on[account] = not self._on.get(account, True)
        return PreferenceRequest(SubjectKind.ACCOUNT, f"a{account}", VIBE, self._on[account])

    def toggle(self) -> None:
        preferences.set_preference(self._ports, self._next())

    async def toggle_by(self, appends: Appends) -> None:
        change = preferences.turning(self._ports, self._next())
        await appends.append(self._ports.ledger, change)


def bare_insert(file: Path, log_bytes: int) -> Callable[[], None]:
    """Return a function that inserts one small row durably, with the ledger's own settings.

    Args:
        file: of the database, which is made.
        log_bytes: how much of its log is there already, to be written over.
    """
    connection = connect(file)
    if log_bytes:
        written_over(connection, log_bytes)
    connection.execute(
        "CREATE TABLE bare(no INTEGER PRIMARY KEY, who TEXT, allowed INTEGER) STRICT"
    )

    def insert() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO bare(who, allowed) VALUES (?, ?)", ("a1", 0))
        connection.execute("COMMIT")

    return insert


def raw_flush(folder: Path) -> Callable[[], None]:
    """Return a function that writes 4 KB over what a file has there already, and flushes it."""
    size = 64 * 1024 * 1024
    file = os.open(folder / "raw", os.O_RDWR | os.O_CREAT)
    os.pwrite(file, os.urandom(size), 0)
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


def by_tasks(clients: list[Client], times: int) -> None:
    """Let every client toggle this often, all as tasks of one event loop."""

    async def all_of_them() -> None:
        appends = Appends()

        async def work(client: Client) -> None:
            for _ in range(times):
                await client.toggle_by(appends)

        await asyncio.gather(*map(work, clients))

    uvloop.run(all_of_them())  # as the server does


def by_threads(clients: list[Client], times: int) -> None:
    """Let every client toggle this often, each on a thread of its own."""

    def work(client: Client) -> None:
        for _ in range(times):
            client.toggle()

    workers = [threading.Thread(target=work, args=(client,)) for client in clients]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def together(ports: Ports, clients: list[Client], times: int) -> dict[str, float]:
    """Let many clients toggle at once, in both ways by turns; return the medians of toggles a second."""
    ways = {"tasks": by_tasks, "threads": by_threads}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(CROWD_ROUNDS):
        for name, way in ways.items():
            before, start = ports.ledger.head(), time.perf_counter()
            way(clients, times // len(clients) // CROWD_ROUNDS)
            seconds = time.perf_counter() - start
            # entries: what was changed, not what was asked
            rates[name].append((ports.ledger.head() - before) / seconds)
    return {name: statistics.median(found) for name, found in rates.items()}


def main(
    accounts: int = 100_000, toggles: int = 5_000, clients: int = 64, folder: Path | None = None
) -> dict[str, float]:
    """Measure, print a table, and return the figures."""
    with (
        tempfile.TemporaryDirectory(dir=folder) as name,
        opened(Path(name), accounts) as (ports, control),
    ):
        here = Path(name)
        own = accounts // 10  # of the one client; the others belong to the many
        one = Client(ports, range(accounts - own, accounts), seed=4711)
        many = [Client(ports, range(n, accounts - own, clients), seed=n) for n in range(clients)]
        log_bytes = (here / "control.db-wal").stat().st_size
        beside = Worker("withhold-beside")
        sides = {
            "toggle": one.toggle,
            "flat": flat_toggle(here / "control.db", one.ids, log_bytes, beside),
            "insert": bare_insert(here / "bare.db", log_bytes),
            "flush": raw_flush(here),
        }
        seconds = in_turns(sides, toggles)
        beside.close()
        control.truncate_log()
        first = bare_insert(here / "first.db", 0)
        seconds |= in_turns({"first_toggle": one.toggle, "first_insert": first}, toggles)
        collect_less()  # as the server does; the one client above has Python's own settings
        per_second = together(ports, many, toggles * 16)
    figures = {
        f"{side}_{what}_us": cost * 1e6
        for side, samples in seconds.items()
        for what, cost in (
            ("median", statistics.median(samples)),
            ("p99", statistics.quantiles(samples, n=100)[98]),
        )
    }
    figures["log_mb"] = log_bytes / 1e6
    figures["times_bare_insert"] = figures["toggle_median_us"] / figures["insert_median_us"]
    figures["flat_times_bare_insert"] = figures["flat_median_us"] / figures["insert_median_us"]
    figures["first_times_bare_insert"] = (
        figures["first_toggle_median_us"] / figures["first_insert_median_us"]
    )
    figures["times_raw_flush"] = figures["toggle_median_us"] / figures["flush_median_us"]
    figures["toggles_per_second"] = per_second["tasks"]
    figures["toggles_per_second_threads"] = per_second["threads"]
    _print(figures, clients)
    return figures


def _print(figures: dict[str, float], clients: int) -> None:
    table = Table(title="A durable toggle")
    for column in ("", "measured", "target"):
        table.add_column(column)
    over = f"over a log of {figures['log_mb']:.0f} MB"
    for state, where, sides in (
        ("", over, ("toggle", "flat", "insert", "flush")),
        ("first_", "from an empty log", ("toggle", "insert")),
    ):
        for side in sides:
            median, p99 = figures[f"{state}{side}_median_us"], figures[f"{state}{side}_p99_us"]
            table.add_row(f"{side}, {where}", f"{median:,.0f} us (p99 {p99:,.0f})", "")
        ratio = f"{figures[f'{state}times_bare_insert']:.2f} x"
        table.add_row(f"toggle : bare insert, {where}", ratio, f"at most {TARGET_RATIO} x")
    table.add_row("flat : bare insert", f"{figures['flat_times_bare_insert']:.2f} x", "")
    table.add_row("toggle : raw flush", f"{figures['times_raw_flush']:.2f} x", "")
    rate = f"{figures['toggles_per_second']:,.0f} / s"
    table.add_row(f"{clients} clients of a loop", rate, f"at least {TARGET_PER_SECOND:,} / s")
    rate = f"{figures['toggles_per_second_threads']:,.0f} / s"
    table.add_row(f"{clients} clients, a thread each", rate, "")
    Console().print(table)


if __name__ == "__main__":
    run(main, __doc__)
