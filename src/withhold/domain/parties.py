"""The parties of a row: everyone whose opt-out withholds it.

Every author and document owner gives, for the row's product and for the product the content came from:
the account; every organisation and plan it had at any position from the row's stamp to its arrival;
that plan's lock; and, if at any of those positions the setting's holder had made no choice of its own,
that plan's default (design section 1). Arrival is the snapshot of the directory that is passed in.
Where at one of those positions nobody stated a plan, the product's personal plan held.

Where records cannot tell positions apart the answer includes more parties, never fewer: one party too
many only loses rows, one too few breaks the promise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from withhold.domain.directory import OPEN, Directory, Subject, SubjectKind
from withhold.domain.names import PartyNo, PlanId, Position, ProductId, SubjectNo
from withhold.domain.policy import HeldBy
from withhold.errors import InputError, UnknownPlan, UnknownProduct


class PartyKind(IntEnum):
    """What a party's holder is; the value is its code in stored arrays."""

    ACCOUNT = 0  # the person's own standing
    ORGANIZATION = 1  # the organisation's standing
    PLAN_DEFAULT = 2  # the default of a plan, for holders without a choice of their own
    PLAN_LOCK = 3  # the lock of a plan, which no choice escapes


PARTY_KIND: Mapping[SubjectKind, PartyKind] = {
    SubjectKind.ACCOUNT: PartyKind.ACCOUNT,
    SubjectKind.ORGANIZATION: PartyKind.ORGANIZATION,
}
"""What the own standings of a subject are."""


@dataclass(frozen=True, slots=True)
class Author:
    """Somebody whose content is in a row.

    Attributes:
        account: the account.
        organization: the organisation the content was made in, None when not said: then all count.
        product: the product the content was made in.
    """

    account: SubjectNo
    organization: SubjectNo | None
    product: ProductId


def parties_of(
    authors: Iterable[Author], product: ProductId, stamp: Position, directory: Directory
) -> tuple[PartyNo, ...]:
    """Return all parties of a row, sorted, each once.

    Args:
        authors: everyone whose content is in the row.
        product: the row's own product.
        stamp: the row's position, the lowest of anything in it.
        directory: the snapshot at which the row arrives.

    Raises:
        InputError: an author was not a member of the organisation it is said to have acted in, or
            somebody was opened after a product had left the policy, and has no standing for it.
    """
    found: set[PartyNo] = set()
    for author in authors:
        for each in {product, author.product}:
            found.update(_parties_of_author(author, each, stamp, directory))
    return tuple(sorted(found))


def _parties_of_author(
    author: Author, product: ProductId, stamp: Position, directory: Directory
) -> Iterator[PartyNo]:
    account = directory.subject(author.account)
    yield _own(account, product)
    for holder in _contexts(author, account, product, stamp, directory):
        if holder.kind is SubjectKind.ORGANIZATION:
            yield _own(holder, product)
        for plan in _plans_since(holder, product, stamp):
            yield from _parties_of_plan(account, holder, product, plan, stamp, directory)
    if _was_on_personal_plan(author, account, product, stamp, directory):
        plan = directory.policy.product(product).personal_plan
        yield from _parties_of_plan(account, account, product, plan, stamp, directory)


def _own(holder: Subject, product: ProductId) -> PartyNo:
    holding = holder.holdings.get(product)
    if holding is None:
        raise InputError(
            f"somebody of this row has no standing for the product {product}, which is not offered "
            "now; leave out what was made in it"
        )
    return holding.party


def _contexts(
    author: Author, account: Subject, product: ProductId, stamp: Position, directory: Directory
) -> Iterator[Subject]:
    """Yield the organisations, and the account itself, whose plans count for the row."""
    organization = author.organization
    counted = [m for m in account.memberships if m.until > stamp]
    if organization is not None:
        if organization not in {m.organization for m in account.memberships}:
            raise InputError(
                "the account was never a member of the organization named in the row; "
                "name one of its own or leave it out"
            )
        named = directory.subject(organization)
        yield named
        moved = any(m.until != OPEN or m.since > stamp for m in counted)
        # a label naming an organisation it had left by then is stale: what it had instead counts too
        if not moved and organization in {m.organization for m in counted}:
            if named.unstated_until(product) > stamp:
                yield account  # its own plan holds where the organisation states none
            return
    for no in {m.organization for m in counted} - {organization}:
        assert no is not None
        yield directory.subject(no)
    yield account


def _was_on_personal_plan(
    author: Author, account: Subject, product: ProductId, stamp: Position, directory: Directory
) -> bool:
    """Return whether nobody stated a plan at some position since the stamp.

    Whoever stated a plan never unstates it, so that begins to be so only at the stamp itself or where
    a membership ends.
    """
    until = account.unstated_until(product)
    if until <= stamp:
        return False
    memberships = [m for m in account.memberships if m.until > stamp]
    states_from = {
        m.organization: directory.subject(m.organization).unstated_until(product)
        for m in memberships
    }
    if author.organization is not None and states_from.get(author.organization, stamp) > stamp:
        return True
    moments = {stamp, *(m.until for m in memberships if m.until < until)}
    return any(
        not any(m.since <= at < m.until and states_from[m.organization] <= at for m in memberships)
        for at in moments
    )


def _plans_since(holder: Subject, product: ProductId, stamp: Position) -> set[PlanId]:
    return {
        spell.plan
        for spell in holder.plans
        if spell.product == product and spell.plan is not None and spell.until > stamp
    }


def _parties_of_plan(
    account: Subject,
    context: Subject,
    product: ProductId,
    plan: PlanId,
    stamp: Position,
    directory: Directory,
) -> Iterator[PartyNo]:
    parties = directory.plan(product, plan)
    yield parties.lock
    chooser = chooser_of(account, context, product, plan, directory)
    if chooser.holdings[product].unchosen_until > stamp:
        yield parties.default


def chooser_of(
    account: Subject, context: Subject, product: ProductId, plan: PlanId, directory: Directory
) -> Subject:
    """Return whose own choice stands in the place of the plan's default (design section 2)."""
    return account if is_held_by_accounts(product, plan, directory) else context


def is_held_by_accounts(product: ProductId, plan: PlanId, directory: Directory) -> bool:
    """Return whether each account's own choice stands in the place of the plan's default."""
    try:
        return directory.policy.held_by(product, plan) is HeldBy.ACCOUNT
    except (UnknownPlan, UnknownProduct):
        return False  # no longer in the policy: its lock is out, so nothing is admitted by this
