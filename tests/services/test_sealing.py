"""Rows leave the log for a file that is decided before anybody can see it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lake_world import VIBE, World, as_sets, batch, world
from withhold.domain.names import Ordinal, ProductId
from withhold.domain.vectors import ConsentVector
from withhold.errors import StorageError
from withhold.ports import LakeFile
from withhold.services import sealing, withdrawals
from withhold.services.sealing import FileSize

STUDIO = ProductId("studio")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def test_sealed_rows_are_decided_and_leave_the_log(opened: World) -> None:
    opened.out(1)
    opened.store((1, [0]), (1, [1]), (1, []))
    sealing.seal(opened.ports)
    (file,) = opened.files()
    assert (file.rows, file.first, opened.admitted()) == (3, 0, ["r0"])
    assert list(opened.ports.intake.unsealed(VIBE, Ordinal(0))) == []
    sealing.seal(opened.ports)
    assert len(opened.files()) == 1


def test_each_product_has_files_of_its_own(opened: World) -> None:
    opened.store((1, [0]))
    opened.store((1, [1]), (1, [2]), product=STUDIO)
    sealing.seal(opened.ports, STUDIO)
    assert [(f.product, f.rows) for f in opened.files()] == [(STUDIO, 2)]
    sealing.seal(opened.ports)
    assert [(f.product, f.rows) for f in opened.files()] == [(STUDIO, 2), (VIBE, 1)]


def test_files_end_at_a_fixed_number_of_rows(opened: World) -> None:
    for _ in range(7):
        opened.store(*[(1, [i % 8]) for i in range(1000)])
    sealing.seal(opened.ports, size=FileSize(rows=4_096))
    assert [(f.first, f.rows) for f in opened.files()] == [(0, 4_096), (4_096, 2_904)]


def test_a_file_of_long_rows_ends_at_its_characters_and_holds_at_least_one_row(
    opened: World,
) -> None:
    half = 1_000_001
    long = [
        replace(batch(i, [(1, [0])]), contents=[["x" * half]], roles=[["user"]]) for i in range(3)
    ]
    with opened.ports.intake.transaction() as intake:
        for one in long:
            intake.store(one)
    sealing.seal(opened.ports, size=FileSize(characters=2_000_000))
    assert [(f.first, f.rows) for f in opened.files()] == [(0, 2), (2, 1)]


def test_a_batch_is_cut_where_the_characters_end(opened: World) -> None:
    third = 1_000_001
    whole = replace(batch(0, [(1, [0])] * 4), contents=[["x" * third]] * 4, roles=[["user"]] * 4)
    with opened.ports.intake.transaction() as intake:
        intake.store(whole)
    sealing.seal(opened.ports, size=FileSize(characters=3_000_000))
    assert [(f.first, f.rows) for f in opened.files()] == [(0, 3), (3, 1)]


def test_rows_deleted_while_in_the_log_are_withheld_once_sealed(opened: World) -> None:
    opened.store((1, [0]), (1, [1]))
    opened.delete(1)
    withdrawals.apply(opened.ports)
    sealing.seal(opened.ports)
    assert as_sets(opened.bits(opened.files()[0]) or {}) == {"deleted": {1}}


def test_an_opt_out_between_decision_and_registration_is_decided_again(opened: World) -> None:
    real = opened.ports.files

    class OptOutJustBefore:
        """Somebody opts out, and it is applied, just before the file is registered."""

        def __init__(self) -> None:
            self.calls = 0

        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

        def register(self, file: LakeFile, vector: ConsentVector) -> LakeFile:
            self.calls += 1
            if self.calls == 1:
                opened.out(0)
                withdrawals.apply(opened.ports)
            return real.register(file, vector)

    interrupted = OptOutJustBefore()
    opened.store((1, [0]), (1, [1]))
    sealing.seal(replace(opened.ports, files=interrupted))  # type: ignore[arg-type]
    assert interrupted.calls == 2
    assert opened.admitted() == ["r1"]


def test_an_opt_out_not_yet_applied_reaches_the_file_after_it_was_registered(opened: World) -> None:
    opened.store((1, [0]), (1, [1]))
    table = opened.ports.ledger.standings()
    opened.out(0)
    file = opened.ports.lake.write(opened.ports.intake.unsealed(VIBE, Ordinal(0)))
    late = ConsentVector(table.position, opened.ports.lake.decide(file, table))
    opened.ports.files.register(file, late)
    withdrawals.apply(opened.ports)
    assert opened.admitted() == ["r1"]


def test_sealers_at_once_seal_every_row_once(opened: World) -> None:
    for _ in range(20):
        opened.store(*[(1, [i % 8]) for i in range(50)])
    failed: list[Exception] = []

    def run() -> None:
        try:
            sealing.seal(opened.ports)
        except Exception as error:  # noqa: BLE001 -- shown by the assertion
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert opened.admitted() == [f"r{i}" for i in range(1000)]


def test_rows_lost_from_the_log_are_an_error_and_not_an_empty_dataset(opened: World) -> None:
    opened.store((1, [0]))
    opened.store((1, [1]))
    opened.ports.intake.trim(VIBE, Ordinal(1))
    with pytest.raises(StorageError, match="restore"):
        sealing.seal(opened.ports)
