"""What every `Sessions` promises, held against the fake and the real store alike."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.sessions import MemorySessions
from withhold.adapters.store.sqlite.sessions import SqliteSessions
from withhold.adapters.store.sqlite.surfaces import SurfaceStore
from withhold.domain.names import AccountId, SubjectNo
from withhold.domain.sessions import LIFETIME_MS, PER_ACCOUNT, Session, begun
from withhold.ports import Sessions

ANA = AccountId("ana")


@pytest.fixture(params=["memory", "sqlite"])
def sessions(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sessions]:
    if request.param == "memory":
        yield MemorySessions()
        return
    store = SurfaceStore(tmp_path / "surfaces.db")
    yield SqliteSessions(store)
    store.close()


def session(at: int = 1_000, account: str = ANA, secret: bytes = b"s" * 32) -> Session:
    return begun(AccountId(account), SubjectNo(1), secret, at)


def test_a_session_that_was_added_is_found_as_it_was(sessions: Sessions) -> None:
    sessions.add(b"a" * 32, session())
    assert sessions.find(b"a" * 32) == Session(
        ANA, SubjectNo(1), b"s" * 32, 1_000, 1_000 + LIFETIME_MS
    )
    assert sessions.find(b"b" * 32) is None


def test_a_session_that_was_ended_is_gone_and_ending_it_again_is_harmless(
    sessions: Sessions,
) -> None:
    sessions.add(b"a" * 32, session())
    sessions.add(b"b" * 32, session())
    sessions.end(b"a" * 32)
    sessions.end(b"a" * 32)
    assert sessions.find(b"a" * 32) is None
    assert sessions.find(b"b" * 32) is not None


def test_all_sessions_of_an_account_end_at_once_and_nobody_elses(sessions: Sessions) -> None:
    for n in range(3):
        sessions.add(bytes([n]) * 32, session(n))
    sessions.add(b"other".ljust(32), session(0, "ben"))
    sessions.end_all(ANA)
    sessions.end_all(ANA)
    assert [sessions.find(bytes([n]) * 32) for n in range(3)] == [None] * 3
    assert sessions.find(b"other".ljust(32)) is not None


def test_sweeping_forgets_exactly_what_has_ended(sessions: Sessions) -> None:
    sessions.add(b"a" * 32, session(1_000))
    sessions.add(b"b" * 32, session(2_000))
    assert sessions.sweep(1_000 + LIFETIME_MS - 1) == 0
    assert sessions.sweep(1_000 + LIFETIME_MS) == 1
    assert sessions.find(b"a" * 32) is None
    assert sessions.find(b"b" * 32) is not None


def test_the_oldest_sessions_of_an_account_make_room_and_nobody_elses(sessions: Sessions) -> None:
    sessions.add(b"other".ljust(32), session(0, "ben"))
    hashes = [bytes([n]) * 32 for n in range(PER_ACCOUNT + 2)]
    for at, id_hash in enumerate(hashes):
        sessions.add(id_hash, session(at))
    assert [h for h in hashes if sessions.find(h) is None] == hashes[:2]
    assert sessions.find(b"other".ljust(32)) is not None


def test_the_newest_session_stays_when_all_began_at_once(sessions: Sessions) -> None:
    for n in range(PER_ACCOUNT + 5):
        id_hash = bytes([255 - n]) * 32
        sessions.add(id_hash, session())
        assert sessions.find(id_hash) is not None


def test_a_clock_that_was_set_back_ends_no_session_that_begins_now(sessions: Sessions) -> None:
    for n in range(PER_ACCOUNT):
        sessions.add(bytes([n]) * 32, session(1_000 + n))
    sessions.add(b"new".ljust(32), session(0))
    assert sessions.find(b"new".ljust(32)) is not None


def test_sessions_are_added_and_ended_from_many_threads(sessions: Sessions) -> None:
    def work(number: int) -> None:
        for n in range(10):
            sessions.add(bytes([number, n]) * 16, session(account=f"person-{number}"))
            if n % 2:
                sessions.end(bytes([number, n]) * 16)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [
        [n for n in range(10) if sessions.find(bytes([k, n]) * 16) is not None] for k in range(6)
    ]
    assert found == [[0, 2, 4, 6, 8]] * 6
