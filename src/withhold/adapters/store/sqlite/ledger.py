"""The ledger in SQLite: many processes, one order, and what is derived from it.

An append is one job of `Control`; the head and the chain are read inside its transaction, so any number
of processes may append. Snapshots and tables are caught up from the entries after the last look, never
trusted without one.

Source: design sections 1, 2, 4 and 6.
Not here: what an append writes (`transaction`), checking a whole ledger (`verify`), arrays of
standings (`consent`), subject keys (`keys`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import apsw
import numpy as np
from numpy.typing import NDArray

from withhold.adapters.store.sqlite.codec import KIND_CODE
from withhold.adapters.store.sqlite.consent import EMPTY, ArrayTable, ConsentCache, advanced
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.directory import (
    Memory,
    Policies,
    SnapshotDirectory,
    read_policy,
    read_subject,
)
from withhold.adapters.store.sqlite.entries import head_of, is_erased, read_record
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.adapters.store.sqlite.transaction import SqliteTransaction
from withhold.adapters.store.sqlite.verify import Seen, verify
from withhold.adapters.store.sqlite.verify_directory import verify_directory
from withhold.domain.directory import Directory
from withhold.domain.ledger import EventKind
from withhold.domain.names import Position, SubjectNo
from withhold.domain.parties import PartyKind
from withhold.domain.policy import Policy
from withhold.errors import VerificationError
from withhold.ports import Outcome, Record, Transaction

T = TypeVar("T")

PAGE = 65_536  # parties looked at together; parties of a dataset stand close to each other


class SqliteLedger:
    """Implements `ports.Ledger` over the control database and the subject keys."""

    def __init__(self, control: Control, keys: SubjectKeys) -> None:
        self._control = control
        self._keys = keys
        self._policies = Policies()
        self._memory = Memory()
        self._consent = ConsentCache()
        self._earlier = EMPTY
        self._looked = Position(0)  # up to here no key of an erased subject is there

    def append(self, change: Callable[[Transaction], T]) -> T:
        """Run a change in the sequencer's transaction; its result is returned once it is durable."""
        return self._control.run(lambda connection: change(self.transaction(connection)))

    def submit(
        self, change: Callable[[Transaction], T], tell: Callable[[Outcome[T]], None]
    ) -> None:
        """Queue a change and return at once; ``tell`` is called once it is durable or refused."""
        self._control.submit(lambda connection: change(self.transaction(connection)), tell)

    def transaction(self, connection: apsw.Connection) -> SqliteTransaction:
        """Return the ledger's part of a running job of `Control.run`; nowhere else."""
        current = self._control.memory
        if isinstance(current, SqliteTransaction):
            return current
        fresh = SqliteTransaction(connection, self._keys, self._policies)
        self._control.leave(fresh)
        return fresh

    def head(self) -> Position:
        """Return the position of the last durable entry, by any process; 0 when there is none."""
        with self._control.read() as connection:
            return head_of(connection)

    @contextmanager
    def directory(self) -> Iterator[Directory]:
        """Open a consistent snapshot of the directory at the head."""
        # A job may see entries that are never committed: nothing of them may be remembered.
        is_final = not self._control.is_inside
        memory, policies = (self._memory, self._policies) if is_final else (Memory(), Policies())
        with self._control.read() as connection:
            head = head_of(connection)
            yield SnapshotDirectory(connection, self._keys, head, memory, policies)

    def standings(self) -> ArrayTable:
        """Return the consent table at a position not below the head when this was called."""
        consent = self._consent.copy() if self._control.is_inside else self._consent
        with self._control.read() as connection:
            return consent.at(connection, head_of(connection))

    def standings_at(self, position: Position) -> ArrayTable:
        """Rebuild the consent table at an earlier position from the entries alone."""
        with self._control.read() as connection:
            to = min(position, head_of(connection))
            earlier = self._earlier if self._earlier.position <= to else EMPTY
            table = advanced(earlier, connection, to)
        if not self._control.is_inside:  # whoever asks for several mostly asks in order
            self._earlier = table
        return table

    def token_key(self) -> bytes:
        """Return the 32-byte key of capture tokens, made when the ledger was made."""
        return self._keys.token_key()

    def record(self, position: Position) -> Record | None:
        """Return an entry, opened, None when there is none at that position."""
        with self._control.read() as connection:
            return read_record(connection, self._keys, position)

    def policy_at(self, position: Position) -> Policy:
        """Return the policy that was in force once the entry at a position was recorded."""
        with self._control.read() as connection:
            return read_policy(connection, position)

    def records_of(self, subject: SubjectNo) -> Iterator[Record]:
        """Yield the consent record of a subject, newest entry first."""
        with self._control.read() as connection:
            current = read_subject(connection, subject)
            position = current.last if current else Position(0)
            while position:
                record = read_record(connection, self._keys, position)
                if record is None:
                    raise VerificationError(f"entry {position} of subject {subject} is missing")
                yield record
                position = connection.execute(
                    "SELECT previous FROM entries WHERE position = ?", (position,)
                ).get

    def purge(self, *, logs: bool = True) -> bool:
        """Delete what is left of erased subjects; see the port."""
        if self._control.is_shut:
            return False
        self._keys.refresh()
        done = self._keys.erased_to()
        with self._control.read() as connection:
            rows = self._unpurged(connection, done)
            if not all(is_erased(connection, self._keys, *row) for row in rows):
                return False
        if not rows:
            return True
        subjects = [subject for subject, _ in rows]
        if not logs and not self._keys.left(subjects):
            return False
        # a crash after any of these lines leaves the last one undone, so that all are done again
        self._keys.delete(subjects)
        if not logs or not self._control.truncate_log():
            return False
        self._keys.set_erased_to(rows[-1][1])
        return True

    def _unpurged(self, connection: apsw.Connection, done: Position) -> list[tuple[int, Position]]:
        """Return who was erased and is not known to be purged, and the entries that erased them.

        That is everybody above a position, and whose key is there below it: a backup of the keys may have
        brought it back. Every key is looked at once, and later ones as they come.
        """
        rows: Any = connection.execute(
            "SELECT subject, position FROM erased WHERE position > ? ORDER BY position",
            (min(done, self._looked),),
        ).fetchall()
        if not rows:
            return []
        left = self._keys.left([subject for subject, _ in rows])
        found = [(subject, at) for subject, at in rows if at > done or subject in left]
        if not found:
            self._looked = rows[-1][1]
        return found

    def erased_to(self) -> Position:
        """Return the entry of the last erasure that was purged, as it is noted beside the keys."""
        return self._keys.erased_to()

    def first_record(self, subject: SubjectNo) -> Record:
        """Return the entry that opened a subject."""
        with self._control.read() as connection:
            current = read_subject(connection, subject)
            position = previous = current.last if current else Position(0)
            while previous:
                position = previous
                previous = connection.execute(
                    "SELECT previous FROM entries WHERE position = ?", (position,)
                ).get
            record = read_record(connection, self._keys, position)
        if record is None:
            raise VerificationError(f"subject {subject}: the entry that opened it is missing")
        return record

    def public_records(self, kinds: Collection[EventKind]) -> Iterator[Record]:
        """Yield the entries of these public kinds, in order; reads the whole ledger."""
        codes = [KIND_CODE[kind] for kind in kinds]
        marks = ", ".join("?" * len(codes))
        with self._control.read() as connection:
            positions: list[Any] = connection.execute(
                f"SELECT position FROM entries WHERE kind IN ({marks}) AND subject IS NULL"
                " ORDER BY position",
                codes,
            ).fetchall()
            for (position,) in positions:
                record = read_record(connection, self._keys, position)
                if record is not None:
                    yield record

    def accounts_of(self, parties: Collection[int]) -> NDArray[np.uint32]:
        """Return the accounts behind parties, ascending, each once."""
        wanted = np.unique(np.fromiter(parties, np.uint32, len(parties)))
        accounts = [np.empty(0, np.uint32)]
        with self._control.read() as connection:
            for page in np.unique(wanted // PAGE).tolist():
                rows = connection.execute(
                    "SELECT no, subject FROM parties WHERE no >= ? AND no < ? AND kind = ?"
                    " AND subject IS NOT NULL",
                    (page * PAGE, (page + 1) * PAGE, int(PartyKind.ACCOUNT)),
                ).fetchall()
                found = np.array(rows, np.uint32).reshape(-1, 2)
                accounts.append(found[np.isin(found[:, 0], wanted), 1])
        return np.unique(np.concatenate(accounts))

    def verify(self, seen: Callable[[Position], None] | None = None) -> Position:
        """Recompute every entry and the directory that follows from them; return the head."""
        while True:
            self._keys.refresh()
            with self._control.read() as connection:
                erasures = connection.execute("SELECT count(*) FROM erased").get
                try:
                    found = verify(connection, self._keys, seen)
                    self._check_directory(connection, found)
                except VerificationError:
                    if not self._was_erased_since(erasures):
                        raise
                    continue  # a key that the snapshot still needs is gone, as it should be
            return Position(found.position)

    def _was_erased_since(self, erasures: int) -> bool:
        with self._control.read() as connection:
            return bool(connection.execute("SELECT count(*) FROM erased").get > erasures)

    def _check_directory(self, connection: apsw.Connection, found: Seen) -> None:
        verify_directory(connection, found)
