"""A thread of its own for jobs that others hand over.

A `ThreadPoolExecutor` would take longer for it, while somebody waits for a commit (decision 0015); and an
interrupt while a job is handed over could leave its locks held for ever. Here that is one call into C.
Whoever waits for a job is told when the thread is gone.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from itertools import count
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from withhold.errors import StorageError

T = TypeVar("T")

LOOK_SECONDS = 1.0  # between looks whether the thread is still there

_living: weakref.WeakValueDictionary[int, Worker] = weakref.WeakValueDictionary()
_numbers = count()


class Made(Generic[T]):
    """What a job makes, once it has."""

    __slots__ = ("_error", "_gate", "_job", "_result", "_thread")

    def __init__(self, job: Callable[[], T], thread: threading.Thread) -> None:
        self._job = job
        self._thread = thread
        self._result: T | None = None
        self._error: BaseException | None = None
        self._gate = threading.Lock()
        self._gate.acquire()

    def get(self) -> T:
        """Wait for it, and return what the job returned or raise what it raised; to be called once.

        Raises:
            StorageError: the thread is gone.
        """
        while not self._gate.acquire(timeout=LOOK_SECONDS):
            if not self._thread.is_alive():
                raise StorageError(
                    f"the thread {self._thread.name} is gone; start the program again"
                )
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # T may itself be None

    def make(self) -> None:
        """Run the job."""
        try:
            self._result = self._job()
        except BaseException as error:  # noqa: BLE001 (it is for whoever waits)
            self._error = error
        finally:
            self._gate.release()
            del self._job  # and what it holds


class Worker:
    """Runs jobs one after another on a thread of its own, which ends with it.

    When the program ends, what was handed over by then is done first.
    """

    def __init__(self, name: str) -> None:
        """Start the thread.

        Args:
            name: of the thread.

        Raises:
            StorageError: the system gives none.
        """
        self._jobs: SimpleQueue[Made[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=_work, args=(self._jobs,), name=name, daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            raise StorageError("no thread can be started; nothing was opened") from error
        self._process = os.getpid()
        end = weakref.finalize(self, self._jobs.put, None)
        end.atexit = False  # at the end of the program `_finish` does it, in order
        _living[next(_numbers)] = self

    def check(self) -> None:
        """Check that there is a thread.

        Raises:
            StorageError: this process was forked off, and has none.
        """
        if os.getpid() != self._process:  # asking the thread would cost ten times as much
            raise StorageError("this process was forked off; open the home again")

    def begin(self, job: Callable[[], T]) -> Made[T]:
        """Let a job begin as soon as those before it are done; what it raises is for whoever waits.

        Raises:
            StorageError: as `check` does.
        """
        self.check()
        made = Made(job, self._thread)
        self._jobs.put(made)
        return made

    def close(self) -> None:
        """Finish the jobs that wait, and end the thread."""
        self._jobs.put(None)
        self._thread.join()


@atexit.register
def _finish() -> None:
    for number in sorted(_living, reverse=True):  # a job may hand something to an older worker
        _living[number].close()


def _work(jobs: SimpleQueue[Made[Any] | None]) -> None:
    while (made := jobs.get()) is not None:
        made.make()
        del made  # while the next one is waited for, nothing of this one is kept
