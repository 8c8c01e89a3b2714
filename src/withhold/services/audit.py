"""The audit: everything checked again from the ledger, the files and nothing else.

    1. the ledger        chain, commitments, derived standings
    2. every lake file   length and hash
    3. every vector      equals the full decision at the head, deletions included
    4. every dataset     its manifest's hash is the one in its entry
    5. every dataset     its rows decided again at its commit position: as many admitted as it says

The first thing that does not hold is named; the audit goes on and names the others too. It changes
nothing except that it applies pending withdrawals first.

Source: design section 4 (the full decision is the oracle).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from withhold.domain.admission import Reason
from withhold.domain.datasets import Dataset
from withhold.domain.names import FileNo, Position
from withhold.domain.vectors import Bits, ConsentVector, counts
from withhold.errors import VerificationError
from withhold.ports import ConsentTable, LakeFile, Ports
from withhold.services import sealing, withdrawals


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was checked, and what did not hold.

    Attributes:
        position: the head that was audited.
        faults: one sentence each, in the order of the checks; empty when everything holds.
    """

    position: Position
    files: int
    rows: int
    datasets: int
    faults: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether everything holds."""
        return not self.faults


def audit(ports: Ports) -> AuditReport:
    """Check everything."""
    faults: list[str] = []
    position = Position(0)
    try:
        position = ports.ledger.verify()
    except VerificationError as error:
        faults.append(str(error))
    position = max(position, withdrawals.apply(ports))
    files = ports.files.files()
    for found in ports.engine.map(lambda file: _check_file(ports, file), files):
        faults.extend(found)
    datasets = ports.datasets.all()
    by_number = {file.no: file for file in files}
    for dataset in datasets:
        faults.extend(_check_dataset(ports, dataset, by_number))
    rows = sum(file.rows for file in files)
    return AuditReport(position, len(files), rows, len(datasets), tuple(faults))


def _check_file(ports: Ports, file: LakeFile) -> list[str]:
    try:
        ports.lake.verify(file)
        return list(_check_vector(ports, file))
    except VerificationError as error:
        return [str(error)]


def _check_vector(ports: Ports, file: LakeFile) -> Iterator[str]:
    """Compare vector and full decision at one position; look again when an entry came between."""
    while True:
        reached = withdrawals.apply(ports)
        position, decided = sealing.decide(ports, file)
        vector = ports.files.vectors([file.no])[file.no]
        if vector is None:
            yield f"file {file.no} ({file.sha256}): its vector is missing or damaged; build to repair it"
            return
        if reached == position == vector.applied:
            break
    if not _same(vector, decided):
        yield (
            f"file {file.no} ({file.sha256}): its vector is not the full decision at {position}; "
            "restore the control database from a backup"
        )


def _same(vector: ConsentVector, decided: Bits) -> bool:
    """Return whether both withhold the same rows for the same reasons."""
    for reason in Reason:
        one, other = vector.bits.get(reason), decided.get(reason)
        if (set(one) if one is not None else set()) != (set(other) if other is not None else set()):
            return False
    return True


def _check_dataset(ports: Ports, dataset: Dataset, files: dict[FileNo, LakeFile]) -> Iterator[str]:
    record = ports.ledger.record(dataset.position)
    stated = json.loads(record.event).get("manifest") if record is not None else None
    if stated != dataset.manifest.sha256():
        yield f"{dataset.ref}: its manifest is not the one in entry {dataset.position}"
        return
    table = ports.ledger.standings_at(dataset.position)
    try:
        admitted = sum(_admitted(ports, files[file.no], table) for file in dataset.manifest.files)
    except KeyError:
        yield f"{dataset.ref}: a file of its manifest is not registered"
        return
    except VerificationError as error:
        yield f"{dataset.ref}: {error}"
        return
    if admitted != dataset.manifest.admitted:
        yield (
            f"{dataset.ref}: {dataset.manifest.admitted} rows admitted, but {admitted} by the "
            f"ledger at its position {dataset.position}"
        )


def _admitted(ports: Ports, file: LakeFile, table: ConsentTable) -> int:
    bits = sealing.with_deleted(ports, file, ports.lake.decide(file, table), table.position)
    return file.rows - sum(counts(bits).values())
