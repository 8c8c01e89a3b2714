"""What every `Lake` does, the one on disk and the one in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.fakes.lake import MemoryLake
from tests.lake_world import Row, as_sets, batch
from withhold.adapters.lake.parquet import ParquetLake
from withhold.adapters.store.sqlite.consent import ArrayTable
from withhold.domain.names import PartyNo, Position
from withhold.errors import InputError
from withhold.ports import Lake

ROWS: list[Row] = [(1, [0, 1]), (2, [1, 2]), (5, [3]), (5, []), (3, [0, 3]), (9, [2])]


@pytest.fixture(params=["parquet", "memory"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    make: dict[str, Callable[[], Lake]] = {
        "parquet": lambda: ParquetLake(tmp_path / "lake"),
        "memory": MemoryLake,
    }
    return make[request.param]()


def table(*values: int) -> ArrayTable:
    """Return standings by party: ``on_since + 1``, 0 for out; kinds in turn."""
    kinds = np.arange(len(values), dtype=np.uint8) % 4
    return ArrayTable(Position(100), np.array(values, dtype=np.uint64), kinds)


def test_the_same_rows_give_the_same_name_however_they_were_batched(lake: Lake) -> None:
    whole = lake.write([batch(0, ROWS)])
    parts = lake.write([batch(0, ROWS[:1]), batch(1, ROWS[1:4]), batch(4, ROWS[4:])])
    assert parts == whole
    assert (whole.rows, whole.first, whole.no) == (6, 0, 0)


def test_other_rows_give_another_name(lake: Lake) -> None:
    moved = [(position + 1, parties) for position, parties in ROWS]
    assert lake.write([batch(0, ROWS)]).sha256 != lake.write([batch(0, moved)]).sha256


def test_a_file_without_rows_is_refused(lake: Lake) -> None:
    with pytest.raises(InputError):
        lake.write([])


def test_a_row_without_parties_is_withheld_for_its_unknown_source(lake: Lake) -> None:
    file = lake.write([batch(0, ROWS)])
    assert as_sets(lake.decide(file, table(1, 1, 1, 1))) == {"unknown_source": {3}}


def test_rows_before_an_opt_in_stay_withheld_and_rows_after_it_are_admitted(lake: Lake) -> None:
    file = lake.write([batch(0, ROWS)])
    on_since_5 = table(1, 1, 1, 6)  # party 3 is a plan's lock in this table
    assert as_sets(lake.decide(file, on_since_5)) == {"unknown_source": {3}, "plan_locked": {4}}


def test_a_party_that_the_table_does_not_know_is_out(lake: Lake) -> None:
    file = lake.write([batch(0, ROWS)])
    decided = as_sets(lake.decide(file, table(1, 1, 1)))
    assert decided == {"unknown_source": {3}, "account_off": {2, 4}}


def test_touched_rows_are_those_of_the_raised_parties_that_the_table_withholds(lake: Lake) -> None:
    file = lake.write([batch(0, ROWS)])
    standings = table(0, 1, 4, 1)
    raised = np.array([0, 2, 900], dtype=np.uint32)
    touched = as_sets(lake.touched(file, raised, standings))
    assert touched == {"account_off": {0, 4}, "plan_default": {1}}
    assert as_sets(lake.touched(file, np.array([900], dtype=np.uint32), standings)) == {}


def test_parties_are_those_of_the_rows_that_are_not_withheld(lake: Lake) -> None:
    file = lake.write([batch(0, ROWS)])
    assert set(lake.parties(file, None)) == {0, 1, 2, 3}
    assert set(lake.parties(file, lake.row_set([]))) == {0, 1, 2, 3}
    assert set(lake.parties(file, lake.row_set([0, 4]))) == {1, 2, 3}
    assert set(lake.parties(file, lake.row_set([0, 1, 3]))) == {0, 2, 3}
    assert set(lake.parties(file, lake.row_set(range(6)))) == set()


def test_rows_are_found_by_party_and_by_conversation(lake: Lake) -> None:
    file = lake.write([batch(0, ROWS)])
    assert set(lake.rows_of(file, [PartyNo(0), PartyNo(2)])) == {0, 1, 4, 5}
    assert lake.holds(file, [PartyNo(77), PartyNo(3)])
    assert not lake.holds(file, [PartyNo(77)])
    assert set(lake.conversation(file, "c4")) == {4}
    assert not len(lake.conversation(file, "never"))


def test_a_row_is_described_by_its_position_and_parties(lake: Lake) -> None:
    file = lake.write([batch(0, ROWS)])
    found = lake.row(file, 4)
    assert (found.id, found.position, found.parties) == ("r4", 3, (0, 3))
    assert lake.row(file, 3).parties == ()


def test_batches_yield_all_rows_in_order_in_full_batches(lake: Lake) -> None:
    file = lake.write([batch(0, ROWS)])
    batches = list(lake.batches(file, ["id"], 4))
    assert [b.num_rows for b in batches] == [4, 2]
    assert [i for b in batches for i in b["id"].to_pylist()] == [f"r{i}" for i in range(6)]


def test_row_sets_have_the_algebra_of_sets(lake: Lake) -> None:
    one, other = lake.row_set([1, 2, 3]), lake.row_set([3, 4])
    assert set(one | other) == {1, 2, 3, 4}
    assert set(one & other) == {3}
    assert set(one - other) == {1, 2}
    assert 3 in one and 4 not in one
