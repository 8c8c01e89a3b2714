"""The export port: physical files of a dataset version, for pipelines that need files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from withhold.domain.ledger import Json
from withhold.ports.reading import Chunk


@dataclass(frozen=True, slots=True)
class Piece:
    """Admitted rows of one lake file, with the columns ``id`` and ``messages``, on their way out.

    Attributes:
        sha256: hex digest of the lake file, for the lineage.
    """

    sha256: str
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard as it was written."""

    name: str
    rows: int
    size_bytes: int
    sha256: str


class ExportWriter(Protocol):
    """Writes one export. Nothing stands under the final name before `publish`. For one thread."""

    def begin(self) -> None:
        """Make room for the export.

        Raises:
            InputError: the target holds something already.
            StorageError: the disk refused.
        """
        ...

    def write(self, number: int, pieces: Iterable[Piece]) -> Shard | None:
        """Write a shard and its lineage, replacing what stood under its number; memory is bounded.

        Returns:
            The shard, None when there was no row: then nothing stands under that number.

        Raises:
            StorageError: the disk refused.
        """
        ...

    def publish(self, statement: Mapping[str, Json]) -> None:
        """Add the export's own manifest and give everything its final name, durably.

        Raises:
            InputError: the target came to hold something meanwhile.
            StorageError: the disk refused; nothing stands under the final name.
        """
        ...

    def discard(self) -> None:
        """Drop everything that was not published. Repeating it is harmless."""
        ...
