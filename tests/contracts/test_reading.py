"""What every `OpenFile` and `Chunk` does, on disk and in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.lake import MemoryLake
from tests.lake_world import Row, batch
from withhold.adapters.lake.parquet import ParquetLake
from withhold.errors import VerificationError
from withhold.ports import Chunk, Lake, LakeFile

ROWS: list[Row] = [(1, [0])] * 10


@pytest.fixture(params=["parquet", "memory"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    make: dict[str, Callable[[], Lake]] = {
        "parquet": lambda: ParquetLake(tmp_path / "lake"),
        "memory": MemoryLake,
    }
    return make[request.param]()


@pytest.fixture
def file(lake: Lake) -> LakeFile:
    return lake.write([batch(0, ROWS)])


def pairs(chunks: Iterable[Chunk]) -> list[tuple[int, str]]:
    return [
        (row, name)
        for c in chunks
        for row, name in zip(c.rows.tolist(), c.batch["id"].to_pylist(), strict=True)
    ]


def test_all_rows_come_in_order_with_their_numbers(lake: Lake, file: LakeFile) -> None:
    opened = lake.open(file)
    assert sum(opened.groups) == 10
    chunks = list(opened.chunks(0, ["id"], 4, None))
    assert [c.batch.num_rows for c in chunks] == [4, 4, 2]
    assert pairs(chunks) == [(n, f"r{n}") for n in range(10)]


def test_withheld_rows_are_left_out_and_the_others_keep_their_numbers(
    lake: Lake, file: LakeFile
) -> None:
    withheld = lake.row_set([0, 3, 4, 5, 9])
    chunks = lake.open(file).chunks(0, ["id"], 4, withheld)
    assert pairs(chunks) == [(n, f"r{n}") for n in (1, 2, 6, 7, 8)]


def test_everything_may_be_withheld(lake: Lake, file: LakeFile) -> None:
    chunks = lake.open(file).chunks(0, ["id"], 4, lake.row_set(range(10)))
    assert sum(len(c.rows) for c in chunks) == 0


def test_more_rows_can_be_taken_out_of_a_chunk(lake: Lake, file: LakeFile) -> None:
    (chunk,) = lake.open(file).chunks(0, ["id"], 10, lake.row_set([1]))
    less = chunk.without(lake.row_set([0, 1, 5, 77]))
    assert pairs([less]) == [(n, f"r{n}") for n in (2, 3, 4, 6, 7, 8, 9)]
    assert pairs([chunk.without(lake.row_set([]))]) == pairs([chunk])


def test_only_the_columns_asked_for_are_read(lake: Lake, file: LakeFile) -> None:
    (chunk,) = lake.open(file).chunks(0, ["id", "messages"], 10, None)
    assert chunk.batch.schema.names == ["id", "messages"]
    assert chunk.batch["messages"][3].as_py() == [
        {"role": "user", "content": "question 3"},
        {"role": "assistant", "content": "answer 3"},
    ]


def test_a_file_that_is_not_there_cannot_be_opened(lake: Lake, file: LakeFile) -> None:
    with pytest.raises(VerificationError):
        lake.open(replace(file, sha256="0" * 64))
