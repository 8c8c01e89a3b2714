"""The ledger in SQLite: entries, and in the same transaction everything derived from them.

An append is one transaction of `Control`: entry, sealed body, effects, the subject's record and what
else the event says. The head and the chain are read inside the transaction, so any number of processes
may append.

    position 41 --chain--> entry 42 = commitment(opening r, event)   body = AES-256-GCM(event)
                                      |                                     |
                                      `- readable by all, says nothing      `- subject's key

Sealed bodies use a random 12-byte nonce and the entry's bytes as associated data: a body cannot be
moved to another position. Source: design sections 1, 2, 4 and 6; NIST SP 800-38D.

Not here: checking a whole ledger (`verify`), arrays of standings (`consent`), subject keys (`keys`).
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import apsw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from withhold.adapters.store.sqlite.codec import (
    KIND_CODE,
    KINDS,
    decode_subject,
    effect_pairs,
    encode_subject,
    pack_effects,
)
from withhold.adapters.store.sqlite.consent import EMPTY, ArrayTable, ConsentCache, advanced
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.directory import KIND_CODE as SUBJECT_CODE
from withhold.adapters.store.sqlite.directory import (
    Memory,
    Plans,
    Policies,
    SnapshotDirectory,
    plan_in,
    read_name,
    read_subject,
)
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.domain import policy_file
from withhold.domain.directory import Directory, PlanParties, Subject, SubjectKind
from withhold.domain.ledger import (
    CHAIN_START,
    PUBLIC,
    SEALED,
    Event,
    Json,
    canonical,
    chained,
    entry_bytes,
    opening,
    public_commitment,
    sealed_commitment,
)
from withhold.domain.names import PartyNo, PlanId, Position, ProductId, SubjectNo
from withhold.domain.parties import PartyKind
from withhold.domain.policy import Policy
from withhold.errors import StorageError, VerificationError
from withhold.ports import Record, Remembered, Transaction

T = TypeVar("T")

NONCE_BYTES = 12
_BODY_KEY = b"withhold/body/v1"
_PAGE = 1_000  # subjects read at once when a change concerns all


class SqliteTransaction:
    """The directory at the head inside a write transaction; implements `ports.Transaction`.

    Good for one epoch of `Control`: it remembers the head and what was added since, and is thrown
    away as soon as anything was undone.
    """

    def __init__(self, connection: apsw.Connection, keys: SubjectKeys, policies: Policies) -> None:
        self._connection = connection
        self._keys = keys
        self._policies = policies
        last = connection.execute(
            "SELECT position, chain FROM entries ORDER BY position DESC LIMIT 1"
        ).fetchone()
        self.head, self._chain = (Position(last[0]), last[1]) if last else (Position(0), CHAIN_START)
        self._subjects: dict[int, Subject] = {}
        self._in_force: tuple[Policy, Plans] | None = None
        self._next_subject = 0
        self._next_party = -1

    # --- reading ----------------------------------------------------------------------------------

    @property
    def next(self) -> Position:
        """The position the next added event will have."""
        return Position(self.head + 1)

    def _force(self) -> tuple[Policy, Plans]:
        if self._in_force is None:
            self._in_force = self._policies.at(self._connection)
        return self._in_force

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._force()[0]

    def plan(self, product: ProductId, plan: PlanId) -> PlanParties:
        """Return the parties of a plan."""
        return plan_in(self._force()[1], product, plan)

    def find(self, kind: SubjectKind, external_id: str) -> Subject | None:
        """Return the subject of that name, None when there is none."""
        no = read_name(self._connection, kind, external_id)
        return None if no is None else self.subject(SubjectNo(no))

    def subject(self, no: SubjectNo) -> Subject:
        """Return the subject of that number, which must exist."""
        subject = self._subjects.get(no)
        if subject is None:
            subject = read_subject(self._connection, no)
            if subject is None:
                raise StorageError(f"subject {no} is not in the directory; run `withhold verify`")
            self._subjects[no] = subject
        return subject

    def accounts(self) -> Iterator[Subject]:
        """Yield every account and organisation, in order of number, a page at a time."""
        after = 0
        while True:
            rows = self._connection.execute(
                "SELECT no, record FROM subjects WHERE no > ? ORDER BY no LIMIT ?", (after, _PAGE)
            ).fetchall()
            for no, record in rows:
                after = no
                yield decode_subject(record)
            if not rows:
                return

    def recall(self, key: str) -> Remembered | None:
        """Return what an idempotency key was used for, None when it is new."""
        row = self._connection.execute(
            "SELECT digest, position FROM idempotency WHERE key = ?", (key,)
        ).fetchone()
        return None if row is None else Remembered(row[0], Position(row[1]))

    # --- numbers ----------------------------------------------------------------------------------

    def new_subject(self) -> SubjectNo:
        """Return a number no subject ever had; its key is on disk."""
        if not self._next_subject:
            last = self._connection.execute("SELECT max(no) FROM subjects").get
            self._next_subject = (last or 0) + 1
        no = SubjectNo(self._next_subject)
        self._keys.ensure(no)
        self._next_subject += 1
        return no

    def new_party(self, kind: PartyKind, product: ProductId, subject: SubjectNo | None) -> PartyNo:
        """Return a number no party ever had."""
        if self._next_party < 0:
            last = self._connection.execute("SELECT max(no) FROM parties").get
            self._next_party = 0 if last is None else last + 1
        no = PartyNo(self._next_party)
        self._connection.execute(
            "INSERT INTO parties VALUES (?, ?, ?, ?)", (no, int(kind), product, subject)
        )
        self._next_party += 1
        return no

    # --- writing ----------------------------------------------------------------------------------

    def add(self, event: Event) -> Position:
        """Append an event with its effects, records and deletions; return its position."""
        effects = pack_effects(event.effects)
        if event.subject is None:
            body = canonical(_body(event, effects))
            sealed, previous = body, 0
            entry = entry_bytes(self.next, PUBLIC, public_commitment(body))
        else:
            entry, sealed, previous = self._seal(event, event.subject, effects)
        position = self.next
        chain = chained(self._chain, entry)
        self._connection.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (position, KIND_CODE[event.kind], entry, chain, event.subject, previous, sealed, effects),
        )
        self._keep_derived(event, position)
        self.head, self._chain = position, chain
        return position

    def _seal(
        self, event: Event, subject: SubjectNo, effects: bytes | None
    ) -> tuple[bytes, bytes, Position]:
        """Return entry, sealed body, and the subject's entry before; check the record names them."""
        record, position = event.record, self.next
        if record is None or record.no != subject or record.last != position:
            raise StorageError("a sealed event came without its subject's record at this position")
        before = self._subjects.get(subject) or read_subject(self._connection, subject)
        if record.sequence != (before.sequence + 1 if before else 1):
            raise StorageError(f"subject {subject}: entries must be numbered without gaps")
        key = self._keys.get(subject)
        if key is None:
            raise StorageError(f"subject {subject} has no key (any more); nothing was recorded")
        body = canonical(_body(event, effects))
        entry = entry_bytes(position, SEALED, sealed_commitment(opening(key, record.sequence), body))
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + AESGCM(_body_key(key)).encrypt(nonce, body, entry)
        return entry, sealed, before.last if before else Position(0)

    def _keep_derived(self, event: Event, position: Position) -> None:
        connection, record = self._connection, event.record
        if record is not None:
            data = encode_subject(record)
            if record.sequence == 1:
                connection.execute(
                    "INSERT INTO subjects VALUES (?, ?, ?, ?)",
                    (record.no, SUBJECT_CODE[record.kind], record.id, data),
                )
            else:
                connection.execute("UPDATE subjects SET record = ? WHERE no = ?", (data, record.no))
            self._subjects[record.no] = record
        if event.plans:
            connection.executemany(
                "INSERT OR REPLACE INTO plan_parties VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [_plan_row(parties) for parties in event.plans],
            )
            self._in_force = None
        if event.deleted:
            connection.executemany(
                "INSERT INTO deleted_rows VALUES (?, ?, ?)",
                [(position, row.product, row.ordinal) for row in event.deleted],
            )

    def adopted(self, policy_text: str) -> None:
        """Make this text the policy in force; only together with a POLICY_ADOPTED event."""
        policy_file.loads(policy_text)
        self._connection.execute("INSERT INTO policies VALUES (?, ?)", (self.head, policy_text))
        self._in_force = None

    def remember(self, key: str, remembered: Remembered) -> None:
        """Keep what an idempotency key was used for."""
        self._connection.execute(
            "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?)",
            (key, remembered.digest, remembered.position),
        )


def _body(event: Event, effects: bytes | None) -> dict[str, Json]:
    body: dict[str, Json] = {
        **event.body,
        "kind": event.kind.value,
        "v": 1,
        "recorded_at": event.recorded_at,
        "effects": [[e.party, int(e.becomes)] for e in event.effects],
    }
    if event.record is not None:
        body["subject"] = event.record.id
        body["sequence"] = event.record.sequence
    if event.deleted:
        body["deleted"] = [[row.product, row.ordinal] for row in event.deleted]
    return body


def _body_key(key: bytes) -> bytes:
    return hmac.digest(key, _BODY_KEY, "sha256")


def _plan_row(parties: PlanParties) -> tuple[str | int, ...]:
    return (
        parties.product,
        parties.plan,
        parties.default,
        parties.default_on_since,
        parties.lock,
        parties.lock_on_since,
        parties.position,
        parties.recorded_at,
    )


class SqliteLedger:
    """Implements `ports.Ledger` over the control database and the subject keys."""

    def __init__(self, control: Control, keys: SubjectKeys) -> None:
        self._control = control
        self._keys = keys
        self._policies = Policies()
        self._memory = Memory()
        self._consent = ConsentCache()
        self._current: tuple[int, SqliteTransaction] | None = None

    def append(self, change: Callable[[Transaction], T]) -> T:
        """Run a change in the sequencer's transaction; its result is returned once it is durable."""
        return self._control.run(lambda connection: change(self.transaction(connection)))

    def transaction(self, connection: apsw.Connection) -> SqliteTransaction:
        """Return the ledger's part of a running job of `Control.run`; nowhere else."""
        current = self._current
        if current is not None and current[0] == self._control.epoch:
            return current[1]
        fresh = SqliteTransaction(connection, self._keys, self._policies)
        self._current = (self._control.epoch, fresh)
        return fresh

    def head(self) -> Position:
        """Return the position of the last durable entry, by any process; 0 when there is none."""
        with self._control.read() as connection:
            return head_of(connection)

    @contextmanager
    def directory(self) -> Iterator[Directory]:
        """Open a consistent snapshot of the directory at the head."""
        with self._control.read() as connection:
            yield SnapshotDirectory(connection, head_of(connection), self._memory, self._policies)

    def standings(self) -> ArrayTable:
        """Return the consent table at a position not below the head when this was called."""
        with self._control.read() as connection:
            return self._consent.at(connection, head_of(connection))

    def standings_at(self, position: Position) -> ArrayTable:
        """Rebuild the consent table at an earlier position from the entries alone."""
        with self._control.read() as connection:
            return advanced(EMPTY, connection, min(position, head_of(connection)))

    def token_key(self) -> bytes:
        """Return the 32-byte key of capture tokens, made when the ledger was made."""
        return self._keys.token_key()

    def record(self, position: Position) -> Record | None:
        """Return an entry, opened, None when there is none at that position."""
        with self._control.read() as connection:
            return read_record(connection, self._keys, position)

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
