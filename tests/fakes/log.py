"""`Log` in memory, over the ledger in memory: the tree is computed anew from the entries at every look."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from tests.fakes.ledger import MemoryLedger
from withhold.adapters.signing import SeedSigner
from withhold.domain.checkpoints import Checkpoint, LogKey, parse_checkpoint, signature, signed
from withhold.domain.jws import Unsigned
from withhold.domain.ledger import EventKind
from withhold.domain.names import Position
from withhold.domain.notes import NoteKey, Signature, SignatureType, SignedNote, parse_note
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
from withhold.ports import Record


class MemoryLog:
    """The log of a test; its keys are no secret."""

    origin = "withhold/test"

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger
        self._made = 0
        self._signers: dict[str, SeedSigner] = {}
        self._kept: dict[int, SignedNote] = {}
        self._first = self.new_keys()

    def _signer(self, kind: SignatureType) -> SeedSigner:
        signer = SeedSigner(self.origin, kind, bytes((self._made, kind)) * 16)
        self._signers[str(signer.key)] = signer
        return signer

    def _records(self) -> list[Record]:
        return self._ledger.records()

    def _rows(self, size: int) -> list[list[bytes]]:
        rows = [[leaf_hash(record.entry) for record in self._records()[:size]]]
        while len(rows[-1]) > 1:
            rows.append(paired(rows[-1]))
        return rows

    def keys(self) -> tuple[LogKey, ...]:
        return self._keys(self._first[0], "key")

    def second_keys(self) -> tuple[LogKey, ...]:
        return self._keys(self._first[1], "second_key")

    def _keys(self, first: str, named: str) -> tuple[LogKey, ...]:
        keys = [LogKey(self._signers[first].key)]
        for record in self._records():
            if record.kind is EventKind.LOG_KEY_REPLACED:
                keys[-1] = LogKey(keys[-1].key, keys[-1].first, record.position)
                signer = self._signers[json.loads(record.event)[named]]
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

    def proofs(self, positions: Sequence[Position]) -> tuple[LogProof, ...]:
        return tuple(map(self.proof, positions))

    def root(self, size: int) -> bytes:
        if not 0 <= size <= self._ledger.head():
            raise InputError("tree: no such size")
        return Frontier().grown(self._rows(size)[0])[0].head().root

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

    def keep(self, seconds: int) -> bytes:
        note = parse_note(self.checkpoint())
        checkpoint = parse_checkpoint(note.text)
        size = checkpoint.head.size
        if not size:
            raise InputError("checkpoint: the tree is empty")
        if size not in self._kept:
            signers = [self._signers[str(k.key)] for k in self.second_keys() if k.may_sign(size)]
            lines = tuple(signature(signer, checkpoint, seconds) for signer in signers)
            self._kept[size] = SignedNote(note.text, (*note.signatures, *lines))
        return bytes(self._kept[size])

    def kept(self, *, cosigned: bool = False) -> bytes | None:
        found = [
            size
            for size, note in self._kept.items()
            if not cosigned or any(line.name != self.origin for line in note.signatures)
        ]
        return bytes(self._kept[max(found)]) if found else None

    def cosign(self, size: int, lines: Sequence[Signature]) -> None:
        if size in self._kept:
            note, fresh = self._kept[size], {(line.name, line.key_id) for line in lines}
            old = [line for line in note.signatures if (line.name, line.key_id) not in fresh]
            self._kept[size] = SignedNote(note.text, (*old, *lines))

    def new_keys(self) -> tuple[str, str]:
        self._made += 1
        first, second = (
            str(self._signer(kind).key) for kind in (SignatureType.ED25519, SignatureType.ML_DSA_44)
        )
        return first, second

    def replacement(self, position: Position, seconds: int) -> LogProof:
        keys = (*self.keys(), *self.second_keys())
        if position == 0 or position not in {key.first for key in keys}:
            raise InputError(f"keys: the entry {position} replaced none")
        rows = self._rows(position)
        checkpoint = Checkpoint(self.origin, Frontier().grown(rows[0])[0].head())
        signers = [self._signers[str(k.key)] for k in keys if k.may_sign(position)]
        path = inclusion_proof(position - 1, position, lambda level, index: rows[level][index])
        return LogProof(position - 1, path, bytes(signed(checkpoint, signers, seconds)))

    def verify(self, seen: Callable[[Position], None] | None = None) -> Position:
        return self._ledger.verify(seen)
