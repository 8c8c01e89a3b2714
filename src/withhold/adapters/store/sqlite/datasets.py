"""Committed dataset versions and their exports, in the control database: the fence and the commit.

The commit is a job of the sequencer: within one transaction it reads what was withdrawn since the
manifest's cutoff, decides the fence, and appends the entry together with the manifest. An opt-out is
either before that transaction, and then the fence has seen it, or after, and then every reader has it.

Source: design sections 1 and 4; I1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import apsw

from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.adapters.store.sqlite.log import SqliteLog
from withhold.adapters.store.sqlite.withdrawn import withdrawals_between
from withhold.domain import fence
from withhold.domain.admission import Reason
from withhold.domain.canonical_json import canonical
from withhold.domain.datasets import (
    Dataset,
    DatasetRef,
    Manifest,
    ManifestFile,
    Tagging,
    committed_body,
    tagged_body,
)
from withhold.domain.exports import Contents, Export, exported_body
from withhold.domain.fence import Withdrawal
from withhold.domain.ledger import Event, EventKind, broken
from withhold.domain.names import FileNo, Position, ProductId
from withhold.errors import FenceClosed, NameTaken

MOST_LOOKS = 16_384
"""How often the fence asks whether a withdrawal touches a file, while nobody can append: a fraction of a
second. Beyond that it closes unseen, and the build applies everything at once and tries again."""

_COLUMNS = "position, name, version, manifest, committed_at"
_UNTAGGED = (
    f"SELECT {_COLUMNS} FROM datasets WHERE position NOT IN (SELECT dataset FROM taggings)"
    " ORDER BY position"
)


class SqliteDatasets:
    """`ports.Datasets` over the control database, its ledger and its log."""

    def __init__(self, control: Control, ledger: SqliteLedger, log: SqliteLog) -> None:
        self._control, self._ledger, self._log = control, ledger, log

    def commit(
        self, manifest: Manifest, concerns: Callable[[Withdrawal], bool], recorded_at: int
    ) -> Dataset:
        """Commit a version through the fence, in the ledger's own transaction."""

        def job(connection: apsw.Connection) -> Dataset:
            existing = _existing(connection, manifest)
            if existing is not None:
                return existing
            self._check_fence(connection, manifest, concerns)
            return self._add(connection, manifest, recorded_at)

        return self._control.run(job)

    def commit_locked(self, prepare: Callable[[], Manifest], recorded_at: int) -> Dataset:
        """Hold the sequencer's lock, prepare the manifest at the head, and commit it."""

        def job(connection: apsw.Connection) -> Dataset:
            manifest = prepare()
            existing = _existing(connection, manifest)
            if existing is not None:
                return existing
            # Nobody appends while this job runs; a manifest prepared below the head is refused anyway.
            self._check_fence(connection, manifest, lambda _: True)
            return self._add(connection, manifest, recorded_at)

        return self._control.run(job)

    def next_version(self, name: str) -> int:
        """Return the number the next version of this name will have."""
        with self._control.read() as connection:
            newest = connection.execute(
                "SELECT max(version) FROM datasets WHERE name = ?", (name,)
            ).get
            return (newest or 0) + 1

    def get(self, ref: DatasetRef) -> Dataset | None:
        """Return a version, None when there is none."""
        with self._control.read() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM datasets WHERE name = ?1"
                " AND (?2 IS NULL OR version = ?2) ORDER BY version DESC LIMIT 1",
                (ref.name, ref.version),
            ).fetchone()
            return None if row is None else _dataset(*row)

    def all(self) -> Sequence[Dataset]:
        """Return every version, in order of commit."""
        with self._control.read() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM datasets ORDER BY position")
            return [_dataset(*row) for row in rows]

    def tag(self, dataset: Dataset, root: bytes, recorded_at: int) -> Tagging:
        """Append the entry with the root over a version's tags, once."""

        def job(connection: apsw.Connection) -> Tagging:
            standing = _tagging(connection, dataset)
            if standing is not None:
                return standing
            body = tagged_body(dataset, root)
            event = Event(EventKind.DATASET_TAGGED, None, body, recorded_at)
            position = self._ledger.transaction(connection).add(event)
            connection.execute(
                "INSERT INTO taggings VALUES (?, ?, ?)", (dataset.position, position, root)
            )
            return Tagging(dataset.position, position, root)

        return self._control.run(job)

    def tagging(self, dataset: Dataset) -> Tagging | None:
        """Return the tagging of a version, None while there is none."""
        with self._control.read() as connection:
            return _tagging(connection, dataset)

    def untagged(self) -> Sequence[Dataset]:
        """Return the versions without a tagging, in order of commit."""
        with self._control.read() as connection:
            return [_dataset(*row) for row in connection.execute(_UNTAGGED)]

    def export(self, dataset: Dataset, contents: Contents, recorded_at: int) -> Export:
        """Append the entry of a copy that is about to be handed out."""

        def job(connection: apsw.Connection) -> Export:
            body = exported_body(dataset, contents)
            event = Event(EventKind.DATASET_EXPORTED, None, body, recorded_at)
            position = self._ledger.transaction(connection).add(event)
            name = str(dataset.ref)
            connection.execute(
                "INSERT INTO exports VALUES (?, ?, ?, ?, ?, ?)",
                (position, name, contents.cutoff, contents.rows, contents.shards, recorded_at),
            )
            return Export(name, contents, position, recorded_at)

        return self._control.run(job)

    def exports(self) -> Sequence[Export]:
        """Return all exports, oldest first."""
        with self._control.read() as connection:
            rows = connection.execute(
                "SELECT dataset, cutoff, rows, shards, position, recorded_at FROM exports"
                " ORDER BY position"
            )
            return [
                Export(name, Contents(Position(cutoff), count, shards), Position(position), at)
                for name, cutoff, count, shards, position, at in rows
            ]

    def _check_fence(
        self,
        connection: apsw.Connection,
        manifest: Manifest,
        concerns: Callable[[Withdrawal], bool],
    ) -> None:
        head = self._ledger.transaction(connection).head
        most = max(1, MOST_LOOKS // max(1, len(manifest.files)))
        since = withdrawals_between(connection, manifest.cutoff, head, most)
        if len(since) == most:
            concerns = _always
        decision = fence.decide(since, concerns)
        if isinstance(decision, fence.Closed):
            raise FenceClosed(
                f"{manifest.name}@{manifest.version}: withdrawn from since position "
                f"{manifest.cutoff}; its files are decided again",
                positions=decision.positions,
            )

    def _add(self, connection: apsw.Connection, manifest: Manifest, recorded_at: int) -> Dataset:
        body = committed_body(manifest, self._log.root(manifest.cutoff))
        event = Event(EventKind.DATASET_COMMITTED, None, body, recorded_at)
        position = self._ledger.transaction(connection).add(event)
        connection.execute(
            "INSERT INTO datasets VALUES (?, ?, ?, ?, ?)",
            (
                position,
                manifest.name,
                manifest.version,
                canonical(manifest.body()).decode(),
                recorded_at,
            ),
        )
        return Dataset(manifest, position, recorded_at)


def _tagging(connection: apsw.Connection, dataset: Dataset) -> Tagging | None:
    row = connection.execute(
        "SELECT position, root FROM taggings WHERE dataset = ?", (dataset.position,)
    ).fetchone()
    return None if row is None else Tagging(dataset.position, Position(row[0]), row[1])


def _always(_: Withdrawal) -> bool:
    return True


def _existing(connection: apsw.Connection, manifest: Manifest) -> Dataset | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM datasets WHERE name = ? AND version = ?",
        (manifest.name, manifest.version),
    ).fetchone()
    if row is None:
        return None
    existing = _dataset(*row)
    if existing.manifest.sha256() != manifest.sha256():
        raise NameTaken(
            f"{manifest.name}@{manifest.version} was committed by another builder; "
            "build again for the next version"
        )
    return existing


def _dataset(position: int, name: str, version: int, manifest: str, committed_at: int) -> Dataset:
    try:
        found = Dataset(_manifest(json.loads(manifest)), Position(position), committed_at)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise broken(position, "the manifest kept for it is not one") from None
    if found.ref != DatasetRef(name, version):
        raise broken(position, f"it commits {found.ref} and is kept as {name}@{version}")
    return found


def _manifest(body: dict[str, Any]) -> Manifest:
    return Manifest(
        name=body["name"],
        version=body["version"],
        product=ProductId(body["product"]),
        files=tuple(
            ManifestFile(FileNo(f["no"]), f["sha256"], f["size_bytes"], f["rows"], f["selected"])
            for f in body["files"]
        ),
        admitted=body["admitted"],
        withheld={Reason(reason): rows for reason, rows in body["withheld"].items()},
        cutoff=Position(body["cutoff"]),
        policy_version=body["policy"]["version"],
        policy_digest=body["policy"]["digest"],
        parents=tuple(body["parents"]),
    )
