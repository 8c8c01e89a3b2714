"""Imports: history, streamed in batches, resumable.

History has position 0 unless a row carries a token: it is admitted only while none of its parties has
ever been out; no timestamp decides anything (design section 1). After each durable batch the place is
noted, so an interrupted import goes on from there; rows met twice are duplicates by their ids.

Not here: reading files and keeping places (`adapters.imports`), decoding (`formats`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from withhold.domain.interactions import Interaction, Rejected
from withhold.domain.names import Position
from withhold.ports import Ports
from withhold.services.capture import capture

EXAMPLES = 100
"""How many rejected lines an answer names; all are counted."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a source to go on.

    Attributes:
        offset: bytes of a text file, rows of a Parquet file.
        line: the number of the next line, 1-based.
    """

    offset: int = 0
    line: int = 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """A batch of a source.

    Attributes:
        items: decoded rows, and what could not be decoded.
        line: the line of the first item.
        after: where to go on once this batch is durable.
    """

    items: Sequence[Interaction | Rejected]
    line: int
    after: Place


class Source(Protocol):
    """A file to import. Memory stays bounded, whatever its size."""

    @property
    def fingerprint(self) -> str:
        """A name for this content read in this way; another content has another one."""
        ...

    @property
    def size(self) -> int:
        """How far ``Place.offset`` goes: bytes or rows."""
        ...

    def chunks(self, start: Place) -> Iterator[Chunk]:
        """Yield batches from a place on.

        Raises:
            InputError: the file cannot be read; what was yielded before stands.
        """
        ...


class Checkpoints(Protocol):
    """Places of imports that have not ended. `put` is durable when it returns."""

    def get(self, fingerprint: str) -> Place | None:
        """Return where to go on, None when the import is new."""
        ...

    def put(self, fingerprint: str, place: Place) -> None:
        """Note where to go on."""
        ...

    def clear(self, fingerprint: str) -> None:
        """Forget an import that has ended: running it again replays it, which is harmless."""
        ...


@dataclass(frozen=True, slots=True)
class ImportAnswer:
    """What became of a file, counted from the line it went on at.

    Attributes:
        rejected: how many lines were wrong; nothing of them was kept.
        examples: the first of them.
        position: the head when the last batch was taken in.
        resumed_at: the line it went on at; 1 for a new import.
    """

    accepted: int
    withheld: int
    duplicate: int
    rejected: int
    examples: tuple[Rejected, ...]
    position: Position
    resumed_at: int


def import_rows(
    ports: Ports,
    source: Source,
    checkpoints: Checkpoints,
    progress: Callable[[int, int], None] = lambda _done, _size: None,
) -> ImportAnswer:
    """Import a source from where it was left.

    Args:
        ports: the stores.
        source: what to import.
        checkpoints: where places are kept.
        progress: told how far it is, of how much, after each durable batch.

    Raises:
        InputError: the source cannot be read further; everything before stands and a repaired file
            may be imported again.
        StorageError: the disk refused; run it again to go on.
    """
    start = checkpoints.get(source.fingerprint) or Place()
    accepted = withheld = duplicate = rejected = 0
    examples: list[Rejected] = []
    position = ports.ledger.head()
    for chunk in source.chunks(start):
        answer = capture(ports, chunk.items, history=True, first_line=chunk.line)
        checkpoints.put(source.fingerprint, chunk.after)
        accepted += answer.accepted
        withheld += answer.withheld
        duplicate += answer.duplicate
        rejected += len(answer.rejected)
        examples += answer.rejected[: EXAMPLES - len(examples)]
        position = answer.position
        progress(chunk.after.offset, source.size)
    checkpoints.clear(source.fingerprint)
    return ImportAnswer(
        accepted, withheld, duplicate, rejected, tuple(examples), position, start.line
    )
