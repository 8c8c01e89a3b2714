"""A version is everything acknowledged minus what is withheld, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from tests.fakes.datasets import MemoryDatasets
from tests.fakes.faults import FailOnce
from tests.fakes.files import MemoryFiles
from tests.fakes.intake import Fault
from tests.fakes.lake import MemoryLake
from tests.lake_world import VIBE, World, world
from withhold.domain.admission import Reason
from withhold.domain.datasets import Dataset, DatasetRef, Manifest
from withhold.domain.fence import TRIES_BEFORE_LOCK, Withdrawal
from withhold.domain.names import ProductId
from withhold.errors import (
    FenceClosed,
    InputError,
    NameTaken,
    StateUnknown,
    StorageError,
    UnknownProduct,
)
from withhold.ports import Datasets, Ports
from withhold.services import audit, builds, withdrawals


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.store((1, [0, 1]), (1, [1, 2]), (1, [3]))
        yield made


def build(opened: World, name: str = "chat", ports: Ports | None = None) -> Dataset:
    built = builds.build(ports or opened.ports, name, VIBE)
    assert isinstance(built, Dataset)
    return built


class Meddling:
    """Datasets before whose commit something happens."""

    def __init__(self, real: Datasets, before: Callable[[int], None]) -> None:
        self._real, self._before = real, before
        self.commits = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def commit(
        self, manifest: Manifest, concerns: Callable[[Withdrawal], bool], recorded_at: int
    ) -> Dataset:
        self.commits += 1
        self._before(self.commits)
        return self._real.commit(manifest, concerns, recorded_at)


def meddled(opened: World, before: Callable[[int], None]) -> tuple[Ports, Meddling]:
    datasets = Meddling(opened.ports.datasets, before)
    return replace(opened.ports, datasets=datasets), datasets  # type: ignore[arg-type]


def test_a_build_covers_every_row_acknowledged_before_it(opened: World) -> None:
    opened.out(2)
    dataset = build(opened)
    manifest = dataset.manifest
    assert str(dataset.ref) == "chat@1"
    assert (manifest.admitted, manifest.withheld) == (2, {Reason.PLAN_DEFAULT: 1})
    assert dataset.position == opened.head == manifest.cutoff + 1
    assert opened.ports.datasets.get(DatasetRef("chat", None)) == dataset


def test_versions_count_up_and_name_their_parent(opened: World) -> None:
    first, second = build(opened), build(opened)
    assert (first.manifest.version, second.manifest.version) == (1, 2)
    assert second.manifest.parents == ("chat@1",)
    assert build(opened, "other").manifest.version == 1
    assert [str(d.ref) for d in opened.ports.datasets.all()] == ["chat@1", "chat@2", "other@1"]


def test_a_second_build_over_the_same_lake_rewrites_nothing(opened: World, tmp_path: Path) -> None:
    build(opened)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "lake").rglob("*") if p.is_file()}
    build(opened)
    after = {p: p.stat().st_mtime_ns for p in (tmp_path / "lake").rglob("*") if p.is_file()}
    assert after == before


def test_a_dry_run_counts_and_commits_nothing(opened: World) -> None:
    opened.out(3)
    head = opened.head
    counted = builds.build(opened.ports, "chat", VIBE, dry_run=True)
    assert isinstance(counted, builds.Counts)
    assert (counted.admitted, sum(counted.withheld.values())) == (2, 1)
    assert opened.head == head == counted.position
    assert list(opened.ports.datasets.all()) == []


def test_an_unknown_product_and_an_invalid_name_are_refused(opened: World) -> None:
    with pytest.raises(UnknownProduct):
        builds.build(opened.ports, "chat", ProductId("nothing"))
    for name in ("Chat", "", "chat@1", "../chat", "a" * 65):
        with pytest.raises(InputError):
            builds.build(opened.ports, name, VIBE)


def test_an_opt_out_between_decision_and_commit_withholds_the_row(opened: World) -> None:
    ports, datasets = meddled(opened, lambda n: n == 1 and opened.out(0) and None)
    dataset = build(opened, ports=ports)
    assert datasets.commits == 2
    assert dataset.manifest.admitted == 2
    assert opened.admitted() == ["r1", "r2"]


def test_out_and_in_again_between_decision_and_commit_still_withholds_the_row(
    opened: World,
) -> None:
    def before(n: int) -> None:
        if n == 1:
            opened.out(0)
            opened.on(0)

    assert build(opened, ports=meddled(opened, before)[0]).manifest.admitted == 2


def test_a_deletion_between_decision_and_commit_withholds_the_row(opened: World) -> None:
    ports, datasets = meddled(opened, lambda n: n == 1 and opened.delete(2) and None)
    assert build(opened, ports=ports).manifest.withheld == {Reason.DELETED: 1}
    assert datasets.commits == 2


def test_a_plan_change_in_mid_build_is_in_the_version(opened: World) -> None:
    """A raised standing closes the fence like an opt-out (S25)."""
    ports, datasets = meddled(opened, lambda n: n == 1 and opened.on(3) and None)
    assert build(opened, ports=ports).manifest.admitted == 2
    assert datasets.commits == 2


def test_unrelated_entries_never_refuse_a_build(opened: World) -> None:
    def before(_: int) -> None:
        opened.out(7)
        opened.delete(500)

    ports, datasets = meddled(opened, before)
    dataset = build(opened, ports=ports)
    assert datasets.commits == 1
    assert dataset.manifest.admitted == 3


def test_opt_outs_without_end_make_the_build_take_the_lock_and_end(opened: World) -> None:
    opened.store((1, [4]), (1, [5]), (1, [6]))
    ports, datasets = meddled(opened, lambda n: opened.out(n + 3) and None)
    dataset = build(opened, ports=ports)
    assert datasets.commits == TRIES_BEFORE_LOCK
    assert dataset.manifest.admitted == 3
    assert dataset.manifest.cutoff == dataset.position - 1
    assert audit.audit(opened.ports).holds


def test_many_opt_outs_at_once_close_the_fence_unseen_and_are_applied_together(
    tmp_path: Path,
) -> None:
    with world(tmp_path, parties=2000) as many:
        many.store(*[(1, [i]) for i in range(1000)])

        def before(n: int) -> None:
            if n == 1:
                many.out(*range(1500, 2000), 3)

        ports, datasets = meddled(many, before)
        dataset = build(many, ports=ports)
        assert (datasets.commits, dataset.manifest.admitted) == (2, 999)


def test_a_builder_under_the_lock_is_refused_by_what_it_did_not_apply(opened: World) -> None:
    manifest = build(opened).manifest
    opened.out(0)
    late = replace(manifest, version=2)
    with pytest.raises(FenceClosed) as closed:
        opened.ports.datasets.commit_locked(lambda: late, 0)
    assert closed.value.positions == (opened.head,)
    assert opened.ports.datasets.next_version("chat") == 2


def test_two_builders_of_one_name_get_two_versions(opened: World) -> None:
    """One wins, the other finds the version taken and builds the next (S23)."""

    def before(n: int) -> None:
        if n == 1:
            opened.store((opened.head, [5]))
            build(opened)

    ports, datasets = meddled(opened, before)
    dataset = build(opened, ports=ports)
    assert (datasets.commits, str(dataset.ref)) == (2, "chat@2")
    assert [d.manifest.version for d in opened.ports.datasets.all()] == [1, 2]


def test_builders_at_once_leave_whole_versions_numbered_without_gaps(opened: World) -> None:
    built: list[Dataset] = []
    failed: list[Exception] = []

    def run(no: int) -> None:
        try:
            for _ in range(4):
                opened.store_now([no])
                built.append(build(opened))
        except Exception as error:  # noqa: BLE001 -- shown by the assertion
            failed.append(error)

    threads = [threading.Thread(target=run, args=(no,)) for no in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    versions = [d.manifest.version for d in opened.ports.datasets.all()]
    assert versions == list(range(1, len(versions) + 1))
    assert {d.manifest.version for d in built} == set(versions)
    assert audit.audit(opened.ports).holds


def test_the_same_manifest_again_is_the_version_that_exists(opened: World) -> None:
    dataset = build(opened)
    again = opened.ports.datasets.commit(dataset.manifest, lambda _: True, 99)
    assert again == dataset
    with pytest.raises(NameTaken):
        opened.ports.datasets.commit(replace(dataset.manifest, admitted=0), lambda _: False, 99)


@pytest.mark.parametrize("persisted", [True, False])
@pytest.mark.parametrize("locked", [True, False])
def test_an_unknown_outcome_yields_one_version(
    opened: World, persisted: bool, locked: bool
) -> None:
    """The connection drops after COMMIT, or before it (S24)."""
    real = opened.ports.datasets

    class Dropped:
        def __init__(self) -> None:
            self.dropped = 0

        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

        def _drop(self, commit: Callable[[], Dataset]) -> Dataset:
            self.dropped += 1
            if self.dropped > 1:
                return commit()
            if persisted:
                commit()
            raise StateUnknown("the connection dropped")

        def commit(
            self, manifest: Manifest, concerns: Callable[[Withdrawal], bool], recorded_at: int
        ) -> Dataset:
            if locked:
                raise FenceClosed("again", positions=(1,))
            return self._drop(lambda: real.commit(manifest, concerns, recorded_at))

        def commit_locked(self, prepare: Callable[[], Manifest], recorded_at: int) -> Dataset:
            manifest = prepare()
            return self._drop(lambda: real.commit_locked(lambda: manifest, recorded_at))

    ports = replace(opened.ports, datasets=Dropped())  # type: ignore[arg-type]
    if locked and not persisted:
        with pytest.raises(StateUnknown):
            build(opened, ports=ports)
        assert list(real.all()) == []
        return
    dataset = build(opened, ports=ports)
    assert list(real.all()) == [dataset]
    assert dataset.manifest.version == 1


def test_a_damaged_vector_withholds_the_file_until_the_next_build_decides_it(
    opened: World, tmp_path: Path
) -> None:
    build(opened)
    opened.out(0)
    withdrawals.apply(opened.ports)
    connection = apsw.Connection(str(tmp_path / "control.db"))
    connection.execute("UPDATE vectors SET digest = zeroblob(16)")
    connection.close()
    assert opened.admitted() == []
    assert build(opened).manifest.admitted == 2
    assert opened.admitted() == ["r1", "r2"]


def test_an_unreadable_file_without_a_vector_is_in_no_dataset(
    opened: World, tmp_path: Path
) -> None:
    build(opened)
    opened.store_now([4])
    build(opened)
    first = opened.files()[0]
    connection = apsw.Connection(str(tmp_path / "control.db"))
    connection.execute("DELETE FROM vectors WHERE file = 1")
    connection.close()
    path = tmp_path / "lake" / first.sha256[:2] / f"{first.sha256}.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    manifest = build(opened).manifest
    assert manifest.withheld == {Reason.UNREADABLE: 3}
    assert [f.no for f in manifest.files] == [2]
    assert manifest.admitted == 1


@pytest.mark.parametrize("how", list(Fault))
def test_whatever_write_fails_building_again_gives_the_right_version(
    tmp_path: Path, how: Fault
) -> None:
    """Every write of a build fails once, kept or not: nothing is lost, nothing is yielded wrongly."""
    number = 0
    while True:
        number += 1
        faults = FailOnce(number, how)

        def in_memory(ports: Ports, faults: FailOnce = faults) -> Ports:
            return replace(
                ports,
                files=MemoryFiles(ports.ledger, faults),
                datasets=MemoryDatasets(ports.ledger, faults),
                lake=MemoryLake(),  # type: ignore[arg-type]
            )

        with world(tmp_path / str(number), changed=in_memory) as opened:
            opened.store((1, [0]), (1, [1]), (1, [2]))
            _try(lambda: build(opened))
            opened.out(1)
            opened.store_now([0])
            _try(lambda: build(opened))
            faults.is_over = True
            last = build(opened)
            assert opened.admitted() == ["r0", "r2", "r3"]
            assert last.manifest.admitted == 3
            versions = [d.manifest.version for d in opened.ports.datasets.all()]
            assert versions == list(range(1, len(versions) + 1))
            report = audit.audit(opened.ports)
            assert report.faults == ()
        if number > len(faults.seen):
            break  # every write there is has failed once
    assert number > 5


def _try(job: Callable[[], object]) -> None:
    with contextlib.suppress(StorageError, StateUnknown):
        job()


def test_a_dataset_never_changes_its_product(opened: World) -> None:
    opened.store((1, [0]))
    builds.build(opened.ports, "chat", VIBE)
    for dry_run in (False, True):
        with pytest.raises(InputError, match="choose another name"):
            builds.build(opened.ports, "chat", ProductId("studio"), dry_run=dry_run)
    assert len(opened.ports.datasets.all()) == 1
