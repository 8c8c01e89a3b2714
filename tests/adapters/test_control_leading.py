"""Who leads the control database: threads that wait and jobs that were submitted, one leader at a time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from tests.adapters.notes import held, note, notes
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.writers import MAX_JOBS
from withhold.errors import StorageError
from withhold.ports import Outcome


def test_submitted_jobs_share_a_commit_and_each_is_told(control: Control) -> None:
    told: queue.Queue[Outcome[int]] = queue.Queue()
    release = held(control, told)
    before = control.epoch
    for number in range(20):
        control.submit(note(f"n{number}"), told.put)
    release.set()
    assert sorted(told.get(timeout=30).get() for _ in range(21)) == list(range(21))
    assert control.epoch == before + 1  # one transaction for all twenty
    assert notes(control) == [f"n{number}" for number in range(20)]


def test_whoever_tells_badly_keeps_nobody_waiting(control: Control) -> None:
    told: queue.Queue[Outcome[int]] = queue.Queue()

    def bad(_: Outcome[int]) -> None:
        raise RuntimeError("this listener is broken")

    control.submit(note("kept all the same"), bad)
    control.submit(note("told"), told.put)
    assert told.get(timeout=30).get()
    assert control.run(note("waited")) == 3
    assert notes(control) == ["kept all the same", "told", "waited"]


def test_threads_and_submitted_jobs_lead_each_other(control: Control) -> None:
    told: queue.Queue[Outcome[int]] = queue.Queue()

    def work(who: int) -> None:
        for number in range(25):
            control.run(note(f"{who}-{number}"))
            control.submit(note(f"{who}-{number} too"), told.put)

    threads = [threading.Thread(target=work, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for _ in range(150):
        told.get(timeout=30).get()
    assert len(set(notes(control))) == 300


def test_a_thread_behind_more_jobs_than_one_commit_takes_is_answered(control: Control) -> None:
    told: queue.Queue[Outcome[int]] = queue.Queue()
    release = held(control, told)
    for number in range(MAX_JOBS + 50):
        control.submit(note(f"s{number}"), told.put)
    results: list[int] = []
    waiting = threading.Thread(target=lambda: results.append(control.run(note("waited"))))
    waiting.start()
    while control._writers._queue[-1].__class__.__name__ != "Waiting":
        time.sleep(0.001)
    release.set()
    waiting.join(30)
    assert results == [MAX_JOBS + 51]
    for _ in range(MAX_JOBS + 51):
        told.get(timeout=30).get()
    assert control.run(note("after")) == MAX_JOBS + 52


class _Pause:
    """The mutex of a control database, which lets others in just after it was released."""

    def __init__(self, mutex: threading.Lock, after: Callable[[], None]) -> None:
        self._mutex, self._after = mutex, after

    def __enter__(self) -> None:
        self._mutex.acquire()

    def __exit__(self, *_: object) -> None:
        self._mutex.release()
        self._after()


def test_whoever_queues_as_nobody_leads_any_more_is_the_only_leader(control: Control) -> None:
    """Replays the order in which the last leader looked whether somebody leads after it had let go."""
    inside, go_on = threading.Event(), threading.Event()
    second: list[threading.Thread] = []

    def long(connection: apsw.Connection) -> bool:
        note("first half")(connection)
        inside.set()
        assert go_on.wait(30)
        is_whole = connection.in_transaction
        note("second half")(connection)
        return is_whole

    whole: list[bool] = []

    def let_somebody_in() -> None:
        if (
            control._writers.are_led
            or second
            or threading.current_thread() is not threading.main_thread()
        ):
            return
        second.append(threading.Thread(target=lambda: whole.append(control.run(long))))
        second[0].start()
        assert inside.wait(30)

    control._writers._mutex = _Pause(control._writers._mutex, let_somebody_in)  # type: ignore[assignment]
    control.run(note("before"))
    time.sleep(0.05)  # time for a leader that should not be there
    go_on.set()
    second[0].join(30)
    assert whole == [True]
    assert notes(control) == ["before", "first half", "second half"]


def test_closing_finishes_what_was_submitted_and_takes_no_more(tmp_path: Path) -> None:
    control = Control(tmp_path / "control.db")
    control.run(lambda c: c.execute("CREATE TABLE notes(text TEXT)").fetchall())
    told: queue.Queue[Outcome[int]] = queue.Queue()
    for number in range(10):
        control.submit(note(str(number)), told.put)
    control.close()
    assert [told.get(timeout=30).get() for _ in range(10)] == list(range(1, 11))
    with pytest.raises(StorageError, match="closed"):
        control.submit(note("late"), told.put)
