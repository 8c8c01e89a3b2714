"""Who there is: accounts and organisations, their plans, memberships and own choices.

A record holds what stands now and, for everything that ended, the position of the entry that ended it
(``until``). Rows always arrive *now*, so "everything it had at any position from the row's stamp to its
arrival" (design section 1) is whatever has ``until > stamp``: no history walk, and a record grows only
with the number of distinct plans and organisations somebody ever had.

Invariants:
- ``holding.on_since == OUT`` if and only if ``holding.choice is Choice.OUT``: an explicit out is sticky.
- exactly the spells and memberships with ``until == OPEN`` hold now.

Not here: how records change (`accounts`, `preferences`, `policy_adoption`), where they are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from withhold.domain.names import PartyNo, PlanId, Position, ProductId, SubjectNo
from withhold.domain.policy import Policy, Role
from withhold.domain.standing import OUT, Standing
from withhold.domain.values import Value

OPEN = Position(2**63 - 1)
"""``until`` of what has not ended."""


class SubjectKind(StrEnum):
    """What a subject is."""

    ACCOUNT = "account"  # who logs in; a person
    ORGANIZATION = "organization"  # a tenant that holds settings for its members


class Choice(StrEnum):
    """What a holder said itself."""

    IN = "in"  # an explicit opt-in; a move that is not on before and after clears it
    OUT = "out"  # an explicit opt-out; only an explicit opt-in ends it


class Holding(Value, frozen=True):
    """A subject's own standing for one product.

    Attributes:
        party: the number of (subject, product).
        on_since: the standing of that party.
        choice: what the subject said itself, None while it said nothing.
        unchosen_until: when its latest time without a choice ended; OPEN while it lasts.
        position: the entry that last changed this holding.
        recorded_at: UTC milliseconds since 1970 of that entry; shown, never compared.
    """

    party: PartyNo
    on_since: Standing
    choice: Choice | None
    unchosen_until: Position
    position: Position
    recorded_at: int

    @property
    def is_out(self) -> bool:
        """Whether the subject itself is out."""
        return self.on_since == OUT


class PlanSpell(Value, frozen=True):
    """A time on one plan of one product; ``plan`` is None for the time before it first stated one."""

    product: ProductId
    plan: PlanId | None
    until: Position


class Membership(Value, frozen=True):
    """A time in one organisation; ``since`` is 0 for what the opening entry attested."""

    organization: SubjectNo
    role: Role
    since: Position
    until: Position


class Subject(Value, frozen=True):
    """An account or an organisation as it stands, with what ended.

    Attributes:
        id: the external id; empty once the subject is erased.
        sequence: how many sealed entries of this subject there are; omissions show by it.
        last: the position of its newest entry.
        group: the other accounts it was merged with; each later off is written for all of them.
    """

    no: SubjectNo
    kind: SubjectKind
    id: str
    sequence: int
    last: Position
    holdings: Mapping[ProductId, Holding]
    plans: tuple[PlanSpell, ...]
    memberships: tuple[Membership, ...] = ()
    group: tuple[SubjectNo, ...] = ()

    @property
    def is_erased(self) -> bool:
        """Whether it was erased: it is out for ever, and nothing can be recorded of it any more."""
        return not self.id

    def plan_now(self, product: ProductId) -> PlanId | None:
        """Return the plan it is on now for ``product``, None when it states none."""
        for spell in self.plans:
            if spell.product == product and spell.until == OPEN:
                return spell.plan
        return None

    def unstated_until(self, product: ProductId) -> Position:
        """Return when its time without a stated plan ended; 0 if it opened with one, else OPEN."""
        is_stated = False
        for spell in self.plans:
            if spell.product == product:
                if spell.plan is None:
                    return spell.until
                is_stated = True
        return Position(0) if is_stated else OPEN

    def memberships_now(self) -> tuple[Membership, ...]:
        """Return the memberships that hold now; one who was erased is nobody's member."""
        if not self.memberships or self.is_erased:
            return ()
        return tuple([m for m in self.memberships if m.until == OPEN])


@dataclass(frozen=True, slots=True)
class PlanParties:
    """The two parties of a plan: its default and its lock, with their standings now.

    Attributes:
        position: the entry that last changed either.
        recorded_at: UTC milliseconds since 1970 of that entry.
    """

    product: ProductId
    plan: PlanId
    default: PartyNo
    default_on_since: Standing
    lock: PartyNo
    lock_on_since: Standing
    position: Position
    recorded_at: int


class Directory(Protocol):
    """Read access to one consistent snapshot of the directory.

    Consistency: every answer of one Directory comes from the same ledger position, ``head``.
    """

    @property
    def head(self) -> Position:
        """The position this snapshot stands at."""
        ...

    @property
    def policy(self) -> Policy:
        """The policy in force at that position."""
        ...

    def find(self, kind: SubjectKind, external_id: str) -> Subject | None:
        """Return the subject of that name, None when there is none."""
        ...

    def erased_at(self, kind: SubjectKind, external_id: str) -> Position | None:
        """Return the entry that last erased a subject of that name, None when there is none."""
        ...

    def subject(self, no: SubjectNo) -> Subject:
        """Return the subject of that number, which must exist."""
        ...

    def plan(self, product: ProductId, plan: PlanId) -> PlanParties:
        """Return the parties of a plan.

        Raises:
            UnknownPlan: no policy ever adopted had that plan.
        """
        ...
