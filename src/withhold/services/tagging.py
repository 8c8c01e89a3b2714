"""Tagging: the accounts whose rows a version yielded when it was committed, as one root in the ledger.

    committed -> every file decided at the commit -> parties of what was admitted -> accounts
              -> tags, sorted and kept -> entry with their root

It comes after the commit and outside the sequencer's lock, because it costs for each account, and a build
over a lake that is there costs for each file. Nothing waits for it. What the root is made of follows from
the ledger and immutable files alone, so whoever makes it, and whenever, makes the same one; of several at
once the first entry stands. A crash leaves a version that is not tagged yet, or a file nobody names.

Authors, participants and owners of documents are parties of a row, and so have tags; organisations and
plans are parties and have none. Merged accounts have a tag each, for their own rows.

Source: design section 6; decision 0013.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from withhold.domain.admission import Reason
from withhold.domain.datasets import Dataset, ManifestFile, Tagging
from withhold.domain.vectors import Bits, RowSet, counts, withheld
from withhold.errors import StateUnknown, VerificationError
from withhold.ports import LakeFile, Ports
from withhold.services import sealing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Yielded:
    """What a version yielded at its commit, by the ledger and its files alone.

    Attributes:
        rows: how many.
        withheld: rows of its files that it did not yield, per reason, each row counted once.
        accounts: subject numbers of everybody with content in them, ascending, each once.
    """

    rows: int
    withheld: dict[Reason, int]
    accounts: NDArray[np.uint32]


def tag(ports: Ports, dataset: Dataset) -> Tagging:
    """Tag a version, or return the tagging that stands.

    Raises:
        VerificationError: a file cannot be read, or the version is not what the ledger says.
        StorageError: the disk refused; tag again.
        StateUnknown: whether the entry was recorded is not known; tag again.
    """
    standing = ports.datasets.tagging(dataset)
    if standing is not None:
        return standing
    root = keep(ports, dataset)
    try:
        return ports.datasets.tag(dataset, root, ports.clock.now_ms())
    except StateUnknown:
        standing = ports.datasets.tagging(dataset)
        if standing is None:
            raise
        return standing


def tag_all(ports: Ports, progress: Callable[[int, int], None] | None = None) -> int:
    """Tag every version that is not tagged yet, oldest first; return how many there were.

    Args:
        ports: of the installation.
        progress: told how many are done, of how many.

    Raises:
        VerificationError: one of them cannot be tagged; all that can be are.
        StorageError, StateUnknown: as of `tag`; those before it are tagged.
    """
    waiting = ports.datasets.untagged()
    failed: list[VerificationError] = []
    for done, dataset in enumerate(waiting):
        if progress is not None:
            progress(done, len(waiting))
        try:
            tag(ports, dataset)
        except VerificationError as error:  # a lost file must not keep every later version untagged
            failed.append(error)
    if failed:
        raise failed[0]
    return len(waiting)


def keep(ports: Ports, dataset: Dataset) -> bytes:
    """Make the tags of a version, keep them, and return their root; made again they are the same.

    Raises:
        VerificationError: a file cannot be read, or the version is not what the ledger says.
        StorageError: the disk refused.
    """
    found = yielded(ports, dataset)
    if found.rows != dataset.manifest.admitted:
        raise VerificationError(
            f"{dataset.ref}: {dataset.manifest.admitted} rows admitted, but {found.rows} by the "
            f"ledger at its position {dataset.position}; run `withhold audit`",
            position=dataset.position,
        )
    return ports.tags.keep(found.accounts, dataset.tagged_as)


def yielded(ports: Ports, dataset: Dataset) -> Yielded:
    """Decide every row of a version at its commit; return how many were admitted, and whose they are.

    Raises:
        VerificationError: a file of the manifest is not registered, is another one, or cannot be read.
    """
    table = ports.ledger.standings_at(dataset.position)

    def task(file: LakeFile) -> tuple[Bits, RowSet]:
        decided = ports.lake.decide(file, table)
        bits = sealing.with_deleted(ports, file, decided, table.position)
        return bits, ports.lake.parties(file, withheld(bits))

    files = _files(ports, dataset)
    out, parties = dict[Reason, int](), ports.lake.row_set(())
    for bits, of_file in ports.engine.map(task, files):
        for reason, rows in counts(bits).items():
            out[reason] = out.get(reason, 0) + rows
        parties |= of_file
    admitted = sum(file.rows for file in files) - sum(out.values())
    return Yielded(admitted, out, ports.ledger.accounts_of(parties))


def _files(ports: Ports, dataset: Dataset) -> list[LakeFile]:
    registered = {file.no: file for file in ports.files.files(dataset.manifest.product)}

    def found(stated: ManifestFile) -> LakeFile:
        file = registered.get(stated.no)
        is_same = file is not None and (file.sha256, file.size_bytes, file.rows) == (
            stated.sha256,
            stated.size_bytes,
            stated.rows,
        )
        if file is None or not is_same:
            raise VerificationError(
                f"{dataset.ref}: file {stated.no} of its manifest is not registered, or is another "
                "one; restore the control database from a backup",
                position=dataset.position,
            )
        return file

    return [found(stated) for stated in dataset.manifest.files]
