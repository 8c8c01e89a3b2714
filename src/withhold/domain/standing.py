"""Standing: since when a party is on, as one integer.

The rule (design section 1): ``on_since`` is 0 for a party that has never been out, ``p`` for one that
is on since the entry at position ``p``, and ``OUT`` for one that is out. It changes only to ``OUT`` or
to the position of the changing entry, so it never falls except from ``OUT``, and a row below it stays
below it for ever. Unknown is out.

Not here: who may change a standing (`preferences`, `accounts`), and where standings are kept (the
consent table, an adapter).
"""

from __future__ import annotations

from enum import IntEnum
from typing import NewType

from withhold.domain.names import PartyNo, Position
from withhold.domain.values import Value

Standing = NewType("Standing", int)
"""``on_since`` of a party: ``NEVER_OUT``, a position, or ``OUT``."""

NEVER_OUT = Standing(0)
OUT = Standing(2**63 - 1)


class Becomes(IntEnum):
    """What an entry makes of a party's standing; the value is its code in stored effects."""

    NEVER_OUT = 0  # an opening attested by the provider; only ever the first effect of a party
    ON = 1  # on since the position of this entry
    OUT = 2  # out


class Effect(Value, frozen=True):
    """One change of one party's standing, carried by the entry that causes it."""

    party: PartyNo
    becomes: Becomes

    def standing(self, position: Position) -> Standing:
        """Return the standing that this effect leaves when its entry stands at ``position``."""
        if self.becomes is Becomes.NEVER_OUT:
            return NEVER_OUT
        return Standing(position) if self.becomes is Becomes.ON else OUT


def admits(standing: Standing, row_position: Position) -> bool:
    """Return whether a party with this standing lets a row of this position be used."""
    return standing <= row_position
