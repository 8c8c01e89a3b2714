"""The switch: turning it off, turning it on, and what it says now.

Down once and up once: the request becomes one change inside the ledger's transaction, and the answer
is given only after that is durable. An off appends unconditionally, for every account of a merged
group at once, under a lock and under an organisation's off. An on is refused under a lock, and compares
what the caller saw.

Source: articles A2-A5, A8-A10; design sections 2, 7 and 8. Not here: how a choice counts
(`domain.preferences`), who the caller is (`web`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial

from withhold.domain.canonical_json import Json
from withhold.domain.changes import At, Change
from withhold.domain.directory import Directory, Holding, Subject, SubjectKind
from withhold.domain.ledger import EventKind
from withhold.domain.names import AccountId, Position, ProductId
from withhold.domain.policy import Policy
from withhold.domain.preferences import (
    Effective,
    Source,
    effective,
    turned_off,
    turned_on,
)
from withhold.domain.values import Value, changed
from withhold.errors import (
    InputError,
    KeyReused,
    LedgerMoved,
    LockedByPlan,
    NotAnAdmin,
    PreconditionFailed,
    UnknownAccount,
    UnknownOrganization,
    WithholdError,
)
from withhold.ports import Ports, Remembered, Transaction
from withhold.services.bulk import append_all
from withhold.services.events import append, here


class PreferenceRequest(Value, frozen=True):
    """Somebody turns the switch.

    Attributes:
        kind: whether an account's or an organisation's own switch is turned.
        id: the external id of that account or organisation.
        surface: where the control stood.
        actor: the account that acts; None for the provider's own services.
        notice: the text version shown beside the control, where one was shown.
        idempotency_key: names this request, so that it counts once however often it is sent.
        if_match: the position the caller saw; only an on compares it.
        requested_at: UTC milliseconds since 1970 at which it was asked for; shown, never compared.
    """

    kind: SubjectKind
    id: str
    product: ProductId
    allowed: bool
    surface: str = "api"
    actor: str | None = None
    notice: str | None = None
    idempotency_key: str | None = None
    if_match: Position | None = None
    requested_at: int | None = None


class PreferenceStatus(Value, frozen=True):
    """What the switch says.

    Attributes:
        position: the entry that decides; of a change, the entry that was made.
        recorded_at: UTC milliseconds since 1970 of that entry.
        receipt: the id of that entry's receipt.
        reason: the policy's sentence when a plan is locked or off, else empty.
    """

    allowed: bool
    source: Source
    locked: bool
    position: Position
    recorded_at: int
    receipt: str
    reason: str


def set_preference(ports: Ports, request: PreferenceRequest) -> PreferenceStatus:
    """Turn the switch; return once that is durable.

    Raises:
        WithholdError: what `turning` says; nothing was recorded.
        StorageError: the disk refused; nothing was recorded.
        StateUnknown: whether it was recorded is not known.
    """
    return ports.ledger.append(turning(ports, request))


def turning(ports: Ports, request: PreferenceRequest) -> Callable[[Transaction], PreferenceStatus]:
    """Return the change that turns the switch, to be appended or submitted; it raises what refuses it.

    Raises:
        UnknownAccount, UnknownOrganization, UnknownProduct: there is no such switch.
        LockedByPlan: a plan's lock lets nobody turn it on.
        NotAnAdmin: the actor may not turn this switch.
        LedgerMoved: the idempotency key was used, and something newer stands.
        KeyReused: the idempotency key came with another request before.
        PreconditionFailed: an on names an older entry than the one that stands.
    """
    if request.requested_at is None:
        request = changed(request, requested_at=ports.clock.now_ms())
    return lambda transaction: _set(ports, transaction, request)


def opt_out_many(ports: Ports, requests: Sequence[PreferenceRequest]) -> list[PreferenceStatus]:
    """Record many opt-outs, a chunk at a time: none when one is not valid.

    Raises:
        InputError: one of them is an opt-in.
        UnknownAccount, UnknownOrganization, UnknownProduct: there is no such switch.
        StorageError, StateUnknown: some may be recorded; sending them again completes it.
    """
    for request in requests:
        if request.allowed:
            raise InputError("many at once: only opt-outs are taken; send an opt-in by itself")
    now = ports.clock.now_ms()
    asked = [r if r.requested_at is not None else changed(r, requested_at=now) for r in requests]
    return append_all(ports.ledger, asked, _turned, partial(_set, ports))


def status(
    ports: Ports, kind: SubjectKind, external_id: str, product: ProductId
) -> PreferenceStatus:
    """Return what the switch says now.

    Raises:
        UnknownAccount, UnknownOrganization, UnknownProduct: there is no such switch.
    """
    with ports.ledger.directory() as directory:
        subject = _holder(directory, kind, external_id, product)
        now = effective(subject, product, directory)
        return _status(now, now, product, directory.policy)


def check(ports: Ports, product: ProductId, accounts: Sequence[AccountId]) -> list[bool]:
    """Return for each account whether what it makes now may be used; unknown ones may not.

    Raises:
        UnknownProduct: the policy has no such product.
    """
    with ports.ledger.directory() as directory:
        directory.policy.product(product)
        found = [directory.find(SubjectKind.ACCOUNT, account) for account in accounts]
        return [
            subject is not None and effective(subject, product, directory).is_on
            for subject in found
        ]


def _set(ports: Ports, transaction: Transaction, request: PreferenceRequest) -> PreferenceStatus:
    subject = _turned(transaction, request)
    key = request.idempotency_key
    if key is None:
        return _turn(ports, transaction, subject, request)
    digest = _digest(request)
    used = transaction.recall(key)
    if used is not None:
        return _answer_again(transaction, subject, request, used, digest)
    answer = _turn(ports, transaction, subject, request)
    own = transaction.subject(subject.no).holdings[request.product]
    transaction.remember(key, Remembered(digest, own.position))
    return answer


def _turned(directory: Directory, request: PreferenceRequest) -> Subject:
    """Return whose switch is turned, if it is there and the actor's to turn."""
    subject = directory.find(request.kind, request.id)
    # an off is taken as long as there is a standing: the product may have left the policy
    if subject is None or request.allowed or request.product not in subject.holdings:
        directory.policy.product(request.product)
    if subject is None:
        raise unknown(request.kind, request.id)
    _check_actor(directory, subject, request)
    return subject


def _holder(
    directory: Directory, kind: SubjectKind, external_id: str, product: ProductId
) -> Subject:
    directory.policy.product(product)
    subject = directory.find(kind, external_id)
    if subject is None:
        raise unknown(kind, external_id)
    return subject


def unknown(kind: SubjectKind, external_id: str) -> WithholdError:
    """Return the error that says there is no such account or organisation."""
    shown = repr(external_id[:64])
    if kind is SubjectKind.ACCOUNT:
        return UnknownAccount(
            f"no account {shown}; open it first: PUT /v1/accounts/{{id}}, or withhold account put"
        )
    return UnknownOrganization(
        f"no organization {shown}; open it first: PUT /v1/organizations/{{id}}, or withhold "
        "organization put"
    )


def _check_actor(directory: Directory, subject: Subject, request: PreferenceRequest) -> None:
    """An account turns its own switch; an admin turns the organisation's, and off for a member."""
    if request.actor is None:
        return
    actor = directory.find(SubjectKind.ACCOUNT, request.actor)
    changes = set()
    if actor is not None:
        roles = directory.policy.roles_that_change
        changes = {m.organization for m in actor.memberships_now() if m.role in roles}
    if subject.kind is SubjectKind.ORGANIZATION:
        may = subject.no in changes
    else:
        member_of = {m.organization for m in subject.memberships_now()}
        is_self = actor is not None and actor.no == subject.no
        may = is_self or (not request.allowed and bool(changes & member_of))
    if not may:
        raise NotAnAdmin(
            "this switch is not the actor's to turn; an account turns its own, an admin the "
            "organization's"
        )


def _digest(request: PreferenceRequest) -> bytes:
    parts = (request.kind.value, request.id, request.product, "on" if request.allowed else "off")
    return hashlib.sha256("\0".join(parts).encode()).digest()


def _answer_again(
    directory: Directory,
    subject: Subject,
    request: PreferenceRequest,
    used: Remembered,
    digest: bytes,
) -> PreferenceStatus:
    if used.digest != digest:
        raise KeyReused("this idempotency key came with another request before; use a new key")
    own = subject.holdings[request.product]
    if own.position != used.position:
        raise LedgerMoved(
            f"entry {own.position} is newer than what this idempotency key did; "
            "read the preference and decide again"
        )
    return _own_status(directory, subject, request.product)


def _turn(
    ports: Ports, transaction: Transaction, subject: Subject, request: PreferenceRequest
) -> PreferenceStatus:
    if not request.allowed:
        return _turn_off(ports, transaction, subject, request)
    change = turned_on(subject, request.product, here(transaction, ports.clock))
    then = effective(change.record if change else subject, request.product, transaction)
    if then.is_locked:
        raise LockedByPlan(
            "the plan is locked: nobody can turn training on while it is; turning off still works"
        )
    _check_seen(transaction, subject, request)
    if change is None:
        return _own_status(transaction, subject, request.product)
    return _record(transaction, subject, change, then, request)


def _check_seen(directory: Directory, subject: Subject, request: PreferenceRequest) -> None:
    """Check that what an on was decided upon still stands."""
    if request.if_match is None:
        return
    now = effective(subject, request.product, directory)
    seen = (now.position, subject.holdings[request.product].position)
    if request.if_match not in seen:
        raise PreconditionFailed(
            f"entry {now.position} stands, If-Match names {request.if_match}; "
            "read the preference and decide again"
        )


def _turn_off(
    ports: Ports, transaction: Transaction, subject: Subject, request: PreferenceRequest
) -> PreferenceStatus:
    """Record an out for the subject and everybody of its group."""
    answer = None
    for each in (subject, *map(transaction.subject, subject.group)):
        if request.product not in each.holdings:
            continue  # the product had left before that account came; should it return, off wins
        made = turn_off(ports, transaction, each, request)
        answer = made if each is subject else answer
    return answer or _own_status(transaction, subject, request.product)


def turn_off(
    ports: Ports, transaction: Transaction, subject: Subject, request: PreferenceRequest
) -> PreferenceStatus | None:
    """Record an out for one subject, whoever of its group it was asked for; None when it is out."""
    change = turned_off(subject, request.product, here(transaction, ports.clock))
    if change is None:
        return None
    then = effective(change.record, request.product, transaction)
    return _record(transaction, subject, change, then, request)


def _record(
    transaction: Transaction,
    subject: Subject,
    change: Change,
    then: Effective,
    request: PreferenceRequest,
) -> PreferenceStatus:
    """Append the entry of a subject's choice; return what holds then."""
    product, own = request.product, change.record.holdings[request.product]
    body: dict[str, Json] = {
        "product": product,
        "holder": subject.kind,
        "before": subject.holdings[product].choice,  # what the holder had said until then
        "surface": request.surface,
        "actor": request.actor,
        "notice": request.notice,
        "requested_at": request.requested_at,
    }
    is_other = request.actor not in {None, subject.id}
    hidden: dict[str, Json] = {"actor": request.actor} if is_other else {}
    kind = EventKind.OPTED_IN if request.allowed else EventKind.OPTED_OUT
    append(transaction, kind, change, body, At(own.position, own.recorded_at), hidden)
    return _status(then, own, product, transaction.policy)


def _own_status(directory: Directory, subject: Subject, product: ProductId) -> PreferenceStatus:
    """Return what holds now, under the entry of the subject's own choice."""
    now = effective(subject, product, directory)
    return _status(now, subject.holdings[product], product, directory.policy)


def _status(
    now: Effective, entry: Effective | Holding, product: ProductId, policy: Policy
) -> PreferenceStatus:
    """Return what holds, under the entry that decides or that of somebody's own choice."""
    return PreferenceStatus(
        now.is_on,
        now.source,
        now.is_locked,
        entry.position,
        entry.recorded_at,
        receipt_id(entry.position),
        _reason(now, product, policy),
    )


def receipt_id(position: Position) -> str:
    """Return the id of the receipt of an entry."""
    return str(position)


def _reason(now: Effective, product: ProductId, policy: Policy) -> str:
    """Return the sentence the policy gives for a plan that is locked or off."""
    if now.is_on or now.plan is None:
        return ""
    for plan in policy.product(product).plans:
        if plan.id == now.plan:
            return plan.reason
    return "This plan is no longer offered."
