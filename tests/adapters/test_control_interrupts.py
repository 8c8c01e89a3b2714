"""The main thread interrupted at every point: the others go on, and everybody is told once what is so."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.adapters.interruptions import At, Interrupt, every_point
from tests.adapters.notes import control_in, note, notes
from withhold.adapters.store.sqlite import writers
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.writers import Writers
from withhold.errors import StateUnknown, StorageError
from withhold.ports import Outcome


class Signing:
    """Goes with every commit, as the log does; knows how many notes there are that it has seen."""

    signed = 0

    def before_commit(self, connection: apsw.Connection) -> Callable[[], int]:
        count: int = connection.execute("SELECT count(*) FROM notes").get
        return lambda: count

    def after_commit(self, made: int) -> None:
        self.signed = made


class Crowd:
    """Somebody who leads, jobs that were submitted, a thread that waits; and what each was told."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self.told: dict[str, list[object]] = {}
        self._threads: list[threading.Thread] = []
        self._may_end = threading.Event()

    def hold(self) -> None:
        """Let the crew be busy, and three jobs wait for it; more come once the main thread waits."""
        busy = threading.Event()

        def slow(_: apsw.Connection) -> None:
            busy.set()
            assert self._may_end.wait(10)

        self._control.submit(slow, lambda _: None)
        assert busy.wait(10)
        for number in range(3):
            self.submit(f"s{number}")
        self._start(self._later)

    def _later(self) -> None:
        self._wait_for(5)
        self._start(lambda: self._run("waits"))
        self._wait_for(6)
        self.submit("s9")
        self._may_end.set()

    def _wait_for(self, many: int) -> None:
        until = time.monotonic() + 0.3  # the main thread may have been interrupted before it queued
        while len(self._control._writers._queue) < many and time.monotonic() < until:
            time.sleep(0.0005)

    def _start(self, work: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=work, daemon=True))
        self._threads[-1].start()

    def _run(self, name: str) -> None:
        answers = self.told.setdefault(name, [])
        try:
            answers.append(self._control.run(note(name)))
        except (StateUnknown, StorageError) as error:
            answers.append(error)

    def submit(self, name: str) -> None:
        answers = self.told.setdefault(name, [])

        def tell(outcome: Outcome[int]) -> None:
            try:
                answers.append(outcome.get())
            except (StateUnknown, StorageError) as error:
                answers.append(error)

        self._control.submit(note(name), tell)

    def end(self) -> None:
        for thread in self._threads:  # the first of them starts another
            thread.join(5)
        assert not any(thread.is_alive() for thread in self._threads), "somebody waits for ever"


def check(control: Control, signing: Signing, told: dict[str, list[object]]) -> None:
    """Check that others can go on, and that each was told once and what is so."""
    assert not control.is_inside, "the main thread takes itself for the leader"
    done = threading.Event()
    threading.Thread(target=lambda: (control.run(note("after")), done.set()), daemon=True).start()
    assert done.wait(3), "nobody leads"
    until = time.monotonic() + 1
    while not all(told.values()) and time.monotonic() < until:
        time.sleep(0.001)
    found = Counter(notes(control))
    assert set(found.values()) == {1}, "something was recorded twice"
    assert signing.signed == found.total(), "a commit went without what goes with it"
    for name, answers in told.items():
        assert len(answers) == 1, f"{name} was told {answers}"
        if isinstance(answers[0], StorageError):
            assert name not in found, f"{name} was told that it is not there"
        elif not isinstance(answers[0], StateUnknown):
            assert name in found, f"{name} was told that it is there"
    assert not control._writers.are_led
    assert not control._writers._queue


def swept(folder: Path, *, is_crowded: bool, is_submitted: bool = False) -> int:
    """Interrupt the main thread at every point, each in another database; return how many there are."""
    numbers = iter(range(10_000))

    def scenario(at: At) -> None:
        here = folder / str(next(numbers))
        here.mkdir()
        with control_in(here) as control:
            signing, crowd = Signing(), Crowd(control)
            control.follow(signing)
            if is_crowded:
                crowd.hold()
            if is_submitted:
                answer = at.run(lambda: control.submit(note("main"), lambda _: None))
            else:
                answer = at.run(lambda: control.run(note("main")))
            crowd.end()
            check(control, signing, crowd.told)
            if not isinstance(answer, BaseException):
                assert "main" in notes(control)
            elif isinstance(answer, StorageError):
                assert "main" not in notes(control)
            else:
                assert isinstance(answer, (Interrupt, StateUnknown))

    return len(list(every_point(scenario)))


def test_interrupted_at_every_point_alone(tmp_path: Path) -> None:
    assert swept(tmp_path, is_crowded=False) > 50


def test_interrupted_at_every_point_of_submitting(tmp_path: Path) -> None:
    assert swept(tmp_path, is_crowded=False, is_submitted=True) > 10


@pytest.mark.slow
def test_interrupted_at_every_point_among_others(tmp_path: Path) -> None:
    assert swept(tmp_path, is_crowded=True) > 100


# --- what was wrong before, replayed ---------------------------------------------------------------------


def test_a_lead_that_is_handed_over_before_it_is_left_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(self: Writers) -> None:
        try:
            self._leave()
        finally:
            for ticket in self._batch:
                ticket.settle()
            self._hand_over()

    monkeypatch.setattr(Writers, "_end", end)
    with pytest.raises(AssertionError, match="takes itself for the leader"):
        swept(tmp_path, is_crowded=False)


def test_an_interrupted_leader_who_tells_the_others_itself_is_found(tmp_path: Path) -> None:
    told: list[str] = []

    class Telling(Writers):
        def _end(self) -> None:
            with suppress(Exception):
                self._leave()
            for ticket in self._batch:
                ticket.settle()
            writers._tell([each for each in self._batch if isinstance(each, writers.Submitted)])
            self._hand_over()

    def interrupted(_: Outcome[int]) -> None:
        if threading.current_thread() is threading.main_thread():
            raise Interrupt
        told.append("told")

    for kind in (Telling, Writers):
        here = tmp_path / kind.__name__
        here.mkdir()
        with control_in(here) as control:
            control._writers.close()
            control._writers = kind(control._commit_in_turn, control._leave)
            leader = control._writers._leader
            control._writers._leader = control._writers._crew  # as if it led, so that others queue
            control.submit(note("submitted"), interrupted)
            control._writers._leader = leader
            with suppress(Interrupt):
                control.run(note("main"))
        assert told == ([] if kind is Telling else ["told"])


# --- the ends of programs and processes ------------------------------------------------------------------


@pytest.mark.parametrize("action", ["run", "submit", "close"])
def test_a_process_that_was_forked_off_while_somebody_led_is_refused(
    control: Control, action: str
) -> None:
    busy, may_end = threading.Event(), threading.Event()

    def slow(_: apsw.Connection) -> None:
        busy.set()
        assert may_end.wait(30)

    leader = threading.Thread(target=control.run, args=(slow,))
    leader.start()
    assert busy.wait(10)
    ways: dict[str, Callable[[], Any]] = {
        "run": lambda: control.run(note("of the child")),
        "submit": lambda: control.submit(note("of the child"), lambda _: None),
        "close": control.close,
    }
    told, tell = os.pipe()
    if not (child := os.fork()):
        try:
            ways[action]()
        except StorageError as error:
            os.write(tell, str(error).encode())
        finally:
            os._exit(0)
    os.close(tell)
    assert b"open the home again" in os.read(told, 1000)
    os.waitpid(child, 0)
    os.close(told)
    may_end.set()
    leader.join()
    assert notes(control) == []


UNCLOSED = """
import sys
from pathlib import Path
from tests.adapters.notes import note
from tests.adapters.test_control_interrupts import Signing
from withhold.adapters.store.sqlite.control import Control

control = Control(Path(sys.argv[1]) / "control.db")
control.run(lambda c: c.execute("CREATE TABLE notes(text TEXT)").fetchall())
control.follow(Signing())
for number in range(20):
    control.submit(note(str(number)), lambda outcome: print(outcome.get(), flush=True))
"""


def test_what_was_submitted_is_done_and_told_when_the_program_ends_without_closing(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNCLOSED, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == [str(number) for number in range(1, 21)]
    again = Control(tmp_path / "control.db")
    assert len(notes(again)) == 20
    again.close()
