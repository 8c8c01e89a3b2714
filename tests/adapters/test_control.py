"""The control database: one order for many writers, and nothing confirmed that is not on disk."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest
from hypothesis import strategies as st

from tests.adapters.notes import note, notes, together
from tests.fakes.ledger import POLICY, ports_over
from withhold.adapters.clock import SystemClock
from withhold.adapters.store.sqlite.codec import encode_subject
from withhold.adapters.store.sqlite.control import Control, connect
from withhold.adapters.store.sqlite.credentials import SqliteCredentials
from withhold.adapters.store.sqlite.keys import BLOCK, FIRST_BLOCK, SubjectKeys
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.domain.directory import SubjectKind
from withhold.domain.ledger import Event, EventKind
from withhold.domain.names import AccountId, Position, ProductId, SubjectNo
from withhold.domain.standing import NEVER_OUT
from withhold.domain.values import changed
from withhold.errors import LockedByPlan, StateUnknown, StorageError, VerificationError
from withhold.ports import Credential
from withhold.services import directory, policies, preferences
from withhold.services.directory import AccountRequest
from withhold.services.preferences import PreferenceRequest

TEXT = st.characters(codec="utf-8")


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
    while len(control._writers._queue) < 13:  # the slow one too
        pass
    may_end.set()
    for thread in (leader, *threads):
        thread.join()
    assert len(notes(control)) == 12
    assert len(set(epochs)) == 1, "twelve waiting jobs took more than one transaction"


def test_a_job_that_wrote_and_raised_is_undone_and_the_others_proceed(control: Control) -> None:
    def spoiling(connection: apsw.Connection) -> None:
        note("undone")(connection)
        raise LockedByPlan("no")

    def refusing(_: apsw.Connection) -> None:
        raise LockedByPlan("no")

    answers = together(control, refusing, note("a"), spoiling, note("b"))
    assert [isinstance(a, LockedByPlan) for a in answers] == [True, False, True, False]
    assert notes(control) == ["a", "b"]


def test_nobody_is_answered_for_a_job_that_an_interrupt_left_out(control: Control) -> None:
    def interrupted(_: apsw.Connection) -> None:
        raise KeyboardInterrupt

    answers = together(control, note("a"), interrupted, note("b"))
    assert isinstance(answers[0], KeyboardInterrupt), "it led, so the interrupt is its own"
    assert [type(a) for a in answers[1:]] == [StorageError, StorageError]
    assert notes(control) == []


def test_an_interrupt_of_the_leader_is_told_to_those_it_ran(control: Control) -> None:
    def interrupted(_: apsw.Connection) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        control.run(interrupted)
    control.run(note("after"))
    assert notes(control) == ["after"]


def test_a_waiting_writer_that_is_interrupted_leaves_the_others_a_leader(control: Control) -> None:
    first_runs, may_end = threading.Event(), threading.Event()

    def slow(_: apsw.Connection) -> None:
        first_runs.set()
        may_end.wait(10)

    def interrupt(_: int, __: object) -> None:
        raise KeyboardInterrupt

    leader = threading.Thread(target=control.run, args=(slow,))
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        leader.start()
        assert first_runs.wait(10)
        main = threading.main_thread().ident
        assert main is not None
        waker = threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGUSR1))
        waker.start()
        with pytest.raises(KeyboardInterrupt):
            control.run(note("given up"))
    finally:
        signal.signal(signal.SIGUSR1, before)
        may_end.set()
    leader.join()
    control.run(note("next"))
    assert notes(control) == ["next"]


def test_a_writer_after_a_crowd_is_answered_alone(control: Control) -> None:
    together(control, *[note(f"n{n}") for n in range(8)])
    assert control.run(note("alone")) == 9
    assert notes(control)[-1] == "alone"


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


def test_a_database_of_another_version_is_refused(tmp_path: Path) -> None:
    connection = connect(tmp_path / "control.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StorageError, match="schema 99"):
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


# --- emptying the log ---------------------------------------------------------------------------------


def wal(tmp_path: Path) -> int:
    return (tmp_path / "control.db-wal").stat().st_size


def test_the_log_is_emptied_while_others_write(control: Control, tmp_path: Path) -> None:
    is_done = threading.Event()

    def write() -> None:
        while not is_done.is_set():
            control.run(note("x" * 500))

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    try:
        assert all(any(control.truncate_log() for _ in range(20)) for _ in range(10))
    finally:
        is_done.set()
        for writer in writers:
            writer.join()
    assert control.truncate_log()
    assert wal(tmp_path) == 0


@pytest.mark.parametrize("is_newest", [True, False])
def test_nobody_who_writes_waits_for_somebody_who_reads(
    control: Control, tmp_path: Path, is_newest: bool
) -> None:
    control.run(note("before"))
    reader = connect(tmp_path / "control.db")
    reader.execute("BEGIN; SELECT count(*) FROM notes").fetchall()
    if not is_newest:
        control.run(note("after"))
    emptied: list[bool] = []
    trying = threading.Thread(
        target=lambda: emptied.extend(control.truncate_log() for _ in "12345")
    )
    trying.start()
    longest = 0.0
    while trying.is_alive():
        began = time.monotonic()
        control.run(note("meanwhile"))
        longest = max(longest, time.monotonic() - began)
    trying.join()
    assert emptied == [False] * 5
    assert longest < 1
    reader.close()
    assert control.truncate_log()
    assert wal(tmp_path) == 0


def test_keys_are_made_ahead_and_given_once(tmp_path: Path) -> None:
    one, other = SubjectKeys(tmp_path / "keys.db"), SubjectKeys(tmp_path / "keys.db")
    assert one.get(SubjectNo(1)) is None
    assert one.give(SubjectNo(1)) == 1
    assert one.give(SubjectNo(1)) == 1  # nobody has it in the ledger yet
    assert one.give(SubjectNo(2)) == 2
    assert one.get(SubjectNo(FIRST_BLOCK)) == other.get(SubjectNo(FIRST_BLOCK)) is not None
    assert one.get(SubjectNo(FIRST_BLOCK + 1)) is None
    assert other.give(SubjectNo(3)) == FIRST_BLOCK + 1  # what the other made may be somebody's
    assert one.give(SubjectNo(FIRST_BLOCK + 2)) == 2 * FIRST_BLOCK + 1
    assert one.token_key() == other.token_key()
    assert (tmp_path / "keys.db").stat().st_mode & 0o077 == 0
    one.close()
    other.close()


def test_many_keys_cost_few_flushes(tmp_path: Path) -> None:
    keys = SubjectKeys(tmp_path / "keys.db")
    before = apsw.Connection(str(tmp_path / "keys.db"))
    versions = set()
    for no in range(1, 5 * BLOCK):
        assert keys.give(SubjectNo(no)) == no
        versions.add(before.execute("PRAGMA data_version").get)
    assert len(versions) <= 12
    before.close()
    keys.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a home with a policy, an account that opted out, and nothing open."""
    with opened(tmp_path) as ledger:
        ports = ports_over(ledger)
        policies.adopt(ports, POLICY)
        directory.put_account(ports, AccountRequest(AccountId("ana")))
        off = PreferenceRequest(SubjectKind.ACCOUNT, "ana", ProductId("vibe"), allowed=False)
        preferences.set_preference(ports, off)
        assert ledger.verify() == 3
    return tmp_path


@contextmanager
def opened(folder: Path) -> Iterator[SqliteLedger]:
    control, keys = Control(folder / "control.db"), SubjectKeys(folder / "keys.db")
    yield SqliteLedger(control, keys)
    control.close()
    keys.close()


def tamper(folder: Path, name: str, statement: str) -> None:
    connection = connect(folder / name)
    connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        ("UPDATE entries SET effects = x'0000000001' WHERE position = 3", "entry 3: its effects"),
        ("UPDATE entries SET effects = NULL WHERE position = 2", "entry 2: its effects"),
        ("UPDATE entries SET body = CAST(body || ' ' AS BLOB) WHERE position = 1", "entry 1"),
        ("UPDATE entries SET body = zeroblob(99) WHERE position = 3", "entry 3: its sealed body"),
        ("UPDATE entries SET body = x'00' WHERE position = 3", "entry 3: its sealed body"),
        ("UPDATE entries SET kind = 3 WHERE position = 1", "entry 1: its kind"),
        ("UPDATE entries SET previous = 1 WHERE position = 3", "entry 3"),
        ("UPDATE entries SET subject = NULL WHERE position = 3", "entry 3"),
        ("UPDATE entries SET chain = zeroblob(32) WHERE position = 2", "entry 2"),
        ("UPDATE entries SET entry = zeroblob(59) WHERE position = 2", "entry 2"),
        ("DELETE FROM entries WHERE position = 2", "entry 2 is missing"),
        ("DELETE FROM entries WHERE position = 3", "newest entry"),
        ("DELETE FROM subjects", "missing"),
        ("INSERT INTO deleted_rows VALUES (3, 'vibe', 1)", "entry 3: its deleted rows"),
        ("UPDATE plan_parties SET lock_on_since = 0 WHERE plan = 'teams'", "plan teams"),
    ],
)
def test_tampering_is_found_and_its_place_named(folder: Path, tampering: str, told: str) -> None:
    tamper(folder, "control.db", tampering)
    with opened(folder) as ledger, pytest.raises(VerificationError, match=told):
        ledger.verify()


def test_a_record_that_says_more_than_the_entries_is_found(folder: Path) -> None:
    with opened(folder) as ledger, ledger.directory() as snapshot:
        ana = snapshot.find(SubjectKind.ACCOUNT, "ana")
    assert ana is not None
    holdings = {
        product: changed(h, on_since=NEVER_OUT, choice=None) for product, h in ana.holdings.items()
    }
    connection = connect(folder / "control.db")
    record = encode_subject(changed(ana, holdings=holdings))
    connection.execute("UPDATE subjects SET record = ?", (record,))
    connection.close()
    with opened(folder) as ledger, pytest.raises(VerificationError, match="subject 1: a standing"):
        ledger.verify()


def test_without_its_key_an_entry_opens_for_nobody(folder: Path) -> None:
    tamper(folder, "keys.db", "DELETE FROM keys")
    with opened(folder) as ledger:
        with pytest.raises(VerificationError, match="gone"):
            ledger.record(Position(3))
        with pytest.raises(VerificationError, match="gone"):
            ledger.verify()
        on = PreferenceRequest(SubjectKind.ACCOUNT, "ana", ProductId("vibe"), allowed=True)
        with pytest.raises(StorageError, match="no key"):
            preferences.set_preference(ports_over(ledger), on)
        assert ledger.head() == 3


def test_an_entry_without_its_subjects_record_is_refused(folder: Path) -> None:
    with opened(folder) as ledger:
        with ledger.directory() as snapshot:
            ana = snapshot.subject(SubjectNo(1))
        at = Position(4)
        for record, told in (
            (None, "without its subject's record"),
            (ana, "without its subject's record"),
            (changed(ana, last=at, sequence=9), "without gaps"),
        ):
            event = Event(EventKind.OPTED_IN, ana.no, {}, 1, (), record)
            with pytest.raises(StorageError, match=told):
                ledger.append(lambda t, event=event: t.add(event))
        with pytest.raises(StorageError, match="not in the directory"):
            ledger.append(lambda t: t.subject(SubjectNo(77)))
        told = pytest.raises(StorageError, match="not in the directory")
        with ledger.directory() as snapshot, told:
            snapshot.subject(SubjectNo(77))


def test_credentials_are_found_by_hash_alone(tmp_path: Path) -> None:
    control = Control(tmp_path / "control.db")
    credentials = SqliteCredentials(control)
    kept = Credential("ci", frozenset({"build", "audit"}))
    credentials.add(b"h" * 32, kept)
    credentials.add(b"i" * 32, Credential("none", frozenset()))
    assert credentials.find(b"h" * 32) == kept
    assert credentials.find(b"i" * 32) == Credential("none", frozenset())
    assert credentials.find(b"x" * 32) is None
    assert [token_hash[:1] for token_hash, _ in credentials.all()] == [b"h", b"i"]
    credentials.remove(b"h" * 32)
    credentials.remove(b"x" * 32)
    assert credentials.find(b"h" * 32) is None
    assert [kept.name for _, kept in credentials.all()] == ["none"]
    control.close()


def test_the_clock_shows_milliseconds() -> None:
    assert SystemClock().now_ms() > 1_600_000_000_000


def test_closing_waits_for_the_job_that_another_thread_runs(tmp_path: Path) -> None:
    control = Control(tmp_path / "control.db")
    control.run(lambda c: c.execute("CREATE TABLE t(x)").fetchall())
    begun, answers = threading.Event(), []

    def job(connection: apsw.Connection) -> str:
        begun.set()
        time.sleep(0.05)
        connection.execute("INSERT INTO t VALUES (1)")
        return "kept"

    worker = threading.Thread(target=lambda: answers.append(control.run(job)))
    worker.start()
    begun.wait()
    control.close()
    worker.join()
    assert answers == ["kept"]
    with pytest.raises(StorageError):
        control.run(lambda _: None)
