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


def together(control: Control, *jobs: Callable[[apsw.Connection], object]) -> list[object]:
    """Run jobs that all wait for one leader; return what each returned or raised."""
    first_runs, may_end = threading.Event(), threading.Event()
    answers: dict[int, object] = {}

    def slow(_: apsw.Connection) -> None:
        first_runs.set()
        may_end.wait(10)

    def call(number: int, job: Callable[[apsw.Connection], object]) -> None:
        try:
            answers[number] = control.run(job)
        except BaseException as error:  # noqa: BLE001 - what it raised is what is asked for
            answers[number] = error

    leader = threading.Thread(target=control.run, args=(slow,))
    leader.start()
    assert first_runs.wait(10)
    threads = []
    for number, job in enumerate(jobs):
        threads.append(threading.Thread(target=call, args=(number, job)))
        threads[-1].start()
        while len(control._writers._queue) <= number + 1:  # the slow one too
            pass
    may_end.set()
    for thread in (leader, *threads):
        thread.join()
    return [answers[number] for number in range(len(jobs))]
