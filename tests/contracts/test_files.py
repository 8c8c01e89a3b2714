"""What every `Files` does, the one in the control database and the one in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyroaring import BitMap

from tests.fakes.files import MemoryFiles
from tests.lake_world import VIBE, World, as_sets, world
from withhold.domain.admission import Reason
from withhold.domain.fence import Deleted
from withhold.domain.names import FileNo, Ordinal, Position
from withhold.domain.vectors import ConsentVector
from withhold.errors import LedgerMoved
from withhold.ports import Files, LakeFile, Ports

A, B = Reason.ACCOUNT, Reason.ORGANIZATION


@pytest.fixture(params=["sqlite", "memory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    def in_memory(ports: Ports) -> Ports:
        return replace(ports, files=MemoryFiles(ports.ledger))

    with world(tmp_path, changed=in_memory if request.param == "memory" else lambda p: p) as made:
        yield made


@pytest.fixture
def files(opened: World) -> Files:
    return opened.ports.files


def lake_file(first: int, rows: int = 10, name: str = "a") -> LakeFile:
    return LakeFile(FileNo(0), VIBE, f"{name}{first}", 100, rows, Ordinal(first))


def vector(applied: int, **bits: list[int]) -> ConsentVector:
    return ConsentVector(
        Position(applied), {Reason[name.upper()]: BitMap(rows) for name, rows in bits.items()}
    )


def bits_of(files: Files, no: FileNo) -> dict[str, set[int]]:
    found = files.vectors([no])[no]
    assert found is not None
    return as_sets(found.bits)


def test_files_follow_one_another_without_gaps_and_are_numbered(files: Files) -> None:
    assert files.sealed(VIBE) == 0
    first = files.register(lake_file(0), vector(1))
    second = files.register(lake_file(10, 5), vector(1))
    assert (first.no, second.no) == (1, 2)
    assert files.sealed(VIBE) == 15
    assert list(files.files()) == [first, second]
    assert list(files.files(VIBE)) == [first, second]


def test_a_second_sealer_of_the_same_rows_is_refused(files: Files) -> None:
    files.register(lake_file(0), vector(1))
    for file in (lake_file(0, name="b"), lake_file(7, name="c"), lake_file(11, name="d")):
        with pytest.raises(LedgerMoved):
            files.register(file, vector(1))
    assert len(files.files()) == 1


def test_a_file_decided_below_the_cursor_is_refused(opened: World) -> None:
    files, head = opened.ports.files, opened.out(1)
    files.apply(Position(0), head, {}, last=FileNo(0))
    with pytest.raises(LedgerMoved):
        files.register(lake_file(0), vector(head - 1))
    assert files.register(lake_file(0), vector(head)).no == 1


def test_the_cursor_moves_only_from_where_the_applier_began(opened: World) -> None:
    files, head = opened.ports.files, opened.out(1)
    files.apply(Position(0), head, {}, last=FileNo(0))
    assert files.cursor() == head
    with pytest.raises(LedgerMoved):
        files.apply(Position(0), head, {}, last=FileNo(0))
    assert files.cursor() == head


def test_two_appliers_of_one_range_cannot_replace_each_other(opened: World) -> None:
    files, head = opened.ports.files, opened.out(1)
    no = files.register(lake_file(0), vector(1)).no
    files.apply(Position(0), head, {no: {A: BitMap([1, 2])}}, last=no)
    with pytest.raises(LedgerMoved):
        files.apply(Position(0), head, {no: {A: BitMap([3])}}, last=no)
    assert bits_of(files, no) == {"account_off": {1, 2}}


def test_a_file_registered_below_the_applied_position_stops_an_applier_that_did_not_see_it(
    opened: World,
) -> None:
    files, head = opened.ports.files, opened.out(1)
    no = files.register(lake_file(0), vector(head - 1)).no
    with pytest.raises(LedgerMoved):
        files.apply(Position(0), head, {}, last=FileNo(0))
    assert files.cursor() == 0
    files.apply(Position(0), head, {}, last=no)
    assert files.cursor() == head


def test_a_file_registered_at_the_applied_position_does_not(opened: World) -> None:
    files, head = opened.ports.files, opened.out(1)
    files.register(lake_file(0), vector(head))
    files.apply(Position(0), head, {}, last=FileNo(0))
    assert files.cursor() == head


def test_applied_rows_are_united_and_known_up_to_the_cursor(opened: World) -> None:
    files = opened.ports.files
    no = files.register(lake_file(0), vector(1, account=[0])).no
    files.apply(Position(0), Position(3), {no: {A: BitMap([1]), B: BitMap([0])}}, last=no)
    files.apply(Position(3), Position(5), {no: {A: BitMap([1, 4])}}, last=no)
    assert bits_of(files, no) == {
        "account_off": {0, 1, 4},
        "organization_off": {0},
    }
    found = files.vectors([no])[no]
    assert found is not None and found.applied == 5


def test_growth_tells_when_rows_were_first_withheld(opened: World) -> None:
    files = opened.ports.files
    no = files.register(lake_file(0), vector(1, account=[0])).no
    files.apply(Position(0), Position(3), {no: {A: BitMap([0])}}, last=no)
    files.apply(Position(3), Position(5), {no: {A: BitMap([0, 4])}}, last=no)
    growth = [(g.position, as_sets(g.bits)) for g in files.growth(no)]
    assert growth == [(1, {"account_off": {0}}), (5, {"account_off": {4}})]


def test_a_vector_that_is_given_up_is_missing_until_it_is_replaced(opened: World) -> None:
    files = opened.ports.files
    no = files.register(lake_file(0), vector(1, account=[0])).no
    files.apply(Position(0), Position(3), {no: None}, last=no)
    assert files.vectors([no])[no] is None
    files.apply(Position(3), Position(4), {no: {A: BitMap([5])}}, last=no)
    assert files.vectors([no])[no] is None, "later rows do not make up for the ones that are lost"
    with pytest.raises(LedgerMoved):
        files.replace({no: vector(3, account=[0])})
    files.replace({no: vector(4, account=[0, 1, 5])})
    assert bits_of(files, no) == {"account_off": {0, 1, 5}}


def test_a_full_decision_is_united_with_what_is_known(opened: World) -> None:
    files = opened.ports.files
    no = files.register(lake_file(0), vector(1, account=[0])).no
    files.replace({no: vector(2, account=[3], deleted=[1])})
    assert bits_of(files, no) == {"account_off": {0, 3}, "deleted": {1}}


def test_withdrawals_are_all_that_entries_of_the_range_raised_or_deleted(opened: World) -> None:
    files, before = opened.ports.files, opened.head
    opened.out(3)
    deleted = opened.delete(7)
    middle = opened.on(5)
    opened.out(6)
    found = files.withdrawals(before, middle)
    assert found.parties.tolist() == [3, 5]
    assert list(found.deleted) == [Deleted(deleted, VIBE, Ordinal(7))]
    assert files.withdrawals(middle, middle).is_empty
    assert files.withdrawals(Position(0), before).parties.tolist() == []


def test_deleted_rows_of_a_file_are_those_in_it_up_to_the_position(opened: World) -> None:
    files = opened.ports.files
    file = files.register(lake_file(0, 4), vector(1))
    first = opened.delete(3, 1, 4)
    opened.delete(0)
    assert list(files.deleted(file, first)) == [1, 3]
    assert list(files.deleted(file, opened.head)) == [0, 1, 3]
