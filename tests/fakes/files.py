"""`Files` in memory over any ledger, with faults."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tests.fakes.faults import Faults, no_faults, written
from withhold.domain.fence import Deleted, Raised, Withdrawal
from withhold.domain.names import FileNo, Ordinal, PartyNo, Position, ProductId
from withhold.domain.vectors import Bits, ConsentVector
from withhold.errors import LedgerMoved
from withhold.ports import Applied, LakeFile, Ledger, Withdrawn


def withdrawals_in(ledger: Ledger, after: int, to: int) -> Iterator[Withdrawal]:
    """Yield what entries in (after, to] withdrew, read from the events themselves."""
    for number in range(after + 1, to + 1):
        record = ledger.record(Position(number))
        assert record is not None, f"entry {number} is missing"
        event = json.loads(record.event)
        for party, becomes in event["effects"]:
            if becomes:
                yield Raised(record.position, PartyNo(party))
        for product, ordinal in event.get("deleted", ()):
            yield Deleted(record.position, ProductId(product), Ordinal(ordinal))


class MemoryFiles:
    """The registry of a test. `damage` loses a vector, as a broken disk would."""

    def __init__(self, ledger: Ledger, faults: Faults = no_faults) -> None:
        self._ledger, self._faults = ledger, faults
        self._lock = threading.RLock()
        self._files: list[LakeFile] = []
        self._growth: dict[FileNo, list[Applied]] = {}
        self._applied: dict[FileNo, Position] = {}
        self._cursor = Position(0)

    def damage(self, file: FileNo) -> None:
        self._applied.pop(file)

    def sealed(self, product: ProductId) -> Ordinal:
        ends = [f.first + f.rows for f in self._files if f.product == product]
        return Ordinal(max(ends, default=0))

    def register(self, file: LakeFile, vector: ConsentVector) -> LakeFile:
        with self._lock:
            if self.sealed(file.product) != file.first or self._cursor > vector.applied:
                raise LedgerMoved("decide again")
            numbered = replace(file, no=FileNo(len(self._files) + 1))

            def write() -> LakeFile:
                self._files.append(numbered)
                self._begin(numbered.no, vector)
                return numbered

            return written(self._faults, "files.register", write)

    def files(self, product: ProductId | None = None) -> Sequence[LakeFile]:
        return [f for f in self._files if product is None or f.product == product]

    def vectors(self, files: Iterable[FileNo]) -> Mapping[FileNo, ConsentVector | None]:
        with self._lock:
            return {no: self._vector(no) for no in files}

    def cursor(self) -> Position:
        return self._cursor

    def withdrawals(self, after: Position, to: Position) -> Withdrawn:
        found = list(withdrawals_in(self._ledger, after, to))
        parties = sorted({w.party for w in found if isinstance(w, Raised)})
        deleted = [w for w in found if isinstance(w, Deleted)]
        return Withdrawn(np.array(parties, dtype=np.uint32), deleted)

    def deleted(self, file: LakeFile, to: Position) -> Sequence[int]:
        return sorted(
            {
                w.ordinal - file.first
                for w in withdrawals_in(self._ledger, 0, to)
                if isinstance(w, Deleted)
                and w.product == file.product
                and file.first <= w.ordinal < file.first + file.rows
            }
        )

    def apply(
        self, after: Position, to: Position, added: Mapping[FileNo, Bits | None], *, last: FileNo
    ) -> None:
        with self._lock:
            unseen = [f for f in self._files if f.no > last and self._applied.get(f.no, -1) < to]
            if self._cursor != after or unseen:
                raise LedgerMoved("look again")

            def write() -> None:
                for no, bits in added.items():
                    if bits is None:
                        self._applied.pop(no, None)
                    elif no in self._applied:
                        self._grow(no, bits, to)
                self._cursor = to

            written(self._faults, "files.apply", write)

    def replace(self, vectors: Mapping[FileNo, ConsentVector]) -> None:
        with self._lock:
            if any(self._cursor > vector.applied for vector in vectors.values()):
                raise LedgerMoved("decide again")

            def write() -> None:
                for file, vector in vectors.items():
                    if file in self._applied:
                        self._grow(file, vector.bits, vector.applied)
                    else:
                        self._begin(file, vector)

            written(self._faults, "files.replace", write)

    def growth(self, file: FileNo) -> Sequence[Applied]:
        return list(self._growth[file])

    def _begin(self, no: FileNo, vector: ConsentVector) -> None:
        self._growth[no] = [Applied(vector.applied, dict(vector.bits))]
        self._applied[no] = vector.applied

    def _grow(self, no: FileNo, bits: Bits, to: Position) -> None:
        known = self._vector(no)
        assert known is not None
        fresh = {r: rows - known.bits[r] if r in known.bits else rows for r, rows in bits.items()}
        fresh = {r: rows for r, rows in fresh.items() if len(rows)}
        if fresh:
            self._growth[no].append(Applied(to, fresh))
            self._applied[no] = max(self._applied[no], to)

    def _vector(self, no: FileNo) -> ConsentVector | None:
        if no not in self._applied:
            return None
        vector = ConsentVector(Position(0), {})
        for grown in self._growth[no]:
            vector = vector.grown(grown.bits, grown.position)
        return replace(vector, applied=max(self._applied[no], self._cursor))
