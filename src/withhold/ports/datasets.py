"""The datasets ports: committed versions, copies of them that were handed out, and who reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from withhold.domain.datasets import Dataset, DatasetRef, Manifest, Tagging
from withhold.domain.exports import Contents, Export
from withhold.domain.fence import Withdrawal


class Datasets(Protocol):
    """Committed dataset versions. A version exists from its ledger entry on, never before."""

    def commit(
        self, manifest: Manifest, concerns: Callable[[Withdrawal], bool], recorded_at: int
    ) -> Dataset:
        """Commit a version through the fence, in the ledger's own transaction.

        Raises:
            FenceClosed: withdrawals after ``manifest.cutoff`` touch its files.
            NameTaken: the version exists, with another manifest. (With the same manifest, the version
                that exists is returned: a retry after an unknown outcome yields one version.)
        """
        ...

    def commit_locked(self, prepare: Callable[[], Manifest], recorded_at: int) -> Dataset:
        """Hold the sequencer's lock, prepare the manifest at the head, and commit it.

        ``prepare`` runs while nobody appends; what it applies through `Files` joins the transaction.
        """
        ...

    def next_version(self, name: str) -> int:
        """Return the number the next version of this name will have."""
        ...

    def get(self, ref: DatasetRef) -> Dataset | None:
        """Return a version, None when there is none."""
        ...

    def all(self) -> Sequence[Dataset]:
        """Return every version, in order of commit."""
        ...

    def tag(self, dataset: Dataset, root: bytes, recorded_at: int) -> Tagging:
        """Append the entry with the root over a version's tags, once.

        Returns:
            The tagging that stands: of several who do this for one version the first one's.

        Raises:
            StorageError: the disk refused; nothing was appended.
            StateUnknown: whether it was appended is not known; asking again is right.
        """
        ...

    def tagging(self, dataset: Dataset) -> Tagging | None:
        """Return the tagging of a version, None while there is none."""
        ...

    def untagged(self) -> Sequence[Dataset]:
        """Return the versions without a tagging, in order of commit; cheap when there are none."""
        ...

    def export(self, dataset: Dataset, contents: Contents, recorded_at: int) -> Export:
        """Append the entry of a copy that is about to be handed out; each copy has one.

        Raises:
            StorageError: the disk refused; nothing was appended.
            StateUnknown: whether it was appended is not known; the copy must not be handed out.
        """
        ...

    def exports(self) -> Sequence[Export]:
        """Return all exports, oldest first: listed so that people can be told."""
        ...


@dataclass(frozen=True, slots=True)
class Reader:
    """An open reader of a dataset: listed so that people can be told (I1 for open readers)."""

    id: str
    dataset: str
    ends_at: int  # UTC milliseconds since 1970; shown, never compared to decide a yield


class Readers(Protocol):
    """Who reads datasets now."""

    def renew(self, reader: Reader) -> None:
        """Note that a reader is open until its lease ends."""
        ...

    def close(self, reader_id: str) -> None:
        """Forget a reader that has stopped."""
        ...

    def open(self, now_ms: int) -> Sequence[Reader]:
        """Return the readers whose lease has not ended."""
        ...
