"""The side index of a lake file: from a party, or a conversation, to row numbers.

Derived from the file and from nothing else, so it can be made again at any time. It is one mapped file of
little-endian arrays, read without decoding:

    "WHINDEX1" | 32 bytes SHA-256 of the lake file | u64 R, S, E, P, K, C
    u64 positions[R]            each row's position
    u64 conversations[K]        sorted BLAKE2b-8 of conversation names
    u32 set_offsets[S + 1]      u32 set_parties[E]      set -> its parties
    u32 parties[P]              sorted, each once
    u32 party_offsets[P + 1]    u32 party_sets[E]       party -> sets that hold it
    u32 row_offsets[S + 1]      u32 rows[R]             set -> its rows, ascending
    u32 conversation_offsets[K + 1]  u32 conversation_rows[C]
    32 bytes SHA-256 of everything before

Every array begins at a multiple of 8. The digest is checked whenever the index is opened; one that is
missing, damaged or another file's is rebuilt by `parquet`, never used.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from withhold.adapters.engines.local.kernel import kinds_of, need, since_of, slices
from withhold.adapters.lake.durable import publish
from withhold.errors import StorageError, VerificationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from withhold.adapters.lake.columns import PartySets
    from withhold.ports import ConsentTable

N = TypeVar("N", np.uint32, np.uint64)

MAGIC = b"WHINDEX1"
_COUNTS = 6
_HEADER = len(MAGIC) + 32 + 8 * _COUNTS


@dataclass(frozen=True, slots=True)
class SideIndex:
    """The arrays, in the order in which they are stored."""

    positions: NDArray[np.uint64]
    conversations: NDArray[np.uint64]
    set_offsets: NDArray[np.uint32]
    set_parties: NDArray[np.uint32]
    parties: NDArray[np.uint32]
    party_offsets: NDArray[np.uint32]
    party_sets: NDArray[np.uint32]
    row_offsets: NDArray[np.uint32]
    rows: NDArray[np.uint32]
    conversation_offsets: NDArray[np.uint32]
    conversation_rows: NDArray[np.uint32]

    def holds(self, raised: NDArray[np.uint32]) -> bool:
        """Return whether any of these parties is in the file."""
        return bool(len(self._found(raised)))

    def rows_of(self, raised: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the rows that have any of these parties, ascending."""
        sets, _ = slices(self.party_offsets, self.party_sets, self._found(raised))
        rows, _ = slices(self.row_offsets, self.rows, np.unique(sets).astype(np.int64))
        return np.sort(rows)

    def withheld(
        self, raised: NDArray[np.uint32], table: ConsentTable
    ) -> dict[int, NDArray[np.uint32]]:
        """Return, per `PartyKind` code, the rows that these parties withhold under the table."""
        found = self._found(raised)
        parties = self.parties[found]
        since, kinds = since_of(parties, table), kinds_of(parties, table)
        withheld: dict[int, NDArray[np.uint32]] = {}
        for kind in np.unique(kinds).tolist():
            mine = kinds == kind
            sets, sizes = slices(self.party_offsets, self.party_sets, found[mine])
            highest = need(len(self.set_offsets) - 1, sets, np.repeat(since[mine], sizes))
            rows = self._below(highest)
            if len(rows):
                withheld[kind] = rows
        return withheld

    def parties_of(self, row: int) -> tuple[int, ...]:
        """Return the parties of one row, by looking for it in every set's rows."""
        at = int(np.flatnonzero(self.rows == row)[0])
        of = int(np.searchsorted(self.row_offsets, at, side="right")) - 1
        return tuple(self.set_parties[self.set_offsets[of] : self.set_offsets[of + 1]].tolist())

    def conversation(self, name: str) -> NDArray[np.uint32]:
        """Return the rows of a conversation, ascending."""
        at = np.flatnonzero(self.conversations == np.uint64(conversation_hash(name)))
        return slices(self.conversation_offsets, self.conversation_rows, at)[0]

    def _found(self, raised: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return where in ``parties`` the raised ones stand."""
        if not len(raised) or not len(self.parties):
            return np.empty(0, dtype=np.int64)
        if len(raised) * 16 < len(self.parties):
            at = np.searchsorted(self.parties, raised)
            at = at[at < len(self.parties)]
            at = np.unique(at)
            return at[np.isin(self.parties[at], raised)]
        marked = np.zeros(int(max(raised.max(), self.parties[-1])) + 1, dtype=np.bool_)
        marked[raised] = True
        return np.flatnonzero(marked[self.parties])

    def _below(self, highest: NDArray[np.uint64]) -> NDArray[np.uint32]:
        """Return the rows whose position is below what their set needs."""
        sets = np.flatnonzero(highest)
        rows, sizes = slices(self.row_offsets, self.rows, sets)
        return np.sort(rows[self.positions[rows] < np.repeat(highest[sets], sizes)])


def build(
    positions: NDArray[np.uint64],
    set_nos: NDArray[np.uint32],
    sets: PartySets,
    conversations: list[str | None],
) -> SideIndex:
    """Make the index of a file from its columns."""
    of_entry = np.repeat(np.arange(len(sets), dtype=np.uint32), np.diff(sets.offsets))
    order = np.argsort(sets.parties, kind="stable")
    parties, party_offsets = _grouped(sets.parties[order])
    by_set = np.argsort(set_nos, kind="stable").astype(np.uint32)
    row_offsets = np.searchsorted(set_nos[by_set], np.arange(len(sets) + 1)).astype(np.uint32)
    named = [i for i, name in enumerate(conversations) if name is not None]
    hashes = np.array([conversation_hash(conversations[i] or "") for i in named], dtype=np.uint64)
    by_hash = np.argsort(hashes, kind="stable")
    distinct, conversation_offsets = _grouped(hashes[by_hash])
    return SideIndex(
        positions=positions,
        conversations=distinct,
        set_offsets=sets.offsets,
        set_parties=sets.parties,
        parties=parties,
        party_offsets=party_offsets,
        party_sets=of_entry[order],
        row_offsets=row_offsets,
        rows=by_set,
        conversation_offsets=conversation_offsets,
        conversation_rows=np.array(named, dtype=np.uint32)[by_hash],
    )


def save(index: SideIndex, sha256: str, path: Path) -> None:
    """Write an index durably under its name.

    Raises:
        StorageError: the disk refused.
    """
    counts = _counts(index)
    parts = [MAGIC, bytes.fromhex(sha256), np.array(counts, dtype="<u8").tobytes()]
    for name, kind, length in _layout(counts):
        raw = np.ascontiguousarray(getattr(index, name), dtype=kind).tobytes()
        assert len(raw) == length * np.dtype(kind).itemsize, name
        parts.append(raw + bytes(-len(raw) % 8))
    digest = hashlib.sha256()
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".indexing-", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                digest.update(part)
                file.write(part)
            file.write(digest.digest())
    except OSError as error:
        raise StorageError(f"could not write a side index: {error.strerror}") from error
    publish(Path(temporary), path)


def load(path: Path, sha256: str) -> SideIndex:
    """Map an index and check its digest.

    Raises:
        VerificationError: it is missing, damaged, or another file's.
    """
    try:
        with path.open("rb") as file:
            raw = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError):
        raise VerificationError(f"side index {path.name}: missing or empty") from None
    if len(raw) < _HEADER + 32 or hashlib.sha256(raw[:-32]).digest() != raw[-32:]:
        raise VerificationError(f"side index {path.name}: the digest does not match")
    if raw[: len(MAGIC)] != MAGIC or raw[len(MAGIC) : len(MAGIC) + 32] != bytes.fromhex(sha256):
        raise VerificationError(f"side index {path.name}: it belongs to another file")
    counts = np.frombuffer(raw, dtype="<u8", count=_COUNTS, offset=len(MAGIC) + 32).tolist()
    arrays, at = {}, _HEADER
    for name, kind, length in _layout(counts):
        arrays[name] = np.frombuffer(raw, dtype=kind, count=length, offset=at)
        size = arrays[name].nbytes
        at += size + -size % 8
    return SideIndex(**arrays)


def conversation_hash(name: str) -> int:
    """Return the 64-bit hash by which a conversation is looked up."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def _counts(index: SideIndex) -> list[int]:
    return [
        len(index.positions),
        len(index.set_offsets) - 1,
        len(index.set_parties),
        len(index.parties),
        len(index.conversations),
        len(index.conversation_rows),
    ]


def _layout(counts: list[int]) -> list[tuple[str, str, int]]:
    """Return name, element type and length of every array, in the order of storage."""
    rows, sets, entries, parties, conversations, conversation_rows = counts
    lengths = (
        rows,
        conversations,
        sets + 1,
        entries,
        parties,
        parties + 1,
        entries,
        sets + 1,
        rows,
        conversations + 1,
        conversation_rows,
    )
    names = [field.name for field in fields(SideIndex)]
    return [
        (name, "<u8" if name in {"positions", "conversations"} else "<u4", length)
        for name, length in zip(names, lengths, strict=True)
    ]


def _grouped(ordered: NDArray[N]) -> tuple[NDArray[N], NDArray[np.uint32]]:
    """Return the distinct values of a sorted array, and where each begins, with the end."""
    distinct, starts = np.unique(ordered, return_index=True)
    return distinct, np.append(starts, len(ordered)).astype(np.uint32)
