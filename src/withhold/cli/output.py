"""What all commands share: their two common options, opening the home, and printing.

With ``--json`` a command prints its document and nothing else on stdout. Without, it prints for people;
what comes from outside is shown without control characters, so that no id can move a cursor.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TaskID
from rich.table import Table
from rich.text import Text

from withhold import app, settings
from withhold.adapters.embedded import exists
from withhold.domain.names import Position, ProductId
from withhold.errors import StorageError, WithholdError
from withhold.ports import Ports
from withhold.services import witnessing

Home = Annotated[
    Path | None, typer.Option("--home", help="The folder with all data, instead of WITHHOLD_HOME.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Force = Annotated[bool, typer.Option("--force", help="Write over a file that has other content.")]
OR_FORCE = "say --force (it names the newest checkpoint: once the ledger grew, it differs)"
Product = Annotated[
    str | None, typer.Option("--product", help="A product of the policy, for example vibe.")
]

RIGHT = ">"
"""A column whose name begins with this is aligned right."""


def home_of(home: Path | None) -> Path:
    """Return the home that the option or the environment names."""
    return home if home is not None else settings.home()


@contextmanager
def opened(home: Path | None, *, make: bool = False) -> Iterator[Ports]:
    """Open the installation; of one that is made here people are told: it may be the wrong folder."""
    where = home_of(home)
    is_new = make and not exists(where)
    with app.open_ports(where, make=make) as ports:
        if is_new and sys.stderr.isatty():
            sys.stderr.write(
                f"withhold: made a new installation in {safe(str(where.absolute()))}\n"
            )
        _warn(ports.watch.gate.reason and f"read-only: {ports.watch.gate.reason}")
        head = ports.ledger.head()
        yield ports
        _look(ports, head)


def _look(ports: Ports, before: Position) -> None:
    """Show the witnesses what was appended, and note what was seen; what was done stands either way."""
    if ports.watch.gate.reason:
        return
    try:
        if ports.ledger.head() == before:
            witnessing.note(ports)
            return
        for report in witnessing.witness(ports):
            _warn(report.fault and f"witness {report.witness}: {report.fault}")
    except StorageError:  # what it says of nothing being recorded is said of the showing
        _warn("what was done stands, and was not shown to witnesses: the disk refused that")
    except WithholdError as error:
        _warn(f"what was done stands, and was not shown to witnesses: {error.diagnostics()}")


def _warn(text: str) -> None:
    if text:
        sys.stderr.write(f"withhold: {safe(text)}\n")


def product_of(product: str | None) -> ProductId | None:
    """Return the product that was named, None when none was."""
    return None if product is None else ProductId(product)


def give(document: object) -> None:
    """Print a document as JSON."""
    values = msgspec.to_builtins(document)
    sys.stdout.write(json.dumps(values, ensure_ascii=False, indent=2) + "\n")


def console() -> Console:
    """Return where things for people are printed."""
    return Console(highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """Print one line for people."""
    console().print(safe(text), soft_wrap=True)


def table(columns: Iterable[str], rows: Iterable[Iterable[object]], title: str = "") -> None:
    """Print a table; numbers get thousands separators."""
    drawn = Table(title=safe(title) or None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        is_right = column.startswith(RIGHT)
        drawn.add_column(column.removeprefix(RIGHT), justify="right" if is_right else "left")
    for row in rows:
        drawn.add_row(*(Text(_cell(value)) for value in row))
    console().print(drawn)


def safe(text: str) -> str:
    """Return text without control characters."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else safe(str(value))


@contextmanager
def progress_bar(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr, where there is somebody to see it."""
    with Bar(console=Console(stderr=True), disable=quiet or not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, size: bar.update(task, completed=done, total=size)


@contextmanager
def progress_steps(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each step on stderr, where there is somebody to see it."""
    with Bar(console=Console(stderr=True), disable=quiet or not sys.stderr.isatty()) as bar:
        tasks: dict[str, TaskID] = {}

        def advance(step: str, done: int, size: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=size)
            bar.update(tasks[step], completed=done, total=size)

        yield advance


def warn(text: str) -> None:
    """Say on stderr what a person should know although the command did what it was asked for."""
    sys.stderr.write(f"withhold: {' '.join(safe(text).split())}\n")
