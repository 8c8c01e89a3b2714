"""The arrays decide every row as `domain.admission` does, on generated files."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from withhold.adapters.engines.local import kernel
from withhold.adapters.engines.local.engine import LocalEngine
from withhold.adapters.lake import side_index
from withhold.adapters.lake.columns import PartySets
from withhold.adapters.store.sqlite.consent import ArrayTable
from withhold.domain.admission import REASON_OF_KIND, Reason, Withheld, admit
from withhold.domain.names import FileNo, Ordinal, PartyNo, Position, ProductId
from withhold.domain.standing import OUT, admits
from withhold.ports import LakeFile

PARTIES = 12
standings = st.lists(
    st.tuples(st.sampled_from([0, 1, 2, 3, 5, 8, OUT + 1]), st.integers(0, 3)),
    min_size=0,
    max_size=PARTIES,
)
party_sets = st.lists(
    st.sets(st.integers(0, PARTIES + 2), max_size=5).map(sorted), min_size=1, max_size=6
)
row = st.tuples(st.integers(0, 9), st.integers(0, 5))


def table_of(values: list[tuple[int, int]]) -> ArrayTable:
    on_since = np.array([v for v, _ in values], dtype=np.uint64)
    return ArrayTable(Position(9), on_since, np.array([k for _, k in values], dtype=np.uint8))


def arrays(
    rows: list[tuple[int, int]], sets: list[list[int]]
) -> tuple[np.ndarray, np.ndarray, PartySets]:
    positions = np.array([p for p, _ in rows], dtype=np.uint64)
    numbers = np.array([s % len(sets) for _, s in rows], dtype=np.uint32)
    return positions, numbers, PartySets.of(sets)


@given(standings, party_sets, st.lists(row, max_size=30))
def test_every_row_gets_the_verdict_of_the_specification(
    values: list[tuple[int, int]], sets: list[list[int]], rows: list[tuple[int, int]]
) -> None:
    table = table_of(values)
    positions, numbers, file_sets = arrays(rows, sets)
    bits = kernel.decide(positions, numbers, file_sets.offsets, file_sets.parties, table)
    for i, (position, number) in enumerate(rows):
        parties = [PartyNo(p) for p in sets[number % len(sets)]]
        verdict = admit(parties, Position(position), table)
        reasons = [reason for reason in Reason if i in bits.get(reason, ())]
        if isinstance(verdict, Withheld):
            assert reasons and reasons[0] is verdict.reason
        else:
            assert not reasons
        every = {
            REASON_OF_KIND[table.kind(p)]
            for p in parties
            if not admits(table.standing(p), Position(position))
        }
        assert set(reasons) == (every if parties else {Reason.UNKNOWN_SOURCE})


@given(
    standings,
    party_sets,
    st.lists(row, min_size=1, max_size=30),
    st.sets(st.integers(0, PARTIES + 4)),
)
def test_the_side_index_finds_exactly_the_rows_of_the_raised_parties(
    values: list[tuple[int, int]],
    sets: list[list[int]],
    rows: list[tuple[int, int]],
    raised: set[int],
) -> None:
    table = table_of(values)
    positions, numbers, file_sets = arrays(rows, sets)
    index = side_index.build(positions, numbers, file_sets, [None] * len(rows))
    asked = np.array(sorted(raised), dtype=np.uint32)
    found = {k: set(r.tolist()) for k, r in index.withheld(asked, table).items()}
    expected: dict[int, set[int]] = {}
    holding = set()
    for i, (position, number) in enumerate(rows):
        for party in set(sets[number % len(sets)]) & raised:
            holding.add(i)
            if not admits(table.standing(PartyNo(party)), Position(position)):
                expected.setdefault(int(table.kind(PartyNo(party))), set()).add(i)
    assert found == expected
    assert set(index.rows_of(asked).tolist()) == holding
    assert all(index.parties_of(i) == tuple(sets[s % len(sets)]) for i, (_, s) in enumerate(rows))


def test_results_come_in_the_order_of_the_files_and_errors_where_they_belong() -> None:
    files = [LakeFile(FileNo(n), ProductId("vibe"), "", 0, 0, Ordinal(0)) for n in range(50)]
    assert list(LocalEngine(2).map(lambda f: f.no * 2, files)) == [n * 2 for n in range(50)]
    assert list(LocalEngine(1).map(lambda f: f.no, files[:1])) == [0]
    results = LocalEngine(2).map(lambda f: 6 // (3 - f.no), files)
    assert [next(results) for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)
