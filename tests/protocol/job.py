"""Half-steps: a real job on a thread of its own, stopped at a port call so that others can act.

Only one of job and driver runs at a time, so a walk is the same on every machine. `Through` is how a stop
(or something done wrong) gets between a service and a real port.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Semaphore
from typing import Any

STUCK = 20.0  # seconds after which a job that neither stops nor ends is a fault


class Through:
    """A real port, with some methods done otherwise."""

    def __init__(self, real: object, **instead: Callable[..., Any]) -> None:
        self._real, self._instead = real, instead

    def __getattr__(self, name: str) -> Any:
        return self._instead[name] if name in self._instead else getattr(self._real, name)


class Crashed(BaseException):
    """The process of a job died."""


class Job:
    """A job that stops at each call of `stop`, until it is let go on."""

    def __init__(self, work: Callable[[Job], Any]) -> None:
        self._stopped, self._turn = Semaphore(0), Semaphore(0)
        self._is_free = self._is_dead = False
        pool = ThreadPoolExecutor(1)
        self.result: Future[Any] = pool.submit(work, self)
        self.result.add_done_callback(lambda _: self._stopped.release())
        pool.shutdown(wait=False)
        self._wait()

    def stop(self) -> None:
        if self._is_free:
            return
        self._stopped.release()
        self._turn.acquire()
        if self._is_dead:
            raise Crashed

    def go_on(self) -> None:
        """Let it run to its next stop, or its end."""
        self._turn.release()
        self._wait()

    def finish(self) -> Any:
        """Let it run to its end, and return its result."""
        self._is_free = True
        self._turn.release()
        return self.result.result(STUCK)

    def crash(self) -> None:
        self._is_dead = self._is_free = True
        self._turn.release()
        wait([self.result], STUCK)

    def _wait(self) -> None:
        assert self._stopped.acquire(timeout=STUCK), "the job neither stops nor ends"
        if self.result.done():
            self.result.result()


class Watched(dict[Any, Any]):
    """Rows to be withheld; whoever takes them in is stopped once they are all taken."""

    def __init__(self, added: Any, job: Job) -> None:
        super().__init__(added)
        self._job = job

    def items(self) -> Iterator[Any]:  # type: ignore[override]
        yield from super().items()
        self._job.stop()
