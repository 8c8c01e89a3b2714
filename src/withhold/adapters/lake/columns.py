"""The columns of a lake file, and the party sets it carries in its own metadata.

A file alone suffices to decide all its rows: each row names a party set by number, and the sets stand
in the Parquet key-value metadata under ``withhold.party_sets``:

    hex of SHA-256 of the rest, 64 bytes || one digit P || P planes of n bytes each

The n numbers are: how many sets, where each begins (and the end), and their parties, set after set. Plane
k holds bits 7k to 7k + 6 of every number, one byte each, so that the value is text to every reader of
Parquet and is read here without a loop; P is 1 to 5, as many as the largest number needs.

Sets are numbered in the order in which rows first use them, so that the same rows give
the same bytes, however they arrived in batches. Parquet's page checksums guard the columns, the digest
guards the sets; both are checked on every reading.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from withhold.errors import VerificationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from withhold.ports import RowBatch

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("kind", pa.int8(), nullable=False),
        pa.field("conversation", pa.string()),
        pa.field("project", pa.string()),
        pa.field("api_key", pa.string()),
        pa.field("messages", MESSAGES, nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("party_set", pa.int32(), nullable=False),
    ]
)
DICTIONARY_COLUMNS = [
    "conversation",
    "project",
    "api_key",
    "position",
    "party_set",
    "messages.list.element.role",
]
PARTY_SETS_KEY = b"withhold.party_sets"
PRODUCT_KEY = b"withhold.product"
FORMAT_KEY = b"withhold.format"
FORMAT = b"withhold/lake/v1"
_DIGEST_BYTES = 64


@dataclass(frozen=True, slots=True)
class PartySets:
    """All party sets of a file: set s is ``parties[offsets[s]:offsets[s + 1]]``, sorted."""

    offsets: NDArray[np.uint32]
    parties: NDArray[np.uint32]

    def __len__(self) -> int:
        """Return how many sets there are."""
        return len(self.offsets) - 1

    def dump(self) -> bytes:
        """Return the metadata value."""
        numbers = np.concatenate([np.array([len(self)], np.uint32), self.offsets, self.parties])
        planes = max(1, -(-int(numbers.max()).bit_length() // 7))
        packed = b"".join(
            (numbers >> np.uint32(7 * k) & np.uint32(127)).astype(np.uint8).tobytes()
            for k in range(planes)
        )
        rest = b"%d" % planes + packed
        return hashlib.sha256(rest).hexdigest().encode() + rest

    @staticmethod
    def load(value: bytes) -> PartySets:
        """Read the metadata value.

        Raises:
            VerificationError: it is damaged.
        """
        rest = memoryview(value)[_DIGEST_BYTES:]
        if hashlib.sha256(rest).hexdigest().encode() != value[:_DIGEST_BYTES]:
            raise VerificationError("party sets of a lake file: the digest does not match")
        planes = np.frombuffer(rest[1:], dtype=np.uint8).reshape(int(rest[:1]), -1)
        numbers = planes[0].astype(np.uint32)
        for k in range(1, len(planes)):
            numbers |= planes[k].astype(np.uint32) << np.uint32(7 * k)
        sets = int(numbers[0])
        return PartySets(numbers[1 : sets + 2], numbers[sets + 2 :])

    @staticmethod
    def of(sets: Sequence[Sequence[int]]) -> PartySets:
        """Put sets of numbers end to end."""
        offsets = np.fromiter(accumulate(map(len, sets), initial=0), np.uint32, len(sets) + 1)
        parties = np.fromiter(chain.from_iterable(sets), np.uint32, int(offsets[-1]))
        return PartySets(offsets, parties)


class SetNumbers:
    """Numbers the party sets of a file in the order in which rows first use them."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, ...], int] = {}

    def renumber(self, batch: RowBatch) -> NDArray[np.int32]:
        """Return the file's set number of every row of a batch."""
        local = np.asarray(batch.set_nos, dtype=np.int64)
        used, first = np.unique(local, return_index=True)
        numbers = np.zeros(len(batch.party_sets), dtype=np.int32)
        for no in used[np.argsort(first)].tolist():
            parties = batch.party_sets[no]
            numbers[no] = self._numbers.setdefault(parties, len(self._numbers))
        return numbers[local]

    def sets(self) -> PartySets:
        """Return all sets numbered so far."""
        return PartySets.of(list(self._numbers))


def to_arrow(batch: RowBatch, set_nos: NDArray[np.int32]) -> pa.RecordBatch:
    """Return a batch as the columns of a lake file; ``set_nos`` are the file's numbers."""
    offsets = pa.array(list(accumulate(map(len, batch.roles), initial=0)), pa.int32())
    messages = pa.StructArray.from_arrays(
        [
            pa.array(chain.from_iterable(batch.roles), pa.string()),
            pa.array(chain.from_iterable(batch.contents), pa.string()),
        ],
        fields=list(MESSAGES.value_type),
    )
    return pa.record_batch(
        [
            pa.array(batch.ids, pa.string()),
            pa.array(batch.kinds, pa.int8()),
            pa.array(batch.conversations, pa.string()),
            pa.array(batch.projects, pa.string()),
            pa.array(batch.api_keys, pa.string()),
            pa.ListArray.from_arrays(offsets, messages, type=MESSAGES),
            pa.array(batch.positions, pa.int64()),
            pa.array(set_nos, pa.int32()),
        ],
        schema=SCHEMA,
    )
