"""What goes with a commit of the control database: made beside the flush, and of no effect without it."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import apsw
import pytest

from tests.adapters.notes import note, notes, together
from withhold.adapters.store.sqlite.control import Control
from withhold.errors import LockedByPlan, StateUnknown, StorageError
from withhold.ports import Outcome


class _Following:
    """Goes with every commit: leaves a note in it, and makes a number beside the flush."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.is_due = False  # to be interrupted when the commit is on disk
        self.threads: list[str] = []
        self.counted: list[int] = []

    def before_commit(self, connection: apsw.Connection) -> Callable[[], int]:
        connection.execute("INSERT INTO notes VALUES ('followed')")
        count = connection.execute("SELECT count(*) FROM notes").get

        def beside() -> int:
            self.threads.append(threading.current_thread().name)
            time.sleep(0.01)  # longer than the flush
            if self.fails:
                raise StorageError("no")
            return int(count)

        return beside

    def after_commit(self, made: int) -> None:
        is_due, self.is_due = self.is_due, False
        if is_due:
            raise KeyboardInterrupt
        self.counted.append(made)


def test_what_goes_with_a_commit_is_made_on_a_thread_of_its_own_before_anybody_is_told(
    control: Control,
) -> None:
    follower, told = _Following(), queue.Queue[list[int]]()
    control.follow(follower)
    control.run(note("a"))
    assert follower.counted == [2]
    control.submit(note("b"), lambda _: told.put(list(follower.counted)))
    assert told.get(timeout=30) == [2, 4]
    assert set(follower.threads) == {"withhold-beside"}


def test_what_cannot_be_made_beside_the_flush_leaves_the_outcome_unknown(control: Control) -> None:
    follower = _Following(fails=True)
    control.follow(follower)
    with pytest.raises(StateUnknown, match="could not be signed"):
        control.run(note("a"))
    follower.fails = False
    assert control.run(note("b")) == 3
    assert follower.counted == [4]


def test_what_was_made_beside_a_commit_that_failed_counts_never(control: Control) -> None:
    follower = _Following()
    control.follow(follower)
    control.run(note("a"))

    def refused_at_the_end(connection: apsw.Connection) -> None:
        note("b")(connection)
        connection.set_commit_hook(lambda: True)

    def taken_again(connection: apsw.Connection) -> None:
        connection.set_commit_hook(None)
        note("c")(connection)

    with pytest.raises(StateUnknown):
        control.run(refused_at_the_end)
    control.run(taken_again)
    assert notes(control) == ["a", "followed", "c", "followed"]
    assert follower.counted == [2, 4], "of the failed commit nothing"
    assert len(follower.threads) == 3, "it was made, and dropped"


def test_an_interrupt_just_before_the_commit_is_sent_leaves_nothing_open(
    control: Control, tmp_path: Path
) -> None:
    def interrupt(frame: FrameType, event: str, _: object) -> None:
        if frame.f_code is Control._flush.__code__:
            raise KeyboardInterrupt

    before = sys.gettrace()
    sys.settrace(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            control.run(note("lost"))
    finally:
        sys.settrace(before)
    other = Control(tmp_path / "control.db")
    other.run(note("of another program"))  # which need not wait
    other.close()
    control.run(note("kept"))
    assert notes(control) == ["of another program", "kept"]


def test_in_a_process_that_was_forked_off_a_commit_is_refused_and_nothing_waits(
    control: Control,
) -> None:
    control.follow(_Following())
    control.run(note("a"))
    told, tell = os.pipe()
    if not (child := os.fork()):
        try:
            control.run(note("of the child"))
        except StorageError as error:
            os.write(tell, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert b"open the home again" in os.read(told, 1000)
    os.close(told)
    os.close(tell)
    control.run(note("b"))
    assert notes(control) == ["a", "followed", "b", "followed"]


def test_after_an_interrupt_behind_the_commit_nobody_is_told_that_nothing_was_recorded(
    control: Control,
) -> None:
    follower = _Following()

    def arming(connection: apsw.Connection) -> None:
        follower.is_due = True
        note("a")(connection)

    def refusing(_: apsw.Connection) -> None:
        raise LockedByPlan("no")

    control.follow(follower)
    answers = together(control, arming, refusing, note("b"))
    assert [type(a) for a in answers] == [KeyboardInterrupt, LockedByPlan, StateUnknown]
    assert notes(control) == ["followed", "a", "b", "followed"], "it is on disk"
    assert control.run(note("after")) == 5
    with pytest.raises(KeyboardInterrupt):
        control.run(arming)
    assert notes(control)[-2:] == ["a", "followed"]


def test_an_interrupt_behind_the_commit_is_told_to_whoever_submitted_as_unknown(
    control: Control,
) -> None:
    follower, told = _Following(), queue.Queue[Outcome[int]]()
    control.follow(follower)
    follower.is_due = True
    control.submit(note("a"), told.put)
    with pytest.raises(StateUnknown):
        told.get(timeout=30).get()
    control.submit(note("b"), told.put)
    assert told.get(timeout=30).get() == 3
    assert notes(control) == ["a", "followed", "b", "followed"]
