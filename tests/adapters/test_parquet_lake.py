"""The lake on disk: what is not right is never read as rows, and an index is only a shortcut (S31)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.contracts.test_lake import ROWS, table
from tests.lake_world import as_sets, batch
from withhold.adapters.lake import side_index
from withhold.adapters.lake.columns import PARTY_SETS_KEY, PartySets
from withhold.adapters.lake.parquet import ParquetLake
from withhold.errors import VerificationError
from withhold.ports import LakeFile

RAISED = np.array([0], dtype=np.uint32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def file(folder: Path) -> LakeFile:
    return ParquetLake(folder).write([batch(0, ROWS)])


def index_of(folder: Path, file: LakeFile) -> Path:
    return ParquetLake(folder).path(file).with_suffix(".index")


def touched(folder: Path, file: LakeFile) -> dict[str, set[int]]:
    """Look rows up with nothing remembered from before."""
    return as_sets(ParquetLake(folder).touched(file, RAISED, table(0, 1, 1, 1)))


def test_every_byte_of_the_index_is_guarded(folder: Path, file: LakeFile) -> None:
    path, right = index_of(folder, file), touched(folder, file)
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
        with pytest.raises(VerificationError):
            side_index.load(path, file.sha256)
    assert touched(folder, file) == right == {"account_off": {0, 4}}
    assert path.read_bytes() == whole, "it is rebuilt to the very same bytes"


@pytest.mark.parametrize("left", [0, 50, 400])
def test_a_truncated_or_missing_index_is_rebuilt(folder: Path, file: LakeFile, left: int) -> None:
    path, right = index_of(folder, file), touched(folder, file)
    path.write_bytes(path.read_bytes()[:left])
    assert touched(folder, file) == right
    path.unlink()
    assert touched(folder, file) == right


def test_the_index_of_another_file_is_not_used(folder: Path, file: LakeFile) -> None:
    other = ParquetLake(folder).write([batch(0, [(1, [7])])])
    index_of(folder, file).write_bytes(index_of(folder, other).read_bytes())
    assert touched(folder, file) == {"account_off": {0, 4}}


def test_an_index_is_not_rebuilt_from_a_file_with_another_hash(
    folder: Path, file: LakeFile
) -> None:
    path = ParquetLake(folder).path(file)
    path.write_bytes(path.read_bytes()[:-1] + b"2")
    index_of(folder, file).unlink()
    with pytest.raises(VerificationError):
        touched(folder, file)


@pytest.mark.parametrize("cut", [1, 100, 2000])
def test_a_truncated_file_is_refused_by_every_reading(
    folder: Path, file: LakeFile, cut: int
) -> None:
    lake = ParquetLake(folder)
    path = lake.path(file)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(VerificationError, match="bytes"):
        lake.verify(file)
    with pytest.raises(VerificationError):
        lake.decide(file, table(1, 1, 1, 1))
    with pytest.raises(VerificationError):
        list(lake.batches(file, ["id"], 10))


def test_a_missing_file_is_refused(folder: Path, file: LakeFile) -> None:
    lake = ParquetLake(folder)
    lake.path(file).unlink()
    for reading in (lake.verify, lambda f: lake.decide(f, table(1))):
        with pytest.raises(VerificationError, match="missing"):
            reading(file)


def test_no_flipped_bit_of_a_page_changes_a_decision(folder: Path, file: LakeFile) -> None:
    """Page checksums guard what the decision reads; the hash guards everything, the footer too."""
    lake = ParquetLake(folder)
    standings = table(1, 0, 3, 4)
    path, right = lake.path(file), as_sets(lake.decide(file, standings))
    whole = path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    refused = 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 4,)) + whole[at + 1 :])
        try:
            decided = as_sets(ParquetLake(folder).decide(file, standings))
        except VerificationError:
            refused += 1
        else:
            assert decided == right or at >= footer
        if at % 50 == 0:
            with pytest.raises(VerificationError):
                lake.verify(file)
    assert refused


def test_the_file_alone_carries_its_party_sets(folder: Path, file: LakeFile) -> None:
    parquet = pq.ParquetFile(ParquetLake(folder).path(file))
    sets = PartySets.load(parquet.metadata.metadata[PARTY_SETS_KEY])
    numbers = parquet.read(columns=["party_set"])["party_set"].to_pylist()
    found = [sorted(sets.parties[sets.offsets[n] : sets.offsets[n + 1]].tolist()) for n in numbers]
    assert found == [sorted(parties) for _, parties in ROWS]
    parquet.close()


def test_large_files_hold_row_groups_that_do_not_depend_on_batches(folder: Path) -> None:
    rows = [(i % 7, [i % 11, 20 + i % 3]) for i in range(40_000)]
    lake = ParquetLake(folder)
    whole = lake.write([batch(0, rows)])
    parts = lake.write(batch(at, rows[at : at + 900]) for at in range(0, len(rows), 900))
    assert whole.sha256 == parts.sha256
    assert [b.num_rows for b in lake.batches(whole, ["id"], 15_000)] == [15_000, 15_000, 10_000]
    assert not list(folder.glob(".writing-*"))
