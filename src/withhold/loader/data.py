"""An open dataset: yields *selected minus withheld at the head*, batch by batch, while its lease holds.

Invariants:
- nothing is yielded unless the lease holds at that moment, and then only what the newest vectors admit:
  rows that were decoded ahead are filtered again when a renewal brought new withdrawals;
- rows come in the order of the manifest's files; memory holds a few row groups, however large the
  dataset is;
- nothing of a withheld row is in the buffers of a batch.

Not here: the rule itself (`domain.admission`), how a file is read (`adapters.lake.reading`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from withhold.domain.datasets import Dataset, DatasetRef
from withhold.domain.lease import DEFAULT_SECONDS, grant
from withhold.domain.names import FileNo, Position
from withhold.errors import InputError
from withhold.loader.report import Report
from withhold.loader.watch import Seconds, Watch, boot_time
from withhold.ports import Chunk, Ports
from withhold.services import reading
from withhold.services.reading import ReadableFile, Withheld

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("id", "kind", "conversation", "project", "api_key", "messages")
"""What a reader may ask for; positions and parties are nobody's training data."""

MAX_BATCH_ROWS = 65_536
_THREADS = 2
_AHEAD = 2  # row groups decoded or being decoded beyond the one that is handed out


@dataclass(frozen=True, slots=True)
class Options:
    """How to read."""

    columns: tuple[str, ...] = ("id", "messages")
    batch_rows: int = 1024
    lease_seconds: float = DEFAULT_SECONDS

    def __post_init__(self) -> None:
        """Refuse what cannot be read.

        Raises:
            InputError: a column or a number is out of range.
        """
        wrong = [c for c in self.columns if c not in COLUMNS]
        if wrong or not self.columns:
            raise InputError(
                f"columns: expected some of {', '.join(COLUMNS)}, got {wrong or 'none'}"
            )
        if not isinstance(self.lease_seconds, (int, float)):
            raise InputError(f"lease_seconds: expected a number, got {self.lease_seconds!r:.40}")
        grant(Position(0), 0.0, self.lease_seconds)
        if not (isinstance(self.batch_rows, int) and 1 <= self.batch_rows <= MAX_BATCH_ROWS):
            raise InputError(f"batch_rows: expected 1 to {MAX_BATCH_ROWS}, got {self.batch_rows}")


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A row group as it was decoded ahead, and what was known to be withheld then."""

    file: FileNo
    withheld: Withheld
    chunks: list[Chunk]


class Data:
    """An open dataset. For one thread at a time; open it again in every process."""

    def __init__(
        self, ports: Ports, ref: DatasetRef, options: Options, clock: Seconds = boot_time
    ) -> None:
        self._options = options
        self._dataset: Dataset = reading.dataset(ports, ref)
        self._files: tuple[ReadableFile, ...] = reading.open_files(ports, self._dataset)
        self._watch = Watch(
            ports, str(self._dataset.ref), self._files, options.lease_seconds, clock
        )
        self._yielded = 0
        self._is_closed = False
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="withhold-load")
        self._on_close = ExitStack()
        self._on_close.callback(self._watch.close)
        self._on_close.callback(self._pool.shutdown, wait=True, cancel_futures=True)

    def closing(self, stack: ExitStack) -> Self:
        """Make `close` also close what the dataset was opened from."""
        stack.push(self._on_close.pop_all())
        self._on_close = stack
        return self

    def __enter__(self) -> Self:
        """Return the open dataset."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Stop reading: threads end, the reader is taken off the list. Repeating it is harmless."""
        self._is_closed = True
        self._on_close.close()

    @property
    def name(self) -> str:
        """The version that is read, for example ``chat@3``."""
        return str(self._dataset.ref)

    @property
    def rows(self) -> int:
        """How many rows are admitted as far as the reader knows; withdrawals make it fewer."""
        held = self._watch.now.files
        return sum(f.file.rows - len(held[f.file.no]) for f in self._files)

    def __len__(self) -> int:
        """Return `rows`."""
        return self.rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all admitted rows once, in batches of at most ``batch_rows`` rows.

        Raises:
            LeaseExpired: the lease ended and could not be renewed.
            VerificationError: a file changed or cannot be read.
        """
        for _, _, chunk in self._admitted():
            self._yielded += chunk.batch.num_rows
            yield chunk.batch

    def __iter__(self) -> Iterator[dict[str, object]]:
        """Yield all admitted rows once, as dicts; the lease is looked at before each of them.

        Raises:
            LeaseExpired: the lease ended and could not be renewed.
            VerificationError: a file changed or cannot be read.
        """
        for file, known, chunk in self._admitted():
            for row, sample in zip(chunk.rows.tolist(), chunk.batch.to_pylist(), strict=True):
                self._ensure()
                newest = self._watch.of(file)
                if newest is known or not newest.holds(row):
                    self._yielded += 1
                    yield sample

    def report(self) -> Report:
        """Return what was yielded and what is withheld, as of now."""
        now, opened = self._watch.now, self._watch.at_open
        by_reason: dict[str, int] = {}
        for withheld in now.files.values():
            for reason, rows in withheld.counts.items():
                by_reason[reason.value] = by_reason.get(reason.value, 0) + rows
        return Report(
            dataset=self.name,
            position=self._dataset.position,
            head=now.head,
            rows=sum(f.file.rows for f in self._files),
            yielded=self._yielded,
            withheld=by_reason,
            dropped_midway=sum(len(w) - len(opened.files[no]) for no, w in now.files.items()),
            renewals=self._watch.renewals,
        )

    def _admitted(self) -> Iterator[tuple[FileNo, Withheld, Chunk]]:
        """Yield chunks that may be handed over now, with what they were filtered by."""
        self._ensure()
        for decoded in self._decoded():
            for chunk in decoded.chunks:
                self._ensure()
                newest = self._watch.of(decoded.file)
                if newest.is_whole:
                    continue
                if newest is not decoded.withheld and newest.rows is not None:
                    chunk = chunk.without(newest.rows)  # noqa: PLW2901 (the old one must not escape)
                if len(chunk.rows):
                    yield decoded.file, newest, chunk

    def _ensure(self) -> None:
        if self._is_closed:
            raise RuntimeError("the dataset is closed; open it again with withhold.load")
        self._watch.ensure()

    def _decoded(self) -> Iterator[_Decoded]:
        units = ((f, g) for f in self._files for g in range(len(f.opened.groups)))
        tasks = ((lambda f=f, g=g: self._decode(f, g)) for f, g in units)
        return _in_order(self._pool, tasks)

    def _decode(self, file: ReadableFile, group: int) -> _Decoded:
        known = self._watch.of(file.file.no)
        if known.is_whole:
            return _Decoded(file.file.no, known, [])
        options = self._options
        chunks = file.opened.chunks(group, options.columns, options.batch_rows, known.rows)
        return _Decoded(file.file.no, known, list(chunks))


def _in_order(
    pool: ThreadPoolExecutor, tasks: Iterable[Callable[[], _Decoded]]
) -> Iterator[_Decoded]:
    """Run tasks a little ahead and yield their results in order; leaving early drops the rest."""
    ahead: deque[Future[_Decoded]] = deque()
    try:
        for task in tasks:
            ahead.append(pool.submit(task))
            if len(ahead) > _AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()
