"""One thread that works while another one waits for the disk.

Handing it a job costs less than a `ThreadPoolExecutor` takes for it, and the caller is about to commit what
somebody waits for (decision 0015). Whoever waits for a job is told when the thread is gone.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from withhold.errors import StorageError

T = TypeVar("T")

LOOK_SECONDS = 1.0  # between looks whether the thread is still there


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
                raise StorageError("the thread beside the commits is gone; start the program again")
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


class Beside:
    """Runs jobs one after another on a thread of its own, which ends with it."""

    def __init__(self) -> None:
        """Start the thread.

        Raises:
            StorageError: the system gives none.
        """
        self._jobs: SimpleQueue[Made[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(
            target=_work, args=(self._jobs,), name="withhold-beside", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError as error:
            raise StorageError("no thread can be started; nothing was opened") from error
        self._process = os.getpid()
        weakref.finalize(self, self._jobs.put, None)

    def begin(self, job: Callable[[], T]) -> Made[T]:
        """Let a job begin as soon as those before it are done.

        Raises:
            StorageError: this process was forked off, and has no such thread.
        """
        if os.getpid() != self._process:  # asking the thread would cost ten times as much
            raise StorageError("the thread beside the commits is gone; open the home again")
        made = Made(job, self._thread)
        self._jobs.put(made)
        return made

    def close(self) -> None:
        """Finish the jobs that wait, and end the thread."""
        self._jobs.put(None)
        self._thread.join()


def _work(jobs: SimpleQueue[Made[Any] | None]) -> None:
    while (made := jobs.get()) is not None:
        made.make()
        del made  # while the next one is waited for, nothing of this one is kept
