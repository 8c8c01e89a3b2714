"""Leases: how long an open reader may go on without asking again.

A lease starts when the request for it is *sent*, on a monotonic clock that counts sleep, and is checked
before each yield. It is granted only at a head that the consent vectors have reached. When it ends
without renewal the reader stops (design section 4; I1 for open readers).

Not here: the clock, which the reader passes in.
"""

from __future__ import annotations

from dataclasses import dataclass

from withhold.domain.names import Position
from withhold.errors import InputError, LeaseExpired

DEFAULT_SECONDS = 10.0
LONGEST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Lease:
    """Leave to yield rows until ``ends``.

    Attributes:
        head: the position whose withdrawals the reader has taken in.
        sent: when the request was sent, seconds on the reader's clock.
        ends: when the lease ends, on the same clock.
    """

    head: Position
    sent: float
    ends: float

    def is_due(self, now: float) -> bool:
        """Return whether half of the lease has passed, so that it should be renewed."""
        return now >= self.sent + (self.ends - self.sent) / 2

    def check(self, now: float) -> None:
        """Refuse to go on after the lease has ended.

        Raises:
            LeaseExpired: it has.
        """
        if now >= self.ends:
            raise LeaseExpired(
                "the reader's lease ended without renewal; open the dataset again to go on"
            )


def grant(head: Position, sent: float, seconds: float = DEFAULT_SECONDS) -> Lease:
    """Return a lease counted from the sending of its request, never from the answer.

    Raises:
        InputError: a lease of that length may not be given.
    """
    if not 0 < seconds <= LONGEST_SECONDS:
        raise InputError(f"lease: expected more than 0 and at most {LONGEST_SECONDS:g} seconds")
    return Lease(head, sent, sent + seconds)
