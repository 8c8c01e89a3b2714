"""The files port: the registry of lake files with their consent vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from withhold.domain.fence import Withdrawal
from withhold.domain.names import FileNo, Ordinal, Position, ProductId
from withhold.domain.vectors import Bits, ConsentVector


@dataclass(frozen=True, slots=True)
class LakeFile:
    """An immutable file of rows of one product.

    Attributes:
        no: its number; 0 before it is registered.
        sha256: hex digest of its bytes, and its name.
        first: the ordinal of its first row; row i has ordinal ``first + i``.
    """

    no: FileNo
    product: ProductId
    sha256: str
    size_bytes: int
    rows: int
    first: Ordinal


@dataclass(frozen=True, slots=True)
class Applied:
    """One growth of a consent vector: which rows an application added, and at which position."""

    position: Position
    bits: Bits


class Files(Protocol):
    """The registry of lake files, their consent vectors, and the lake-wide cursor.

    A file's vector is known up to ``max(vector.applied, cursor)``. Every method that changes anything is
    one durable transaction of the control store.
    """

    def sealed(self, product: ProductId) -> Ordinal:
        """Return the first ordinal of the product that is in no registered file."""
        ...

    def register(self, file: LakeFile, vector: ConsentVector) -> LakeFile:
        """Add a file with its first vector; return it with its number.

        Raises:
            LedgerMoved: another sealer registered these ordinals, or the cursor is already past
                ``vector.applied``: decide again.
        """
        ...

    def files(self, product: ProductId | None = None) -> Sequence[LakeFile]:
        """Return all registered files, in order of number."""
        ...

    def vectors(self, files: Iterable[FileNo]) -> Mapping[FileNo, ConsentVector | None]:
        """Return vectors as of one snapshot; None for a file whose vector is missing or damaged.

        ``applied`` is given as ``max(vector.applied, cursor)``.
        """
        ...

    def cursor(self) -> Position:
        """Return the position up to which every file has taken in every withdrawal."""
        ...

    def withdrawals(self, after: Position) -> tuple[Position, Sequence[Withdrawal]]:
        """Return the head and every withdrawal by entries in (after, head], in order of position."""
        ...

    def apply(self, after: Position, to: Position, added: Mapping[FileNo, Bits]) -> None:
        """Union rows into vectors and move the cursor from ``after`` to ``to``, in one transaction.

        Raises:
            LedgerMoved: the cursor is not at ``after``, or a file was registered meanwhile with
                ``applied < to`` that ``added`` could not know of: look again.
        """
        ...

    def replace(self, file: FileNo, vector: ConsentVector) -> None:
        """Union a full decision into a vector, or give a damaged one anew.

        Raises:
            LedgerMoved: the cursor is past ``vector.applied``: decide again.
        """
        ...

    def growth(self, file: FileNo) -> Sequence[Applied]:
        """Return how a file's vector grew, oldest first; the first item is its first decision."""
        ...
