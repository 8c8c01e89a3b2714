"""The database of the surfaces: several processes, a newer program, a ledger that was restored."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw
import pytest

from tests.simulator import Provider
from withhold.adapters.store.sqlite.members import SqliteMembers
from withhold.adapters.store.sqlite.sessions import SqliteSessions
from withhold.adapters.store.sqlite.surfaces import SurfaceStore
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, SubjectNo
from withhold.domain.sessions import begun
from withhold.errors import StorageError

FILE = "surfaces.db"


def members(provider: Provider, organization: str) -> list[str]:
    with provider.ports.ledger.directory() as directory:
        subject = directory.find(SubjectKind.ORGANIZATION, organization)
        assert subject is not None
        return [directory.subject(no).id for no in provider.ports.members.now(subject.no)]


def test_two_processes_share_the_sessions(tmp_path: Path) -> None:
    one, two = SurfaceStore(tmp_path / FILE), SurfaceStore(tmp_path / FILE)
    SqliteSessions(one).add(b"a" * 32, begun(AccountId("ana"), SubjectNo(1), b"s" * 32, 0))
    assert SqliteSessions(two).find(b"a" * 32) is not None
    SqliteSessions(two).end(b"a" * 32)
    assert SqliteSessions(one).find(b"a" * 32) is None
    one.close()
    two.close()


def test_sessions_outlive_the_process(tmp_path: Path) -> None:
    provider = Provider(tmp_path)
    provider.ports.sessions.add(b"a" * 32, begun(AccountId("ana"), SubjectNo(1), b"s" * 32, 0))
    provider.crash()
    assert provider.ports.sessions.find(b"a" * 32) is not None
    provider.close()


def test_a_home_that_lost_the_file_opens_and_everybody_signs_in_again(tmp_path: Path) -> None:
    provider = Provider(tmp_path)
    provider.found("acme", vibe="teams")
    provider.sign_up("ana", "acme")
    provider.ports.sessions.add(b"a" * 32, begun(AccountId("ana"), SubjectNo(1), b"s" * 32, 0))
    assert members(provider, "acme") == ["ana"]
    provider.close()
    for path in tmp_path.glob(FILE + "*"):
        path.unlink()
    provider.crash()
    assert provider.ports.sessions.find(b"a" * 32) is None
    assert members(provider, "acme") == ["ana"]
    provider.close()


def test_a_command_that_asks_for_neither_leaves_no_file(tmp_path: Path) -> None:
    provider = Provider(tmp_path)
    provider.sign_up("ana")
    provider.close()
    assert not (tmp_path / FILE).exists()


def test_a_database_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / FILE))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    store = SurfaceStore(tmp_path / FILE)
    with pytest.raises(StorageError, match="newer"):
        SqliteSessions(store).find(b"a" * 32)
    store.close()


def test_a_file_that_is_no_database_is_an_error_and_not_an_empty_answer(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    store = SurfaceStore(tmp_path / FILE)
    with pytest.raises(StorageError):
        SqliteSessions(store).find(b"a" * 32)
    store.close()


def test_a_write_that_raises_leaves_nothing(tmp_path: Path) -> None:
    store = SurfaceStore(tmp_path / FILE)

    def job(connection: apsw.Connection) -> None:
        connection.execute("INSERT INTO members VALUES (1, 2)")
        connection.execute("INSERT INTO members VALUES (1, 2)")

    with pytest.raises(StorageError):
        store.write(job)
    assert store.read(lambda c: c.execute("SELECT count(*) FROM members").get) == 0
    store.close()


def test_the_index_is_made_anew_when_the_ledger_was_restored(tmp_path: Path) -> None:
    home, backup = tmp_path / "home", tmp_path / "backup"
    provider = Provider(home)
    provider.found("acme", vibe="teams")
    provider.sign_up("ana", "acme")
    provider.close()
    shutil.copytree(home, backup)
    provider.crash()
    provider.sign_up("ben", "acme")
    assert members(provider, "acme") == ["ana", "ben"]
    provider.close()
    for path in backup.iterdir():
        if path.is_file():
            shutil.copy(path, home)
    for leftover in (*home.glob("*-wal"), *home.glob("*-shm")):
        leftover.unlink()
    provider.crash()
    provider.sign_up("cleo", "acme")
    provider.sign_up("dan", "acme")
    assert members(provider, "acme") == ["ana", "cleo", "dan"]
    provider.close()


def test_a_long_ledger_is_taken_in_run_by_run(tmp_path: Path) -> None:
    provider = Provider(tmp_path)
    provider.found("acme", vibe="teams")
    for number in range(7):
        provider.sign_up(f"person-{number}", "acme")
    real = provider.ports.members
    assert isinstance(real, SqliteMembers)
    store = SurfaceStore(tmp_path / "other.db")
    short = SqliteMembers(real._control, store, run=2)
    with provider.ports.ledger.directory() as directory:
        acme = directory.find(SubjectKind.ORGANIZATION, "acme")
    assert acme is not None
    assert len(short.now(acme.no)) == 7
    store.close()
    provider.close()
