"""The control database: one writer at a time, group commit, consistent read snapshots.

Writers queue (`writers`), and one of them leads: it runs the jobs of everybody waiting inside one
transaction and flushes once.

    BEGIN IMMEDIATE -> job, job, job … -> COMMIT (fsync)      -> everybody is answered
                                       `-> what goes with it '

Whoever may not block, an event loop, submits a job and is told. A thread leads for those. Waking 64
threads one by one costs as much as the jobs they wait for, so that an event loop with 64 clients is half
as fast again as 64 threads (`bench/toggle.py` prints both).

What goes with a commit and needs no database is done on a thread of its own while the disk is flushed
(decision 0015).

Invariants:
- a job's result is handed out only after the COMMIT that holds it returned (confirm after fsync);
- a job that raises leaves no trace and the others proceed. Jobs refuse before they write, so there is
  nothing to undo; when one did write, the transaction is undone and the others run again, each alone,
  which costs less than a savepoint around every job. A job must therefore be repeatable;
- many processes may use one database: nothing read before BEGIN is trusted inside it.

Source: design section 4; SQLite "Write-Ahead Logging" and "PRAGMA synchronous".
Not here: who leads (`writers`), what the tables mean (`schema`), positions and chains (`ledger`).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import apsw

from withhold.adapters.store.sqlite import schema
from withhold.adapters.store.sqlite.gate import StoreGate
from withhold.adapters.store.sqlite.private import open_private
from withhold.adapters.store.sqlite.tickets import Submitted, Ticket, Waiting
from withhold.adapters.store.sqlite.worker import Made, Worker
from withhold.adapters.store.sqlite.writers import Writers
from withhold.errors import StateUnknown, StorageError, WithholdError
from withhold.ports import Outcome

T = TypeVar("T")

BUSY_MS = 30_000  # how long a writer of one process waits for one of another
TRUNCATE_SECONDS = 0.25  # how long emptying the log is tried; it never waits with the lock in hand
TRUNCATE_PAUSE_SECONDS = 0.001
IDLE_READERS = 16  # connections kept open for later readers
# Kept prepared. The oldest goes, however often it is used, and a change puts three back: with fewer,
# what each commit of a crowd asks once would be prepared again each time. It is searched one by one.
STATEMENTS = 320
WAL_PAGES = (
    16_000  # 64 MB of log between checkpoints: toggles touch pages all over, an eighth faster
)


def connect(path: Path) -> apsw.Connection:
    """Open a database the durable way: WAL, and an fsync before every commit returns."""
    connection = open_private(path, STATEMENTS)
    connection.set_busy_timeout(BUSY_MS)
    _use_wal(connection)
    for setting in (
        "synchronous=FULL",
        "fullfsync=ON",
        "trusted_schema=OFF",
        "secure_delete=ON",
        "cache_size=-16384",
    ):
        connection.execute(f"PRAGMA {setting}")
    connection.wal_autocheckpoint(WAL_PAGES)
    return connection


def _use_wal(connection: apsw.Connection) -> None:
    """Switch to WAL; SQLite does not wait here for another process that does the same."""
    for _ in range(200):
        try:
            if connection.pragma("journal_mode", "wal") == "wal":
                return
        except apsw.BusyError:
            pass
        time.sleep(0.01)
    raise StorageError("the database could not be switched to write-ahead logging; is it in use?")


def refused(error: apsw.Error) -> StorageError:
    """Return what a caller is told when the database refused and nothing was recorded."""
    return StorageError(
        f"the database refused ({type(error).__name__}); nothing was recorded, check the disk"
    )


def _truncated(connection: apsw.Connection) -> bool:
    """Empty the log, with a connection that waits for nothing.

    SQLite waits for readers with the lock for writing in hand; so we wait, without it, and try again.
    """
    ends = time.monotonic() + TRUNCATE_SECONDS
    frames, moved = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    while moved == frames:  # else somebody reads what was there before
        with suppress(apsw.BusyError):
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            return True
        if time.monotonic() > ends:
            break
        time.sleep(TRUNCATE_PAUSE_SECONDS)
    return False


class Follower(Protocol[T]):
    """What goes with every commit; called by whoever leads, one commit at a time."""

    def before_commit(self, connection: apsw.Connection) -> Callable[[], T] | None:
        """Add to the transaction what follows from it; what it raises undoes the transaction.

        Returns:
            What is to be done while the disk is flushed, None when nothing is. It runs on another thread
            and touches neither the database nor the follower: the commit may yet fail, and then what it
            returns is dropped.
        """
        ...

    def after_commit(self, made: T) -> None:
        """Take what was made beside the flush, before anybody is told.

        What it raises, or what was raised beside the flush, makes the outcome unknown.
        """
        ...


class Control:
    """The control database of one home, for any number of threads and processes."""

    def __init__(self, path: Path, gate: StoreGate | None = None) -> None:
        """Open the database, making it when it is not there.

        Args:
            path: of the file.
            gate: asked before anything is written.

        Raises:
            StorageError: it cannot be opened, or another version of this program made it.
        """
        self._path = path
        self._gate = gate or StoreGate()
        try:
            self._writer = connect(path)
            self._writer.execute("PRAGMA cache_size=-65536")  # every toggle touches another page
            schema.prepare(self._writer)
        except apsw.Error as error:
            raise refused(error) from error
        self._beside = Worker("withhold-beside")
        self._writers = Writers(self._commit_in_turn, self._leave)
        self._owner = 0
        self._epoch = 0
        self._memory: tuple[int, object] = (0, None)
        self._idle: deque[apsw.Connection] = deque()
        self._is_closed = False
        self._follower: Follower[Any] | None = None

    def follow(self, follower: Follower[Any]) -> None:
        """Let something go with every commit from now on."""
        self._follower = follower

    @property
    def epoch(self) -> int:
        """A number that changes whenever what a job saw before may no longer hold.

        Within one epoch only the jobs of one transaction wrote anything, and nothing was undone; a
        transaction's memory of the head is good for that long and no longer.
        """
        return self._epoch

    @property
    def memory(self) -> object:
        """What a job of this epoch left for the next one and for the follower; None when it ended.

        A job that raises ends an epoch, also when what it saw or wrote before still stands.
        """
        epoch, memory = self._memory
        return memory if epoch == self._epoch else None

    def leave(self, memory: object) -> None:
        """Leave something in memory until the epoch ends; it takes the place of what was left."""
        self._memory = (self._epoch, memory)

    @property
    def is_inside(self) -> bool:
        """Whether the caller is a running job: what it reads may not be committed yet."""
        return self._owner == threading.get_ident()

    @property
    def is_shut(self) -> bool:
        """Whether the gate is shut, so that nothing may be written, and nothing deleted either."""
        return bool(self._gate.reason)

    def run(self, job: Callable[[apsw.Connection], T]) -> T:
        """Run a job in a write transaction and return its result once that is on disk.

        Called inside a job it joins the running transaction. The job may run on another thread, and
        again after its first run was undone: whatever it keeps, it keeps through the connection.

        Raises:
            StorageError: nothing was recorded.
            StateUnknown: the commit was sent and its answer is not known.
            WithholdError: whatever the job raised; nothing of it was recorded.
        """
        if self._owner == threading.get_ident():
            return self._join(job)
        self._gate.check()
        return self._writers.wait(Waiting(job))

    def submit(
        self, job: Callable[[apsw.Connection], T], tell: Callable[[Outcome[T]], None]
    ) -> None:
        """Queue a job like `run` and return at once; ``tell`` is called once it is done.

        Args:
            job: as in `run`.
            tell: called on another thread; it must neither block nor raise.

        Raises:
            StorageError: the database is closed, or was opened before this process was forked off; nothing
                was recorded.
        """
        self._gate.check()
        self._writers.submit(Submitted(job, tell))

    def _join(self, job: Callable[[apsw.Connection], T]) -> T:
        """Run a part of the running job in a savepoint, so that the job may survive its error."""
        self._writer.execute("SAVEPOINT part")
        try:
            result = job(self._writer)
        except BaseException:
            self._epoch += 1
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK TO part")
                self._writer.execute("RELEASE part")
            raise
        self._writer.execute("RELEASE part")
        return result

    def _commit_in_turn(self, batch: list[Ticket[Any]]) -> None:
        self._owner = threading.get_ident()
        self._commit(batch)

    def _leave(self) -> None:
        """Leave nothing open of a commit, however it ended."""
        try:
            if self._writer.in_transaction:  # an interrupt just before the commit was sent
                self._epoch += 1
                self._roll_back()
        finally:
            self._owner = 0

    def _commit(self, batch: list[Ticket[Any]]) -> None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            self._epoch += 1
            spoiled = any(self._attempt(ticket) for ticket in batch)
            made = None if spoiled else self._begin_beside()
        except BaseException as error:
            self._undo(batch, error)
            if not isinstance(error, Exception):
                raise
            return
        if not spoiled:
            self._flush(batch, made)
            return
        self._roll_back()
        for ticket in batch:
            if ticket.error is None:  # the one that spoiled it has its answer
                self._commit([ticket])

    def _begin_beside(self) -> Made[Any] | None:
        """Let what goes with the commit begin; return where what it makes will be."""
        job = None if self._follower is None else self._follower.before_commit(self._writer)
        return None if job is None else self._beside.begin(job)

    def _attempt(self, ticket: Ticket[Any]) -> bool:
        """Run one job; return True when it raised and left a trace. Its error is for its caller."""
        changes = self._writer.total_changes()
        try:
            ticket.result = ticket.job(self._writer)
        except Exception as error:
            ticket.error = refused(error) if isinstance(error, apsw.Error) else error
            self._epoch += 1
            if not self._writer.in_transaction:  # the disk refused and SQLite undid everything
                raise
            return self._writer.total_changes() != changes
        return False

    def _undo(self, batch: list[Ticket[Any]], error: BaseException) -> None:
        """Nothing of the batch is recorded; everybody without an error of its own is told why."""
        self._epoch += 1
        self._roll_back()
        cause: BaseException | None = None
        if isinstance(error, WithholdError):  # of what goes with the commit
            cause = error
        elif isinstance(error, apsw.Error):
            cause = refused(error)
        for ticket in batch:
            ticket.error = (
                ticket.error or cause or StorageError("interrupted; nothing was recorded")
            )

    def _flush(self, batch: list[Ticket[Any]], made: Made[Any] | None) -> None:
        for ticket in batch:  # first: an interrupt may come between any two lines from here on
            ticket.is_sent = True
        try:
            self._writer.execute("COMMIT")
        except BaseException as error:
            full = isinstance(error, apsw.FullError)  # the one answer that means: not written
            known = refused(error) if isinstance(error, apsw.FullError) else None
            unknown = StateUnknown("the commit was not answered; ask for the state before retrying")
            for ticket in batch:
                ticket.error = ticket.error or known or unknown
            self._epoch += 1
            self._roll_back()
            if not full and not isinstance(error, Exception):
                raise
            return
        self._answer(batch, made)

    def _answer(self, batch: list[Ticket[Any]], made: Made[Any] | None) -> None:
        """Let what is on disk be told, once what goes with the commit is done.

        An interrupt goes on to whoever led; that it was sent is all that is known of a ticket then.
        """
        try:
            if self._follower is not None and made is not None:
                self._follower.after_commit(made.get())
        except Exception:  # noqa: BLE001 (nobody is told that it is done)
            for ticket in batch:
                ticket.error = ticket.error or StateUnknown(
                    "it is on disk, but the ledger's new head could not be signed; ask for the state"
                )
            return
        for ticket in batch:
            ticket.is_durable = True

    def _roll_back(self) -> None:
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    @contextmanager
    def read(self) -> Iterator[apsw.Connection]:
        """Open a consistent snapshot; inside a job, the running transaction itself.

        Raises:
            StorageError: the database cannot be read.
        """
        if self._owner == threading.get_ident():
            yield self._writer
            return
        try:
            connection = self._idle.pop() if self._idle else connect(self._path)
        except IndexError:  # another thread took the last one
            connection = connect(self._path)
        try:
            connection.execute("BEGIN")
            yield connection
        except apsw.Error as error:
            raise StorageError(f"the database cannot be read ({type(error).__name__})") from error
        finally:
            self._put_back(connection)

    def truncate_log(self) -> bool:
        """Move everything from the write-ahead log into the database, and leave no bytes there.

        Nobody who writes is kept waiting for somebody who reads: most is moved without any lock, and the
        rest only at a moment when nobody is in the way.

        Returns:
            False when somebody who reads or writes needs the log; what is in the way is left.

        Raises:
            StorageError: the disk refused.
        """
        try:
            connection = connect(self._path)
            try:
                connection.set_busy_timeout(0)
                return _truncated(connection)
            finally:
                connection.close()
        except apsw.BusyError:
            return False
        except apsw.Error as error:
            raise refused(error) from error

    def _put_back(self, connection: apsw.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if self._is_closed or len(self._idle) >= IDLE_READERS:
            connection.close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        """Take no more jobs, finish those that wait, and close; readers close when they are put back."""
        self._writers.close()
        self._is_closed = True
        self._beside.close()
        while self._idle:
            self._idle.pop().close()
        self._writer.close()
