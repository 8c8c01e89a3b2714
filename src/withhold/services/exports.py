"""Exports: physical shards of a dataset version, as of a head that is stated.

    check files -> apply to the head -> write shards -> apply again, rewrite what was touched
    -> entry in the ledger -> publish

An export is a copy that leaves the house: what is withdrawn after its position is not taken out of it,
people and recipients are told instead (design section 1). So the position is the last head at which all
shards were known to hold admitted rows only, and the export is an entry of the ledger before it gets its
final name: a crash in between lists an export that was never handed out, never the other way round, and
that one was made cannot be hidden later.

Not here: the bytes of shards (`adapters.exports`), telling recipients (a later issue).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from withhold.domain.admission import Reason
from withhold.domain.datasets import Dataset, DatasetRef
from withhold.domain.exports import (
    UNSTATED,
    Contents,
    ExportStatement,
    Shard,
    Terms,
    Timeframe,
    shards_digest,
)
from withhold.domain.names import Position, ProductId
from withhold.domain.policy import Purpose
from withhold.errors import InputError, UnknownProduct
from withhold.ports import ExportWriter, Piece, Ports
from withhold.services import reading
from withhold.services.events import readable, recorded_at
from withhold.services.reading import AtHead, ReadableFile

SHARD_ROWS = 65_536
CHECKS = 4
"""How often withdrawals are looked for again; then the export stands at the last head looked at."""

_BATCH_ROWS = 1024
_COLUMNS = ("id", "messages", "position")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an export is."""

    shards_done: int
    shards: int
    rows: int


@dataclass(frozen=True, slots=True)
class _Exported:
    """What was written.

    Attributes:
        position: every withdrawal up to this entry is taken in.
        withheld: rows left out, per reason, each row counted once.
    """

    position: Position
    rows: int
    withheld: Mapping[Reason, int]
    shards: tuple[Shard, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group of a file."""

    file: ReadableFile
    group: int


_Plan = Sequence[Sequence[_Group]]


def export(
    ports: Ports,
    ref: DatasetRef,
    writer: ExportWriter,
    *,
    terms: Terms = UNSTATED,
    shard_rows: int = SHARD_ROWS,
    progress: Callable[[Progress], None] = lambda _: None,
) -> ExportStatement:
    """Write a dataset version out and return what is said about the copy.

    Args:
        terms: what whoever exports says of it.
        shard_rows: rows of the lake after which a shard ends; shards end with whole row groups.
        progress: told after each shard.

    Raises:
        UnknownDataset: there is no such version.
        InputError: the target is not empty.
        LedgerBehind: the gate is shut, so that opt-outs may be missing; nothing was written.
        VerificationError: a file of the dataset is missing, truncated or altered.
        StorageError: the disk refused; nothing stands under the final name.
        StateUnknown: whether the export was recorded is not known; nothing stands under the final name.
    """
    if shard_rows < 1:
        raise InputError(f"shard_rows: expected at least 1, got {shard_rows}")
    ports.watch.gate.check()
    version = reading.dataset(ports, ref)
    files = reading.open_files(ports, version)
    try:
        writer.begin()
        done = _write(ports, files, writer, _plan(files, shard_rows), progress)
        now = ports.clock.now_ms()
        contents = Contents(done.position, done.rows, shards_digest(done.shards))
        entry = ports.datasets.export(version, contents, now).position
        said = _statement(ports, version, done, terms, entry, now)
        writer.publish(said)
    finally:
        writer.discard()
    return said


def _plan(files: Sequence[ReadableFile], shard_rows: int) -> _Plan:
    """Put whole row groups together until a shard has enough rows."""
    shards: list[list[_Group]] = []
    room = 0
    for file in files:
        for group, rows in enumerate(file.opened.groups):
            if room <= 0:
                shards.append([])
                room = shard_rows
            shards[-1].append(_Group(file, group))
            room -= rows
    return shards


def _write(
    ports: Ports,
    files: Sequence[ReadableFile],
    writer: ExportWriter,
    plan: _Plan,
    progress: Callable[[Progress], None],
) -> _Exported:
    held = reading.at_head(ports, files)
    shards: list[Shard | None] = []
    for number, groups in enumerate(plan):
        shards.append(writer.write(number, _pieces(groups, held)))
        progress(Progress(number + 1, len(plan), _rows(shards)))
    for _ in range(CHECKS):
        now = reading.at_head(ports, files, held)
        touched = [n for n, groups in enumerate(plan) if _is_touched(groups, held, now)]
        for number in touched:
            shards[number] = writer.write(number, _pieces(plan[number], now))
        held = now
        if not touched:
            break
    written = tuple(s for s in shards if s is not None)
    return _Exported(held.head, _rows(shards), _counts(held), written)


def _pieces(groups: Sequence[_Group], held: AtHead) -> Iterator[Piece]:
    for part in groups:
        file = part.file.file
        withheld = held.files[file.no]
        if withheld.is_whole:
            continue
        chunks = part.file.opened.chunks(part.group, _COLUMNS, _BATCH_ROWS, withheld.rows)
        yield from (Piece(file.sha256, chunk) for chunk in chunks if len(chunk.rows))


def _is_touched(groups: Sequence[_Group], before: AtHead, now: AtHead) -> bool:
    """Return whether anything of a shard's files was withdrawn; unchanged files keep their object."""
    numbers = {part.file.file.no for part in groups}
    return any(before.files[no] is not now.files[no] for no in numbers)


def _rows(shards: Sequence[Shard | None]) -> int:
    return sum(shard.rows for shard in shards if shard is not None)


def _counts(held: AtHead) -> dict[Reason, int]:
    total: dict[Reason, int] = {}
    for withheld in held.files.values():
        for reason, rows in withheld.counts.items():
            total[reason] = total.get(reason, 0) + rows
    return total


def _statement(
    ports: Ports, version: Dataset, done: _Exported, terms: Terms, entry: Position, now_ms: int
) -> ExportStatement:
    manifest = version.manifest
    return ExportStatement(
        dataset=version.ref,
        product=manifest.product,
        purpose=_purpose(ports, manifest.product),
        manifest_sha256=manifest.sha256(),
        committed_at=version.position,
        committed_at_ms=version.committed_at,
        position=done.position,
        entry=entry,
        exported_at_ms=now_ms,
        rows=done.rows,
        withheld=done.withheld,
        policy_version=manifest.policy_version,
        policy_digest=manifest.policy_digest,
        shards=done.shards,
        terms=terms,
        collected=_collected(ports, version, done.shards),
        checkpoint=ports.log.checkpoint().decode(),
    )


def _purpose(ports: Ports, product: ProductId) -> Purpose | None:
    """Return what a product's data is used for; it cannot change while the product lasts."""
    with ports.ledger.directory() as directory:
        try:
            return directory.policy.product(product).purpose
        except UnknownProduct:
            return None


def _collected(ports: Ports, version: Dataset, shards: Sequence[Shard]) -> Timeframe | None:
    """Return when the rows were accepted: after the entry they are stamped with, before the commit.

    History has no age, the entry may be of somebody who was forgotten, and clocks may have been set back:
    then nothing is said.
    """
    oldest = min((shard.oldest for shard in shards), default=Position(0))
    entry = readable(ports, oldest) if oldest else None
    start = None if entry is None else recorded_at(entry)
    if start is None or start > version.committed_at:
        return None
    return Timeframe(start, version.committed_at)
