"""Building a dataset version: everything acknowledged, minus what is withheld, through the fence.

    seal -> repair vectors that are missing -> apply to the head -> manifest -> commit through the fence

A build over a lake that is already there costs per file: it counts vectors and rewrites nothing. When the
fence is closed, what was withdrawn is applied and the commit is tried again; after a few tries the
manifest is prepared under the sequencer's lock, where nobody can append, so a build always ends (S36).

A crash anywhere leaves the lake as it was or the version committed; building again is always right.

Source: design sections 1, 4 and 7; I1, S22 to S25.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from withhold.domain.admission import Reason
from withhold.domain.datasets import Dataset, DatasetRef, Manifest, ManifestFile, parse_name
from withhold.domain.fence import TRIES_BEFORE_LOCK, Raised, Withdrawal
from withhold.domain.names import Position, ProductId
from withhold.domain.vectors import ConsentVector, counts
from withhold.errors import (
    FenceClosed,
    InputError,
    LedgerMoved,
    NameTaken,
    StateUnknown,
    VerificationError,
)
from withhold.ports import LakeFile, Ports
from withhold.services import sealing, withdrawals


@dataclass(frozen=True, slots=True)
class Counts:
    """What a build would have admitted.

    Attributes:
        withheld: rows per reason, each row counted once.
        position: the head it was counted at.
    """

    product: ProductId
    admitted: int
    withheld: dict[Reason, int]
    position: Position


def build(
    ports: Ports, name: str, product: ProductId, *, dry_run: bool = False
) -> Dataset | Counts:
    """Build the next version of a dataset, or only count it.

    Covers every row that was acknowledged before this was called.

    Raises:
        InputError: the name is not valid, or is that of another product's dataset.
        UnknownProduct: the policy has no such product.
        StateUnknown: whether the version was committed could not be found out; build again.
    """
    parse_name(name)
    with ports.ledger.directory() as directory:
        directory.policy.product(product)
    sealing.seal(ports, product)
    _repair(ports, product)
    if dry_run:
        _check_product(ports, name, product)
        position = withdrawals.apply(ports)
        _, admitted, withheld = _count(ports, product)
        return Counts(product, admitted, withheld, position)
    for _ in range(TRIES_BEFORE_LOCK):
        try:
            manifest = _manifest(ports, name, product)
            concerns = partial(_concerns, ports, ports.files.files(product))
            return _commit(ports, manifest, concerns)
        except (FenceClosed, NameTaken):
            continue  # withdrawn meanwhile, or another builder has the version: look again
    return _commit_locked(ports, name, product)


def _repair(ports: Ports, product: ProductId) -> None:
    """Decide in full every file whose vector is missing; one that cannot be read stays withheld."""
    files = ports.files.files(product)
    vectors = ports.files.vectors([f.no for f in files])
    missing = [f for f in files if vectors[f.no] is None]

    def task(file: LakeFile) -> ConsentVector | None:
        try:
            ports.lake.verify(file)
            return ConsentVector(*sealing.decide(ports, file))
        except VerificationError:
            return None  # no vector: the whole file is withheld

    while missing:
        decided = zip(missing, ports.engine.map(task, missing), strict=True)
        try:
            ports.files.replace({f.no: v for f, v in decided if v is not None})
        except LedgerMoved:
            continue
        return


def _check_product(ports: Ports, name: str, product: ProductId) -> None:
    """Refuse a version of another product: who reads ``name@latest`` trusts in one purpose."""
    latest = ports.datasets.get(DatasetRef(name, None))
    if latest is not None and latest.manifest.product != product:
        raise InputError(
            f"{name} is a dataset of {latest.manifest.product}; choose another name for {product}"
        )


def _manifest(ports: Ports, name: str, product: ProductId) -> Manifest:
    """Apply everything up to the head and describe what is admitted there."""
    _check_product(ports, name, product)
    cutoff = withdrawals.apply(ports)
    files, admitted, withheld = _count(ports, product)
    version = ports.datasets.next_version(name)
    with ports.ledger.directory() as directory:
        policy = directory.policy
    return Manifest(
        name=name,
        version=version,
        product=product,
        files=files,
        admitted=admitted,
        withheld=withheld,
        cutoff=cutoff,
        policy_version=policy.version,
        policy_digest=policy.digest,
        parents=(f"{name}@{version - 1}",) if version > 1 else (),
    )


def _count(
    ports: Ports, product: ProductId
) -> tuple[tuple[ManifestFile, ...], int, dict[Reason, int]]:
    """Return the readable files, the rows admitted, and the rows withheld per reason."""
    files = ports.files.files(product)
    vectors = ports.files.vectors([f.no for f in files])
    read: list[ManifestFile] = []
    withheld: dict[Reason, int] = {}
    admitted = 0
    for file in files:
        vector = vectors[file.no]
        # A file without a vector is in no dataset, so that no later repair can bring its rows back.
        found = {Reason.UNREADABLE: file.rows} if vector is None else counts(vector.bits)
        for reason, rows in found.items():
            withheld[reason] = withheld.get(reason, 0) + rows
        admitted += file.rows - sum(found.values())
        if vector is not None:
            read.append(ManifestFile(file.no, file.sha256, file.size_bytes, file.rows, file.rows))
    ordered = {reason: withheld[reason] for reason in Reason if reason in withheld}
    return tuple(read), admitted, ordered


def _concerns(ports: Ports, files: Sequence[LakeFile], withdrawal: Withdrawal) -> bool:
    """Return whether a withdrawal touches one of the files; yes when that cannot be said."""
    try:
        if isinstance(withdrawal, Raised):
            return any(ports.lake.holds(file, [withdrawal.party]) for file in files)
    except VerificationError:
        return True
    return bool(withdrawals.rows_by_file(files, [withdrawal]))


def _commit(ports: Ports, manifest: Manifest, concerns: Callable[[Withdrawal], bool]) -> Dataset:
    recorded_at = ports.clock.now_ms()
    try:
        return ports.datasets.commit(manifest, concerns, recorded_at)
    except StateUnknown:
        # The same manifest again: if the first commit does arrive late, one version comes of both.
        found = _committed(ports, manifest)
        return found or ports.datasets.commit(manifest, concerns, recorded_at)


def _commit_locked(ports: Ports, name: str, product: ProductId) -> Dataset:
    prepared: list[Manifest] = []

    def prepare() -> Manifest:
        prepared.append(_manifest(ports, name, product))
        return prepared[-1]

    try:
        return ports.datasets.commit_locked(prepare, ports.clock.now_ms())
    except StateUnknown:
        found = _committed(ports, prepared[-1]) if prepared else None
        if found is None:
            raise
        return found


def _committed(ports: Ports, manifest: Manifest) -> Dataset | None:
    """Find out after an unknown outcome whether this very manifest was committed (S24)."""
    existing = ports.datasets.get(DatasetRef(manifest.name, manifest.version))
    if existing is None or existing.manifest.sha256() != manifest.sha256():
        return None
    return existing
