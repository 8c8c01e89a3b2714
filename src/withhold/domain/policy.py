"""Policy: which plans are on, who holds the setting, what is locked, and where the switch stands.

The rule (design section 2): products, plans, defaults, locks, holders, surfaces and labels are
values read from one versioned file, never code (A3). A plan's default is the standing of its
default party and its lock the standing of its lock party, so adopting a policy changes a few
standings however many people it covers; `changes` says which.

Invariants, held by `policy_file.loads`:
- ids are unique where they are looked up, and ``personal_plan`` names a plan of its product;
- a locked plan is off by default (A4), and a plan that is locked or off says why;
- feedback never overrides an opt-out.

Not here: reading the file (`policy_file`), what an adoption does to parties and to people's own
choices (`policy_adoption`), translations of labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from withhold.domain.names import NoticeVersion, PlanId, ProductId
from withhold.domain.signals import Signal
from withhold.errors import PolicyError, UnknownPlan, UnknownProduct


class Purpose(Enum):
    """What a product's data would be used for."""

    MODEL_TRAINING = "model_training"  # training the provider's models (A1)
    SERVICE_IMPROVEMENT = "service_improvement"  # improving services (A10)


class LegalBasis(Enum):
    """What the use of the data rests on in law; a receipt says an opt-out in its words."""

    CONSENT = "consent"  # GDPR Article 6(1)(a): an opt-out withdraws or refuses it
    LEGITIMATE_INTEREST = "legitimate_interest"  # Article 6(1)(f): an opt-out objects, Article 21


class HeldBy(Enum):
    """Whose own choice stands in the place of a plan's default."""

    ACCOUNT = "account"  # the person
    ORGANIZATION = "organization"  # the organisation, through the roles that may change it


class Role(Enum):
    """What an account is in an organisation."""

    ADMIN = "admin"  # whoever creates an organisation, and whom an admin makes one
    BILLING = "billing"  # sees invoices
    MEMBER = "member"  # uses the products


class Control(Enum):
    """What a person acts on."""

    TOGGLE = "toggle"  # on or off (A5, A10)
    CHECKBOX = "checkbox"  # checked is on, cleared is off (A8)
    FIELD = "field"  # a boolean of a request: true is on, false is off


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan of one product.

    Attributes:
        id: the stable id; labels may change over it.
        label: the name people see.
        default_on: whether data is used while the holder has made no choice of its own.
        locked: whether nobody can turn it on; turning off always works.
        held_by: whose own choice stands in the place of the default.
        reason: the sentence beside the control of a plan that is locked or off, else empty.
        formerly: earlier names.
    """

    id: PlanId
    label: str
    default_on: bool
    locked: bool
    held_by: HeldBy
    reason: str
    formerly: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Surface:
    """One place where the switch of a product stands; all surfaces show the same state.

    Attributes:
        id: for example ``console``.
        path: every step a person takes to the control, in order, with its exact label.
        section: the step of the path that is a section of a page, not a page; empty for none.
        control: what stands at the end of the path.
        label: the control's exact label.
    """

    id: str
    path: tuple[str, ...]
    section: str
    control: Control
    label: str


@dataclass(frozen=True, slots=True)
class Product:
    """One product with its plans and surfaces.

    Attributes:
        id: the stable id.
        label: the name people see.
        purpose: what its data would be used for.
        personal_plan: the plan of an account that has none stated.
        plans: all plans, in the order people see them.
        surfaces: every place where the switch stands (A2).
        covers: the sentence that says which data the switch covers.
        deidentified: whether its data is de-identified before it is used (A10).
        formerly: earlier names.
        honours: the signals of people's browsers that withhold the row they came with.
    """

    id: ProductId
    label: str
    purpose: Purpose
    personal_plan: PlanId
    plans: tuple[Plan, ...]
    surfaces: tuple[Surface, ...]
    covers: str
    deidentified: bool
    formerly: tuple[str, ...]
    honours: tuple[Signal, ...] = ()

    def plan(self, plan_id: PlanId) -> Plan:
        """Return the plan of that id.

        Raises:
            UnknownPlan: this policy has no such plan of the product.
        """
        for plan in self.plans:
            if plan.id == plan_id:
                return plan
        known = ", ".join(plan.id for plan in self.plans)
        raise UnknownPlan(
            f"product {self.id} has no plan {plan_id[:32]!r}; expected one of {known}"
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole policy, as one file states it.

    Attributes:
        version: the name of this version, chosen by the controller.
        digest: SHA-256 of the file's exact bytes, in hexadecimal.
        notice: the text version shown beside the controls.
        legal_basis: the sentence on what the use of the data rests on.
        basis: the same, for machines.
        feedback_overrides: always False; here so that every surface can show the rule.
        roles_that_change: the roles that may change what an organisation holds.
        products: all products, in the order people see them.
    """

    version: str
    digest: str
    notice: NoticeVersion
    legal_basis: str
    basis: LegalBasis
    feedback_overrides: bool
    roles_that_change: tuple[Role, ...]
    products: tuple[Product, ...]

    def product(self, product_id: ProductId) -> Product:
        """Return the product of that id.

        Raises:
            UnknownProduct: this policy has no such product.
        """
        for product in self.products:
            if product.id == product_id:
                return product
        known = ", ".join(product.id for product in self.products)
        raise UnknownProduct(f"no product {product_id[:32]!r}; expected one of {known}")

    def plan(self, product_id: ProductId, plan_id: PlanId) -> Plan:
        """Return one plan of one product.

        Raises:
            UnknownProduct: this policy has no such product.
            UnknownPlan: this policy has no such plan of that product.
        """
        return self.product(product_id).plan(plan_id)

    def held_by(self, product_id: ProductId, plan_id: PlanId) -> HeldBy:
        """Return whose own choice stands in the place of the plan's default.

        Raises:
            UnknownProduct: this policy has no such product.
            UnknownPlan: this policy has no such plan of that product.
        """
        return self.plan(product_id, plan_id).held_by


class DefaultChange(Enum):
    """What adopting a policy does to the default party and the lock party of one plan."""

    INTRODUCED_ON = "introduced_on"  # the old policy lacks the plan: default on, not locked
    INTRODUCED_OFF = "introduced_off"  # the old policy lacks the plan: default out, not locked
    INTRODUCED_LOCKED = "introduced_locked"  # the old policy lacks the plan: default and lock out
    TURNED_ON = "turned_on"  # the default goes on from this entry; the lock stays as it is
    TURNED_OFF = "turned_off"  # the default goes out; the lock stays as it is
    LOCKED = "locked"  # the lock goes out; the default stays as it is
    UNLOCKED = "unlocked"  # the lock goes on from this entry; the default stays as it is
    REMOVED = (
        "removed"  # the new policy lacks the plan: default and lock go out, accounts keep the id
    )

    @property
    def default_on(self) -> bool | None:
        """Whether the default party is on afterwards, None when it stays as it is."""
        return _AFTER[self][0]

    @property
    def lock_on(self) -> bool | None:
        """Whether the lock party is on (not locked) afterwards, None when it stays as it is."""
        return _AFTER[self][1]


_AFTER: dict[DefaultChange, tuple[bool | None, bool | None]] = {
    DefaultChange.INTRODUCED_ON: (True, True),
    DefaultChange.INTRODUCED_OFF: (False, True),
    DefaultChange.INTRODUCED_LOCKED: (False, False),
    DefaultChange.TURNED_ON: (True, None),
    DefaultChange.TURNED_OFF: (False, None),
    DefaultChange.LOCKED: (None, False),
    DefaultChange.UNLOCKED: (None, True),
    DefaultChange.REMOVED: (False, False),
}


@dataclass(frozen=True, slots=True)
class PlanChange:
    """One change of one plan's parties by the adoption of a policy."""

    product: ProductId
    plan: PlanId
    what: DefaultChange


def changes(old: Policy | None, new: Policy) -> tuple[PlanChange, ...]:
    """Return what adopting a policy changes in the standings of plan parties.

    An introduced plan whose product stood in a policy before ``old``, but not in ``old`` itself, or
    that has parties already from such a policy, is on since the adopting entry, never "never out":
    rows stamped before the return must not escape what was out then.

    Args:
        old: the policy in force, None before the first one.
        new: the policy to adopt.

    Returns:
        The changes in the order of the new file, then the removals in the order of the old one.

    Raises:
        PolicyError: the new policy alters what rows already stamped were decided by: a product's
            purpose or personal plan, or the holder of a plan's setting.
    """
    before = {} if old is None else _plans_of(old)
    after = _plans_of(new)
    if old is not None:
        _check_lasting(old, new)
    found = [
        PlanChange(*key, what)
        for key, plan in after.items()
        for what in _changes_of(before.get(key), plan)
    ]
    found += [PlanChange(*key, DefaultChange.REMOVED) for key in before if key not in after]
    return tuple(found)


def _plans_of(policy: Policy) -> dict[tuple[ProductId, PlanId], Plan]:
    return {(product.id, plan.id): plan for product in policy.products for plan in product.plans}


def _changes_of(old: Plan | None, new: Plan) -> Iterator[DefaultChange]:
    if old is None:
        yield _introduction(new)
        return
    if old.default_on != new.default_on:
        yield DefaultChange.TURNED_ON if new.default_on else DefaultChange.TURNED_OFF
    if old.locked != new.locked:
        yield DefaultChange.LOCKED if new.locked else DefaultChange.UNLOCKED


def _introduction(plan: Plan) -> DefaultChange:
    if plan.locked:
        return DefaultChange.INTRODUCED_LOCKED
    return DefaultChange.INTRODUCED_ON if plan.default_on else DefaultChange.INTRODUCED_OFF


def _check_lasting(old: Policy, new: Policy) -> None:
    """Refuse what would be a move of many accounts without an entry that moves them.

    A row that arrives late takes its parties from the policy of its arrival. Had another plan or
    another holder counted at its stamp, a party that was out then would be missing now. Removing a
    plan or a product and bringing it back is safe: its parties are on only since its return.
    """
    products = {product.id: product for product in old.products}
    for product in new.products:
        was = products.get(product.id)
        if was is None:
            continue
        if was.purpose is not product.purpose:
            raise _cannot_change(f"the purpose of product {product.id}", "product")
        if was.personal_plan != product.personal_plan:
            raise _cannot_change(f"the personal plan of product {product.id}", "product")
        held = {plan.id: plan.held_by for plan in was.plans}
        for plan in product.plans:
            if held.get(plan.id, plan.held_by) is not plan.held_by:
                raise _cannot_change(f"the holder of plan {plan.id} of {product.id}", "plan")


def _cannot_change(what: str, thing: str) -> PolicyError:
    return PolicyError(
        f"{what} differs from the policy in force and cannot change while the {thing} lasts; "
        f"keep it, or introduce a new {thing} id"
    )
