"""The export port: physical files of a dataset version, for pipelines that need files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from withhold.domain.exports import ExportStatement, Shard
from withhold.ports.reading import Chunk


@dataclass(frozen=True, slots=True)
class Piece:
    """Admitted rows of one lake file, with the columns ``id``, ``messages`` and ``position``.

    Attributes:
        sha256: hex digest of the lake file, for the lineage.
    """

    sha256: str
    chunk: Chunk


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

    def publish(self, statement: ExportStatement) -> None:
        """Add what is said about the export and give everything its final name, durably.

        That is its manifest, its Croissant description and its dataset card. They are on disk under the
        same name change as the shards: no copy stands anywhere without them.

        Raises:
            InputError: the target came to hold something meanwhile.
            StorageError: the disk refused; nothing stands under the final name.
        """
        ...

    def discard(self) -> None:
        """Drop everything that was not published. Repeating it is harmless."""
        ...
