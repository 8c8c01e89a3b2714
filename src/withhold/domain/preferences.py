"""Preferences: what holds for somebody now and why, and what turning the switch does.

The rule (design section 2): an account is on if it, every organisation it is in, every lock of its
plans, and every default nobody chose against, are on. An explicit out is sticky and always possible;
a lock blocks only turning on. What `effective` says agrees with what `admission.admit` would say of a
row made now.

Not here: who may act (`services.preferences`), moves (`accounts`), defaults and locks themselves
(`policy_adoption`).
"""

from __future__ import annotations

from enum import StrEnum

from withhold.domain.changes import At, Change, next_record, put_in, put_out
from withhold.domain.directory import (
    Choice,
    Directory,
    Holding,
    PlanParties,
    Subject,
    SubjectKind,
)
from withhold.domain.names import PlanId, Position, ProductId
from withhold.domain.parties import chooser_of, is_held_by_accounts
from withhold.domain.standing import OUT
from withhold.domain.values import Value, changed


class Source(StrEnum):
    """What decides somebody's standing, in the order in which an off is reported."""

    ACCOUNT = "account"  # the account's own choice
    PLAN_LOCK = "plan_lock"  # the lock of a plan, which nobody can turn on
    ORGANIZATION = "organization"  # the choice of an organisation
    PLAN_DEFAULT = "plan_default"  # the default of a plan, where nobody chose


class Effective(Value, frozen=True):
    """What holds for a subject and a product now.

    Attributes:
        is_on: whether what it makes now may be used.
        is_locked: whether a plan it has now is locked: it could not be turned on.
        position: the entry that decides.
        recorded_at: UTC milliseconds since 1970 of that entry.
        plan: the plan that decides, None when a choice does.
    """

    is_on: bool
    source: Source
    is_locked: bool
    position: Position
    recorded_at: int
    plan: PlanId | None


_PlanNow = tuple[PlanParties, Holding | None]
"""A plan that counts now, and the holding whose choice stands in the place of its default, if any."""


def effective(subject: Subject, product: ProductId, directory: Directory) -> Effective:
    """Return what holds for a subject now, with the entry that decides it.

    Args:
        subject: an account, or an organisation by itself.
        product: a product of the policy in force, or one that left it and that the subject is out of.
        directory: the snapshot that "now" means.
    """
    own = subject.holdings[product]
    organizations = [directory.subject(m.organization) for m in subject.memberships_now()]
    plans = _plans_now(subject, organizations, product, directory)
    lock = _lock_in(plans)
    if own.is_out:
        return _by_choice(own, _source_of(subject), is_on=False, is_locked=lock is not None)
    if lock is not None:
        return _by_plan(lock, Source.PLAN_LOCK, is_on=False)
    for organization in organizations:
        if (holding := organization.holdings[product]).is_out:
            return _by_choice(holding, Source.ORGANIZATION, is_on=False)
    for parties, chosen in plans:
        is_chosen = chosen is not None and chosen.choice is not None
        if not is_chosen and parties.default_on_since == OUT:
            return _by_plan(parties, Source.PLAN_DEFAULT, is_on=False)
    return _on(subject, own, plans)


def _lock_in(plans: list[_PlanNow]) -> PlanParties | None:
    for parties, _ in plans:
        if parties.lock_on_since == OUT:
            return parties
    return None


def _on(subject: Subject, own: Holding, plans: list[_PlanNow]) -> Effective:
    """Return what holds for somebody who is on: an own choice, an organisation's, or a default."""
    if own.choice is Choice.IN:
        return _by_choice(own, _source_of(subject), is_on=True)
    for _, chosen in plans:
        if chosen is not None and chosen.choice is not None:
            return _by_choice(chosen, Source.ORGANIZATION, is_on=True)
    decides = max((parties for parties, _ in plans), key=lambda p: p.position)
    found = _by_plan(decides, Source.PLAN_DEFAULT, is_on=True)
    if own.position > found.position:  # it was opened, or moved here, after the default was set
        return changed(found, position=own.position, recorded_at=own.recorded_at)
    return found


def _plans_now(
    subject: Subject, organizations: list[Subject], product: ProductId, directory: Directory
) -> list[_PlanNow]:
    """Return every plan that counts now; the personal plan when nobody states one."""
    found: list[_PlanNow] = []
    for organization in organizations:
        plan = organization.plan_now(product)
        if plan is not None:
            chooser = chooser_of(subject, organization, product, plan, directory)
            found.append((directory.plan(product, plan), chooser.holdings[product]))
    plan = subject.plan_now(product)
    if plan is None and not found:
        plan = _personal_plan(directory, product)
    if plan is not None:
        own = subject.holdings[product] if _may_choose(subject, product, plan, directory) else None
        found.append((directory.plan(product, plan), own))
    return found


def _personal_plan(directory: Directory, product: ProductId) -> PlanId | None:
    offered = (p.personal_plan for p in directory.policy.products if p.id == product)
    return next(offered, None)


def _may_choose(subject: Subject, product: ProductId, plan: PlanId, directory: Directory) -> bool:
    """An organisation has no say where each account holds the setting."""
    if subject.kind is SubjectKind.ACCOUNT:
        return True
    return not is_held_by_accounts(product, plan, directory)


def _source_of(subject: Subject) -> Source:
    return Source.ACCOUNT if subject.kind is SubjectKind.ACCOUNT else Source.ORGANIZATION


def _by_choice(
    holding: Holding, source: Source, *, is_on: bool, is_locked: bool = False
) -> Effective:
    return Effective(is_on, source, is_locked, holding.position, holding.recorded_at, None)


def _by_plan(parties: PlanParties, source: Source, *, is_on: bool) -> Effective:
    is_locked = source is Source.PLAN_LOCK
    return Effective(is_on, source, is_locked, parties.position, parties.recorded_at, parties.plan)


def turned_off(subject: Subject, product: ProductId, at: At) -> Change | None:
    """Return the subject after its explicit out, None when it said so already."""
    holding = subject.holdings[product]
    if holding.choice is Choice.OUT:
        return None
    out, effect = put_out(holding, at)
    return Change(next_record(subject, {**subject.holdings, product: out}, at), (effect,))


def turned_on(subject: Subject, product: ProductId, at: At) -> Change | None:
    """Return the subject after its explicit in, None when it said so already.

    Whether a lock stands against it is for the caller to ask, of `effective` and this record.
    """
    holding = subject.holdings[product]
    if holding.choice is Choice.IN:
        return None
    put, effect = put_in(holding, at)
    effects = () if effect is None else (effect,)
    return Change(next_record(subject, {**subject.holdings, product: put}, at), effects)
