"""The audit: everything checked again from the ledger, the files and nothing else.

    1. the ledger        not older than anybody has seen it; chain, commitments, the directory replayed
    2. the tree          recomputed from all entries, beside its tiles
    3. every lake file   length, hash and place
    4. every vector      equals the full decision at the head, deletions included
    5. every dataset     what its entries say: manifest, cutoff and root there, policy, parents, counts;
                         and the copies that were made of it
    6. every dataset     its rows decided again at its commit: as many admitted as it says, by the accounts
                         whose tags have the root in its second entry

What does not hold is named, with its position in the ledger where it has one; the audit goes on and names
the others too. Only where the ledger itself does not hold nothing is decided by it. The audit changes
nothing except that it applies pending withdrawals first, and may be interrupted anywhere.

Source: design sections 4 and 6 (the full decision is the oracle; the binding of rows to people, which no
proof of absence shows, is checked here).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from withhold.domain.admission import Reason
from withhold.domain.canonical_json import Json
from withhold.domain.datasets import Dataset, Tagging, committed_body, tagged_body
from withhold.domain.exports import exported_body
from withhold.domain.ledger import EventKind
from withhold.domain.names import Position
from withhold.domain.vectors import Bits, ConsentVector
from withhold.errors import VerificationError
from withhold.ports import LakeFile, Ports
from withhold.services import sealing, tagging, withdrawals

Progress = Callable[[str, int, int], None]
"""Told which step runs, how far it is, and how far it goes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that does not hold.

    Attributes:
        sentence: what, and where.
        position: the first position of the ledger that does not hold; None for what has none.
    """

    sentence: str
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was checked, and what did not hold.

    Attributes:
        position: the head that was audited.
        untagged: versions whose tags are not made yet; no fault, for they follow a commit.
        faults: in the order of the checks; empty when everything holds.
    """

    position: Position
    files: int
    rows: int
    datasets: int
    untagged: tuple[str, ...]
    faults: tuple[Fault, ...]

    @property
    def holds(self) -> bool:
        """Whether everything holds."""
        return not self.faults

    @property
    def first(self) -> Position | None:
        """The first position of the ledger that does not hold, None when all do."""
        return min((f.position for f in self.faults if f.position is not None), default=None)


def _quietly(_step: str, _done: int, _total: int) -> None:
    """Tell nobody."""


def audit(ports: Ports, progress: Progress = _quietly) -> AuditReport:
    """Check everything."""
    head = ports.ledger.head()
    faults = [
        *_checked(lambda: check_gate(ports)),
        *_checked(lambda: ports.ledger.verify(lambda at: progress("ledger", at, head))),
        *_checked(lambda: ports.log.verify(lambda at: progress("tree", at, head))),
    ]
    if not faults:
        faults += _checked(lambda: withdrawals.apply(ports))
    is_sound = not faults
    position = ports.ledger.head() if is_sound else head
    files = ports.files.files()
    check = partial(_check_file, ports, decide=is_sound)
    for done, found in enumerate(ports.engine.map(check, files)):
        progress("files", done, len(files))
        faults += found
    faults += _check_order(files)
    datasets: list[Dataset] = []
    faults += _checked(lambda: datasets.extend(ports.datasets.all()))
    faults += _collected(_check_entries(ports, datasets))
    for done, dataset in enumerate(datasets):
        progress("datasets", done, len(datasets))
        if is_sound:
            faults += _collected(_check_decision(ports, dataset), dataset.position)
    rows = sum(file.rows for file in files)
    untagged = tuple(str(d.ref) for d in datasets if ports.datasets.tagging(d) is None)
    return AuditReport(position, len(files), rows, len(datasets), untagged, tuple(faults))


def check_gate(ports: Ports) -> None:
    """Refuse a ledger of which somebody has seen more, or another: it is not all there is.

    Raises:
        VerificationError: it is read-only; says why, and the first entry that is missing if that is known.
    """
    gate = ports.watch.gate
    if gate.reason:
        raise VerificationError(f"read-only: {gate.reason}", position=gate.position)


def _checked(check: Callable[[], object], where: Position | None = None) -> list[Fault]:
    """Run a check that raises; return the fault, if any."""
    try:
        check()
    except VerificationError as error:
        return [_fault(error, where)]
    return []


def _collected(found: Iterable[Fault], where: Position | None = None) -> list[Fault]:
    """Return what a check finds, with what ended it."""
    faults: list[Fault] = []
    faults += _checked(lambda: faults.extend(found), where)
    return faults


def _fault(error: VerificationError, where: Position | None) -> Fault:
    position = where if error.position is None else error.position
    return Fault(str(error), None if position is None else Position(position))


# --- files --------------------------------------------------------------------------------------------


def _check_file(ports: Ports, file: LakeFile, *, decide: bool) -> list[Fault]:
    faults = _checked(lambda: ports.lake.verify(file))
    return faults or (_collected(_check_vector(ports, file)) if decide else [])


def _check_order(files: Sequence[LakeFile]) -> Iterator[Fault]:
    """Check that rows are numbered through the files of each product: deletions name rows by number."""
    ends: dict[str, int] = {}
    for file in sorted(files, key=lambda each: each.no):
        if file.first != ends.get(file.product, 0):
            yield Fault(f"file {file.no} ({file.sha256}): its rows do not follow those before")
        ends[file.product] = file.first + file.rows


def _check_vector(ports: Ports, file: LakeFile) -> Iterator[Fault]:
    """Compare vector and full decision at one position; look again when an entry came between."""
    while True:
        reached = withdrawals.apply(ports)
        position, decided = sealing.decide(ports, file)
        vector = ports.files.vectors([file.no])[file.no]
        if vector is None:
            yield Fault(
                f"file {file.no} ({file.sha256}): its vector is missing or damaged; "
                "build to repair it"
            )
            return
        if reached == position == vector.applied:
            break
    if not _same(vector, decided):
        yield Fault(
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


# --- datasets -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Stated:
    """What the entries say of datasets: event bodies by their positions."""

    commits: dict[Position, dict[str, Json]] = field(default_factory=dict)
    taggings: dict[Position, dict[str, Json]] = field(default_factory=dict)
    exports: dict[Position, dict[str, Json]] = field(default_factory=dict)


def _check_entries(ports: Ports, datasets: list[Dataset]) -> Iterator[Fault]:
    """Compare every version, and every entry about one, with each other: none is hidden, none made up."""
    stated = _stated(ports)
    for dataset in datasets:
        said = stated.commits.pop(dataset.position, {})
        yield from _collected(_check_commit(ports, dataset, said), dataset.position)
        standing = ports.datasets.tagging(dataset)
        if standing is not None:
            said = stated.taggings.pop(standing.position, {})
            yield from _check_tagging(dataset, standing, said)
    yield from _check_exports(ports, datasets, stated)
    for position, body in stated.commits.items():
        what = f"entry {position}: it commits {body.get('name')}@{body.get('version')}"
        yield Fault(f"{what}, which is not among the datasets", position)
    for position, body in stated.taggings.items():
        what = f"entry {position}: it tags {body.get('dataset')}, which"
        yield Fault(f"{what} is not there, or has another tagging", position)


def _stated(ports: Ports) -> _Stated:
    stated = _Stated()
    of_kind = {
        EventKind.DATASET_COMMITTED: stated.commits,
        EventKind.DATASET_TAGGED: stated.taggings,
        EventKind.DATASET_EXPORTED: stated.exports,
    }
    for record in ports.ledger.public_records(of_kind.keys()):
        of_kind[record.kind][record.position] = json.loads(record.event)
    return stated


def _check_exports(ports: Ports, datasets: list[Dataset], stated: _Stated) -> Iterator[Fault]:
    """Compare every copy that is listed, and every entry about one: whoever holds one is told of."""
    versions = {str(dataset.ref): dataset for dataset in datasets}
    for export in ports.datasets.exports():
        said, version = stated.exports.pop(export.position, {}), versions.get(export.dataset)
        if version is None or not _says(said, exported_body(version, export.contents)):
            what = f"{export.dataset}: an export of it is not the one in entry {export.position}"
            yield Fault(what, export.position)
    for position, body in stated.exports.items():
        what = f"entry {position}: it exports {body.get('dataset')}, which is not among the exports"
        yield Fault(what, position)


def _says(said: Mapping[str, Json], body: Mapping[str, Json]) -> bool:
    """Return whether an entry says all that it has to."""
    return all(said.get(name) == value for name, value in body.items())


def _check_commit(ports: Ports, dataset: Dataset, said: dict[str, Json]) -> Iterator[Fault]:
    manifest = dataset.manifest
    if said.get("manifest") != manifest.sha256():
        what = f"{dataset.ref}: its manifest is not the one in entry {dataset.position}"
        yield Fault(what, dataset.position)
        return
    body = committed_body(manifest, ports.log.root(manifest.cutoff))
    for name, value in body.items():
        if said.get(name) != value:
            what = f"entry {dataset.position}: its {name} is not that of {dataset.ref}"
            yield Fault(what, dataset.position)


def _check_tagging(dataset: Dataset, standing: Tagging, said: dict[str, Json]) -> Iterator[Fault]:
    if not _says(said, tagged_body(dataset, standing.root)):
        what = f"{dataset.ref}: its tagging is not the one in entry {standing.position}"
        yield Fault(what, standing.position)


def _check_decision(ports: Ports, dataset: Dataset) -> Iterator[Fault]:
    """Decide a version again at its commit: its counts, and whose tags have its root."""
    found = tagging.yielded(ports, dataset)
    if found.rows != dataset.manifest.admitted:
        yield Fault(
            f"{dataset.ref}: {dataset.manifest.admitted} rows admitted, but {found.rows} by the "
            f"ledger at its position {dataset.position}",
            dataset.position,
        )
    elif found.withheld != _readable(dataset.manifest.withheld):
        what = f"{dataset.ref}: its rows were withheld for other reasons than it says"
        yield Fault(what, dataset.position)
    standing = ports.datasets.tagging(dataset)
    if standing is not None:
        yield from _checked(
            lambda: ports.tags.check(standing.root, found.accounts, dataset.tagged_as),
            standing.position,
        )


def _readable(stated: Mapping[Reason, int]) -> dict[Reason, int]:
    """Return what was withheld in files that could be read, which are those of the manifest."""
    return {reason: rows for reason, rows in stated.items() if reason is not Reason.UNREADABLE}
