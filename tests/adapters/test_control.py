"""The control database: one order for many writers, and nothing confirmed that is not on disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from withhold.adapters.store.sqlite.codec import encode_body
from withhold.adapters.store.sqlite.control import Control, connect
from withhold.adapters.store.sqlite.keys import BLOCK, SubjectKeys
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.domain.ledger import Event, EventKind, Json, canonical
from withhold.domain.names import ProductId, SubjectNo
from withhold.domain.parties import PartyKind
from withhold.domain.standing import Becomes, Effect
from withhold.errors import LockedByPlan, StateUnknown, StorageError, VerificationError
from withhold.ports import Transaction

TEXT = st.characters(codec="utf-8")


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    opened = Control(tmp_path / "control.db")
    opened.run(lambda c: c.execute("CREATE TABLE notes(text TEXT)").fetchall())
    yield opened
    opened.close()


def note(text: str) -> Callable[[apsw.Connection], int]:
    def job(connection: apsw.Connection) -> int:
        connection.execute("INSERT INTO notes VALUES (?)", (text,))
        return connection.last_insert_rowid()

    return job


def notes(control: Control) -> list[str]:
    with control.read() as connection:
        return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY rowid")]


def test_a_job_is_there_once_it_is_answered(control: Control, tmp_path: Path) -> None:
    assert control.run(note("a")) == 1
    other = Control(tmp_path / "control.db")
    assert notes(other) == ["a"]
    other.close()


def test_a_job_that_raises_leaves_no_trace(control: Control) -> None:
    def job(connection: apsw.Connection) -> None:
        note("lost")(connection)
        raise LockedByPlan("no")

    with pytest.raises(LockedByPlan):
        control.run(job)
    with pytest.raises(StorageError, match="SQLError"):
        control.run(lambda c: c.execute("SELECT * FROM nowhere").fetchall())
    control.run(note("kept"))
    assert notes(control) == ["kept"]


def test_a_job_inside_a_job_joins_its_transaction(control: Control) -> None:
    def outer(connection: apsw.Connection) -> list[str]:
        control.run(note("inner"))

        def failing(inner: apsw.Connection) -> None:
            note("undone")(inner)
            raise LockedByPlan("no")

        with pytest.raises(LockedByPlan):
            control.run(failing)
        note("outer")(connection)
        return notes(control)

    assert control.run(outer) == ["inner", "outer"]
    assert notes(control) == ["inner", "outer"]


def test_an_epoch_ends_when_something_was_undone(control: Control) -> None:
    epochs: list[int] = []

    def outer(_: apsw.Connection) -> None:
        epochs.append(control.epoch)
        control.run(note("a"))
        epochs.append(control.epoch)

        def failing(_: apsw.Connection) -> None:
            raise LockedByPlan("no")

        with pytest.raises(LockedByPlan):
            control.run(failing)
        epochs.append(control.epoch)

    control.run(outer)
    assert epochs[0] == epochs[1] < epochs[2]


def test_writers_that_wait_share_one_commit(control: Control) -> None:
    first_runs, may_end = threading.Event(), threading.Event()
    epochs: list[int] = []

    def slow(_: apsw.Connection) -> None:
        first_runs.set()
        may_end.wait(10)

    def noted(text: str) -> Callable[[apsw.Connection], None]:
        def job(connection: apsw.Connection) -> None:
            epochs.append(control.epoch)
            note(text)(connection)

        return job

    leader = threading.Thread(target=control.run, args=(slow,))
    leader.start()
    assert first_runs.wait(10)
    threads = [threading.Thread(target=control.run, args=(noted(f"n{n}"),)) for n in range(12)]
    for thread in threads:
        thread.start()
    while len(control._queue) < 12:
        pass
    may_end.set()
    for thread in (leader, *threads):
        thread.join()
    assert len(notes(control)) == 12
    assert len(set(epochs)) == 1, "twelve waiting jobs took more than one transaction"


def test_an_interrupt_of_the_leader_is_told_to_those_it_ran(control: Control) -> None:
    def interrupted(_: apsw.Connection) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        control.run(interrupted)
    control.run(note("after"))
    assert notes(control) == ["after"]


def test_a_snapshot_stands_still_while_others_write(control: Control) -> None:
    with control.read() as connection:
        assert connection.execute("SELECT count(*) FROM notes").get == 0
        control.run(note("a"))
        assert connection.execute("SELECT count(*) FROM notes").get == 0
    assert notes(control) == ["a"]


def test_readers_report_what_the_database_refuses(control: Control) -> None:
    with pytest.raises(StorageError), control.read() as connection:
        connection.execute("SELECT * FROM nowhere")


def test_a_full_disk_is_told_and_nothing_is_kept(control: Control) -> None:
    pages = control.run(lambda c: int(c.pragma("page_count")))
    control.run(lambda c: c.execute(f"PRAGMA max_page_count = {pages + 1}").fetchall())
    with pytest.raises(StorageError):
        control.run(note("x" * 100_000))
    assert notes(control) == []


def test_an_unanswered_commit_is_unknown_and_not_done(control: Control) -> None:
    def hooked(connection: apsw.Connection) -> None:
        note("a")(connection)
        connection.set_commit_hook(lambda: True)  # COMMIT fails and the library says only that

    with pytest.raises(StateUnknown):
        control.run(hooked)
    assert notes(control) == []


def test_a_database_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    connection = connect(tmp_path / "control.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StorageError, match="newer"):
        Control(tmp_path / "control.db")


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    connection = connect(tmp_path / "control.db")
    connection.execute("PRAGMA application_id = 7")
    connection.close()
    with pytest.raises(StorageError, match="another program"):
        Control(tmp_path / "control.db")


def test_a_closed_database_takes_nothing(tmp_path: Path) -> None:
    control = Control(tmp_path / "control.db")
    control.close()
    with pytest.raises(StorageError, match="closed"):
        control.run(note("a"))


def test_two_programs_may_make_the_same_database_at_once(tmp_path: Path) -> None:
    opened: list[Control] = []
    threads = [
        threading.Thread(target=lambda: opened.append(Control(tmp_path / "control.db")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    for control in opened:
        control.close()


def test_keys_are_made_ahead_and_never_replaced(tmp_path: Path) -> None:
    one, other = SubjectKeys(tmp_path / "keys.db"), SubjectKeys(tmp_path / "keys.db")
    assert one.get(SubjectNo(1)) is None
    key = one.ensure(SubjectNo(1))
    assert other.ensure(SubjectNo(1)) == key
    assert other.get(SubjectNo(BLOCK)) == one.get(SubjectNo(BLOCK))
    assert one.get(SubjectNo(BLOCK + 1)) is None
    assert one.token_key() == other.token_key()
    assert (tmp_path / "keys.db").stat().st_mode & 0o077 == 0
    one.close()
    other.close()


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.text(TEXT)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(TEXT), inner)),
    max_leaves=10,
)


@given(st.dictionaries(st.text(TEXT), VALUES))
def test_bodies_are_written_in_the_canonical_form(body: dict[str, Json]) -> None:
    assert encode_body(body) == canonical(body)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a home with one policy entry and nothing else open."""
    control, keys = Control(tmp_path / "control.db"), SubjectKeys(tmp_path / "keys.db")

    def change(transaction: Transaction) -> None:
        party = transaction.new_party(PartyKind.PLAN_DEFAULT, ProductId("vibe"), None)
        for _ in range(3):
            effects = (Effect(party, Becomes.OUT),)
            transaction.add(Event(EventKind.POLICY_ADOPTED, None, {"a": 1}, 5, effects))

    SqliteLedger(control, keys).append(change)
    control.close()
    keys.close()
    return tmp_path


@pytest.mark.parametrize(
    ("tampering", "position"),
    [
        ("UPDATE entries SET effects = x'0000000001' WHERE position = 2", 2),
        ("UPDATE entries SET effects = NULL WHERE position = 2", 2),
        ("UPDATE entries SET body = CAST(replace(body, '1', '2') AS BLOB) WHERE position = 3", 3),
        ("UPDATE entries SET kind = 3 WHERE position = 1", 1),
        ("UPDATE entries SET chain = zeroblob(32) WHERE position = 2", 2),
        ("UPDATE entries SET entry = zeroblob(59) WHERE position = 2", 2),
        ("DELETE FROM entries WHERE position = 2", 2),
        ("INSERT INTO deleted_rows VALUES (3, 'vibe', 1)", 3),
    ],
)
def test_tampering_is_found_and_its_position_named(
    folder: Path, tampering: str, position: int
) -> None:
    connection = connect(folder / "control.db")
    connection.execute(tampering)
    connection.close()
    control, keys = Control(folder / "control.db"), SubjectKeys(folder / "keys.db")
    with pytest.raises(VerificationError, match=f"entry {position}"):
        SqliteLedger(control, keys).verify()
    control.close()
    keys.close()
