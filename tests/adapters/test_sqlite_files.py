"""Consent vectors on disk: whatever is damaged withholds the whole file."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from tests.contracts.test_files import A, B, bits_of, lake_file, vector
from withhold.adapters.store.sqlite import bits as codec
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.files import FOLD_AFTER, SqliteFiles
from withhold.domain.admission import Reason
from withhold.domain.names import FileNo, Position
from withhold.errors import VerificationError

NO = FileNo(1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.db"


def grown(path: Path, times: int = 3) -> None:
    control = Control(path)
    files = SqliteFiles(control)
    files.register(lake_file(0, 200), vector(1, account=[199]))
    for position in range(times):
        added = {NO: {A: BitMap([position]), B: BitMap([position + 1])}}
        files.apply(Position(position), Position(position + 1), added, last=NO)
    control.close()


def tampered(path: Path, statement: str) -> bool:
    """Change the database behind the program's back; return whether the vector is still believed."""
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    connection.close()
    control = Control(path)
    found = SqliteFiles(control).vectors([NO])[NO]
    control.close()
    return found is not None


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM growth WHERE no = 2",
        "DELETE FROM growth WHERE no = 4",
        "DELETE FROM growth",
        "UPDATE growth SET position = position + 1 WHERE no = 3",
        "UPDATE growth SET added = X'00' WHERE no = 3",
        "UPDATE growth SET added = substr(added, 1, 9) WHERE no = 2",
        "UPDATE growth SET added = (SELECT added FROM growth WHERE no = 2) WHERE no = 3",
        "UPDATE growth SET no = 10 - no",
        "UPDATE vectors SET applied = 90",
        "UPDATE vectors SET growths = growths - 1",
        "UPDATE vectors SET digest = zeroblob(16)",
        "DELETE FROM vectors",
        "INSERT INTO bases VALUES (1, 0, X'00')",
    ],
)
def test_a_changed_vector_is_not_believed(path: Path, statement: str) -> None:
    grown(path)
    assert not tampered(path, statement)


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM bases", "UPDATE bases SET upto = upto - 1", "UPDATE bases SET bits = X'00'"],
)
def test_a_changed_base_is_not_believed(path: Path, statement: str) -> None:
    grown(path, FOLD_AFTER + 10)
    assert not tampered(path, statement)


def test_folding_changes_nothing_that_can_be_seen(path: Path) -> None:
    times = FOLD_AFTER + 10
    grown(path, times)
    control = Control(path)
    files = SqliteFiles(control)
    assert bits_of(files, NO) == {
        "account_off": {*range(times), 199},
        "organization_off": set(range(1, times + 1)),
    }
    assert [g.position for g in files.growth(NO)] == [1, *range(1, times + 1)]
    control.close()


row_sets = st.dictionaries(
    st.sampled_from(list(Reason)), st.sets(st.integers(0, 70_000)).map(BitMap)
)


@given(row_sets)
def test_bits_come_back_as_they_were(bits: dict[Reason, BitMap]) -> None:
    assert codec.unpack(codec.pack(bits)) == {r: rows for r, rows in bits.items() if rows}


@given(row_sets, st.integers(0, 200), st.binary(max_size=3))
def test_no_other_length_of_bits_is_read(bits: dict[Reason, BitMap], cut: int, more: bytes) -> None:
    whole = codec.pack(bits)
    for other in (whole[:cut], whole + more):
        if other != whole:
            with pytest.raises(VerificationError):
                codec.unpack(other)
