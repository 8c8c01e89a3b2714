"""Adopting a policy: one public entry, however many people it covers.

The entry carries what becomes of the plans' defaults and locks. Only a product that is new gives every
account and organisation an entry of its own, in the same transaction, since each gets a standing for it.

Source: design section 2. Not here: the file's rules (`domain.policy_file`), the effects
(`domain.policy_adoption`).
"""

from __future__ import annotations

from withhold.domain import policy_file
from withhold.domain.changes import At
from withhold.domain.directory import PlanParties, Subject, SubjectKind
from withhold.domain.ledger import Event, EventKind, Json
from withhold.domain.names import PartyNo, PlanId, Position, ProductId
from withhold.domain.parties import PartyKind
from withhold.domain.policy import Policy, changes
from withhold.domain.policy_adoption import adopted, given_products, introduced
from withhold.domain.standing import Effect
from withhold.errors import UnknownPlan
from withhold.ports import Ports, Transaction
from withhold.services.events import append, here


def adopt(ports: Ports, text: str) -> Position | None:
    """Adopt a policy; return its position once that is durable, None when it is in force already.

    Raises:
        PolicyFileError: the text is not a valid policy; names line and reason.
        PolicyError: it changes what must not change while a product or a plan lasts.
    """
    policy = policy_file.loads(text)
    return ports.ledger.append(lambda transaction: _adopt(ports, transaction, policy, text))


def _adopt(ports: Ports, transaction: Transaction, new: Policy, text: str) -> Position | None:
    old = transaction.policy if transaction.head else None
    if old is not None and old.digest == new.digest:
        return None
    at = here(transaction, ports.clock)
    plans, effects = _plans_after(transaction, old, new, at)
    body: dict[str, Json] = {"policy": text, "digest": new.digest, "version": new.version}
    body["parties"] = [[p.product, p.plan, p.default, p.lock] for p in plans]
    position = transaction.add(
        Event(EventKind.POLICY_ADOPTED, None, body, at.recorded_at, effects, None, plans)
    )
    transaction.adopted(text)
    if old is not None:
        _give_products(ports, transaction, old, new)
    return position


def _plans_after(
    transaction: Transaction, old: Policy | None, new: Policy, at: At
) -> tuple[tuple[PlanParties, ...], tuple[Effect, ...]]:
    after: dict[tuple[ProductId, PlanId], PlanParties] = {}
    effects: list[Effect] = []
    is_back = _returned(transaction, old, new)
    for change in changes(old, new):
        key = (change.product, change.plan)
        parties = after.get(key) or _known(transaction, old, *key)
        is_first = parties is None and change.product not in is_back
        if parties is None:
            parties = introduced(*key, _new_parties(transaction, change.product), at)
        done = adopted(parties, change, at, is_first=is_first)
        after[key] = done.parties
        effects += done.effects
    return tuple(after.values()), tuple(effects)


def _known(
    transaction: Transaction, old: Policy | None, product: ProductId, plan: PlanId
) -> PlanParties | None:
    """Return the parties a plan has from any earlier policy."""
    if old is None:
        return None
    try:
        return transaction.plan(product, plan)
    except UnknownPlan:
        return None


def _new_parties(transaction: Transaction, product: ProductId) -> tuple[PartyNo, PartyNo]:
    return (
        transaction.new_party(PartyKind.PLAN_DEFAULT, product, None),
        transaction.new_party(PartyKind.PLAN_LOCK, product, None),
    )


def _returned(transaction: Transaction, old: Policy | None, new: Policy) -> set[ProductId]:
    """Return the products that stood in an earlier policy, but not in the one in force.

    Whoever had an account then still has its holding; without anybody there are no rows either.
    """
    fresh = _fresh(old, new)
    if old is None or not fresh:
        return set()
    back: set[ProductId] = set()
    for subject in transaction.accounts():
        back |= fresh & subject.holdings.keys()
        if back == fresh:
            break
    return back


def _fresh(old: Policy | None, new: Policy) -> set[ProductId]:
    before = {product.id for product in old.products} if old is not None else set()
    return {product.id for product in new.products} - before


def _give_products(ports: Ports, transaction: Transaction, old: Policy, new: Policy) -> None:
    """Give everybody a standing for the products that are new."""
    fresh = sorted(_fresh(old, new))
    if not fresh:
        return
    for subject in transaction.accounts():
        missing = [product for product in fresh if product not in subject.holdings]
        if missing:
            _give(ports, transaction, subject, missing)


def _give(
    ports: Ports, transaction: Transaction, subject: Subject, products: list[ProductId]
) -> None:
    is_account = subject.kind is SubjectKind.ACCOUNT
    party_kind = PartyKind.ACCOUNT if is_account else PartyKind.ORGANIZATION
    parties = {p: transaction.new_party(party_kind, p, subject.no) for p in products}
    at = here(transaction, ports.clock)
    change = given_products(subject, parties, at)
    kind = EventKind.ACCOUNT_MOVED if is_account else EventKind.ORGANIZATION_MOVED
    numbers: dict[str, Json] = {str(product): party for product, party in parties.items()}
    append(transaction, kind, change, {"parties": numbers}, at)
