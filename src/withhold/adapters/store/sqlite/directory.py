"""The directory at one snapshot of the control database, with a memory shared by snapshots.

Capturing asks for the same few thousand subjects again and again. The memory holds subjects as they
stand at ``head``, and every snapshot first takes in the entries after it: whoever an entry names is
forgotten and read anew. So another process's write is seen at once, and a snapshot that is older than
the memory uses only what has not changed since.
"""

from __future__ import annotations

import threading

import apsw

from withhold.adapters.store.sqlite.codec import decode_subject
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.domain import policy_file
from withhold.domain.directory import PlanParties, Subject, SubjectKind
from withhold.domain.names import PartyNo, PlanId, Position, ProductId, SubjectNo
from withhold.domain.policy import Policy
from withhold.domain.standing import Standing
from withhold.errors import InputError, StorageError, UnknownPlan

MEMORY = 65_536  # subjects
GAP = 20_000  # entries; after more than this, forgetting everything is cheaper

KIND_CODE: dict[SubjectKind, int] = {kind: code for code, kind in enumerate(SubjectKind)}
Plans = dict[tuple[str, str], PlanParties]


def read_subject(connection: apsw.Connection, no: int) -> Subject | None:
    """Read a subject, None when there is none of that number."""
    record = connection.execute("SELECT record FROM subjects WHERE no = ?", (no,)).get
    return None if record is None else decode_subject(record)


def read_name(connection: apsw.Connection, kind: SubjectKind, external_id: str) -> int | None:
    """Read the number of a subject, None when there is none of that name."""
    no: int | None = connection.execute(
        "SELECT no FROM subjects WHERE id = ? AND kind = ?", (external_id, KIND_CODE[kind])
    ).get
    return no


def read_erased(
    connection: apsw.Connection, keys: SubjectKeys, kind: SubjectKind, external_id: str
) -> Position | None:
    """Read which entry last erased a subject of a name, None when there is none."""
    name = keys.erased_name(kind.value, external_id)
    found = connection.execute("SELECT max(position) FROM erased WHERE name = ?", (name,)).get
    return None if found is None else Position(found)


def read_plans(connection: apsw.Connection) -> Plans:
    """Read the parties of every plan that any policy had."""
    rows = connection.execute(
        "SELECT product, plan, default_no, default_on_since, lock_no, lock_on_since, position,"
        " recorded_at FROM plan_parties"
    )
    return {
        (product, plan): PlanParties(
            ProductId(product),
            PlanId(plan),
            PartyNo(default),
            Standing(default_on_since),
            PartyNo(lock),
            Standing(lock_on_since),
            Position(position),
            recorded_at,
        )
        for product, plan, default, default_on_since, lock, lock_on_since, position, recorded_at in rows
    }


def read_policy(connection: apsw.Connection, position: int) -> Policy:
    """Read the policy in force once the entry at a position was recorded.

    Raises:
        InputError: no policy was adopted by then.
    """
    text = connection.execute(
        "SELECT text FROM policies WHERE position <= ? ORDER BY position DESC LIMIT 1", (position,)
    ).get
    if text is None:
        raise InputError(f"no policy was adopted up to position {position}; name a later one")
    return policy_file.loads(text)


class Policies:
    """The newest policy, parsed, by the chain value of the entry that adopted it.

    Neither text nor parties of plans change between adoptions. A position alone would not do: an
    adoption that was seen and then undone may be followed by another one at the same position.
    """

    def __init__(self) -> None:
        self._latest: tuple[bytes, Policy, Plans] | None = None

    def at(self, connection: apsw.Connection) -> tuple[Policy, Plans]:
        """Return the policy in force in this snapshot, and the parties of its plans.

        Raises:
            InputError: no policy was adopted yet.
        """
        row = connection.execute(
            "SELECT position, chain FROM policies JOIN entries USING(position)"
            " ORDER BY position DESC LIMIT 1"
        ).fetchone()
        if row is None:
            raise InputError("no policy was adopted yet; adopt one first")
        position, chain = row
        latest = self._latest
        if latest is not None and latest[0] == chain:
            return latest[1], latest[2]
        found = (chain, read_policy(connection, position), read_plans(connection))
        self._latest = found
        return found[1], found[2]


class Memory:
    """Subjects as they stand at ``head``, and names, which change only when somebody is erased."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subjects: dict[int, Subject] = {}
        self._names: dict[tuple[SubjectKind, str], int] = {}
        self.head = Position(0)

    def catch_up(self, connection: apsw.Connection, head: Position) -> None:
        """Forget every subject that an entry up to ``head`` names."""
        if self.head >= head:
            return
        with self._lock:
            if head - self.head > GAP:
                self._subjects.clear()
            elif self.head < head:
                changed = connection.execute(
                    "SELECT subject FROM entries WHERE position > ? AND position <= ?",
                    (self.head, head),
                )
                for (subject,) in changed:
                    self._subjects.pop(subject, None)
            self.head = max(self.head, head)

    def get(self, no: int, head: Position) -> Subject | None:
        """Return a subject that stands the same at ``head``; None when that is not known."""
        subject = self._subjects.get(no)
        return subject if subject is not None and subject.last <= head else None

    def put(self, subject: Subject, head: Position) -> None:
        """Keep a subject that was read at ``head``, unless the memory is past that."""
        with self._lock:
            if head == self.head:
                if len(self._subjects) >= MEMORY:
                    self._forget_oldest()
                self._subjects[subject.no] = subject

    def _forget_oldest(self) -> None:
        for no in list(self._subjects)[: MEMORY // 4]:
            del self._subjects[no]

    def name(self, kind: SubjectKind, external_id: str) -> int | None:
        """Return the number of a name, None when it is not known here."""
        return self._names.get((kind, external_id))

    def put_name(self, kind: SubjectKind, external_id: str, no: int) -> None:
        """Keep the number of a name that a committed entry gave."""
        if len(self._names) >= MEMORY:
            self._names.clear()
        self._names[(kind, external_id)] = no


class SnapshotDirectory:
    """The directory at the head of one read snapshot; implements `domain.directory.Directory`."""

    def __init__(
        self,
        connection: apsw.Connection,
        keys: SubjectKeys,
        head: Position,
        memory: Memory,
        policies: Policies,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._memory = memory
        self._policies = policies
        self._in_force: tuple[Policy, Plans] | None = None
        self.head = head
        memory.catch_up(connection, head)

    def _force(self) -> tuple[Policy, Plans]:
        if self._in_force is None:
            self._in_force = self._policies.at(self._connection)
        return self._in_force

    @property
    def policy(self) -> Policy:
        """The policy in force at this snapshot."""
        return self._force()[0]

    def find(self, kind: SubjectKind, external_id: str) -> Subject | None:
        """Return the subject of that name, None when there is none."""
        no = self._memory.name(kind, external_id)
        known = None if no is None else self._read(no)
        if known is not None and known.id == external_id:
            return known
        no = read_name(self._connection, kind, external_id)  # not known, or erased meanwhile
        if no is None:
            return None
        self._memory.put_name(kind, external_id, no)
        return self._read(no)

    def erased_at(self, kind: SubjectKind, external_id: str) -> Position | None:
        """Return the entry that last erased a subject of that name, None when there is none."""
        return read_erased(self._connection, self._keys, kind, external_id)

    def subject(self, no: SubjectNo) -> Subject:
        """Return the subject of that number, which must exist."""
        subject = self._read(no)
        if subject is None:
            raise StorageError(f"subject {no} is not in the directory; run `withhold verify`")
        return subject

    def _read(self, no: int) -> Subject | None:
        subject = self._memory.get(no, self.head)
        if subject is None:
            subject = read_subject(self._connection, no)
            if subject is not None:
                self._memory.put(subject, self.head)
        return subject

    def plan(self, product: ProductId, plan: PlanId) -> PlanParties:
        """Return the parties of a plan.

        Raises:
            UnknownPlan: no policy ever adopted had that plan.
        """
        return plan_in(self._force()[1], product, plan)


def plan_in(plans: Plans, product: ProductId, plan: PlanId) -> PlanParties:
    """Return the parties of a plan.

    Raises:
        UnknownPlan: no policy ever adopted had that plan.
    """
    found = plans.get((product, plan))
    if found is None:
        raise UnknownPlan(f"no policy ever had the plan {plan[:32]!r} of product {product[:32]!r}")
    return found
