"""Admission: may this row be used, and if not, why.

A row is admitted at head h if and only if every party has ``on_since <= row.position`` (design
section 1), nobody deleted it, and everything it repeats was captured. Several reasons may hold at once;
a row is counted under the first in the order of `Reason`.

This scalar form is the specification. The array kernel in ``adapters/engines`` must give the same
answer for every row; ``tests/engines`` compares them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from withhold.domain.names import PartyNo, Position
from withhold.domain.parties import PartyKind
from withhold.domain.standing import Standing, admits


class Reason(Enum):
    """Why a row is withheld, in the order in which reasons are reported."""

    ACCOUNT = "account_off"  # a person in the row is off, or was after its position: by a choice or a move
    ORGANIZATION = "organization_off"  # an organisation is out, or was
    PLAN_LOCK = "plan_locked"  # a plan that nobody can turn on (A4)
    PLAN_DEFAULT = "plan_default"  # off by default and nobody chose otherwise (A4, A9)
    DELETED = "deleted"  # the row or its conversation was deleted
    UNKNOWN_SOURCE = "unknown_source"  # it repeats something that was never captured
    UNREADABLE = "unreadable"  # its consent vector is missing or damaged: all is withheld


REASON_OF_KIND: dict[PartyKind, Reason] = {
    PartyKind.ACCOUNT: Reason.ACCOUNT,
    PartyKind.ORGANIZATION: Reason.ORGANIZATION,
    PartyKind.PLAN_LOCK: Reason.PLAN_LOCK,
    PartyKind.PLAN_DEFAULT: Reason.PLAN_DEFAULT,
}

ORDER: dict[Reason, int] = {reason: rank for rank, reason in enumerate(Reason)}


class Standings(Protocol):
    """Standings at one position. A party it does not know is out."""

    @property
    def position(self) -> Position:
        """The position these standings hold at."""
        ...

    def standing(self, party: PartyNo) -> Standing:
        """Return the party's ``on_since``; ``OUT`` when it is unknown."""
        ...

    def kind(self, party: PartyNo) -> PartyKind:
        """Return what holds the party; ``PartyKind.ACCOUNT`` when it is unknown."""
        ...


@dataclass(frozen=True, slots=True)
class Admitted:
    """The row may be used."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """The row may not be used.

    Attributes:
        reason: the first reason in the order of `Reason`.
        parties: the parties that withhold it, empty for reasons that are not a party's.
    """

    reason: Reason
    parties: tuple[PartyNo, ...]


Verdict = Admitted | Withheld


def admit(parties: Iterable[PartyNo], position: Position, standings: Standings) -> Verdict:
    """Decide one row by its parties.

    A row without any party is withheld: nobody is known to have allowed it.
    """
    known = tuple(parties)
    against = tuple(p for p in known if not admits(standings.standing(p), position))
    if against:
        reasons = {REASON_OF_KIND[standings.kind(p)] for p in against}
        return Withheld(min(reasons, key=ORDER.__getitem__), against)
    return Admitted() if known else Withheld(Reason.UNKNOWN_SOURCE, ())
