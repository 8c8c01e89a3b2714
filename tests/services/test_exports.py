"""Exporting a dataset version as files."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.simulator import Provider
from withhold.adapters.exports import export_to
from withhold.domain.datasets import DatasetRef
from withhold.domain.exports import ExportStatement, Shard
from withhold.errors import (
    InputError,
    LedgerBehind,
    StorageError,
    UnknownDataset,
    VerificationError,
)
from withhold.ports import ExportWriter, Piece
from withhold.services.exports import CHECKS, Progress, export

VERSION = DatasetRef("chat", 1)
ROWS = 20


def twenty_rows(home: Path) -> Provider:
    """Return a provider with twenty rows, Ana's even and Bob's odd, in four lake files of five."""
    it = Provider(home)
    it.sign_up("ana", vibe="free")
    it.sign_up("bob", vibe="free")
    for row in range(ROWS):
        it.chat("bob" if row % 2 else "ana", f"r{row}")
        if row % 5 == 4:
            it.seal()
    it.build("chat")
    return it


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    it = twenty_rows(tmp_path / "home")
    yield it
    it.close()


class Interrupted:
    """A writer that does something before its n-th act."""

    def __init__(self, real: ExportWriter, at: int, does: object) -> None:
        self._real, self._left, self._does = real, at, does

    def begin(self) -> None:
        self._real.begin()

    def write(self, number: int, pieces: Iterable[Piece]) -> Shard | None:
        shard = self._real.write(number, pieces)
        self._reach()
        return shard

    def publish(self, statement: ExportStatement) -> None:
        self._reach()
        self._real.publish(statement)

    def discard(self) -> None:
        self._real.discard()

    def _reach(self) -> None:
        self._left -= 1
        if self._left == 0 and callable(self._does):
            self._does()


def parquet(provider: Provider, target: Path, shard_rows: int = 65_536) -> ExportStatement:
    return export(provider.ports, VERSION, export_to(target, "parquet"), shard_rows=shard_rows)


def texts(target: Path) -> list[str]:
    """Return the first message of every row of an export, in order."""
    shards = sorted(target.glob("part-*.parquet"))
    return [m[0]["content"] for s in shards for m in pq.read_table(s)["messages"].to_pylist()]


def questions(*rows: int) -> list[str]:
    return [f"question r{row}" for row in rows]


def test_parquet_shards_hold_messages_and_nothing_else(provider: Provider, tmp_path: Path) -> None:
    done = parquet(provider, tmp_path / "out")
    assert texts(tmp_path / "out") == questions(*range(ROWS))
    table = pq.read_table(tmp_path / "out" / "part-00000.parquet")
    assert table.schema.names == ["messages"]
    assert table.schema.field("messages").type == pa.list_(
        pa.struct([("role", pa.string()), ("content", pa.string())])
    )
    assert (done.rows, done.position, done.withheld) == (ROWS, provider.head - 1, {})


def test_jsonl_lines_are_in_messages_shape(provider: Provider, tmp_path: Path) -> None:
    export(provider.ports, VERSION, export_to(tmp_path / "out", "jsonl"), shard_rows=10)
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    documents = ["README.md", "croissant.json", "manifest.json"]
    assert names == [*documents, "part-00000.jsonl", "part-00001.jsonl"]
    lines = (tmp_path / "out" / "part-00001.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 10
    assert json.loads(lines[0]) == {
        "messages": [
            {"role": "user", "content": "question r10"},
            {"role": "assistant", "content": "answer r10"},
        ]
    }


def test_withheld_rows_are_in_no_file_of_an_export(provider: Provider, tmp_path: Path) -> None:
    provider.opt_out("ana")
    done = parquet(provider, tmp_path / "out")
    assert texts(tmp_path / "out") == questions(*range(1, ROWS, 2))
    assert {r.value: n for r, n in done.withheld.items()} == {"account_off": 10}


def test_no_id_is_in_the_export_itself(provider: Provider, tmp_path: Path) -> None:
    export(provider.ports, VERSION, export_to(tmp_path / "out", "jsonl"))
    written = b"".join(p.read_bytes() for p in (tmp_path / "out").iterdir())
    assert b'"id"' not in written
    assert b"ana" not in written


def test_the_lineage_beside_it_names_every_row(provider: Provider, tmp_path: Path) -> None:
    provider.opt_out("bob")
    parquet(provider, tmp_path / "out", shard_rows=10)
    parts = sorted((tmp_path / "out.lineage").iterdir())
    assert [p.name for p in parts] == ["part-00000.parquet", "part-00001.parquet"]
    lineage = pa.concat_tables(pq.read_table(p) for p in parts).to_pylist()
    assert lineage[6] == {
        "shard": "part-00001.parquet",
        "row": 1,
        "id": "r12",
        "file_sha256": provider.ports.files.files()[2].sha256,
        "file_row": 2,
    }
    assert [line["id"] for line in lineage] == [f"r{n}" for n in range(0, ROWS, 2)]


def test_the_manifest_states_position_counts_and_the_hash_of_every_shard(
    provider: Provider, tmp_path: Path
) -> None:
    provider.opt_out("ana")
    parquet(provider, tmp_path / "out", shard_rows=10)
    said = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    version = provider.ports.datasets.get(VERSION)
    assert version is not None
    assert (said["dataset"], said["rows"], said["entry"]) == ("chat@1", 10, provider.head)
    assert said["position"] == provider.head - 1, "the last entry before the export's own"
    assert said["committed_at_position"] == version.position
    assert said["manifest_sha256"] == version.manifest.sha256()
    assert said["withheld"] == {"account_off": 10}
    assert said["policy"]["digest"] == version.manifest.policy_digest
    for shard in said["shards"]:
        content = (tmp_path / "out" / shard["name"]).read_bytes()
        assert (len(content), sha256(content).hexdigest()) == (shard["size_bytes"], shard["sha256"])


def test_an_export_is_recorded_so_that_people_can_be_told(
    provider: Provider, tmp_path: Path
) -> None:
    before = provider.head
    parquet(provider, tmp_path / "out")
    (export,) = provider.ports.datasets.exports()
    assert (export.dataset, export.position, export.contents.rows) == ("chat@1", before + 1, ROWS)
    assert export.contents.cutoff == before


def test_an_export_is_an_entry_that_names_its_shards(provider: Provider, tmp_path: Path) -> None:
    done = parquet(provider, tmp_path / "out", shard_rows=10)
    said = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    entry = provider.ports.ledger.record(done.entry)
    assert entry is not None
    event = json.loads(entry.event)
    text = json.dumps(said["shards"], sort_keys=True, separators=(",", ":")).encode()
    assert event["shards"] == sha256(text).hexdigest()
    assert (event["dataset"], event["commit"]) == ("chat@1", said["committed_at_position"])
    assert (event["kind"], event["cutoff"], event["rows"]) == (
        "dataset_exported",
        said["position"],
        20,
    )
    size = int(said["checkpoint"].splitlines()[1])
    assert size >= done.entry, "whoever has the copy can see its entry in the tree it comes with"


def test_a_copy_whose_entry_the_disk_refuses_is_not_handed_out(
    provider: Provider, tmp_path: Path
) -> None:
    class Refusing(type(provider.ports.datasets)):  # type: ignore[misc]
        def export(self, *_: object) -> None:
            raise StorageError("the disk is full")

    provider.ports.datasets.__class__ = Refusing
    with pytest.raises(StorageError, match="full"):
        parquet(provider, tmp_path / "out")
    assert list(tmp_path.glob("out*")) == []


def test_a_shard_without_rows_is_left_out(provider: Provider, tmp_path: Path) -> None:
    for row in range(5):
        provider.delete(f"r{row}")
    done = parquet(provider, tmp_path / "out", shard_rows=5)
    assert [s.name for s in done.shards] == [f"part-0000{n}.parquet" for n in (1, 2, 3)]
    assert texts(tmp_path / "out") == questions(*range(5, ROWS))


def test_an_opt_out_while_shards_are_written_takes_the_rows_out(
    provider: Provider, tmp_path: Path
) -> None:
    real = export_to(tmp_path / "out", "parquet")
    writer = Interrupted(real, 2, lambda: provider.opt_out("ana"))
    done = export(provider.ports, VERSION, writer, shard_rows=5)
    assert texts(tmp_path / "out") == questions(*range(1, ROWS, 2))
    assert (done.rows, done.position) == (10, provider.head - 1)
    assert sum(s.rows for s in done.shards) == 10


def test_withdrawals_that_never_end_do_not_keep_an_export_from_ending(
    provider: Provider, tmp_path: Path
) -> None:
    class Endless(Interrupted):
        def _reach(self) -> None:
            provider.delete(f"r{len(heads)}")
            heads.append(provider.head)

    heads: list[int] = []
    done = export(provider.ports, VERSION, Endless(export_to(tmp_path / "out", "parquet"), 0, None))
    # One writing, as many as there are checks after it, and the moment before publishing.
    assert len(heads) == 1 + CHECKS + 1
    assert done.position == heads[CHECKS - 1]
    assert texts(tmp_path / "out") == questions(*range(CHECKS, ROWS))
    assert provider.ports.datasets.exports()[0].contents.cutoff == done.position


def test_a_lost_vector_withholds_the_whole_file_from_an_export(
    provider: Provider, tmp_path: Path
) -> None:
    provider.ports.files._control.run(  # type: ignore[attr-defined]
        lambda connection: connection.execute("UPDATE vectors SET digest = zeroblob(16)").fetchall()
    )
    done = parquet(provider, tmp_path / "out")
    assert (done.rows, done.shards) == (0, ())
    assert {r.value: n for r, n in done.withheld.items()} == {"unreadable": ROWS}


def test_a_target_that_holds_something_is_refused_and_left_alone(
    provider: Provider, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="empty folder"):
        parquet(provider, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["notes.txt"]
    assert provider.ports.datasets.exports() == []


def test_an_empty_folder_and_missing_parents_are_fine(provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    parquet(provider, tmp_path / "empty")
    parquet(provider, tmp_path / "a" / "b" / "out")
    assert texts(tmp_path / "empty") == texts(tmp_path / "a" / "b" / "out")


@pytest.mark.parametrize("error", [StorageError("full"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", [1, 3, 5])
def test_an_interrupted_export_leaves_nothing_under_the_final_name(
    provider: Provider, tmp_path: Path, error: BaseException, at: int
) -> None:
    def fail() -> None:
        raise error

    folder = tmp_path / "exports"
    writer = Interrupted(export_to(folder / "out", "parquet"), at, fail)
    with pytest.raises(type(error)):
        export(provider.ports, VERSION, writer, shard_rows=5)
    assert list(folder.iterdir()) == []


def test_progress_is_told_after_each_shard(provider: Provider, tmp_path: Path) -> None:
    told: list[Progress] = []
    export(
        provider.ports,
        VERSION,
        export_to(tmp_path / "out", "jsonl"),
        shard_rows=10,
        progress=told.append,
    )
    assert told == [Progress(1, 2, 10), Progress(2, 2, 20)]


def test_what_is_not_there_or_makes_no_sense_is_refused(provider: Provider, tmp_path: Path) -> None:
    with pytest.raises(UnknownDataset):
        export(provider.ports, DatasetRef("chat", 7), export_to(tmp_path / "out", "parquet"))
    with pytest.raises(InputError, match="shard_rows"):
        parquet(provider, tmp_path / "out", shard_rows=0)
    with pytest.raises(InputError, match="parquet or jsonl"):
        export_to(tmp_path / "out", "csv")
    assert not (tmp_path / "out").exists()


def test_a_damaged_lake_file_is_not_exported(provider: Provider, tmp_path: Path) -> None:
    path = next((provider.home / "lake").glob("*/*.parquet"))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(VerificationError):
        parquet(provider, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_a_killed_export_left_is_removed_by_the_next(
    provider: Provider, tmp_path: Path
) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = tmp_path / f".out.writing-{gone.pid}-abc"
    running = tmp_path / f".out.writing-{os.getpid()}-abc"
    for folder in (left, running):
        folder.mkdir()
        (folder / "part-00000.parquet").write_bytes(b"somebody's text")
    parquet(provider, tmp_path / "out")
    assert not left.exists()
    assert running.exists()


def test_a_lineage_without_its_export_is_dropped_and_anything_else_is_kept(
    provider: Provider, tmp_path: Path
) -> None:
    lineage = tmp_path / "out.lineage"
    lineage.mkdir()
    (lineage / "part-00000.parquet").write_bytes(b"killed between the two renames")
    parquet(provider, tmp_path / "out")
    other = tmp_path / "mine.lineage"
    other.mkdir()
    (other / "notes.txt").write_text("not an export's")
    with pytest.raises(InputError):
        parquet(provider, tmp_path / "mine")
    assert (other / "notes.txt").exists()


class Untouched(Interrupted):
    """A writer that nobody may begin with."""

    def begin(self) -> None:
        pytest.fail("it was begun")


def test_nothing_is_begun_while_the_gate_is_shut(provider: Provider, tmp_path: Path) -> None:
    provider.ports.watch.gate.shut("entries 3 to 9 are missing")
    writer = Untouched(export_to(tmp_path / "out", "parquet"), 0, None)
    with pytest.raises(LedgerBehind, match="entries 3 to 9"):
        export(provider.ports, VERSION, writer)
