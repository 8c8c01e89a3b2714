"""`Datasets` in memory over any ledger, with faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.fakes.faults import Faults, no_faults, written
from tests.fakes.files import withdrawals_in
from withhold.domain import fence
from withhold.domain.datasets import (
    Dataset,
    DatasetRef,
    Manifest,
    Tagging,
    committed_body,
    tagged_body,
)
from withhold.domain.exports import Contents, Export, exported_body
from withhold.domain.fence import Withdrawal
from withhold.domain.ledger import Event, EventKind
from withhold.domain.names import Position
from withhold.domain.tree import Frontier, leaf_hash
from withhold.errors import FenceClosed, NameTaken
from withhold.ports import Ledger, Transaction


class MemoryDatasets:
    """The versions of a test. The commit is a change of the ledger, like the real one."""

    def __init__(self, ledger: Ledger, faults: Faults = no_faults) -> None:
        self._ledger, self._faults = ledger, faults
        self._datasets: list[Dataset] = []
        self._taggings: dict[int, Tagging] = {}
        self._exports: list[Export] = []

    def commit(
        self, manifest: Manifest, concerns: Callable[[Withdrawal], bool], recorded_at: int
    ) -> Dataset:
        return self._append(lambda: manifest, concerns, recorded_at)

    def commit_locked(self, prepare: Callable[[], Manifest], recorded_at: int) -> Dataset:
        return self._append(prepare, lambda _: True, recorded_at)

    def next_version(self, name: str) -> int:
        return 1 + max((v.manifest.version for v in self._named(name)), default=0)

    def get(self, ref: DatasetRef) -> Dataset | None:
        named = self._named(ref.name)
        if ref.version is None:
            return named[-1] if named else None
        return next((v for v in named if v.manifest.version == ref.version), None)

    def all(self) -> Sequence[Dataset]:
        return list(self._datasets)

    def tag(self, dataset: Dataset, root: bytes, recorded_at: int) -> Tagging:
        def change(ledger: Transaction) -> Tagging:
            if dataset.position in self._taggings:
                return self._taggings[dataset.position]
            body = tagged_body(dataset, root)
            position = ledger.add(Event(EventKind.DATASET_TAGGED, None, body, recorded_at))
            return Tagging(dataset.position, position, root)

        def write() -> Tagging:
            tagging = self._ledger.append(change)
            return self._taggings.setdefault(dataset.position, tagging)

        return written(self._faults, "datasets.tag", write)

    def tagging(self, dataset: Dataset) -> Tagging | None:
        return self._taggings.get(dataset.position)

    def untagged(self) -> Sequence[Dataset]:
        return [v for v in self._datasets if v.position not in self._taggings]

    def export(self, dataset: Dataset, contents: Contents, recorded_at: int) -> Export:
        def change(ledger: Transaction) -> Export:
            body = exported_body(dataset, contents)
            position = ledger.add(Event(EventKind.DATASET_EXPORTED, None, body, recorded_at))
            return Export(str(dataset.ref), contents, position, recorded_at)

        def write() -> Export:
            export = self._ledger.append(change)
            self._exports.append(export)
            return export

        return written(self._faults, "datasets.export", write)

    def exports(self) -> Sequence[Export]:
        return list(self._exports)

    def _named(self, name: str) -> list[Dataset]:
        return [v for v in self._datasets if v.manifest.name == name]

    def _append(
        self,
        prepare: Callable[[], Manifest],
        concerns: Callable[[Withdrawal], bool],
        recorded_at: int,
    ) -> Dataset:
        def change(ledger: Transaction) -> Dataset:
            manifest = prepare()
            existing = self.get(DatasetRef(manifest.name, manifest.version))
            if existing is not None:
                if existing.manifest.sha256() != manifest.sha256():
                    raise NameTaken("committed by another builder; build again")
                return existing
            since = withdrawals_in(self._ledger, manifest.cutoff, ledger.head)
            decision = fence.decide(since, concerns)
            if isinstance(decision, fence.Closed):
                raise FenceClosed("withdrawn meanwhile", positions=decision.positions)
            body = committed_body(manifest, self._root(manifest.cutoff))
            position = ledger.add(Event(EventKind.DATASET_COMMITTED, None, body, recorded_at))
            return Dataset(manifest, position, recorded_at)

        def write() -> Dataset:
            dataset = self._ledger.append(change)
            if dataset not in self._datasets:
                self._datasets.append(dataset)
            return dataset

        return written(self._faults, "datasets.commit", write)

    def _root(self, size: int) -> bytes:
        records = (self._ledger.record(Position(p)) for p in range(1, size + 1))
        leaves = [leaf_hash(record.entry) for record in records if record is not None]
        return Frontier().grown(leaves)[0].head().root
