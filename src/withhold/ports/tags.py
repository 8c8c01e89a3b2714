"""The tags port: secrets of accounts, and the sorted tags of dataset versions, kept beside the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from withhold.domain.absence import TagProof
from withhold.domain.names import SubjectNo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Tags(Protocol):
    """Sorted tags, in immutable files named by their root; all derived, so each can be made again.

    They cannot be made again once a subject's key was erased: then the file that is there is the only one,
    and belongs into backups. It names nobody: without ``u`` a tag is chance.

    Durability: `keep` returns once the tags are on disk under their root; kept twice they are one file.
    Concurrency: any number of threads and processes. Memory stays bounded however many tags there are.
    """

    def secret(self, subject: SubjectNo) -> bytes | None:
        """Return ``u`` of a subject, None when its key is gone."""
        ...

    def keep(self, accounts: NDArray[np.uint32], dataset: str) -> bytes:
        """Make the tags of accounts in a dataset, keep them sorted, and return their root.

        Args:
            accounts: subject numbers, ascending, each once; one whose key is gone has no tag.
            dataset: as `absence.dataset_id` names it.

        Raises:
            StorageError: the disk refused; nothing under a root is damaged.
        """
        ...

    def prove(self, root: bytes, tag: bytes) -> TagProof:
        """Return the proof of what stands in the place of a tag; it holds under the root.

        Raises:
            VerificationError: the tags under that root are missing or damaged; nothing was proved.
        """
        ...

    def check(self, root: bytes, accounts: NDArray[np.uint32], dataset: str) -> None:
        """Make the tags again and compare: they, and what is kept of them, have that root.

        Where keys were erased the kept tags have to hold every tag that can still be made, and no more
        others than there are erased keys.

        Raises:
            VerificationError: the root is not theirs, or what is kept is damaged.
        """
        ...
