"""Organisations and accounts: who there is, on which plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, delete, post, put
from litestar.params import FromPath

from withhold.domain.accounts import Opens
from withhold.domain.names import AccountId, OrganizationId, PlanId, ProductId
from withhold.domain.policy import Role
from withhold.errors import InputError
from withhold.ports import Ports
from withhold.services import directory, erasure
from withhold.services.directory import AccountRequest, OrganizationRequest
from withhold.web import answers, bodies
from withhold.web.auth import Scope, ports_of
from withhold.web.routes import Route, answer, off_loop

Plans = dict[str, str]
MAX_ORGANIZATIONS = 256


class OrganizationBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An organization; a product that is not named keeps its plan."""

    name: str = ""
    plans: Plans = {}


class MembershipBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An organization that an account is in."""

    id: str
    role: Literal["admin", "billing", "member"]


class AccountBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account; ``opens`` counts only the first time, no organization means a personal account."""

    organizations: (
        Annotated[list[MembershipBody], msgspec.Meta(max_length=MAX_ORGANIZATIONS)] | None
    ) = None
    plans: Plans = {}
    opens: Literal["on", "on_from_now", "out"] = "on"


class AccountLine(AccountBody, frozen=True, forbid_unknown_fields=True):
    """One of many accounts."""

    id: str = ""


_organization = bodies.Decoder(OrganizationBody)
_account = bodies.Decoder(AccountBody)
_line = bodies.Decoder(AccountLine)
_SCOPES = frozenset({Scope.DIRECTORY})


@put(
    "/organizations/{organization_id:str}",
    **Route(
        "Open an organization, or change its plans",
        _SCOPES,
        answers.Put,
        OrganizationBody,
        errors=(400, 413, 415, 422),
        names_in_body=True,
    ).stated(),
)
async def put_organization(
    request: Request[Any, Any, Any], organization_id: FromPath[str]
) -> Response[bytes]:
    """Open an organization, or change its plans."""
    body = await _organization.one(request)
    wanted = OrganizationRequest(OrganizationId(organization_id), body.name, _plans(body.plans))
    subject = await off_loop(directory.put_organization, ports_of(request), wanted)
    return answer(answers.put(subject))


@put(
    "/accounts/{account_id:str}",
    **Route(
        "Open an account, or move it",
        _SCOPES,
        answers.Put,
        AccountBody,
        errors=(400, 413, 415, 422),
        names_in_body=True,
    ).stated(),
)
async def put_account(
    request: Request[Any, Any, Any], account_id: FromPath[str]
) -> Response[bytes]:
    """Open an account, or move it to other plans and organizations."""
    wanted = _request(account_id, await _account.one(request))
    subject = await off_loop(directory.put_account, ports_of(request), wanted)
    return answer(answers.put(subject))


@delete(
    "/accounts/{account_id:str}",
    **Route("Erase an account, for ever", _SCOPES, answers.Erased, errors=(404,)).stated(),
)
async def delete_account(
    request: Request[Any, Any, Any], account_id: FromPath[str]
) -> Response[bytes]:
    """Put an account out for ever and delete the key that opens what it said."""
    found = await off_loop(erasure.erase, ports_of(request), AccountId(account_id))
    request.app.state.upkeep.wake()
    return answer(answers.Erased(found.position, found.is_purged))


@post(
    "/accounts",
    **Route(
        "Open or move many accounts",
        _SCOPES,
        answers.Many,
        AccountLine,
        many=True,
        errors=(400, 413, 415),
    ).stated(),
)
async def post_accounts(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Open or move many accounts; good lines stand whatever is wrong with others."""
    raw = await bodies.read_many(request)
    return answer(await off_loop(_put_many, ports_of(request), raw))


def _put_many(ports: Ports, raw: bytes) -> answers.Many:
    good: list[tuple[int, AccountRequest]] = []
    rejected: list[answers.RejectedLine] = []
    for number, line in _line.many(raw):
        if isinstance(line, InputError):
            rejected.append(answers.RejectedLine(number, str(line)))
        else:
            good.append((number, _request(line.id, line)))

    def do(requests: Sequence[AccountRequest]) -> object:
        return directory.put_accounts(ports, requests)

    refused = [
        answers.RejectedLine(number, error.diagnostics())
        for number, error in bodies.each_or_halves(good, do)
    ]
    accepted = len(good) - len(refused)
    rejected = sorted([*rejected, *refused], key=lambda r: r.line)
    return answers.Many(accepted, rejected, ports.ledger.head())


def _request(account_id: str, body: AccountBody) -> AccountRequest:
    organizations = None
    if body.organizations is not None:
        organizations = tuple((OrganizationId(o.id), Role(o.role)) for o in body.organizations)
    return AccountRequest(
        AccountId(account_id), organizations, _plans(body.plans), Opens(body.opens)
    )


def _plans(plans: Plans) -> dict[ProductId, PlanId]:
    return {ProductId(product): PlanId(plan) for product, plan in plans.items()}
