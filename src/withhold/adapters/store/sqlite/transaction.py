"""What an append writes: an entry, and in the same transaction everything derived from it.

    position 41 --chain--> entry 42 = commitment(opening r, event)   body = AES-256-GCM(event)
                                      |                                     |
                                      `- readable by all, says nothing      `- subject's key

Invariants: entries of a subject are numbered without gaps, and each names the one before it; a
subject's record changes only with an entry of that subject; a number is never given twice.

Source: design sections 1, 2 and 6. Not here: durability and the lock (`control`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import apsw

from withhold.adapters.store.sqlite.codec import (
    KIND_CODE,
    decode_subject,
    encode_subject,
    pack_effects,
)
from withhold.adapters.store.sqlite.directory import KIND_CODE as SUBJECT_CODE
from withhold.adapters.store.sqlite.directory import (
    Plans,
    Policies,
    plan_in,
    read_erased,
    read_subject,
)
from withhold.adapters.store.sqlite.entries import past_of, seal
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.domain.absence import secret_commitment, tag_secret
from withhold.domain.canonical_json import Json, canonical
from withhold.domain.directory import PlanParties, Subject, SubjectKind
from withhold.domain.erasure import Past
from withhold.domain.ledger import (
    BLIND_BYTES,
    CHAIN_START,
    PERSONAL,
    PUBLIC,
    SEALED,
    Event,
    EventKind,
    chained,
    entry_bytes,
    hidden,
    opening,
    public_commitment,
    sealed_commitment,
)
from withhold.domain.names import PartyNo, PlanId, Position, ProductId, SubjectNo
from withhold.domain.parties import PartyKind
from withhold.domain.policy import Policy
from withhold.errors import StorageError
from withhold.ports import Remembered

MOST_ADDED = 16_384  # entries remembered of one transaction, some 2 MB; who needs more reads them
_PAGE = 1_000  # subjects read at once when a change concerns all


class SqliteTransaction:
    """The directory at the head inside a write transaction; implements `ports.Transaction`.

    Good for one epoch of `Control`: it remembers the head and what was added since, and is thrown
    away as soon as anything was undone.
    """

    def __init__(self, connection: apsw.Connection, keys: SubjectKeys, policies: Policies) -> None:
        self._connection = connection
        # for what every change does: a cursor for each statement would cost a third as much again. It is
        # used only where all it finds is taken before anything else is asked.
        self._cursor = connection.cursor()
        self._keys = keys
        keys.refresh()
        self._policies = policies
        last = connection.execute(
            "SELECT position, chain FROM entries ORDER BY position DESC LIMIT 1"
        ).fetchone()
        self.head = Position(last[0]) if last else Position(0)
        self._chain: bytes = last[1] if last else CHAIN_START
        self._first = self.head
        self._added: list[bytes] = []
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
        record = self._cursor.execute(
            "SELECT record FROM subjects WHERE id = ? AND kind = ?",
            (external_id, SUBJECT_CODE[kind]),
        ).get
        if record is None:
            return None
        subject = decode_subject(record)
        self._memorise(subject)
        return subject

    def subject(self, no: SubjectNo) -> Subject:
        """Return the subject of that number, which must exist."""
        subject = self._subjects.get(no)
        if subject is None:
            subject = read_subject(self._connection, no)
            if subject is None:
                raise StorageError(f"subject {no} is not in the directory; run `withhold verify`")
            self._memorise(subject)
        return subject

    def _memorise(self, subject: Subject) -> None:
        """Keep a subject as the database has it now: forgetting one is always safe."""
        if len(self._subjects) >= _PAGE:
            self._subjects.clear()
        self._subjects[subject.no] = subject

    def accounts(self, after: SubjectNo) -> Iterator[Subject]:
        """Yield every account and organisation above a number, in order, a page at a time."""
        while True:
            rows = self._connection.execute(
                "SELECT record FROM subjects WHERE no > ? ORDER BY no LIMIT ?", (after, _PAGE)
            )
            subjects = [decode_subject(record) for (record,) in rows]
            if not subjects:
                return
            yield from subjects
            after = subjects[-1].no

    def named(self, after: Position, upto: Position) -> list[SubjectNo]:
        """Return whose entries stand above one position and up to another, each once, in order."""
        rows = self._connection.execute(
            "SELECT DISTINCT subject FROM entries WHERE position > ? AND position <= ?"
            " AND subject IS NOT NULL ORDER BY subject",
            (after, upto),
        )
        return [SubjectNo(no) for (no,) in rows]

    def had(self, product: ProductId) -> bool:
        """Return whether any policy ever had plans of that product."""
        return any(key[0] == product for key in self._force()[1])

    def recall(self, key: str) -> Remembered | None:
        """Return what an idempotency key was used for, None when it is new."""
        row = self._connection.execute(
            "SELECT digest, position FROM idempotency WHERE key = ?", (key,)
        ).fetchone()
        return None if row is None else Remembered(row[0], Position(row[1]))

    # --- numbers ----------------------------------------------------------------------------------

    def new_subject(self) -> SubjectNo:
        """Return a number no subject ever had; its key is on disk, and nobody ever had it."""
        if not self._next_subject:
            last = self._connection.execute("SELECT max(no) FROM subjects").get
            self._next_subject = (last or 0) + 1
        no = self._keys.give(SubjectNo(self._next_subject))
        self._next_subject = no + 1
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
        position, subject = self.next, event.subject
        if subject is None or event.kind is EventKind.ACCOUNT_ERASED:
            plain = _body(event)
            if event.kind in PERSONAL:
                plain["blind"] = os.urandom(BLIND_BYTES).hex()
            if event.kind is EventKind.ACCOUNT_ERASED and subject is not None:
                plain["name"] = self._erased_name(subject).hex()
            body = canonical(plain)
            previous = 0 if subject is None else self.subject(subject).last
            entry = entry_bytes(position, PUBLIC, public_commitment(body))
        else:
            entry, body, previous = self._seal(event, subject, position)
        chain = chained(self._chain, entry)
        kind, effects = KIND_CODE[event.kind], pack_effects(event.effects)
        self._cursor.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (position, kind, entry, chain, subject, previous, body, effects),
        )
        self._keep_derived(event, position)
        if event.kind is EventKind.LOG_KEY_REPLACED:
            self._connection.execute(
                "INSERT INTO log_keys VALUES (?, ?, ?)",
                (position, event.body["key"], event.body["second_key"]),
            )
        self.head, self._chain = position, chain
        if len(self._added) < MOST_ADDED:
            self._added.append(entry)
        return position

    def added(self, after: int, head: int, chain: bytes) -> Sequence[bytes] | None:
        """Return the entries after a position as they were added, None when others have to be read.

        Args:
            after: a position.
            head: the position of the last entry in the table now.
            chain: its chain value in the table. It follows from every entry: where it is the one that
                the last addition gave, the table holds what was added here, byte for byte.
        """
        if self._first != after or self.head != head or self._chain != chain:
            return None
        return self._added if len(self._added) == head - after else None

    def _seal(
        self, event: Event, subject: SubjectNo, position: Position
    ) -> tuple[bytes, bytes, Position]:
        """Return entry, sealed body, and the subject's entry before; check the record names them."""
        record = event.record
        if record is None or record.no != subject or record.last != position:
            raise StorageError("a sealed event came without its subject's record at this position")
        before = self._subjects.get(subject) or read_subject(self._connection, subject)
        if record.sequence != (before.sequence + 1 if before else 1):
            raise StorageError(f"subject {subject}: entries must be numbered without gaps")
        key = self._keys.get(subject)
        if key is None:
            raise StorageError(f"subject {subject} has no key (any more); nothing was recorded")
        stated = _body(event)
        if event.kind is EventKind.ACCOUNT_OPENED:  # nobody can be given another secret later
            stated["tag_secret"] = secret_commitment(tag_secret(key)).hex()
        for name, value in event.hidden.items():
            stated[name] = hidden(key, record.sequence, name, value)
        body = canonical(stated)
        commitment = sealed_commitment(opening(key, record.sequence), body)
        entry = entry_bytes(position, SEALED, commitment)
        sealed = seal(key, body, entry, event.hidden)
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
                self._cursor.execute(
                    "UPDATE subjects SET record = ? WHERE no = ?", (data, record.no)
                )
            self._memorise(record)
        if event.plans:
            connection.executemany(
                "INSERT OR REPLACE INTO plan_parties VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [_plan_row(parties) for parties in event.plans],
            )
            self._reread_policy()
        if event.deleted:
            connection.executemany(
                "INSERT INTO deleted_rows VALUES (?, ?, ?)",
                [(position, row.product, row.ordinal) for row in event.deleted],
            )

    def past(self, subject: SubjectNo) -> list[Past]:
        """Return what the entries of a subject did, oldest first."""
        found, position = [], int(self.subject(subject).last)
        while position:
            row: Any = self._connection.execute(
                "SELECT kind, effects, previous FROM entries WHERE position = ?", (position,)
            ).fetchone()
            kind, effects, previous = row
            found.append(past_of(self._connection, position, kind, effects))
            position = previous
        return found[::-1]

    def erased(self, record: Subject) -> None:
        """Forget a subject's name, and what idempotency keys did for it."""
        connection, no = self._connection, record.no
        name = self._erased_name(no)
        connection.execute("INSERT INTO erased VALUES (?, ?, ?)", (record.last, no, name))
        connection.executemany(
            "DELETE FROM idempotency WHERE position = ?",
            [(each.position,) for each in self.past(no)],
        )
        # no name may hold a control character, so that this one is nobody's
        connection.execute(
            "UPDATE subjects SET id = ?, record = ? WHERE no = ?",
            (f"\x1f{no}", encode_subject(record), no),
        )
        self._memorise(record)

    def _erased_name(self, no: SubjectNo) -> bytes:
        subject = self.subject(no)
        return self._keys.erased_name(subject.kind.value, subject.id)

    def erased_at(self, kind: SubjectKind, external_id: str) -> Position | None:
        """Return the entry that last erased a subject of that name, None when there is none."""
        return read_erased(self._connection, self._keys, kind, external_id)

    def adopted(self, policy_text: str) -> None:
        """Make this text the policy in force; only together with a POLICY_ADOPTED event."""
        self._connection.execute("INSERT INTO policies VALUES (?, ?)", (self.head, policy_text))
        self._reread_policy()

    def _reread_policy(self) -> None:
        """Read the policy anew, into a memory of this transaction alone: it may yet be undone."""
        self._in_force, self._policies = None, Policies()

    def remember(self, key: str, remembered: Remembered) -> None:
        """Keep what an idempotency key was used for."""
        self._connection.execute(
            "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?)",
            (key, remembered.digest, remembered.position),
        )


def _body(event: Event) -> dict[str, Json]:
    body = dict(event.body)
    body["kind"] = event.kind
    body["v"] = 1
    body["recorded_at"] = event.recorded_at
    body["effects"] = [[e.party, e.becomes] for e in event.effects]
    if event.record is not None:
        body["subject"] = event.record.id
        body["sequence"] = event.record.sequence
    if event.deleted:
        body["deleted"] = [[row.product, row.ordinal] for row in event.deleted]
    return body


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
