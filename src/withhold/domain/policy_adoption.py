"""Adopting a policy: what becomes of the defaults, the locks, and the people.

The rule (design section 2): a plan's default and its lock are parties, so a changed default is one
entry however many people it covers. A plan that nobody ever was on opens with a default that has never
been out; one that comes back is on only since its return. A product that comes, new or back, finds
everybody with a holding: out for whoever said out of anything, as did somebody it was merged with; never
out only for whoever never was out of anything; on from its own entry for the others.

Not here: which plans differ (`policy.changes`), parsing (`policy_file`), numbers (`services.policies`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from withhold.domain.changes import At, Change, next_record, put_out
from withhold.domain.directory import OPEN, Choice, Holding, PlanParties, Subject
from withhold.domain.names import PartyNo, PlanId, ProductId
from withhold.domain.policy import PlanChange
from withhold.domain.standing import NEVER_OUT, OUT, Becomes, Effect, Standing
from withhold.domain.values import changed


@dataclass(frozen=True, slots=True)
class PlanAfter:
    """The parties of a plan after an adoption, and the standings it changed."""

    parties: PlanParties
    effects: tuple[Effect, ...]


def introduced(
    product: ProductId, plan: PlanId, parties: tuple[PartyNo, PartyNo], at: At
) -> PlanParties:
    """Return the parties of a plan before anything is said of them: both out.

    Args:
        parties: the numbers of its default and its lock.
    """
    default, lock = parties
    return PlanParties(product, plan, default, OUT, lock, OUT, at.position, at.recorded_at)


def adopted(parties: PlanParties, change: PlanChange, at: At, *, is_first: bool) -> PlanAfter:
    """Return the parties of a plan after one change.

    Args:
        is_first: no row could ever have been made on this plan: what is on was never out.
    """
    on = Becomes.NEVER_OUT if is_first else Becomes.ON
    effects = []
    after = replace(parties, position=at.position, recorded_at=at.recorded_at)
    if (default_on := change.what.default_on) is not None:
        effect = Effect(parties.default, on if default_on else Becomes.OUT)
        after = replace(after, default_on_since=effect.standing(at.position))
        effects.append(effect)
    if (lock_on := change.what.lock_on) is not None:
        effect = Effect(parties.lock, on if lock_on else Becomes.OUT)
        after = replace(after, lock_on_since=effect.standing(at.position))
        effects.append(effect)
    return PlanAfter(after, tuple(effects))


def given_products(
    subject: Subject,
    group: Sequence[Subject],
    products: Iterable[ProductId],
    parties: Mapping[ProductId, PartyNo],
    at: At,
) -> Change | None:
    """Return a subject that is ready for products that come, None when it is.

    Args:
        group: the other accounts it was merged with.
        products: those that come, new or back.
        parties: numbers for those of which the subject has no holding.
    """
    everybody = (subject, *group)
    becomes, back = _first_standing(everybody), _last_return(everybody)
    holdings, effects = dict(subject.holdings), []
    for product in products:
        before = holdings.get(product)
        if before is None or _is_above(before, becomes, back):
            party = parties[product] if before is None else before.party
            holdings[product] = readied(before, party, becomes, at)
            effects.append(Effect(party, becomes))
    if not effects:
        return None
    return Change(next_record(subject, holdings, at), tuple(effects))


def _first_standing(group: Sequence[Subject]) -> Becomes:
    """Return what a group becomes for a product that comes: nothing loosens an explicit out.

    Only an opening entry attests "never out", so that it passes on only where nothing else was said.
    """
    holdings = [holding for subject in group for holding in subject.holdings.values()]
    if any(holding.choice is Choice.OUT for holding in holdings):
        return Becomes.OUT
    is_attested = all(holding.on_since == NEVER_OUT for holding in holdings)
    return Becomes.NEVER_OUT if is_attested else Becomes.ON


def _last_return(group: Sequence[Subject]) -> Standing:
    """Return since when the last of a group's standings is on: until then somebody was out of something."""
    holdings = [holding for subject in group for holding in subject.holdings.values()]
    return max((h.on_since for h in holdings if not h.is_out), default=NEVER_OUT)


def _first_holding(party: PartyNo, becomes: Becomes, at: At) -> Holding:
    since = Effect(party, becomes).standing(at.position)
    if becomes is Becomes.OUT:
        return Holding(party, since, Choice.OUT, at.position, at.position, at.recorded_at)
    return Holding(party, since, None, OPEN, at.position, at.recorded_at)


def _is_above(holding: Holding, becomes: Becomes, back: Standing) -> bool:
    """Return whether a holding from before the product came is more than it would begin with.

    It is where somebody was out of something since it is on: an earlier adoption may have ended midway.
    """
    if becomes is Becomes.OUT:
        return not holding.is_out
    return becomes is Becomes.ON and holding.on_since < back


def readied(before: Holding | None, party: PartyNo, becomes: Becomes, at: At) -> Holding:
    """Return the holding of somebody who is made ready for a product that comes.

    Args:
        before: its holding of that product from earlier, None when it has none.
        party: the number of the holding.
        becomes: what it is to be.
    """
    if before is None:
        return _first_holding(party, becomes, at)
    if becomes is Becomes.OUT:
        return put_out(before, at)[0]
    since = Effect(party, becomes).standing(at.position)
    return changed(before, on_since=since, position=at.position, recorded_at=at.recorded_at)
