"""Accounts and organisations: opening them, moving them, merging them.

The provider says what is so; what differs from before becomes one entry per subject, and saying the
same again appends nothing. How an account opens counts the first time only.

Source: design sections 2 and 8. Not here: what a move does (`domain.accounts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from withhold.domain.accounts import Opening, Opens, Roles, merged, moved, opened, outs_of
from withhold.domain.canonical_json import Json
from withhold.domain.directory import Directory, Subject, SubjectKind
from withhold.domain.ledger import OPENED, EventKind
from withhold.domain.names import AccountId, OrganizationId, PlanId, ProductId, SubjectNo
from withhold.domain.parties import PARTY_KIND
from withhold.domain.policy import Role
from withhold.errors import InputError
from withhold.ports import Ports, Transaction
from withhold.services.bulk import append_all
from withhold.services.events import append, here
from withhold.services.preferences import unknown

MAX_ID_CHARS = 256

_MOVED = {
    SubjectKind.ACCOUNT: EventKind.ACCOUNT_MOVED,
    SubjectKind.ORGANIZATION: EventKind.ORGANIZATION_MOVED,
}


@dataclass(frozen=True, slots=True)
class OrganizationRequest:
    """What an organisation is from now on.

    Attributes:
        plans: plans by product; a product that is not named keeps its plan.
    """

    id: OrganizationId
    name: str = ""
    plans: Mapping[ProductId, PlanId] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccountRequest:
    """What an account is from now on.

    Attributes:
        organizations: every organisation it is in, with its role; None keeps them.
        plans: plans by product; a product that is not named keeps its plan.
        opens: how it opens; without effect when it exists.
    """

    id: AccountId
    organizations: tuple[tuple[OrganizationId, Role], ...] | None = None
    plans: Mapping[ProductId, PlanId] = field(default_factory=dict)
    opens: Opens = Opens.ON


def put_organization(ports: Ports, request: OrganizationRequest) -> Subject:
    """Open an organisation, or change its plans; return it once that is durable.

    Raises:
        UnknownProduct, UnknownPlan: the policy does not have it.
        InputError: the id is empty or too long.
    """

    def change(transaction: Transaction) -> Subject:
        kind = SubjectKind.ORGANIZATION
        _check(transaction, request.id, request.plans)
        known = transaction.find(kind, request.id)
        if known is not None:
            return _move(ports, transaction, known, request.plans, None)
        opening = _opening(transaction, kind, request.id, request.plans)
        return _open(ports, transaction, opening, {"name": request.name})

    return ports.ledger.append(change)


def put_account(ports: Ports, request: AccountRequest) -> Subject:
    """Open an account, or move it; return it once that is durable.

    Raises:
        UnknownOrganization: it names an organisation that was never opened.
        UnknownProduct, UnknownPlan: the policy does not have it.
        InputError: the id is empty or too long, or an organisation is named twice.
    """
    return put_accounts(ports, [request])[0]


def put_accounts(ports: Ports, requests: Sequence[AccountRequest]) -> list[Subject]:
    """Open or move many accounts, a chunk at a time: none when one is not valid.

    Raises:
        UnknownOrganization, UnknownProduct, UnknownPlan, InputError: as `put_account`.
        StorageError, StateUnknown: some may be recorded; sending them again completes it.
    """
    return append_all(ports.ledger, requests, _checked, partial(_put, ports))


def _put(ports: Ports, transaction: Transaction, request: AccountRequest) -> Subject:
    kind = SubjectKind.ACCOUNT
    roles = _checked(transaction, request)
    known = transaction.find(kind, request.id)
    if known is not None:
        return _move(ports, transaction, known, request.plans, roles)
    plans = {**({} if roles else _personal_plans(transaction)), **request.plans}
    # whoever had that name was erased: out for ever, so nothing that is attested of it counts
    opens = Opens.OUT if transaction.erased_at(kind, request.id) else request.opens
    opening = _opening(transaction, kind, request.id, plans, roles or {}, opens)
    return _open(ports, transaction, opening, {"opens": opens.value})


def _checked(directory: Directory, request: AccountRequest) -> Roles | None:
    """Return the roles of a request that is valid."""
    _check(directory, request.id, request.plans)
    return _roles(directory, request)


def _check(directory: Directory, external_id: str, plans: Mapping[ProductId, PlanId]) -> None:
    if not 0 < len(external_id) <= MAX_ID_CHARS or not external_id.isprintable():
        raise InputError(f"an id has 1 to {MAX_ID_CHARS} printable characters")
    if external_id in {".", ".."}:
        raise InputError("an id may not be . or .., which no address can hold; name it otherwise")
    for product, plan in plans.items():
        directory.policy.plan(product, plan)


def _roles(directory: Directory, request: AccountRequest) -> Roles | None:
    if request.organizations is None:
        return None
    roles: dict[SubjectNo, Role] = {}
    for external_id, role in request.organizations:
        organization = directory.find(SubjectKind.ORGANIZATION, external_id)
        if organization is None:
            raise unknown(SubjectKind.ORGANIZATION, external_id)
        if organization.no in roles:
            raise InputError("an organization is named twice; name each once, with one role")
        roles[organization.no] = role
    return roles


def _personal_plans(transaction: Transaction) -> dict[ProductId, PlanId]:
    return {product.id: product.personal_plan for product in transaction.policy.products}


def _opening(
    transaction: Transaction,
    kind: SubjectKind,
    external_id: str,
    plans: Mapping[ProductId, PlanId],
    roles: Roles | None = None,
    opens: Opens = Opens.ON,
) -> Opening:
    no = transaction.new_subject()
    parties = {
        product.id: transaction.new_party(PARTY_KIND[kind], product.id, no)
        for product in transaction.policy.products
    }
    return Opening(no, kind, external_id, parties, plans, roles or {}, opens)


def _open(
    ports: Ports, transaction: Transaction, opening: Opening, more: Mapping[str, Json]
) -> Subject:
    at = here(transaction, ports.clock)
    change = opened(opening, at)
    parties: dict[str, Json] = {str(p): no for p, no in opening.parties.items()}
    body = {**more, **_belongs(transaction, change.record), "no": opening.no, "parties": parties}
    append(transaction, OPENED[opening.kind], change, body, at)
    return change.record


def _move(
    ports: Ports,
    transaction: Transaction,
    known: Subject,
    plans: Mapping[ProductId, PlanId],
    roles: Roles | None,
) -> Subject:
    at = here(transaction, ports.clock)
    change = moved(known, plans, roles, transaction, at)
    if change is None:
        return known
    append(transaction, _MOVED[known.kind], change, _belongs(transaction, change.record), at)
    return change.record


def _belongs(transaction: Transaction, subject: Subject) -> dict[str, Json]:
    """Return where a subject belongs now, in words of the provider, for the body of its entry."""
    plans: dict[str, Json] = {
        product.id: subject.plan_now(product.id)
        for product in transaction.policy.products
        if subject.plan_now(product.id) is not None
    }
    organizations: list[Json] = [
        [transaction.subject(m.organization).id, m.role.value] for m in subject.memberships_now()
    ]
    return {"plans": plans, "organizations": organizations}


def merge(ports: Ports, accounts: Sequence[AccountId]) -> None:
    """Make accounts one group: an off of one is an off of all, now and later; an on counts for one.

    Raises:
        UnknownAccount: one of them was never opened.
        InputError: fewer than two are named.
    """
    if len(set(accounts)) < 2:
        raise InputError("name two accounts or more to merge")

    def change(transaction: Transaction) -> None:
        members = _group_of(transaction, accounts)
        outs = outs_of(members)
        group = frozenset(member.no for member in members)
        for member in members:
            at = here(transaction, ports.clock)
            after = merged(member, group, outs, at)
            if after is not None:
                others: dict[str, Json] = {"group": [m.id for m in members]}
                append(transaction, EventKind.ACCOUNTS_MERGED, after, {}, at, others)

    ports.ledger.append(change)


def _group_of(transaction: Transaction, accounts: Sequence[AccountId]) -> list[Subject]:
    """Return the accounts and everybody they were merged with before, in order of number."""
    found: dict[SubjectNo, Subject] = {}
    for account in accounts:
        subject = transaction.find(SubjectKind.ACCOUNT, account)
        if subject is None:
            raise unknown(SubjectKind.ACCOUNT, account)
        for no in (subject.no, *subject.group):
            found[no] = transaction.subject(no)
    return [found[no] for no in sorted(found) if not found[no].is_erased]
