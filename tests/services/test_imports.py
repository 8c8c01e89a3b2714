"""Imports: any file, resumable, bounded, and every refusal says where."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.services.test_capture import admitted, stored
from tests.simulator import VIBE, Provider
from withhold.adapters.imports.checkpoints import FileCheckpoints
from withhold.adapters.imports.files import Sizes, open_source
from withhold.domain.names import Ordinal
from withhold.errors import InputError
from withhold.formats.mapping import ColumnMapping, parse_mapping
from withhold.services.imports import ImportAnswer, Place, import_rows

MAPPING = parse_mapping("account=user_id,messages=messages", "product=vibe")


def take(
    provider: Provider,
    path: Path,
    mapping: ColumnMapping | None = None,
    progress: Callable[[int, int], None] = lambda _done, _size: None,
    sizes: Sizes | None = None,
) -> ImportAnswer:
    checkpoints = FileCheckpoints(provider.home / "imports")
    return import_rows(provider.ports, open_source(path, mapping, sizes), checkpoints, progress)


def line(row: str, account: str = "ana", **more: object) -> str:
    fields = {"id": row, "product": "vibe", "kind": "conversation", "account": account, **more}
    return json.dumps({"messages": [{"role": "user", "content": f"text {row}"}], **fields})


def chats(accounts: list[str]) -> pa.Table:
    said = [
        [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "a"}]
        for n in range(len(accounts))
    ]
    return pa.table({"user_id": accounts, "messages": said, "other": list(range(len(accounts)))})


def test_json_lines_are_imported_as_history(provider: Provider, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([line("r1"), line("r2", "bo"), "{", line("r3", "nobody")]) + "\n")
    provider.opt_out("bo")
    provider.opt_in("bo")
    answer = take(provider, path)
    assert (answer.accepted, answer.withheld, answer.duplicate, answer.rejected) == (1, 1, 0, 2)
    assert [r.line for r in answer.examples] == [3, 4]
    (batch,) = provider.ports.intake.unsealed(VIBE, Ordinal(0))
    assert batch.positions == [0]


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_hugging_face_rows_are_imported_by_a_mapping(
    provider: Provider, tmp_path: Path, form: str
) -> None:
    path = tmp_path / f"rows.{form}"
    table = chats(["ana", "bo", "nobody", "ana"])
    if form == "parquet":
        pq.write_table(table, path, row_group_size=3)
    else:
        path.write_text("\n".join(json.dumps(r) for r in table.to_pylist()))
    provider.opt_out("bo")
    answer = take(provider, path, MAPPING)
    assert (answer.accepted, answer.withheld, answer.rejected) == (2, 1, 1)
    assert [r.line for r in answer.examples] == [3]
    again = take(provider, path, MAPPING)
    assert (again.accepted, again.withheld, again.duplicate) == (0, 1, 2)
    assert len(admitted(provider)) == 2


class _Cut(Exception):
    pass


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_an_interrupted_import_goes_on_where_it_was(
    provider: Provider, tmp_path: Path, form: str
) -> None:
    path = tmp_path / f"rows.{form}"
    if form == "parquet":
        pq.write_table(chats(["ana"] * 25), path, row_group_size=10)
        mapping: ColumnMapping | None = MAPPING
    else:
        path.write_text("\n".join(line(f"r{n}") for n in range(25)))
        mapping = None
    told: list[int] = []

    def cut(done: int, _size: int) -> None:
        told.append(done)
        if len(told) == 2:
            raise _Cut

    with pytest.raises(_Cut):
        take(provider, path, mapping, cut, Sizes(rows=10))
    assert len(stored(provider.ports)) == 20
    answer = take(provider, path, mapping)
    assert (answer.accepted, answer.duplicate, answer.resumed_at) == (5, 0, 21)
    replay = take(provider, path, mapping)
    assert (replay.accepted, replay.duplicate, replay.resumed_at) == (0, 25, 1)
    assert len(stored(provider.ports)) == 25


def test_a_deleted_conversation_stays_deleted_when_an_import_is_replayed(
    provider: Provider, tmp_path: Path
) -> None:  # S16
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "\n".join([line("r1", conversation="c"), line("r2"), line("r3", conversation="d")])
    )
    take(provider, path)
    provider.delete_conversation("c")
    provider.delete("r3")
    assert take(provider, path).accepted == 0
    path.write_text("\n".join([line("r4", conversation="c"), line("r5")]))
    answer = take(provider, path)
    assert (answer.accepted, answer.withheld) == (1, 1)
    assert admitted(provider) == {"r2", "r5"}


def test_a_line_over_the_cap_is_rejected_and_the_next_is_read(
    provider: Provider, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([line("r1"), "x" * 5000, line("r2")]))
    answer = take(provider, path, sizes=Sizes(row=300, batch=64))
    assert (answer.accepted, answer.rejected) == (2, 1)
    assert [r.line for r in answer.examples] == [2]


def refused(provider: Provider, path: Path, mapping: ColumnMapping | None = MAPPING) -> str:
    with pytest.raises(InputError) as caught:
        take(provider, path, mapping)
    assert path.name in str(caught.value)
    return str(caught.value)


def test_files_that_cannot_be_read_are_refused_with_a_reason(
    provider: Provider, tmp_path: Path
) -> None:
    whole = tmp_path / "whole.parquet"
    pq.write_table(chats(["ana"] * 200), whole)
    data = whole.read_bytes()

    def bad(name: str, body: bytes) -> Path:
        (tmp_path / name).write_bytes(body)
        return tmp_path / name

    assert "truncated" in refused(provider, bad("cut.parquet", data[: len(data) // 2]))
    assert "not a Parquet file" in refused(provider, bad("text.parquet", b"hello"))
    assert "damaged" in refused(provider, bad("noise.parquet", b"PAR1" + b"\xff" * 99 + b"PAR1"))
    assert "JSON array" in refused(provider, bad("array.jsonl", b"[{}]"), None)
    assert "column mapping" in refused(provider, whole, None)
    assert "cannot be read" in refused(provider, tmp_path / "absent.jsonl")
    other = parse_mapping("account=who", "product=vibe")
    assert "no column who; it has user_id, messages, other" in refused(provider, whole, other)
    assert stored(provider.ports) == []


def test_damage_in_the_middle_never_lets_a_wrong_row_in(provider: Provider, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(chats(["ana"] * 50), path, write_page_checksum=True, compression="zstd")
    data = path.read_bytes()
    path.write_bytes(data[:200] + bytes(b ^ 0xFF for b in data[200:240]) + data[240:])
    assert "damaged" in refused(provider, path)
    assert stored(provider.ports) == []


def test_a_checkpoint_that_is_damaged_means_from_the_start(tmp_path: Path) -> None:
    checkpoints = FileCheckpoints(tmp_path / "imports")
    assert checkpoints.get("f") is None
    checkpoints.put("f", Place(7, 3))
    assert checkpoints.get("f") == Place(7, 3)
    (tmp_path / "imports" / "f.json").write_bytes(b"{")
    assert checkpoints.get("f") is None
    checkpoints.clear("f")
    checkpoints.clear("f")
