"""How withheld rows are kept in a column: roaring bitmaps per reason, and the digest over a vector.

    bits    u8 n, then n times: u8 reason | u32 length | roaring bitmap (portable format)
    chain   c_0 = BLAKE2b-16(bits of the base, or nothing when there is none)
            c_i = BLAKE2b-16(c_(i-1) || u64 position || bits added)      for each growth since the base
    digest  BLAKE2b-16(u64 file || u64 applied || u64 growths || c_n)

Little-endian; the reason's code is its place in `Reason`. Anything that does not decode exactly, or whose
digest differs, is a vector that is missing: the whole file is withheld.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable

from pyroaring import BitMap

from withhold.domain.admission import Reason
from withhold.domain.names import FileNo, Position
from withhold.domain.vectors import Bits, RowSet
from withhold.errors import VerificationError

REASONS: tuple[Reason, ...] = tuple(Reason)
CODES: dict[Reason, int] = {reason: code for code, reason in enumerate(REASONS)}

_PART = struct.Struct("<BI")
_GROWN = struct.Struct("<Q")
_VECTOR = struct.Struct("<QQQ")


def pack(bits: Bits) -> bytes:
    """Return bits as a column value; reasons without rows are left out."""
    parts = [b""]
    for reason in REASONS:
        rows = bits.get(reason)
        if rows is not None and len(rows):
            whole = as_bitmap(rows).serialize()
            parts += [_PART.pack(CODES[reason], len(whole)), whole]
    parts[0] = bytes((len(parts) // 2,))
    return b"".join(parts)


def unpack(value: bytes) -> dict[Reason, BitMap]:
    """Return the bits of a column value.

    Raises:
        VerificationError: it is damaged.
    """
    bits: dict[Reason, BitMap] = {}
    try:
        at = 1
        for _ in range(value[0]):
            code, length = _PART.unpack_from(value, at)
            at += _PART.size
            bits[REASONS[code]] = BitMap.deserialize(value[at : at + length])
            at += length
    except (IndexError, struct.error, ValueError) as error:
        raise VerificationError("withheld rows of a lake file: they cannot be decoded") from error
    if at != len(value):
        raise VerificationError("withheld rows of a lake file: bytes after the end")
    return bits


def as_bitmap(rows: RowSet) -> BitMap:
    """Return rows as a bitmap; bitmaps are returned as they are."""
    return rows if isinstance(rows, BitMap) else BitMap(rows)


def union(parts: Iterable[Bits]) -> dict[Reason, BitMap]:
    """Return the rows of all parts together."""
    whole: dict[Reason, BitMap] = {}
    for bits in parts:
        for reason, rows in bits.items():
            whole[reason] = whole.get(reason, BitMap()) | as_bitmap(rows)
    return whole


def without(bits: Bits, known: Bits) -> dict[Reason, BitMap]:
    """Return the rows of ``bits`` that are not in ``known`` under the same reason."""
    fresh: dict[Reason, BitMap] = {}
    for reason, rows in bits.items():
        new = as_bitmap(rows) - as_bitmap(known.get(reason, BitMap()))
        if new:
            fresh[reason] = new
    return fresh


def chain_start(base: bytes) -> bytes:
    """Return the chain value of a base; ``base`` is empty when there is none."""
    return _digest(base)


def chained(previous: bytes, position: Position, added: bytes) -> bytes:
    """Return the chain value after one growth."""
    return _digest(previous + _GROWN.pack(position) + added)


def vector_digest(file: FileNo, applied: Position, growths: int, chain: bytes) -> bytes:
    """Return the digest that stands beside a vector."""
    return _digest(_VECTOR.pack(file, applied, growths) + chain)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
