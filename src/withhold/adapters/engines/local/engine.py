"""The embedded engine: tasks on files run on a few threads of this process.

Arrow, numpy, zstd and the hashes let go of the interpreter lock, so threads suffice for work on files.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from withhold.ports import LakeFile

T = TypeVar("T")


class LocalEngine:
    """Runs tasks on at most ``threads`` threads; holds no thread between calls."""

    def __init__(self, threads: int = 2) -> None:
        self._threads = max(1, threads)

    def map(self, task: Callable[[LakeFile], T], files: Sequence[LakeFile]) -> Iterator[T]:
        """Run a task on every file and yield the results in the order of the files.

        An error of a task is raised where its result would have been yielded; tasks not begun by then
        are dropped.
        """
        if len(files) < 2 or self._threads == 1:
            yield from map(task, files)
            return
        with ThreadPoolExecutor(self._threads, thread_name_prefix="withhold-engine") as pool:
            waiting: deque[Future[T]] = deque()
            try:
                for file in files:
                    # Only a few results wait at a time, so that memory does not grow with the lake.
                    if len(waiting) >= 4 * self._threads:
                        yield waiting.popleft().result()
                    waiting.append(pool.submit(task, file))
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()
