"""How values of the domain are kept in columns: subjects, effects, kinds of events.

A subject's record is MessagePack of its fields; an effect is five bytes, so that a million entries are
read as one array. These columns are derived: the truth is the entries, and `SqliteLedger.verify`
compares.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from withhold.domain.directory import Subject
from withhold.domain.ledger import EventKind
from withhold.domain.standing import Becomes, Effect

EFFECT = np.dtype([("party", "<u4"), ("becomes", "u1")])
"""One effect in a column: the party, then the code of `Becomes`."""

KINDS: tuple[EventKind, ...] = tuple(EventKind)
KIND_CODE: dict[EventKind, int] = {kind: code for code, kind in enumerate(KINDS)}

_effect = struct.Struct("<IB")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Subject)

encode_subject = _encoder.encode
"""Return the bytes of a subject's record."""

decode_subject = _decoder.decode
"""Return the subject of such bytes."""


def pack_effects(effects: Sequence[Effect]) -> bytes | None:
    """Return the column value of an entry's effects, None when it has none."""
    if not effects:
        return None
    return b"".join([_effect.pack(e.party, e.becomes) for e in effects])


def effect_pairs(effects: bytes | None) -> list[tuple[int, int]]:
    """Return effects as they stand in an event body: party and code."""
    return list(_effect.iter_unpack(effects)) if effects else []


def last_values(rows: Iterable[tuple[int, bytes]]) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]:
    """Return which parties entries change, each once, and the value each is left with.

    Args:
        rows: positions with their effects, in order of position.

    Returns:
        Parties, and ``on_since + 1`` of each, 0 for out; the last effect on a party counts.
    """
    positions: list[int] = []
    blobs: list[bytes] = []
    for position, blob in rows:
        positions.append(position)
        blobs.append(blob)
    effects = np.frombuffer(b"".join(blobs), EFFECT)
    counts = np.fromiter((len(b) for b in blobs), np.int64, len(blobs)) // EFFECT.itemsize
    stands = np.repeat(np.array(positions, np.uint64), counts)
    values = np.select(
        [effects["becomes"] == Becomes.NEVER_OUT, effects["becomes"] == Becomes.ON],
        [np.uint64(1), stands + np.uint64(1)],
        np.uint64(0),
    ).astype(np.uint64)
    # numpy does not promise which of several writes to one index wins: keep only the last of each
    parties, from_end = np.unique(effects["party"][::-1], return_index=True)
    return parties, values[::-1][from_end]
