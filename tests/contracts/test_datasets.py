"""What every `Datasets` does, the one in the control database and the one in memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.datasets import MemoryDatasets
from tests.lake_world import VIBE, World, world
from withhold.domain.admission import Reason
from withhold.domain.datasets import (
    DatasetRef,
    Manifest,
    ManifestFile,
    Tagging,
    committed_body,
    tagged_body,
)
from withhold.domain.exports import Contents, exported_body
from withhold.domain.fence import Deleted, Raised, Withdrawal
from withhold.domain.ledger import EventKind
from withhold.domain.names import FileNo, Ordinal, PartyNo, Position
from withhold.errors import FenceClosed, NameTaken
from withhold.ports import Datasets, Ports, Transaction
from withhold.services import builds, withdrawals


@pytest.fixture(params=["sqlite", "memory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    def in_memory(ports: Ports) -> Ports:
        return replace(ports, datasets=MemoryDatasets(ports.ledger))

    with world(tmp_path, changed=in_memory if request.param == "memory" else lambda p: p) as made:
        yield made


@pytest.fixture
def datasets(opened: World) -> Datasets:
    return opened.ports.datasets


def manifest(version: int = 1, cutoff: int = 1, name: str = "chat") -> Manifest:
    return Manifest(
        name=name,
        version=version,
        product=VIBE,
        files=(ManifestFile(FileNo(1), "ab" * 32, 1234, 10, 10),),
        admitted=7,
        withheld={Reason.ACCOUNT: 2, Reason.DELETED: 1},
        cutoff=Position(cutoff),
        policy_version="1",
        policy_digest="00",
        parents=(),
    )


def never(_: Withdrawal) -> bool:
    return False


def always(_: Withdrawal) -> bool:
    return True


def test_a_version_exists_from_its_entry_on(opened: World, datasets: Datasets) -> None:
    assert datasets.get(DatasetRef("chat", 1)) is None
    assert datasets.next_version("chat") == 1
    dataset = datasets.commit(manifest(), always, 42)
    assert dataset.position == opened.head == 2
    assert (dataset.manifest, dataset.committed_at) == (manifest(), 42)
    for version in (1, None):
        assert datasets.get(DatasetRef("chat", version)) == dataset
    assert list(datasets.all()) == [dataset]
    assert datasets.next_version("chat") == 2


def test_each_copy_of_a_version_is_an_entry(opened: World, datasets: Datasets) -> None:
    dataset = datasets.commit(manifest(), never, 42)
    assert list(datasets.exports()) == []
    contents = Contents(opened.head, 7, "ab" * 32)
    first = datasets.export(dataset, contents, 43)
    assert (first.dataset, first.contents, first.recorded_at) == ("chat@1", contents, 43)
    assert first.position == opened.head
    second = datasets.export(dataset, contents, 44)
    assert list(datasets.exports()) == [first, second], "the same copy made again is another one"
    entry = opened.ports.ledger.record(second.position)
    assert entry is not None and entry.kind is EventKind.DATASET_EXPORTED
    said = json.loads(entry.event)
    assert exported_body(dataset, contents).items() <= said.items()


def test_the_newest_version_is_the_latest_and_names_are_apart(datasets: Datasets) -> None:
    datasets.commit(manifest(1), never, 1)
    second = datasets.commit(manifest(2, 2), never, 2)
    other = datasets.commit(manifest(name="other"), never, 3)
    assert datasets.get(DatasetRef("chat", None)) == second
    assert datasets.get(DatasetRef("other", None)) == other
    assert datasets.get(DatasetRef("chat", 3)) is None


def test_the_fence_asks_about_each_withdrawal_after_the_cutoff(
    opened: World, datasets: Datasets
) -> None:
    opened.out(1)
    cutoff = opened.head
    raised = opened.out(3)
    deleted = opened.delete(9)
    asked: list[Withdrawal] = []
    with pytest.raises(FenceClosed) as closed:
        datasets.commit(manifest(cutoff=cutoff), lambda w: asked.append(w) or True, 0)  # type: ignore[func-returns-value]
    assert set(asked) == {
        Raised(raised, PartyNo(3)),
        Deleted(deleted, VIBE, Ordinal(9)),
    }
    assert closed.value.positions == (raised, deleted)
    assert opened.head == deleted
    assert list(datasets.all()) == []


def test_withdrawals_that_do_not_concern_the_files_let_it_commit(
    opened: World, datasets: Datasets
) -> None:
    opened.out(1)
    opened.delete(9)
    assert datasets.commit(manifest(), never, 0).position == opened.head


def test_the_same_manifest_again_is_the_same_version_even_if_the_fence_has_closed(
    opened: World, datasets: Datasets
) -> None:
    dataset = datasets.commit(manifest(), always, 0)
    opened.out(1)
    assert datasets.commit(manifest(), always, 5) == dataset
    assert datasets.commit_locked(manifest, 6) == dataset
    assert list(datasets.all()) == [dataset]


def test_another_manifest_under_a_taken_version_is_refused(datasets: Datasets) -> None:
    datasets.commit(manifest(), never, 0)
    for commit in (
        lambda: datasets.commit(replace(manifest(), admitted=8), never, 0),
        lambda: datasets.commit_locked(lambda: replace(manifest(), admitted=8), 0),
    ):
        with pytest.raises(NameTaken):
            commit()


def test_under_the_lock_the_manifest_is_prepared_at_the_head(
    opened: World, datasets: Datasets
) -> None:
    opened.out(1)

    def prepare() -> Manifest:
        return manifest(cutoff=opened.head)

    dataset = datasets.commit_locked(prepare, 0)
    assert dataset.manifest.cutoff == dataset.position - 1


def test_an_error_while_preparing_commits_nothing(opened: World, datasets: Datasets) -> None:
    head = opened.head

    def prepare() -> Manifest:
        raise NameTaken("somebody else")

    with pytest.raises(NameTaken):
        datasets.commit_locked(prepare, 0)
    assert opened.head == head
    assert datasets.next_version("chat") == 1


def test_opt_outs_and_commits_in_any_interleaving_keep_the_promise(tmp_path: Path) -> None:
    """An opt-out is after the commit, or its rows are absent (S22)."""
    with world(tmp_path, parties=40) as opened:
        opened.store_now(*[[p] for p in range(40)])
        outs: dict[int, Position] = {}

        def leave() -> None:
            for party in range(40):
                outs[party] = opened.out(party)

        people = threading.Thread(target=leave)
        people.start()
        built = []
        while people.is_alive():
            built.append(builds.build(opened.ports, "chat", VIBE))
        people.join()
        withdrawals.apply(opened.ports)
        for dataset in built:
            assert not isinstance(dataset, builds.Counts)
            before = sum(1 for position in outs.values() if position < dataset.position)
            assert dataset.manifest.admitted == 40 - before


def test_nothing_is_remembered_of_entries_that_were_undone(tmp_path: Path) -> None:
    """What a job under the lock saw may never have happened; standings must not remember it."""
    with world(tmp_path) as opened:
        head, before = opened.head, opened.ports.ledger.standings().values.tolist()

        def undone(_: Transaction) -> None:
            opened.out(0)
            assert opened.ports.ledger.standings().values.tolist() != before
            raise NameTaken("undone")

        with pytest.raises(NameTaken):
            opened.ports.ledger.append(undone)
        assert opened.head == head
        assert opened.ports.ledger.standings().position == head
        assert opened.ports.ledger.standings().values.tolist() == before


def test_a_version_is_tagged_once_and_listed_until_then(opened: World, datasets: Datasets) -> None:
    first = datasets.commit(manifest(1), never, 0)
    second = datasets.commit(manifest(2, 2), never, 0)
    assert list(datasets.untagged()) == [first, second]
    assert datasets.tagging(second) is None
    tagging = datasets.tag(second, b"r" * 32, 7)
    assert tagging == Tagging(second.position, opened.head, b"r" * 32)
    assert datasets.tag(second, b"s" * 32, 8) == tagging
    assert datasets.tagging(second) == tagging
    assert (datasets.tagging(first), list(datasets.untagged())) == (None, [first])


def test_the_entries_of_a_version_say_what_it_is(opened: World, datasets: Datasets) -> None:
    opened.out(1)
    dataset = datasets.commit(manifest(cutoff=opened.head), never, 0)
    tagging = datasets.tag(dataset, b"r" * 32, 7)
    ledger, log = opened.ports.ledger, opened.ports.log
    bodies = [ledger.record(position) for position in (dataset.position, tagging.position)]
    committed, tagged = (json.loads(record.event) for record in bodies if record is not None)
    root = log.root(dataset.manifest.cutoff)
    assert committed_body(dataset.manifest, root).items() <= committed.items()
    assert tagged_body(dataset, b"r" * 32).items() <= tagged.items()
    assert committed["log_root"] != log.root(dataset.position).hex()
