"""A thread for jobs of others: in order, and nobody who waits for it waits for ever."""

from __future__ import annotations

import gc
import threading
import time

import pytest

from withhold.adapters.store.sqlite.worker import Worker
from withhold.errors import LockedByPlan, StorageError


def named() -> int:
    return sum(thread.name == "some-worker" for thread in threading.enumerate())


def test_jobs_run_in_order_and_each_answer_is_for_its_own() -> None:
    worker, done = Worker("some-worker"), list[int]()

    def failing() -> int:
        raise LockedByPlan("no")

    made = [worker.begin(lambda n=n: done.append(n) or n) for n in range(3)]  # type: ignore[misc]
    failed = worker.begin(failing)
    last = worker.begin(lambda: 9)
    assert [each.get() for each in made] == done == [0, 1, 2]
    with pytest.raises(LockedByPlan):
        failed.get()
    assert last.get() == 9
    worker.close()


def test_whoever_waits_for_a_thread_that_is_gone_is_told() -> None:
    worker = Worker("some-worker")
    worker._jobs.put(None)  # what ends it
    waiting = worker.begin(lambda: 1)
    with pytest.raises(StorageError, match="gone"):
        waiting.get()


def test_the_thread_ends_with_what_it_belongs_to() -> None:
    gc.collect()
    before = named()
    for _ in range(3):
        Worker("some-worker").begin(int).get()
    until = time.monotonic() + 10
    while named() > before and time.monotonic() < until:
        gc.collect()
        time.sleep(0.01)
    assert named() <= before
