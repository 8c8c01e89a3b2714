"""Signing in and out: only accounts that exist, and never longer than a session lasts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes.faults import FailOnce
from tests.fakes.intake import Fault
from tests.fakes.ledger import POLICY, MemoryLedger, ports_over
from tests.fakes.sessions import MemorySessions
from withhold.domain.names import AccountId
from withhold.domain.sessions import LIFETIME_MS
from withhold.errors import StorageError, UnknownAccount
from withhold.ports import Ports
from withhold.services import directory, policies, sessions
from withhold.services.directory import AccountRequest

ANA, HASH, SECRET = AccountId("ana"), b"h" * 32, b"s" * 32


class SetClock:
    """A clock that stands where a test sets it."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def now_ms(self) -> int:
        return self.now


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def ports(clock: SetClock) -> Ports:
    made = replace(ports_over(MemoryLedger()), clock=clock, sessions=MemorySessions())
    policies.adopt(made, POLICY)
    directory.put_account(made, AccountRequest(ANA))
    return made


def test_whoever_signed_in_is_known_until_they_sign_out(ports: Ports) -> None:
    begun = sessions.sign_in(ports, ANA, HASH, SECRET)
    assert sessions.signed_in(ports, HASH) == begun
    sessions.sign_out(ports, HASH)
    assert sessions.signed_in(ports, HASH) is None
    sessions.sign_out(ports, HASH)


def test_nobody_signs_in_as_an_account_that_is_not_there(ports: Ports) -> None:
    with pytest.raises(UnknownAccount):
        sessions.sign_in(ports, AccountId("nobody"), HASH, SECRET)
    assert sessions.signed_in(ports, HASH) is None


def test_a_session_that_has_ended_is_none_and_is_swept_by_the_next_sign_in(
    ports: Ports, clock: SetClock
) -> None:
    sessions.sign_in(ports, ANA, HASH, SECRET)
    clock.now += LIFETIME_MS - 1
    assert sessions.signed_in(ports, HASH) is not None
    clock.now += 1
    assert sessions.signed_in(ports, HASH) is None
    sessions.sign_in(ports, ANA, b"n" * 32, SECRET)
    assert ports.sessions.find(HASH) is None


def test_a_session_that_could_not_be_kept_is_none(ports: Ports) -> None:
    failing = replace(ports, sessions=MemorySessions(FailOnce(2, Fault.FAIL_NOT_PERSISTED)))
    with pytest.raises(StorageError):
        sessions.sign_in(failing, ANA, HASH, SECRET)
    assert sessions.signed_in(failing, HASH) is None
