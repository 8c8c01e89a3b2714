"""What a person sees at a switch: what holds, who decided, what can be turned, and why not.

One look answers for one holder and one product, from one snapshot of the directory. Whether a switch may
be turned on is not guessed: it is turned on in thought, and what would hold then says who is in the way.

Source: articles A2, A4, A5, A8-A10; scenarios S1, S8, S19. Not here: turning it (`preferences`), words
(`web`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from withhold.domain.changes import At
from withhold.domain.directory import Directory, Holding, Subject, SubjectKind
from withhold.domain.ledger import EventKind
from withhold.domain.names import AccountId, NoticeVersion, PlanId, Position, ProductId
from withhold.domain.policy import Plan, Role
from withhold.domain.preferences import Effective, Source, effective, turned_on
from withhold.errors import UnknownProduct
from withhold.ports import Ports
from withhold.services.events import actor_of, readable
from withhold.services.preferences import unknown

_SOMETIME = 0  # a time for changes that are only thought of


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose switch it is, and who looks at it.

    Attributes:
        kind: an account looks at its own, or a member at the organization's.
        id: the external id of that account or organization.
        viewer: the account that looks.
    """

    kind: SubjectKind
    id: str
    viewer: AccountId


class Decider(StrEnum):
    """Who or what decides."""

    HOLDER = "holder"  # the account itself; on an organization's switch, one of its admins
    ADMIN = "admin"  # an admin of an organization, for this account alone
    PROVIDER = "provider"  # the provider's own services, for this holder alone
    ORGANIZATION = "organization"  # an organization the account is in, for everybody in it
    PLAN_LOCK = "plan_lock"  # the lock of a plan
    PLAN_DEFAULT = "plan_default"  # the default of a plan


class Obstacle(StrEnum):
    """Why a switch that is off cannot be turned on here and now."""

    PLAN_LOCK = "plan_lock"  # the plan is locked
    PLAN_DEFAULT = "plan_default"  # the plan is off and its organization holds the setting
    ORGANIZATION = "organization"  # an organization turned it off
    ROLE = "role"  # only an admin of the organization may


@dataclass(frozen=True, slots=True)
class Switch:
    """What a switch says, and what can be done with it.

    Attributes:
        is_on: whether what the holder makes now may be used.
        decider: who or what decides that.
        decided_by: the id of the account or organization that decides, else empty.
        plan: the label of the plan that decides, else of the one that counts.
        position: the entry that decides; shown as confirmed there.
        recorded_at: UTC milliseconds since 1970 of that entry.
        is_own: whether that entry is the holder's, so that it has a receipt for it.
        is_own_out: whether the holder itself said out, whatever else holds.
        may_turn_on: whether the viewer can turn it on.
        may_turn_off: whether the viewer can record an out that is not there yet.
        obstacle: what is in the way of turning it on, None when nothing is.
        obstacle_by: the id of the organization in the way, else empty.
        reason: the policy's sentence on the plan that is locked or off, else empty.
        seen: the position that turning it on compares.
        notice: the version of the texts beside it.
    """

    holder: Holder
    product: ProductId
    is_on: bool
    decider: Decider
    decided_by: str
    plan: str
    position: Position
    recorded_at: int
    is_own: bool
    is_own_out: bool
    may_turn_on: bool
    may_turn_off: bool
    obstacle: Obstacle | None
    obstacle_by: str
    reason: str
    seen: Position
    notice: NoticeVersion


def switch(ports: Ports, holder: Holder, product: ProductId) -> Switch:
    """Return what a switch says now.

    Raises:
        UnknownAccount, UnknownProduct: there is no such switch.
        UnknownOrganization: there is none, or the viewer is not a member of it now.
    """
    with ports.ledger.directory() as directory:
        directory.policy.product(product)
        look = _look(directory, holder, subject_of(directory, holder), product)
        notice = directory.policy.notice
    decider, decided_by = _decided(ports, holder, look)
    now, own = look.now, look.own
    return Switch(
        holder=holder,
        product=product,
        is_on=now.is_on,
        decider=decider,
        decided_by=decided_by,
        plan=look.plan,
        position=now.position,
        recorded_at=now.recorded_at,
        is_own=now.position == own.position,
        is_own_out=own.is_out,
        may_turn_on=not now.is_on and look.obstacle is None,
        may_turn_off=not own.is_out and look.may_turn,
        obstacle=look.obstacle,
        obstacle_by=look.obstacle_by,
        reason=look.reason,
        seen=now.position if own.choice is None else own.position,
        notice=notice,
    )


def marks(ports: Ports, holder: Holder) -> str:
    """Return a text that changes whenever something changes that a switch of the holder shows.

    Raises:
        UnknownAccount: the viewer is not there.
        UnknownOrganization: there is none, or the viewer is not a member of it now.
    """
    with ports.ledger.directory() as directory:
        subject = subject_of(directory, holder)
        looks = [
            _look(directory, holder, subject, product.id)
            for product in directory.policy.products
            if product.id in subject.holdings
        ]
        shown = repr((directory.policy.digest, looks))
    return hashlib.sha256(shown.encode()).hexdigest()[:16]


def subject_of(directory: Directory, holder: Holder) -> Subject:
    """Return the record of a holder, if the viewer may see it.

    Raises:
        UnknownAccount: the viewer, or the account it looks at, is not there, or is somebody else's.
        UnknownOrganization: there is none, or the viewer is not a member of it now.
    """
    viewer = directory.find(SubjectKind.ACCOUNT, holder.viewer)
    if viewer is None or (holder.kind is SubjectKind.ACCOUNT and holder.id != holder.viewer):
        raise unknown(SubjectKind.ACCOUNT, holder.id)
    if holder.kind is SubjectKind.ACCOUNT:
        return viewer
    subject = directory.find(SubjectKind.ORGANIZATION, holder.id)
    if subject is None or role_in(viewer, subject) is None:
        raise unknown(SubjectKind.ORGANIZATION, holder.id)
    return subject


def role_in(viewer: Subject, organization: Subject) -> Role | None:
    """Return what an account is in an organization now, None when it is no member."""
    for membership in viewer.memberships_now():
        if membership.organization == organization.no:
            return membership.role
    return None


@dataclass(frozen=True, slots=True)
class _Look:
    """What one snapshot says of a holder and a product."""

    now: Effective
    own: Holding
    by: str  # the organization whose choice decides, else empty
    others: tuple[str, ...]  # the holder's own other accounts
    may_turn: bool
    obstacle: Obstacle | None
    obstacle_by: str
    plan: str
    reason: str


def _look(directory: Directory, holder: Holder, subject: Subject, product: ProductId) -> _Look:
    if product not in subject.holdings:
        raise UnknownProduct(f"no switch for {product[:32]!r}; expected a product of the policy")
    now = effective(subject, product, directory)
    may_turn = _may_turn(directory, holder, subject)
    then = _if_turned_on(directory, subject, product)
    obstacle = _obstacle(then, may_turn=may_turn)
    decides = now.plan or (None if then.is_on else then.plan)
    plan = _plan_of(directory, product, decides or _counting_plan(directory, subject, product))
    return _Look(
        now=now,
        own=subject.holdings[product],
        by=_organization_at(directory, subject, product, now),
        others=tuple(directory.subject(no).id for no in subject.group),
        may_turn=may_turn,
        obstacle=obstacle,
        obstacle_by=_organization_at(directory, subject, product, then) if obstacle else "",
        plan=plan.label if plan else "",
        reason=plan.reason if plan and decides and not now.is_on else "",
    )


def _may_turn(directory: Directory, holder: Holder, subject: Subject) -> bool:
    """Return whether the viewer may turn the switch: an account its own, an admin the organization's."""
    if holder.kind is SubjectKind.ACCOUNT:
        return True
    viewer = directory.find(SubjectKind.ACCOUNT, holder.viewer)
    role = None if viewer is None else role_in(viewer, subject)
    return role in directory.policy.roles_that_change


def _if_turned_on(directory: Directory, subject: Subject, product: ProductId) -> Effective:
    """Return what would hold if the holder itself turned it on now."""
    change = turned_on(subject, product, At(Position(directory.head + 1), _SOMETIME))
    return effective(change.record if change else subject, product, directory)


def _obstacle(then: Effective, *, may_turn: bool) -> Obstacle | None:
    if then.is_on:
        return None if may_turn else Obstacle.ROLE
    if then.source is Source.PLAN_LOCK:
        return Obstacle.PLAN_LOCK
    return Obstacle.PLAN_DEFAULT if then.source is Source.PLAN_DEFAULT else Obstacle.ORGANIZATION


def _organization_at(
    directory: Directory, subject: Subject, product: ProductId, now: Effective
) -> str:
    """Return the organization whose entry decides, empty when none of the account's does."""
    if now.source is Source.ORGANIZATION:
        for membership in subject.memberships_now():
            organization = directory.subject(membership.organization)
            if organization.holdings[product].position == now.position:
                return organization.id
    return ""


def _counting_plan(directory: Directory, subject: Subject, product: ProductId) -> PlanId:
    """Return a plan that counts now: an organization's, the holder's own, or the personal one."""
    holders = [*(directory.subject(m.organization) for m in subject.memberships_now()), subject]
    plans = [plan for each in holders if (plan := each.plan_now(product)) is not None]
    return plans[0] if plans else directory.policy.product(product).personal_plan


def _plan_of(directory: Directory, product: ProductId, plan: PlanId) -> Plan | None:
    offered = directory.policy.product(product).plans
    return next((each for each in offered if each.id == plan), None)


def _decided(ports: Ports, holder: Holder, look: _Look) -> tuple[Decider, str]:
    """Return who or what decides; of a choice, by the entry that recorded it."""
    source = look.now.source
    if source is Source.PLAN_LOCK:
        return Decider.PLAN_LOCK, ""
    if source is Source.PLAN_DEFAULT:
        return Decider.PLAN_DEFAULT, ""
    if look.by:
        return Decider.ORGANIZATION, look.by
    kind, actor = _actor_at(ports, look.now.position)
    if actor is None:
        is_merged = kind is EventKind.ACCOUNTS_MERGED
        return (Decider.HOLDER if is_merged else Decider.PROVIDER), ""
    is_self = actor == holder.id or actor in look.others
    if holder.kind is SubjectKind.ORGANIZATION or is_self:
        return Decider.HOLDER, actor
    return Decider.ADMIN, actor


def _actor_at(ports: Ports, position: Position) -> tuple[EventKind | None, str | None]:
    """Return what an entry records and who acted; nobody when it cannot be opened any more."""
    record = readable(ports, position)
    return (None, None) if record is None else (record.kind, actor_of(record))
