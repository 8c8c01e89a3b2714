"""Adopting a policy: what becomes of the defaults, the locks, and the people.

The rule (design section 2): a plan's default and its lock are parties, so a changed default is one
entry however many people it covers. A plan that nobody ever was on opens with a default that has never
been out; one that comes back is on only since its return. A new product gives everybody a holding: out
for whoever is out of anything, else never out.

Not here: which plans differ (`policy.changes`), parsing (`policy_file`), numbers (`services.policies`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from withhold.domain.changes import At, Change, next_record
from withhold.domain.directory import OPEN, Choice, Holding, PlanParties, Subject
from withhold.domain.names import PartyNo, PlanId, ProductId
from withhold.domain.policy import PlanChange
from withhold.domain.standing import NEVER_OUT, OUT, Becomes, Effect, Standing


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


def given_products(subject: Subject, parties: dict[ProductId, PartyNo], at: At) -> Change:
    """Return a subject with holdings for products that are new to it.

    Whoever said out for any product is out of a new one: nothing loosens an explicit out.
    """
    is_out = any(holding.choice is Choice.OUT for holding in subject.holdings.values())
    holdings = {
        **subject.holdings,
        **{product: _first(party, is_out, at) for product, party in parties.items()},
    }
    becomes = Becomes.OUT if is_out else Becomes.NEVER_OUT
    effects = tuple(Effect(party, becomes) for party in parties.values())
    return Change(next_record(subject, holdings, at), effects)


def _first(party: PartyNo, is_out: bool, at: At) -> Holding:
    if is_out:
        return Holding(party, OUT, Choice.OUT, at.position, at.position, at.recorded_at)
    return Holding(party, Standing(NEVER_OUT), None, OPEN, at.position, at.recorded_at)
