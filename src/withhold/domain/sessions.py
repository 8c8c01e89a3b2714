"""Sessions: somebody is signed in for a while.

A session is of one account, by its number and not by its id alone: whoever is opened under the same id
after an erasure is somebody else. It holds the secret that its forms must know, and ends at a time. Time
ends sessions and decides nothing else: no standing, no row (design section 1).

Not here: the id that the browser keeps and its hash (`web.sessions`), where sessions are kept (`ports`).
"""

from __future__ import annotations

from dataclasses import dataclass

from withhold.domain.names import AccountId, SubjectNo

LIFETIME_MS = 12 * 60 * 60 * 1000
"""How long a session lasts, counted from signing in; using it does not lengthen it."""

PER_ACCOUNT = 32
"""Sessions of one account at once; the oldest makes room."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in.

    Attributes:
        account: who, by id.
        no: the number of that account; no other account ever has it.
        secret: 32 random bytes that a form of this session proves to know.
        made_at: UTC milliseconds since 1970.
        ends_at: UTC milliseconds since 1970; from then on it is no session.
    """

    account: AccountId
    no: SubjectNo
    secret: bytes
    made_at: int
    ends_at: int

    def is_over(self, now_ms: int) -> bool:
        """Return whether the session has ended."""
        return now_ms >= self.ends_at


def begun(account: AccountId, no: SubjectNo, secret: bytes, now_ms: int) -> Session:
    """Return a session that begins now."""
    return Session(account, no, secret, now_ms, now_ms + LIFETIME_MS)
