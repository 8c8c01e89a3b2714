"""`Log` in memory, over any `Ledger`: the tree is computed anew from the entries at every look."""

from __future__ import annotations

import json

from withhold.adapters.signing import SeedSigner
from withhold.domain.checkpoints import Checkpoint, LogKey, signed
from withhold.domain.jws import Unsigned
from withhold.domain.ledger import EventKind
from withhold.domain.names import Position
from withhold.domain.notes import NoteKey, SignatureType
from withhold.domain.proofs import LogProof
from withhold.domain.tiles import ENTRIES, HEIGHT, WIDTH, TileId, bundle
from withhold.domain.tree import (
    HASH_BYTES,
    Frontier,
    Proof,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    paired,
)
from withhold.errors import InputError
from withhold.ports import Ledger, Record


class MemoryLog:
    """The log of a test; its keys are no secret."""

    origin = "withhold/test"

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        first = self._signer(0)
        self._signers = {str(first.key): first}

    def _signer(self, number: int) -> SeedSigner:
        return SeedSigner(self.origin, SignatureType.ED25519, bytes((number,)) * 32)

    def _records(self) -> list[Record]:
        found = (self._ledger.record(Position(p)) for p in range(1, self._ledger.head() + 1))
        return [record for record in found if record is not None]

    def _rows(self, size: int) -> list[list[bytes]]:
        rows = [[leaf_hash(record.entry) for record in self._records()[:size]]]
        while len(rows[-1]) > 1:
            rows.append(paired(rows[-1]))
        return rows

    def keys(self) -> tuple[LogKey, ...]:
        keys = [LogKey(self._signer(0).key)]
        for record in self._records():
            if record.kind is EventKind.LOG_KEY_REPLACED:
                keys[-1] = LogKey(keys[-1].key, keys[-1].first, record.position)
                signer = self._signers[json.loads(record.event)["key"]]
                keys.append(LogKey(signer.key, record.position))
        return tuple(keys)

    def checkpoint(self) -> bytes:
        leaves = self._rows(self._ledger.head())[0]
        checkpoint = Checkpoint(self.origin, Frontier().grown(leaves)[0].head())
        signers = [self._signers[str(k.key)] for k in self.keys() if k.may_sign(len(leaves))]
        return bytes(signed(checkpoint, signers, 0))

    def proof(self, position: Position) -> LogProof:
        size = self._ledger.head()
        if not 0 < position <= size:
            raise InputError(f"proof: no entry {position}")
        rows = self._rows(size)
        path = inclusion_proof(position - 1, size, lambda level, index: rows[level][index])
        return LogProof(position - 1, path, self.checkpoint())

    def sign(self, key: NoteKey, statement: Unsigned) -> bytes:
        if key not in {each.key for each in self.keys()}:
            raise InputError("sign: no key of this log")
        return self._signers[str(key)].sign(statement.message)

    def consistency(self, old: int, new: int) -> Proof:
        if new > self._ledger.head():
            raise InputError("proof: no such size")
        rows = self._rows(new)
        return consistency_proof(old, new, lambda level, index: rows[level][index])

    def tile(self, tile: TileId) -> bytes | None:
        first, last = tile.number * WIDTH, tile.number * WIDTH + tile.width
        if tile.level == ENTRIES:
            entries = [record.entry for record in self._records()]
            return bundle(entries[first:last]) if last <= len(entries) else None
        rows = self._rows(self._ledger.head())
        row = rows[tile.level * HEIGHT] if tile.level * HEIGHT < len(rows) else []
        hashes = b"".join(row[first:last])
        return hashes if len(hashes) == tile.width * HASH_BYTES else None

    def new_key(self) -> str:
        signer = self._signer(len(self._signers))
        self._signers[str(signer.key)] = signer
        return str(signer.key)

    def verify(self) -> Position:
        return self._ledger.verify()
