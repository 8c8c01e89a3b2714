"""A table of notes in a control database: jobs that write one, and a job that others have to wait for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from withhold.adapters.store.sqlite.control import Control
from withhold.ports import Outcome


@contextmanager
def control_in(folder: Path) -> Iterator[Control]:
    """Open a control database with an empty table of notes."""
    opened = Control(folder / "control.db")
    opened.run(lambda c: c.execute("CREATE TABLE notes(text TEXT)").fetchall())
    yield opened
    opened.close()


def note(text: str) -> Callable[[apsw.Connection], int]:
    """Return a job that writes a note and returns its number."""

    def job(connection: apsw.Connection) -> int:
        connection.execute("INSERT INTO notes VALUES (?)", (text,))
        return connection.last_insert_rowid()

    return job


def notes(control: Control) -> list[str]:
    """Return all notes, oldest first."""
    with control.read() as connection:
        return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY rowid")]


def held(control: Control, told: queue.Queue[Outcome[int]]) -> threading.Event:
    """Let a job of result 0 keep the database busy; return what ends it, once it has begun."""
    busy, release = threading.Event(), threading.Event()

    def hold(connection: apsw.Connection) -> int:
        busy.set()
        assert release.wait(30)
        return 0

    control.submit(hold, told.put)
    assert busy.wait(30)
    return release
