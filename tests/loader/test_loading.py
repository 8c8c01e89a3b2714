"""Reading a dataset through `withhold.load`."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import withhold
from tests.loader.conftest import ROWS
from tests.simulator import Provider
from withhold.errors import InputError, UnknownDataset
from withhold.loader import Data


def ids(data: Data) -> list[str]:
    return [i for batch in data.batches() for i in batch.column("id").to_pylist()]


def reader_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("withhold-load")]


def test_batches_carry_ids_and_messages_in_the_order_of_capture(provider: Provider) -> None:
    with withhold.load("chat@1", home=provider.home) as data:
        batches = list(data.batches())
    assert [b.schema.names for b in batches] == [["id", "messages"]]
    table = pa.Table.from_batches(batches)
    assert table["id"].to_pylist() == [f"{'ba'[n % 2 == 0]}{n}" for n in range(ROWS)]
    assert table["messages"][0].as_py() == [
        {"role": "user", "content": "question a0"},
        {"role": "assistant", "content": "answer a0"},
    ]


def test_samples_are_the_rows_as_plain_values(provider: Provider) -> None:
    with withhold.load("chat@1", home=provider.home, columns=["id"]) as data:
        assert list(data)[:2] == [{"id": "a0"}, {"id": "b1"}]
        assert data.report().yielded == ROWS


def test_latest_reads_the_newest_version(provider: Provider) -> None:
    provider.build("chat")
    with withhold.load("chat@latest", home=provider.home) as data:
        assert data.name == "chat@2"


def test_an_opt_out_is_gone_from_every_reader_opened_afterwards(provider: Provider) -> None:
    provider.opt_out("ana")
    with withhold.load("chat@1", home=provider.home) as data:
        assert ids(data) == [f"b{n}" for n in range(1, ROWS, 2)]
        assert len(data) == data.rows == ROWS // 2


def test_an_opt_in_afterwards_brings_no_row_back(provider: Provider) -> None:
    provider.opt_out("ana")
    provider.opt_in("ana")
    with withhold.load("chat@1", home=provider.home) as data:
        assert not [i for i in ids(data) if i.startswith("a")]


def test_the_report_says_what_was_withheld_and_why(provider: Provider) -> None:
    provider.opt_out("ana")
    provider.delete("b1")
    with withhold.load("chat@1", home=provider.home) as data:
        list(data.batches())
        report = data.report().to_dict()
    assert report == {
        "dataset": "chat@1",
        "position": provider.head - 2,
        "head": provider.head,
        "rows": ROWS,
        "yielded": ROWS // 2 - 1,
        "withheld": {"account_off": ROWS // 2, "deleted": 1},
        "dropped_midway": 0,
        "renewals": 0,
    }


@pytest.mark.parametrize("batch_rows", [1, 2, 1024])
def test_nothing_of_a_withheld_row_is_in_the_buffers_of_a_batch(
    provider: Provider, batch_rows: int
) -> None:
    provider.opt_out("ana")
    with withhold.load("chat@1", home=provider.home, batch_rows=batch_rows) as data:
        held = b"".join(bytes(b) for batch in data.batches() for b in _buffers(batch))
    assert b"question b1" in held
    assert b"question a0" not in held


def _buffers(batch: pa.RecordBatch) -> Iterator[pa.Buffer]:
    for column in batch.columns:
        yield from (b for b in column.buffers() if b is not None)


@pytest.mark.parametrize("batch_rows", [1, 7, 1024])
def test_batches_hold_at_most_as_many_rows_as_asked_for(
    provider: Provider, batch_rows: int
) -> None:
    with withhold.load("chat@1", home=provider.home, batch_rows=batch_rows) as data:
        sizes = [b.num_rows for b in data.batches()]
    assert sum(sizes) == ROWS
    assert max(sizes) == min(batch_rows, ROWS)


def test_a_dataset_can_be_read_again_while_it_is_open(provider: Provider) -> None:
    with withhold.load("chat@1", home=provider.home) as data:
        assert ids(data) == ids(data)
        assert data.report().yielded == 2 * ROWS


@pytest.mark.parametrize(
    ("reference", "error", "said"),
    [
        ("chat@9", UnknownDataset, "chat@9"),
        ("other@1", UnknownDataset, "other@1"),
        ("other@latest", UnknownDataset, "other@latest"),
        ("chat", InputError, "name@version"),
        ("../chat@1", InputError, "name@version"),
    ],
)
def test_a_version_that_is_not_there_is_refused_by_name(
    provider: Provider, reference: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        withhold.load(reference, home=provider.home)
    assert not reader_threads()


@pytest.mark.parametrize("column", ["position", "party_set", "account", ""])
def test_columns_that_are_nobodys_training_data_are_refused(
    provider: Provider, column: str
) -> None:
    with pytest.raises(InputError, match="columns: expected some of id"):
        withhold.load("chat@1", home=provider.home, columns=[column])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"batch_rows": "x"}, "batch_rows: expected"),
        ({"batch_rows": 1.5}, "batch_rows: expected"),
        ({"lease_seconds": "x"}, "lease_seconds: expected a number"),
        ({"dataset": 5}, "expected name@version"),
        ({"columns": "ids"}, "columns: expected some of id"),
    ],
)
def test_arguments_of_another_type_are_refused_by_name(
    provider: Provider, wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        withhold.load(**{"dataset": "chat@1", "home": provider.home, **wrong})


def test_one_column_may_be_named_by_itself(provider: Provider) -> None:
    with withhold.load("chat@1", home=provider.home, columns="id") as data:
        assert {tuple(sample) for sample in data} == {("id",)}


@pytest.mark.parametrize("rows", [0, -1, 10**9])
def test_batch_sizes_out_of_range_are_refused(provider: Provider, rows: int) -> None:
    with pytest.raises(InputError, match="batch_rows"):
        withhold.load("chat@1", home=provider.home, batch_rows=rows)


@pytest.mark.parametrize("seconds", [0, -1, 61, float("nan"), float("inf")])
def test_leases_longer_than_a_minute_are_refused(provider: Provider, seconds: float) -> None:
    with pytest.raises(InputError, match="lease"):
        withhold.load("chat@1", home=provider.home, lease_seconds=seconds)


def test_loading_from_a_folder_without_an_installation_makes_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no installation"):
        withhold.load("chat@1", home=tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_the_home_of_the_environment_is_used_when_none_is_named(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WITHHOLD_HOME", str(provider.home))
    with withhold.load("chat@1") as data:
        assert len(data) == ROWS


def test_leaving_early_ends_every_thread(provider: Provider) -> None:
    with withhold.load("chat@1", home=provider.home, batch_rows=1) as data:
        for _ in data.batches():
            break
    assert not reader_threads()


def test_an_error_of_the_consumer_ends_every_thread(provider: Provider) -> None:
    with pytest.raises(ZeroDivisionError), withhold.load("chat@1", home=provider.home) as data:
        for _ in data:
            1 / 0  # noqa: B018 (the point)
    assert not reader_threads()


def test_a_closed_dataset_yields_nothing_more(provider: Provider) -> None:
    data = withhold.load("chat@1", home=provider.home, batch_rows=1)
    batches = data.batches()
    next(batches)
    data.close()
    data.close()
    with pytest.raises(RuntimeError, match="closed"):
        next(batches)
    with pytest.raises(RuntimeError, match="closed"):
        next(iter(data))


def test_a_reader_that_was_killed_disturbs_nobody(provider: Provider) -> None:
    program = (
        "import sys, withhold\n"
        "data = withhold.load('chat@1', home=sys.argv[1], batch_rows=1, lease_seconds=1)\n"
        "print(next(data.batches()).num_rows, flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(provider.home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        process.kill()
    provider.opt_out("ana")
    assert not [i for i in provider.load("chat@1") if i.startswith("a")]
    time.sleep(1.1)
    assert provider.ports.readers.open(provider.ports.clock.now_ms()) == []
