"""One thread that works while another one waits for the disk.

Handing it a job costs a fifth of what a `ThreadPoolExecutor` takes for it, right after which the caller
commits and somebody waits (decision 0015).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from withhold.errors import StorageError

T = TypeVar("T")


class Made(Generic[T]):
    """What a job makes, once it has."""

    __slots__ = ("_error", "_gate", "_job", "_result")

    def __init__(self, job: Callable[[], T]) -> None:
        self._job = job
        self._result: T | None = None
        self._error: BaseException | None = None
        self._gate = threading.Lock()
        self._gate.acquire()

    def get(self) -> T:
        """Wait for it, and return what the job returned or raise what it raised; to be called once."""
        self._gate.acquire()
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # T may itself be None

    def make(self) -> None:
        """Run the job."""
        try:
            self._result = self._job()
        except BaseException as error:  # noqa: BLE001 (it is for whoever waits)
            self._error = error
        self._gate.release()


class Beside:
    """Runs jobs one after another on a thread of its own."""

    def __init__(self) -> None:
        """Start the thread.

        Raises:
            StorageError: the system gives none.
        """
        self._jobs: SimpleQueue[Made[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="withhold-beside", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            raise StorageError("no thread can be started; nothing was opened") from error

    def begin(self, job: Callable[[], T]) -> Made[T]:
        """Let a job begin as soon as those before it are done."""
        made = Made(job)
        self._jobs.put(made)
        return made

    def close(self) -> None:
        """Finish the jobs that wait, and end the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (made := self._jobs.get()) is not None:
            made.make()
