"""`Ledger` in memory, with faults: the same promises, no disk, no keys worth keeping.

Every append works on a copy of the state and replaces it at the end, so what was handed out never
changes. `fault` is asked before each append is kept, under the name ``ledger.append``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

import withhold
from tests.fakes.faults import Faults, no_faults, written
from tests.fakes.sessions import MemorySessions
from withhold.adapters.store.sqlite.consent import ArrayTable
from withhold.domain import policy_file
from withhold.domain.absence import secret_commitment, tag_secret
from withhold.domain.canonical_json import Json, canonical
from withhold.domain.directory import Directory, PlanParties, Subject, SubjectKind
from withhold.domain.erasure import Past
from withhold.domain.ledger import (
    CHAIN_START,
    PERSONAL,
    PUBLIC,
    SEALED,
    Event,
    EventKind,
    chained,
    check_entry,
    entry_bytes,
    hidden,
    opening,
    public_commitment,
    sealed_commitment,
)
from withhold.domain.names import PartyNo, PlanId, Position, ProductId, SubjectNo
from withhold.domain.parties import PartyKind
from withhold.domain.policy import Policy
from withhold.domain.standing import OUT
from withhold.errors import (
    EntryErased,
    InputError,
    StorageError,
    UnknownPlan,
    VerificationError,
    WithholdError,
)
from withhold.ports import Ledger, Outcome, Ports, Record, Remembered, Transaction

T = TypeVar("T")

POLICY = (Path(withhold.__file__).parent / "policies" / "default.toml").read_text(encoding="utf-8")


class TickingClock:
    """A clock that shows a later time at every look, so that tests see which time was kept."""

    def __init__(self) -> None:
        self._now_ms = 1_700_000_000_000

    def now_ms(self) -> int:
        self._now_ms += 1
        return self._now_ms


def ports_over(ledger: Ledger) -> Ports:
    """Return ports of which only ledger, clock and sessions may be used."""
    unused = dict.fromkeys(Ports.__dataclass_fields__)
    used = {"ledger": ledger, "clock": TickingClock(), "sessions": MemorySessions()}
    return Ports(**{**unused, **used})  # type: ignore[arg-type]


@dataclass
class _State:
    entries: list[tuple[Event, Record, int]] = field(default_factory=list)  # with the entry before
    subjects: dict[int, Subject] = field(default_factory=dict)
    parties: list[tuple[PartyKind, ProductId, SubjectNo | None]] = field(default_factory=list)
    plans: dict[tuple[str, str], PlanParties] = field(default_factory=dict)
    policy: Policy | None = None
    policies: list[tuple[Position, Policy]] = field(default_factory=list)
    keys: dict[str, Remembered] = field(default_factory=dict)
    numbered: int = 0
    erased: dict[int, tuple[SubjectKind, str, Position]] = field(default_factory=dict)

    def copied(self) -> _State:
        return _State(
            list(self.entries),
            dict(self.subjects),
            list(self.parties),
            dict(self.plans),
            self.policy,
            list(self.policies),
            dict(self.keys),
            self.numbered,
            dict(self.erased),
        )


class _Snapshot:
    """The directory of one state."""

    def __init__(self, state: _State) -> None:
        self.state = state

    @property
    def head(self) -> Position:
        return Position(len(self.state.entries))

    @property
    def policy(self) -> Policy:
        if self.state.policy is None:
            raise InputError("no policy was adopted yet; adopt one first")
        return self.state.policy

    def find(self, kind: SubjectKind, external_id: str) -> Subject | None:
        for subject in self.state.subjects.values():
            if external_id and (subject.kind, subject.id) == (kind, external_id):
                return subject
        return None

    def erased_at(self, kind: SubjectKind, external_id: str) -> Position | None:
        found = [
            at for was, name, at in self.state.erased.values() if (was, name) == (kind, external_id)
        ]
        return max(found, default=None)

    def subject(self, no: SubjectNo) -> Subject:
        if no not in self.state.subjects:
            raise StorageError(f"subject {no} is not in the directory")
        return self.state.subjects[no]

    def plan(self, product: ProductId, plan: PlanId) -> PlanParties:
        if (product, plan) not in self.state.plans:
            raise UnknownPlan(f"no policy ever had the plan {plan!r} of product {product!r}")
        return self.state.plans[(product, plan)]


class _Transaction(_Snapshot):
    """One append."""

    @property
    def next(self) -> Position:
        return Position(self.head + 1)

    def accounts(self, after: SubjectNo) -> Iterator[Subject]:
        return iter([self.state.subjects[no] for no in sorted(self.state.subjects) if no > after])

    def named(self, after: Position, upto: Position) -> list[SubjectNo]:
        events = [event for event, _, _ in self.state.entries[after:upto]]
        return sorted({event.subject for event in events if event.subject is not None})

    def had(self, product: ProductId) -> bool:
        return any(key[0] == product for key in self.state.plans)

    def new_subject(self) -> SubjectNo:
        self.state.numbered += 1
        return SubjectNo(self.state.numbered)

    def new_party(self, kind: PartyKind, product: ProductId, subject: SubjectNo | None) -> PartyNo:
        self.state.parties.append((kind, product, subject))
        return PartyNo(len(self.state.parties) - 1)

    def add(self, event: Event) -> Position:
        position, before = self.next, None
        body: dict[str, Json] = {
            **event.body,
            "kind": event.kind.value,
            "v": 1,
            "recorded_at": event.recorded_at,
            "effects": [[e.party, int(e.becomes)] for e in event.effects],
        }
        if event.deleted:
            body["deleted"] = [[row.product, row.ordinal] for row in event.deleted]
        if event.record is None and event.kind in PERSONAL:
            body["blind"] = sha256(b"blind %d" % position).hexdigest()  # no secret, like the keys
        if event.subject is not None:
            before = self.state.subjects.get(event.subject)
        if event.record is not None:
            assert event.subject is not None
            assert event.subject not in self.state.erased, "nothing is sealed for somebody erased"
            assert event.record.last == position, "the record names its position"
            assert event.record.sequence == (before.sequence + 1 if before else 1)
            body |= {"subject": event.record.id, "sequence": event.record.sequence}
            if event.kind is EventKind.ACCOUNT_OPENED:
                body["tag_secret"] = secret_commitment(tag_secret(_key(event))).hex()
            for name, value in event.hidden.items():
                body[name] = hidden(_key(event), event.record.sequence, name, value)
            self.state.subjects[event.subject] = event.record
        record = self._record(event, position, canonical(body))
        self.state.entries.append((event, record, before.last if before else 0))
        self.state.plans |= {(p.product, p.plan): p for p in event.plans}
        return position

    def _record(self, event: Event, position: Position, body: bytes) -> Record:
        previous = self.state.entries[-1][1].chain if self.state.entries else CHAIN_START
        if event.record is None:
            opened, entry = None, entry_bytes(position, PUBLIC, public_commitment(body))
        else:
            opened = opening(_key(event), event.record.sequence)
            entry = entry_bytes(position, SEALED, sealed_commitment(opened, body))
        chain = chained(previous, entry)
        return Record(position, event.kind, entry, previous, chain, opened, body, event.hidden)

    def past(self, subject: SubjectNo) -> list[Past]:
        return [
            Past(
                record.position,
                record.kind.value,
                tuple((e.party, int(e.becomes)) for e in event.effects),
                tuple(sorted((row.product, row.ordinal) for row in event.deleted)),
            )
            for event, record, _ in self.state.entries
            if event.subject == subject and record.kind is not EventKind.ACCOUNT_ERASED
        ]

    def erased(self, record: Subject) -> None:
        before = self.state.subjects[record.no]
        self.state.erased[record.no] = (before.kind, before.id, record.last)
        own = {each.position for each in self.past(record.no)}
        self.state.keys = {k: r for k, r in self.state.keys.items() if r.position not in own}
        self.state.subjects[record.no] = record

    def adopted(self, policy_text: str) -> None:
        self.state.policy = policy_file.loads(policy_text)
        self.state.policies.append((self.head, self.state.policy))

    def recall(self, key: str) -> Remembered | None:
        return self.state.keys.get(key)

    def remember(self, key: str, remembered: Remembered) -> None:
        self.state.keys[key] = remembered


def _key(event: Event) -> bytes:
    return f"key {event.subject}".encode()


class _Outcome(Generic[T]):
    """What became of a submitted change."""

    result: T
    error: WithholdError | None = None

    def get(self) -> T:
        if self.error is not None:
            raise self.error
        return self.result


class MemoryLedger:
    """The ledger of a test."""

    def __init__(self, faults: Faults = no_faults) -> None:
        self._state = _State()
        self._faults = faults
        self._lock = threading.Lock()

    def append(self, change: Callable[[Transaction], T]) -> T:
        with self._lock:
            transaction = _Transaction(self._state.copied())
            result = change(transaction)
            written(self._faults, "ledger.append", lambda: self._keep(transaction.state))
            return result

    def submit(
        self, change: Callable[[Transaction], T], tell: Callable[[Outcome[T]], None]
    ) -> None:
        def done() -> None:
            outcome: _Outcome[T] = _Outcome()
            try:
                outcome.result = self.append(change)
            except WithholdError as error:
                outcome.error = error
            tell(outcome)

        threading.Thread(target=done).start()

    def _keep(self, state: _State) -> None:
        self._state = state

    def head(self) -> Position:
        return _Snapshot(self._state).head

    @contextmanager
    def directory(self) -> Iterator[Directory]:
        yield _Snapshot(self._state)

    def standings(self) -> ArrayTable:
        return self.standings_at(self.head())

    def standings_at(self, position: Position) -> ArrayTable:
        state = self._state
        values = np.zeros(len(state.parties), np.uint64)
        to = min(position, len(state.entries))
        for event, record, _ in state.entries[:to]:
            for effect in event.effects:
                standing = effect.standing(record.position)
                values[effect.party] = 0 if standing == OUT else standing + 1
        kinds = np.array([int(kind) for kind, _, _ in state.parties], np.uint8)
        return ArrayTable(Position(to), values, kinds)

    def record(self, position: Position) -> Record | None:
        entries = self._state.entries
        if not 0 < position <= len(entries):
            return None
        event, record, _ = entries[position - 1]
        if event.record is not None and event.subject in self._state.erased:
            raise EntryErased(f"entry {position}: its person was erased")
        return record

    def records(self) -> list[Record]:
        """Return every entry, of erased subjects too; for the log of a test, which needs its bytes."""
        return [record for _, record, _ in self._state.entries]

    def purge(self, *, logs: bool = True) -> bool:
        return True

    def erased_to(self) -> Position:
        return max((at for _, _, at in self._state.erased.values()), default=Position(0))

    def policy_at(self, position: Position) -> Policy:
        found = [policy for adopted, policy in self._state.policies if adopted <= position]
        if not found:
            raise InputError(f"no policy was adopted up to position {position}")
        return found[-1]

    def records_of(self, subject: SubjectNo) -> Iterator[Record]:
        known = self._state.subjects.get(subject)
        position = known.last if known else 0
        while position:
            _, record, position = self._state.entries[position - 1]
            self.record(record.position)
            yield record

    def first_record(self, subject: SubjectNo) -> Record:
        *_, first = [*self.records_of(subject)] or [None]
        if first is None:
            raise VerificationError(f"subject {subject}: no entry")
        return first

    def public_records(self, kinds: Collection[EventKind]) -> Iterator[Record]:
        for event, record, _ in self._state.entries:
            if event.kind in kinds and event.subject is None:
                yield record

    def accounts_of(self, parties: Collection[int]) -> NDArray[np.uint32]:
        found = set()
        for party in parties:
            kind, _, subject = self._state.parties[party]
            if kind is PartyKind.ACCOUNT and subject is not None:
                found.add(subject)
        return np.array(sorted(found), np.uint32)

    def verify(self, seen: Callable[[Position], None] | None = None) -> Position:
        table = self.standings()
        for _, record, _ in self._state.entries:
            check_entry(record.entry, record.position, record.previous_chain, record.chain)
            assert json.loads(record.event)["kind"] == record.kind.value
        for subject in self._state.subjects.values():
            for holding in subject.holdings.values():
                if table.standing(holding.party) != holding.on_since:
                    raise VerificationError(f"subject {subject.no}: a standing does not follow")
        return self.head()

    def subjects(self) -> list[Subject]:
        """Return everybody in order of number; for other fakes over the same directory."""
        return [self._state.subjects[no] for no in sorted(self._state.subjects)]

    def token_key(self) -> bytes:
        return b"t" * 32

    def close(self) -> None:
        """Nothing to close; here for tests that hold either ledger."""
