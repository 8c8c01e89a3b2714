"""What every `Intake` promises, held against the fake and the real store alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from tests.fakes.intake import Fault, MemoryIntake
from withhold.adapters.store.sqlite.intake import SqliteIntake
from withhold.domain.interactions import IdState, Provenance
from withhold.domain.names import Ordinal, Position, ProductId, SubjectNo
from withhold.domain.parties import Author
from withhold.errors import StateUnknown, StorageError
from withhold.ports import KnownConversation, KnownId, RowBatch, TraceKind, Use

VIBE, STUDIO = ProductId("vibe"), ProductId("studio")
ANA = Author(SubjectNo(1), None, VIBE)
BO = Author(SubjectNo(2), SubjectNo(9), STUDIO)
OWN = Provenance(frozenset({ANA, BO}), Position(7))
KEY = b"k" * 32


@pytest.fixture(params=["memory", "sqlite"])
def intake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MemoryIntake | SqliteIntake]:
    store = (
        MemoryIntake() if request.param == "memory" else SqliteIntake(tmp_path / "capture.db", KEY)
    )
    yield store
    store.close()


def rows(first: int, *ids: str, product: ProductId = VIBE) -> RowBatch:
    count = len(ids)
    return RowBatch(
        product,
        Ordinal(first),
        list(ids),
        [0] * count,
        ["c1"] * count,
        [None] * count,
        [None] * count,
        [["user"]] * count,
        [[f"text of {i}"] for i in ids],
        list(range(count)),
        [(1, 2), (3,)],
        [n % 2 for n in range(count)],
    )


def test_rows_come_back_in_order_as_they_were_stored(intake: MemoryIntake | SqliteIntake) -> None:
    first, second = rows(0, "a", "b", "c"), rows(3, "d")
    for batch in (first, second):
        with intake.transaction() as kept:
            assert kept.next_ordinal(VIBE) == batch.first
            kept.store(batch)
    assert list(intake.unsealed(VIBE, Ordinal(0))) == [first, second]
    assert intake.end(VIBE) == 4
    assert intake.end(STUDIO) == 0
    assert list(intake.unsealed(STUDIO, Ordinal(0))) == []


@pytest.mark.parametrize("start", range(5))
def test_unsealed_rows_start_at_any_ordinal(
    intake: MemoryIntake | SqliteIntake, start: int
) -> None:
    for batch in (rows(0, "a", "b", "c"), rows(3, "d")):
        with intake.transaction() as kept:
            kept.store(batch)
    found = list(intake.unsealed(VIBE, Ordinal(start)))
    assert [i for b in found for i in b.ids] == ["a", "b", "c", "d"][start:]
    assert [b.first for b in found][:1] == [start][: len(found)]
    assert all(len(b.ids) == len(b.positions) == len(b.set_nos) == len(b.contents) for b in found)


def test_trimming_drops_sealed_rows_and_reuses_no_ordinal(
    intake: MemoryIntake | SqliteIntake,
) -> None:
    for batch in (rows(0, "a", "b"), rows(2, "c"), rows(0, "s", product=STUDIO)):
        with intake.transaction() as kept:
            kept.store(batch)
    for _ in range(2):
        intake.trim(VIBE, Ordinal(2))
        assert [b.ids for b in intake.unsealed(VIBE, Ordinal(2))] == [["c"]]
    intake.trim(VIBE, Ordinal(3))
    assert list(intake.unsealed(VIBE, Ordinal(3))) == []
    assert intake.end(VIBE) == 3
    assert [b.ids for b in intake.unsealed(STUDIO, Ordinal(0))] == [["s"]]


def test_what_is_known_of_ids_is_per_product_and_is_replaced(
    intake: MemoryIntake | SqliteIntake,
) -> None:
    stored = KnownId(IdState.STORED, Ordinal(4), OWN, Position(8))
    refused = KnownId(
        IdState.REFUSED, None, Provenance(frozenset({ANA}), Position(-1)), Position(0)
    )
    with intake.transaction() as kept:
        kept.put_ids(VIBE, {"a": stored, "b": refused})
    with intake.transaction() as kept:
        many = [f"id-{n}" for n in range(1200)]
        assert kept.ids(VIBE, ["a", "b", "c", *many]) == {"a": stored, "b": refused}
        assert kept.ids(STUDIO, ["a", "b"]) == {}
        deleted = KnownId(IdState.DELETED, Ordinal(4), OWN, Position(8))
        kept.put_ids(VIBE, {"a": deleted})
    assert intake.find(VIBE, "a") == deleted
    assert intake.find(VIBE, "nobody") is None


def test_documents_and_conversations_are_known_by_name(intake: MemoryIntake | SqliteIntake) -> None:
    with intake.transaction() as kept:
        marks = kept.marks(["hello", "world"]) | {2**64 - 1, 0}
        row = kept.trace(TraceKind.ROW, VIBE, "a-row").key
        alone = dict.fromkeys(kept.marks(["hello"]), row)
        known = KnownConversation(OWN, marks, Position(9), is_deleted=False, alone=alone)
        kept.put_documents({"ab": OWN})
        kept.put_conversations(VIBE, {"c": known})
    with intake.transaction() as kept:
        assert kept.documents(["ab", "cd"]) == {"ab": OWN}
        assert kept.conversations(VIBE, ["c", "d"]) == {"c": known}
        assert kept.conversations(STUDIO, ["c"]) == {}
        assert kept.marks(["hello"]) <= known.marks
        assert not kept.marks(["Hello"]) & known.marks


def test_what_uses_a_source_is_found_by_traces(intake: MemoryIntake | SqliteIntake) -> None:
    with intake.transaction() as kept:
        document = kept.trace(TraceKind.DOCUMENT, VIBE, "ab")
        assert document == kept.trace(TraceKind.DOCUMENT, STUDIO, "ab")
        row, other = (kept.trace(TraceKind.ROW, p, "a") for p in (VIBE, STUDIO))
        chat = kept.trace(TraceKind.CONVERSATION, VIBE, "a")
        assert len({document, row, other, chat}) == 4
        kept.put_uses([Use(document, row, Position(3)), Use(document, other, Position(5))])
        kept.put_uses([Use(row, chat, Position(0)), Use(document, row, Position(1))])
    with intake.transaction() as kept:
        assert set(kept.users(document, Position(-1))) == {row, other}
        assert set(kept.users(document, Position(2))) == {row, other}
        assert set(kept.users(document, Position(3))) == {other}
        assert list(kept.users(row, Position(-1))) == [chat]
        assert list(kept.users(chat, Position(-1))) == []


def test_provenance_is_replaced_by_trace(intake: MemoryIntake | SqliteIntake) -> None:
    lower = Provenance(frozenset({ANA}), Position(2))
    stored = KnownId(IdState.STORED, Ordinal(4), OWN, Position(8))
    chat = KnownConversation(OWN, frozenset({7}), Position(9), is_deleted=False)
    with intake.transaction() as kept:
        kept.put_ids(VIBE, {"a": stored})
        kept.put_documents({"ab": OWN})
        kept.put_conversations(VIBE, {"c": chat})
    with intake.transaction() as kept:
        names = {TraceKind.ROW: "a", TraceKind.DOCUMENT: "ab", TraceKind.CONVERSATION: "c"}
        for kind, name in names.items():
            trace = kept.trace(kind, VIBE, name)
            assert kept.provenance(trace) == OWN
            kept.put_provenance(trace, lower)
            assert kept.provenance(trace) == lower
            assert kept.provenance(kept.trace(kind, VIBE, "unheard")) is None
        assert kept.documents(["ab"]) == {"ab": lower}
        assert kept.conversations(VIBE, ["c"]) == {"c": chat._replace(provenance=lower)}
        row = kept.trace(TraceKind.ROW, VIBE, "a")
        assert kept.row(row) == stored._replace(provenance=lower)
        gone = KnownId(IdState.DELETED, Ordinal(4), lower, Position(8))
        kept.put_row(row, gone)
        assert kept.row(kept.trace(TraceKind.ROW, STUDIO, "a")) is None
    assert intake.find(VIBE, "a") == gone


def test_an_error_inside_a_batch_leaves_no_trace(intake: MemoryIntake | SqliteIntake) -> None:
    with pytest.raises(LookupError), intake.transaction() as kept:
        kept.store(rows(0, "a"))
        kept.put_ids(VIBE, {"a": KnownId(IdState.STORED, Ordinal(0), OWN, Position(8))})
        raise LookupError
    assert intake.end(VIBE) == 0
    assert intake.find(VIBE, "a") is None
    with intake.transaction() as kept:
        kept.store(rows(0, "b"))
    assert intake.end(VIBE) == 1


def test_a_batch_is_visible_to_itself_and_to_nobody_else(
    intake: MemoryIntake | SqliteIntake,
) -> None:
    with intake.transaction() as kept:
        kept.put_ids(VIBE, {"a": KnownId(IdState.STORED, Ordinal(0), OWN, Position(8))})
        assert "a" in kept.ids(VIBE, ["a"])
        assert intake.find(VIBE, "a") is None
    assert intake.find(VIBE, "a") is not None


def test_another_process_sees_a_batch_at_once(tmp_path: Path) -> None:
    one, other = (SqliteIntake(tmp_path / "capture.db", KEY) for _ in range(2))
    with one.transaction() as kept:
        kept.store(rows(0, "a"))
    assert other.end(VIBE) == 1
    with other.transaction() as kept:
        assert kept.next_ordinal(VIBE) == 1
        kept.store(rows(1, "b"))
    assert [b.ids for b in one.unsealed(VIBE, Ordinal(0))] == [["a"], ["b"]]
    one.close()
    other.close()


def test_names_stay_out_of_the_tables_of_what_is_known(tmp_path: Path) -> None:
    store = SqliteIntake(tmp_path / "capture.db", KEY)
    with store.transaction() as kept:
        kept.put_ids(VIBE, {"an-id-of-ana": KnownId(IdState.REFUSED, None, OWN, Position(8))})
        kept.put_documents({"a-hash-of-ana": OWN})
        kept.put_conversations(
            VIBE,
            {"a-chat-of-ana": KnownConversation(OWN, frozenset(), Position(9), is_deleted=False)},
        )
    store.close()
    for path in tmp_path.iterdir():
        assert b"of-ana" not in path.read_bytes()


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "capture.db"))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StorageError, match="version 99"):
        SqliteIntake(tmp_path / "capture.db", KEY)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "capture.db").write_bytes(b"not a database at all" * 500)
    with pytest.raises(StorageError, match="capture store"):
        SqliteIntake(tmp_path / "capture.db", KEY)


FAULTS: list[tuple[Fault, type[Exception], bool]] = [
    (Fault.FAIL_NOT_PERSISTED, StorageError, False),
    (Fault.FAIL_PERSISTED, StateUnknown, True),
]


@pytest.mark.parametrize(("fault", "error", "is_kept"), FAULTS)
def test_a_failed_commit_keeps_all_of_a_batch_or_nothing(
    fault: Fault, error: type[Exception], is_kept: bool
) -> None:
    ask: Callable[[str], Fault | None] = lambda _write: fault  # noqa: E731
    store = MemoryIntake(ask)
    with pytest.raises(error), store.transaction() as kept:
        kept.store(rows(0, "a"))
        kept.put_ids(VIBE, {"a": KnownId(IdState.STORED, Ordinal(0), OWN, Position(8))})
    assert (store.end(VIBE) == 1) is is_kept
    assert (store.find(VIBE, "a") is not None) is is_kept


def test_a_full_disk_keeps_nothing_and_the_store_goes_on(tmp_path: Path) -> None:
    store = SqliteIntake(tmp_path / "capture.db", KEY)
    pages = store._writer.pragma("page_count")
    store._writer.pragma("max_page_count", pages)
    names = {f"id-{n}": KnownId(IdState.REFUSED, None, OWN, Position(8)) for n in range(3000)}
    with pytest.raises(StorageError, match="full"), store.transaction() as kept:
        kept.put_ids(VIBE, names)
    store._writer.pragma("max_page_count", 100_000)
    assert store.find(VIBE, "id-1") is None
    with store.transaction() as kept:
        kept.put_ids(VIBE, names)
    assert store.find(VIBE, "id-1") is not None
    store.close()
