"""Accounts and organisations: how they open, move and are merged.

The rule (design section 2): an account opens on and never out only because its opening entry says so. A
move that is on before and after changes nothing; any other sets the standing to its own position and
clears an explicit in; an explicit out stays through everything. What ended keeps the position at which
it ended, so that a row that arrives late still finds it.

Not here: who may do this, and numbers (`services.directory`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from withhold.domain.changes import At, Change, next_record, put_out, put_unchosen
from withhold.domain.directory import (
    OPEN,
    Choice,
    Directory,
    Holding,
    Membership,
    PlanSpell,
    Subject,
    SubjectKind,
)
from withhold.domain.names import PartyNo, PlanId, Position, ProductId, SubjectNo
from withhold.domain.policy import Role
from withhold.domain.preferences import effective
from withhold.domain.standing import NEVER_OUT, OUT, Becomes, Effect, Standing
from withhold.domain.values import changed

Roles = Mapping[SubjectNo, Role]
"""The organisations somebody is in, with the role in each."""


class Opens(Enum):
    """How an account's standing begins; only its opening entry can say so."""

    ON = "on"  # never been out: the provider attests it, history counts
    ON_FROM_NOW = "on_from_now"  # on since the opening entry
    OUT = "out"  # an existing opt-out: an explicit out


_BEGINS: dict[Opens, Becomes] = {
    Opens.ON: Becomes.NEVER_OUT,
    Opens.ON_FROM_NOW: Becomes.ON,
    Opens.OUT: Becomes.OUT,
}


@dataclass(frozen=True, slots=True)
class Opening:
    """A subject that is about to exist: its number, its name, a party for each product.

    Attributes:
        plans: the plans it has from the start.
        roles: the organisations it is in from the start.
    """

    no: SubjectNo
    kind: SubjectKind
    id: str
    parties: Mapping[ProductId, PartyNo]
    plans: Mapping[ProductId, PlanId]
    roles: Roles
    opens: Opens


def opened(opening: Opening, at: At) -> Change:
    """Return a subject as its opening entry leaves it."""
    holdings = {
        product: _first_holding(party, opening.opens, at)
        for product, party in opening.parties.items()
    }
    begins = _BEGINS[opening.opens]
    record = Subject(
        opening.no,
        opening.kind,
        opening.id,
        1,
        at.position,
        holdings,
        tuple(PlanSpell(product, plan, OPEN) for product, plan in opening.plans.items()),
        tuple(Membership(no, role, Position(0), OPEN) for no, role in opening.roles.items()),
    )
    return Change(record, tuple(Effect(party, begins) for party in opening.parties.values()))


def _first_holding(party: PartyNo, opens: Opens, at: At) -> Holding:
    if opens is Opens.OUT:
        return Holding(party, OUT, Choice.OUT, at.position, at.position, at.recorded_at)
    since = NEVER_OUT if opens is Opens.ON else Standing(at.position)
    return Holding(party, since, None, OPEN, at.position, at.recorded_at)


def moved(
    subject: Subject,
    plans: Mapping[ProductId, PlanId],
    roles: Roles | None,
    directory: Directory,
    at: At,
) -> Change | None:
    """Return a subject after a move, None when nothing is different.

    Args:
        plans: plans by product; a product that is not named keeps its plan.
        roles: every organisation it is in from now on; None keeps them.
        directory: the snapshot before the move.
    """
    there = placed(subject, plans, roles, at.position)
    if there == subject:
        return None
    holdings, effects = dict(subject.holdings), []
    for product, holding in _disturbed(subject, there, directory):
        holdings[product], effect = put_unchosen(holding, at)
        effects.append(effect)
    return Change(next_record(there, holdings, at), tuple(effects))


def placed(
    subject: Subject, plans: Mapping[ProductId, PlanId], roles: Roles | None, position: Position
) -> Subject:
    """Return a subject where it belongs from a position on, its standings as they were.

    Args:
        plans: plans by product; a product that is not named keeps its plan.
        roles: every organisation it is in from now on; None keeps them.
    """
    memberships = subject.memberships
    if roles is not None:
        memberships = _memberships_after(subject, roles, position)
    return changed(subject, plans=_spells_after(subject, plans, position), memberships=memberships)


def _spells_after(
    subject: Subject, plans: Mapping[ProductId, PlanId], position: Position
) -> tuple[PlanSpell, ...]:
    new = [PlanSpell(*item, OPEN) for item in plans.items() if subject.plan_now(item[0]) != item[1]]
    again = {(spell.product, spell.plan) for spell in new}
    leaves = {spell.product for spell in new}
    kept = [
        changed(spell, until=position) if spell.product in leaves and spell.until == OPEN else spell
        for spell in subject.plans
        if (spell.product, spell.plan) not in again  # the open spell covers the earlier one
    ]
    first = [
        PlanSpell(
            spell.product, None, position
        )  # till now the personal plan held, by saying nothing
        for spell in new
        if subject.unstated_until(spell.product) == OPEN
    ]
    return (*kept, *first, *new)


def _memberships_after(
    subject: Subject, roles: Roles, position: Position
) -> tuple[Membership, ...]:
    now = {m.organization: m for m in subject.memberships_now()}
    kept = [
        m if m.until != OPEN else changed(m, until=position)
        for m in subject.memberships
        if m.organization not in roles  # an open membership covers an earlier one
    ]
    held = [
        changed(now[no], role=role) if no in now else Membership(no, role, position, OPEN)
        for no, role in roles.items()
    ]
    return _in_order(subject, [*kept, *held])


def _in_order(subject: Subject, memberships: list[Membership]) -> tuple[Membership, ...]:
    """Keep the order of before, so that saying the same again is no change."""
    before = {m.organization: rank for rank, m in enumerate(subject.memberships)}
    return tuple(sorted(memberships, key=lambda m: before.get(m.organization, len(before))))


def _disturbed(
    subject: Subject, there: Subject, directory: Directory
) -> Iterator[tuple[ProductId, Holding]]:
    """Yield what a move sets anew: whatever is not on before and after, unless explicitly out."""
    for product in directory.policy.products:
        holding = subject.holdings[product.id]
        if holding.choice is Choice.OUT:
            continue
        was_on = effective(subject, product.id, directory).is_on
        if not (was_on and effective(there, product.id, directory).is_on):
            yield product.id, holding


def outs_of(subjects: Sequence[Subject]) -> frozenset[ProductId]:
    """Return the products for which any of these said out: in a group, off wins."""
    return frozenset(
        product
        for subject in subjects
        for product, holding in subject.holdings.items()
        if holding.choice is Choice.OUT
    )


def merged(
    subject: Subject, group: frozenset[SubjectNo], outs: frozenset[ProductId], at: At
) -> Change | None:
    """Return an account as a member of a group, None when nothing is different.

    Args:
        group: every account of the group, the subject among them.
        outs: the products for which any of them said out.
    """
    others = tuple(sorted(group - {subject.no}))
    holdings, effects = dict(subject.holdings), []
    for product in sorted(outs & holdings.keys()):
        if holdings[product].choice is not Choice.OUT:
            holdings[product], effect = put_out(holdings[product], at)
            effects.append(effect)
    if others == subject.group and not effects:
        return None
    record = next_record(changed(subject, group=others), holdings, at)
    return Change(record, tuple(effects))
