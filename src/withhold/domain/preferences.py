"""Preferences: what holds for somebody now and why, and what turning the switch does.

The rule (design section 2): an account is on if it, every organisation it is in, every lock of its
plans, and every default nobody chose against, are on. An explicit out is sticky and always possible;
a lock blocks only turning on. What `effective` says agrees with what `admission.admit` would say of a
row made now.

Not here: who may act (`services.preferences`), moves (`accounts`), defaults and locks themselves
(`policy_adoption`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
from withhold.domain.parties import chooser_of
from withhold.domain.standing import OUT


class Source(StrEnum):
    """What decides somebody's standing, in the order in which an off is reported."""

    ACCOUNT = "account"  # the account's own choice
    PLAN_LOCK = "plan_lock"  # the lock of a plan, which nobody can turn on
    ORGANIZATION = "organization"  # the choice of an organisation
    PLAN_DEFAULT = "plan_default"  # the default of a plan, where nobody chose


@dataclass(frozen=True, slots=True)
class Effective:
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


@dataclass(frozen=True, slots=True)
class _PlanNow:
    """A plan that counts now: its parties, and whose choice stands in the place of its default."""

    parties: PlanParties
    chooser: Subject

    def default_applies(self) -> bool:
        return self.chooser.holdings[self.parties.product].choice is None


def effective(subject: Subject, product: ProductId, directory: Directory) -> Effective:
    """Return what holds for a subject now, with the entry that decides it."""
    own = subject.holdings[product]
    contexts = list(_contexts(subject, directory))
    plans = list(_plans_now(subject, contexts, product, directory))
    lock = next((p for p in plans if p.parties.lock_on_since == OUT), None)
    is_locked = lock is not None
    if own.is_out:
        return _by_choice(False, own, _source_of(subject), is_locked)
    if lock is not None:
        return _by_plan(False, Source.PLAN_LOCK, lock.parties, is_locked=True)
    organization = next((o.holdings[product] for o in contexts if o.holdings[product].is_out), None)
    if organization is not None:
        return _by_choice(False, organization, Source.ORGANIZATION, False)
    applying = [p.parties for p in plans if p.default_applies()]
    off = next((p for p in applying if p.default_on_since == OUT), None)
    if off is not None:
        return _by_plan(False, Source.PLAN_DEFAULT, off)
    return _on(subject, own, plans)


def _on(subject: Subject, own: Holding, plans: list[_PlanNow]) -> Effective:
    """Return what holds for somebody who is on: an own choice, an organisation's, or a default."""
    if own.choice is Choice.IN:
        return _by_choice(True, own, _source_of(subject), False)
    product = plans[0].parties.product
    chosen = next((p for p in plans if not p.default_applies()), None)
    if chosen is not None:
        return _by_choice(True, chosen.chooser.holdings[product], Source.ORGANIZATION, False)
    decides = max((p.parties for p in plans), key=lambda p: p.position)
    found = _by_plan(True, Source.PLAN_DEFAULT, decides)
    if own.position < found.position:
        return found
    return Effective(True, found.source, False, own.position, own.recorded_at, found.plan)


def _contexts(subject: Subject, directory: Directory) -> Iterator[Subject]:
    """Yield the organisations the subject is in now."""
    for membership in subject.memberships_now():
        yield directory.subject(membership.organization)


def _plans_now(
    subject: Subject, contexts: list[Subject], product: ProductId, directory: Directory
) -> Iterator[_PlanNow]:
    """Yield every plan that counts now; the personal plan when nobody states one."""
    stated = [
        (context, plan)
        for context in (*contexts, subject)
        if (plan := context.plan_now(product)) is not None
    ]
    personal = (subject, directory.policy.product(product).personal_plan)
    for context, plan in stated or [personal]:
        chooser = chooser_of(subject, context, product, plan, directory)
        yield _PlanNow(directory.plan(product, plan), chooser)


def _source_of(subject: Subject) -> Source:
    return Source.ACCOUNT if subject.kind is SubjectKind.ACCOUNT else Source.ORGANIZATION


def _by_choice(is_on: bool, holding: Holding, source: Source, is_locked: bool) -> Effective:
    return Effective(is_on, source, is_locked, holding.position, holding.recorded_at, None)


def _by_plan(
    is_on: bool, source: Source, parties: PlanParties, *, is_locked: bool = False
) -> Effective:
    return Effective(
        is_on, source, is_locked, parties.position, parties.recorded_at, parties.plan
    )


def turned_off(subject: Subject, product: ProductId, at: At) -> Change | None:
    """Return the subject after its explicit out, None when it said so already."""
    holding = subject.holdings[product]
    if holding.choice is Choice.OUT:
        return None
    out, effect = put_out(holding, at)
    return Change(next_record(subject, {**subject.holdings, product: out}, at), (effect,))


def turned_on(subject: Subject, product: ProductId, at: At) -> Change | None:
    """Return the subject after its explicit in, None when it said so already.

    The caller has checked that no lock stands against it.
    """
    holding = subject.holdings[product]
    if holding.choice is Choice.IN:
        return None
    put, effect = put_in(holding, at)
    effects = () if effect is None else (effect,)
    return Change(next_record(subject, {**subject.holdings, product: put}, at), effects)
