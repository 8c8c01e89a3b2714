"""The files port: the registry of lake files with their consent vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from withhold.domain.fence import Deleted
from withhold.domain.names import FileNo, Ordinal, Position, ProductId
from withhold.domain.vectors import Bits, ConsentVector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Everything that a run of entries withdrew; arrays, because a run may be a million opt-outs.

    Attributes:
        parties: parties whose standing an entry raised, sorted, each once.
        deleted: rows that an entry deleted, in order of position.
    """

    parties: NDArray[np.uint32]
    deleted: Sequence[Deleted]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was withdrawn."""
        return not len(self.parties) and not self.deleted


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

    def withdrawals(self, after: Position, to: Position) -> Withdrawn:
        """Return what entries in (after, to] withdrew; ``to`` must not be above the head."""
        ...

    def deleted(self, file: LakeFile, to: Position) -> Sequence[int]:
        """Return the row numbers of a file that entries up to ``to`` deleted, ascending."""
        ...

    def apply(
        self,
        after: Position,
        to: Position,
        added: Mapping[FileNo, Bits | None],
        *,
        last: FileNo,
    ) -> None:
        """Union rows into vectors and move the cursor from ``after`` to ``to``, in one transaction.

        Args:
            added: rows per file; None gives the file's vector up, because its rows could not be looked
                up: it is withheld whole until a full decision replaces it. Rows of a file whose vector
                is missing or damaged are left to that decision too.
            last: the highest file number the caller looked at, 0 when there was none.

        Raises:
            LedgerMoved: the cursor is not at ``after``, or a file above ``last`` was registered
                meanwhile with ``applied < to``: look again.
        """
        ...

    def replace(self, vectors: Mapping[FileNo, ConsentVector]) -> None:
        """Union full decisions into vectors, or give damaged ones anew, in one transaction.

        Raises:
            LedgerMoved: the cursor is past one of the vectors' ``applied``: decide again.
        """
        ...

    def growth(self, file: FileNo) -> Sequence[Applied]:
        """Return how a file's vector grew, oldest first; the first item is its first decision."""
        ...
