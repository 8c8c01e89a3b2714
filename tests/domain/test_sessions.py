"""A session ends twelve hours after signing in, whatever was done meanwhile."""

from __future__ import annotations

from withhold.domain.names import AccountId, SubjectNo
from withhold.domain.sessions import LIFETIME_MS, begun


def test_a_session_ends_at_its_time_and_not_before() -> None:
    session = begun(AccountId("ana"), SubjectNo(1), b"s" * 32, 1_000)
    assert not session.is_over(1_000)
    assert not session.is_over(1_000 + LIFETIME_MS - 1)
    assert session.is_over(1_000 + LIFETIME_MS)
