"""Adopting a policy: one public entry, however many people it covers.

The entry carries what becomes of the plans' defaults and locks. Only a product that comes, new or back,
gives accounts and organisations entries of their own, since each has a standing for it. These go ahead of
the policy, a chunk at a time, so that an opt-out never waits for all of them:

    every holder, by number -> whoever was named since, by position -> the few left + the policy
         chunk by chunk              chunk by chunk                       one transaction

So a product is never in force before everybody is ready for it. An adoption that ends midway leaves
holdings for a product that is not offered, which decide nothing; the next one goes on from there.

Source: design section 2. Not here: the file's rules (`domain.policy_file`), the effects
(`domain.policy_adoption`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import islice

from withhold.domain import policy_file
from withhold.domain.canonical_json import Json
from withhold.domain.changes import At
from withhold.domain.directory import PlanParties, Subject, SubjectKind
from withhold.domain.ledger import Event, EventKind
from withhold.domain.names import PartyNo, PlanId, Position, ProductId, SubjectNo
from withhold.domain.parties import PARTY_KIND, PartyKind
from withhold.domain.policy import Policy, changes
from withhold.domain.policy_adoption import adopted, given_products, introduced
from withhold.domain.standing import Effect
from withhold.errors import LedgerMoved, UnknownPlan
from withhold.ports import Ports, Transaction
from withhold.services.bulk import CHUNK
from withhold.services.events import append, here


def adopt(ports: Ports, text: str) -> Position | None:
    """Adopt a policy; return its position once that is durable, None when it is in force already.

    Raises:
        PolicyFileError: the text is not a valid policy; names line and reason.
        PolicyError: it changes what must not change while a product or a plan lasts.
        LedgerMoved: another policy was adopted meanwhile.
    """
    new = policy_file.loads(text)
    ahead = _prepare(ports, new)
    return ports.ledger.append(lambda transaction: _adopt(ports, transaction, new, text, ahead))


@dataclass(frozen=True, slots=True)
class _Ahead:
    """What was done ahead of an adoption.

    Attributes:
        old: the policy that it replaces.
        coming: the products for which holders were made ready.
        upto: the position up to which whoever has an entry is ready.
    """

    old: Policy | None
    coming: frozenset[ProductId]
    upto: Position


def _prepare(ports: Ports, new: Policy) -> _Ahead:
    with ports.ledger.directory() as directory:
        old, head = directory.policy if directory.head else None, directory.head
    if old is None or old.digest == new.digest:
        return _Ahead(old, frozenset(), head)
    changes(old, new)  # refuses a policy that cannot be adopted before anything is recorded for it
    coming = _coming(old, new)
    return _Ahead(old, coming, _make_ready(ports, coming, head) if coming else head)


def _make_ready(ports: Ports, coming: frozenset[ProductId], upto: Position) -> Position:
    """Make holders ready until few are left; return the position up to which they are."""
    after: SubjectNo | None = SubjectNo(0)
    while after is not None:
        after = ports.ledger.append(partial(_ready_by_number, ports, coming, after))
    while ports.ledger.head() - upto > CHUNK:
        upto = ports.ledger.append(partial(_ready_by_position, ports, coming, upto))
    return upto


def _ready_by_number(
    ports: Ports, coming: frozenset[ProductId], after: SubjectNo, transaction: Transaction
) -> SubjectNo | None:
    """Make the next holders ready; return the last of them, None when there are no more."""
    subjects = list(islice(transaction.accounts(after), CHUNK))
    for subject in subjects:
        _ready(ports, transaction, subject, coming)
    return subjects[-1].no if subjects else None


def _ready_by_position(
    ports: Ports, coming: frozenset[ProductId], after: Position, transaction: Transaction
) -> Position:
    """Make whoever the next entries name ready; return the position of the last of these."""
    upto = Position(min(after + CHUNK, transaction.head))
    for no in transaction.named(after, upto):
        _ready(ports, transaction, transaction.subject(no), coming)
    return upto


def _adopt(
    ports: Ports, transaction: Transaction, new: Policy, text: str, ahead: _Ahead
) -> Position | None:
    old = transaction.policy if transaction.head else None
    if old is not None and old.digest == new.digest:
        return None
    if old != ahead.old:
        raise LedgerMoved("another policy was adopted meanwhile; read it and adopt again")
    if ahead.coming:
        for no in transaction.named(ahead.upto, transaction.head):
            _ready(ports, transaction, transaction.subject(no), ahead.coming)
    at = here(transaction, ports.clock)
    plans, effects = _plans_after(transaction, old, new, at)
    body: dict[str, Json] = {"policy": text, "digest": new.digest, "version": new.version}
    body["parties"] = [[p.product, p.plan, p.default, p.lock] for p in plans]
    position = transaction.add(
        Event(EventKind.POLICY_ADOPTED, None, body, at.recorded_at, effects, None, plans)
    )
    transaction.adopted(text)
    return position


def _plans_after(
    transaction: Transaction, old: Policy | None, new: Policy, at: At
) -> tuple[tuple[PlanParties, ...], tuple[Effect, ...]]:
    after: dict[tuple[ProductId, PlanId], PlanParties] = {}
    effects: list[Effect] = []
    is_back = {p for p in _coming(old, new) if old is not None and transaction.had(p)}
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


def _coming(old: Policy | None, new: Policy) -> frozenset[ProductId]:
    """Return the products that stand in the new policy, but not in the one in force."""
    before = {product.id for product in old.products} if old is not None else set()
    return frozenset({product.id for product in new.products} - before)


def _ready(
    ports: Ports, transaction: Transaction, subject: Subject, coming: frozenset[ProductId]
) -> None:
    """Give a holder a standing for the products that come, out if anybody of its group said out."""
    if subject.is_erased:
        return  # unknown is out
    is_account = subject.kind is SubjectKind.ACCOUNT
    parties = {
        product: transaction.new_party(PARTY_KIND[subject.kind], product, subject.no)
        for product in sorted(coming)
        if product not in subject.holdings
    }
    group = [transaction.subject(no) for no in subject.group]
    at = here(transaction, ports.clock)
    change = given_products(subject, group, sorted(coming), parties, at)
    if change is None:
        return
    kind = EventKind.ACCOUNT_MOVED if is_account else EventKind.ORGANIZATION_MOVED
    numbers: dict[str, Json] = {str(product): party for product, party in parties.items()}
    append(transaction, kind, change, {"parties": numbers}, at)
