"""`Intake` in memory, with faults: what a service must survive without a disk.

`fault` is asked before each commit. FAIL_NOT_PERSISTED raises and keeps nothing; FAIL_PERSISTED keeps
everything and raises all the same, as a connection that drops after COMMIT does.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from withhold.domain.interactions import Provenance
from withhold.domain.names import Ordinal, Position, ProductId
from withhold.errors import StateUnknown, StorageError
from withhold.ports import (
    IntakeTransaction,
    KnownConversation,
    KnownId,
    RowBatch,
    Trace,
    TraceKind,
    Use,
)


class Fault(Enum):
    """How a write fails."""

    FAIL_NOT_PERSISTED = "nothing was kept"
    FAIL_PERSISTED = "everything was kept, and nobody was told"


@dataclass
class _State:
    rows: dict[ProductId, list[RowBatch]] = field(default_factory=dict)
    ends: dict[ProductId, int] = field(default_factory=dict)
    ids: dict[tuple[ProductId, str], KnownId] = field(default_factory=dict)
    documents: dict[str, Provenance] = field(default_factory=dict)
    conversations: dict[tuple[ProductId, str], KnownConversation] = field(default_factory=dict)
    uses: dict[tuple[Trace, Trace], Position] = field(default_factory=dict)

    def copied(self) -> _State:
        """Return a copy that shares only values that never change."""
        return _State(
            {p: list(b) for p, b in self.rows.items()},
            dict(self.ends),
            dict(self.ids),
            dict(self.documents),
            dict(self.conversations),
            dict(self.uses),
        )


class MemoryIntake:
    """The capture store of a test."""

    def __init__(self, fault: Callable[[str], Fault | None] | None = None) -> None:
        self._state = _State()
        self._lock = threading.Lock()
        self._fault = fault or (lambda _name: None)

    @contextmanager
    def transaction(self) -> Iterator[IntakeTransaction]:
        with self._lock:
            batch = _Transaction(self._state.copied())
            yield batch
            fault = self._fault("intake.commit")
            if fault is Fault.FAIL_NOT_PERSISTED:
                raise StorageError("capture store: the disk is full; nothing of the batch was kept")
            self._state = batch.state
            if fault is Fault.FAIL_PERSISTED:
                raise StateUnknown("capture store: the batch may or may not be on disk")

    def end(self, product: ProductId) -> Ordinal:
        return Ordinal(self._state.ends.get(product, 0))

    def unsealed(self, product: ProductId, first: Ordinal) -> Iterator[RowBatch]:
        for batch in list(self._state.rows.get(product, [])):
            if batch.first + len(batch.ids) > first:
                yield _from(copy.deepcopy(batch), first)

    def trim(self, product: ProductId, before: Ordinal) -> None:
        with self._lock:
            batches = self._state.rows.get(product, [])
            self._state.rows[product] = [b for b in batches if b.first + len(b.ids) > before]

    def find(self, product: ProductId, row_id: str) -> KnownId | None:
        return self._state.ids.get((product, row_id))

    def close(self) -> None:
        """Nothing to close."""


class _Transaction:
    def __init__(self, state: _State) -> None:
        self.state = state

    def ids(self, product: ProductId, ids: Iterable[str]) -> Mapping[str, KnownId]:
        return {i: self.state.ids[product, i] for i in ids if (product, i) in self.state.ids}

    def documents(self, hashes: Iterable[str]) -> Mapping[str, Provenance]:
        return {h: self.state.documents[h] for h in hashes if h in self.state.documents}

    def conversations(
        self, product: ProductId, names: Iterable[str]
    ) -> Mapping[str, KnownConversation]:
        known = self.state.conversations
        return {n: known[product, n] for n in names if (product, n) in known}

    def marks(self, texts: Iterable[str]) -> frozenset[int]:
        return frozenset(
            int.from_bytes(hashlib.blake2b(t.encode(), digest_size=8).digest(), "little")
            for t in texts
        )

    def next_ordinal(self, product: ProductId) -> Ordinal:
        return Ordinal(self.state.ends.get(product, 0))

    def store(self, batch: RowBatch) -> None:
        assert batch.first == self.next_ordinal(batch.product), "ordinals have no gaps"
        assert len({len(c) for c in (batch.ids, batch.kinds, batch.positions, batch.set_nos)}) == 1
        assert all(tuple(sorted(set(s))) == s for s in batch.party_sets), "party sets are sorted"
        self.state.rows.setdefault(batch.product, []).append(copy.deepcopy(batch))
        self.state.ends[batch.product] = batch.first + len(batch.ids)

    def put_ids(self, product: ProductId, known: Mapping[str, KnownId]) -> None:
        self.state.ids.update({(product, i): k for i, k in known.items()})

    def put_documents(self, known: Mapping[str, Provenance]) -> None:
        self.state.documents.update(known)

    def put_conversations(self, product: ProductId, known: Mapping[str, KnownConversation]) -> None:
        self.state.conversations.update({(product, n): k for n, k in known.items()})

    def trace(self, kind: TraceKind, product: ProductId, name: str) -> Trace:
        return Trace(kind, ProductId("") if kind is TraceKind.DOCUMENT else product, name.encode())

    def put_uses(self, uses: Iterable[Use]) -> None:
        for source, user, position in uses:
            before = self.state.uses.get((source, user), position)
            self.state.uses[source, user] = max(before, position)

    def users(self, source: Trace, after: Position) -> Iterator[Trace]:
        return iter([u for (s, u), p in self.state.uses.items() if s == source and p > after])

    def provenance(self, trace: Trace) -> Provenance | None:
        name = trace.key.decode()
        if trace.kind is TraceKind.DOCUMENT:
            return self.state.documents.get(name)
        if trace.kind is TraceKind.CONVERSATION:
            known = self.state.conversations.get((trace.product, name))
            return None if known is None else known.provenance
        row = self.row(trace)
        return None if row is None else row.provenance

    def put_provenance(self, trace: Trace, provenance: Provenance) -> None:
        name, kept = trace.key.decode(), self.state
        place = (trace.product, name)
        if trace.kind is TraceKind.DOCUMENT:
            kept.documents[name] = provenance
        elif trace.kind is TraceKind.CONVERSATION:
            kept.conversations[place] = kept.conversations[place]._replace(provenance=provenance)
        else:
            kept.ids[place] = kept.ids[place]._replace(provenance=provenance)

    def row(self, trace: Trace) -> KnownId | None:
        return self.state.ids.get((trace.product, trace.key.decode()))

    def put_row(self, trace: Trace, known: KnownId) -> None:
        self.state.ids[trace.product, trace.key.decode()] = known


_COLUMNS = (
    *("ids", "kinds", "conversations", "projects", "api_keys"),
    *("roles", "contents", "positions", "set_nos"),
)


def _from(batch: RowBatch, at: int) -> RowBatch:
    skip = max(at - batch.first, 0)
    values = {name: getattr(batch, name)[skip:] for name in _COLUMNS}
    return RowBatch(
        batch.product, Ordinal(batch.first + skip), party_sets=batch.party_sets, **values
    )
