"""The switch, over HTTP: for accounts and for organisations, one or many, and the quick check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post, put
from litestar.params import FromPath

from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, ProductId
from withhold.errors import InputError
from withhold.ports import Ports
from withhold.services import preferences
from withhold.services.preferences import PreferenceRequest, PreferenceStatus
from withhold.web import answers, bodies
from withhold.web.appends import appends_of
from withhold.web.auth import Scope, ports_of
from withhold.web.routes import Route, answer, off_loop

MAX_CHECKS = 100_000


class PreferenceBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the switch is turned to: a strict boolean."""

    allowed: bool


class OptOutLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of many opt-outs: an account or an organization, and a product."""

    product: str
    account: str | None = None
    organization: str | None = None
    allowed: bool = False


class CheckBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Accounts to check."""

    product: str
    accounts: Annotated[list[str], msgspec.Meta(max_length=MAX_CHECKS)]


_preference = bodies.Decoder(PreferenceBody)
_line = bodies.Decoder(OptOutLine)
_check = bodies.Decoder(CheckBody)
_SCOPES = frozenset({Scope.PREFERENCES})
_READ_ALL = Route(
    "What the switches of all products say", _SCOPES, dict[str, answers.Preference], errors=(404,)
)
_READ = Route("What a switch says", _SCOPES, answers.Preference, errors=(404,))
_TURN = Route(
    "Turn a switch",
    _SCOPES,
    answers.Preference,
    PreferenceBody,
    headers=("If-Match", "Idempotency-Key"),
    errors=(400, 404, 409, 412, 413, 415, 422),
)
_ACCOUNT = "/accounts/{holder:str}/preferences"
_ORGANIZATION = "/organizations/{holder:str}/preferences"


@get(_ACCOUNT, **_READ_ALL.stated())
async def get_account_preferences(
    request: Request[Any, Any, Any], holder: FromPath[str]
) -> Response[bytes]:
    """Say what an account's switches say, by product."""
    return answer(await off_loop(read_all, ports_of(request), SubjectKind.ACCOUNT, holder))


@get(_ORGANIZATION, **_READ_ALL.stated())
async def get_organization_preferences(
    request: Request[Any, Any, Any], holder: FromPath[str]
) -> Response[bytes]:
    """Say what an organization's switches say, by product."""
    return answer(await off_loop(read_all, ports_of(request), SubjectKind.ORGANIZATION, holder))


@get(_ACCOUNT + "/{product:str}", **_READ.stated())
async def get_account_preference(
    request: Request[Any, Any, Any], holder: FromPath[str], product: FromPath[str]
) -> Response[bytes]:
    """Say what an account's switch says."""
    return await _read(request, SubjectKind.ACCOUNT, holder, product)


@get(_ORGANIZATION + "/{product:str}", **_READ.stated())
async def get_organization_preference(
    request: Request[Any, Any, Any], holder: FromPath[str], product: FromPath[str]
) -> Response[bytes]:
    """Say what an organization's switch says."""
    return await _read(request, SubjectKind.ORGANIZATION, holder, product)


@put(_ACCOUNT + "/{product:str}", **_TURN.stated())
async def put_account_preference(
    request: Request[Any, Any, Any], holder: FromPath[str], product: FromPath[str]
) -> Response[bytes]:
    """Turn an account's switch; the answer comes once that is durable."""
    return await _turn(request, SubjectKind.ACCOUNT, holder, product)


@put(_ORGANIZATION + "/{product:str}", **_TURN.stated())
async def put_organization_preference(
    request: Request[Any, Any, Any], holder: FromPath[str], product: FromPath[str]
) -> Response[bytes]:
    """Turn an organization's switch; the answer comes once that is durable."""
    return await _turn(request, SubjectKind.ORGANIZATION, holder, product)


@post(
    "/preferences",
    **Route(
        "Record many opt-outs",
        _SCOPES,
        answers.Many,
        OptOutLine,
        many=True,
        errors=(400, 413, 415),
    ).stated(),
)
async def post_preferences(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Record many opt-outs; good lines stand whatever is wrong with others."""
    raw = await bodies.read_many(request)
    given = await off_loop(_opt_out_many, ports_of(request), raw)
    request.app.state.upkeep.wake()
    return answer(given)


@post(
    "/check",
    **Route(
        "Whether what accounts make now may be used",
        frozenset({Scope.PREFERENCES, Scope.CAPTURE}),
        answers.Allowed,
        CheckBody,
        errors=(400, 413, 415, 422),
        names_in_body=True,
    ).stated(),
)
async def post_check(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Say for each account whether what it makes now may be used; unknown ones may not."""
    body = _check.value(await bodies.read_many(request))
    accounts = [AccountId(account) for account in body.accounts]
    product = ProductId(body.product)
    allowed = await off_loop(preferences.check, ports_of(request), product, accounts)
    return answer(answers.Allowed(allowed))


def read_all(ports: Ports, kind: SubjectKind, holder: str) -> dict[str, answers.Preference]:
    """Return what all switches of a holder say, by product."""
    with ports.ledger.directory() as directory:
        products = [product.id for product in directory.policy.products]
    return {
        product: answers.preference(preferences.status(ports, kind, holder, product))
        for product in products
    }


async def _read(
    request: Request[Any, Any, Any], kind: SubjectKind, holder: str, product: str
) -> Response[bytes]:
    ports = ports_of(request)
    return _tagged(await off_loop(preferences.status, ports, kind, holder, ProductId(product)))


async def _turn(
    request: Request[Any, Any, Any], kind: SubjectKind, holder: str, product: str
) -> Response[bytes]:
    body = await _preference.one(request)
    wanted = PreferenceRequest(
        kind,
        holder,
        ProductId(product),
        body.allowed,
        idempotency_key=bodies.idempotency_key(request),
        if_match=bodies.if_match(request),
    )
    ports = ports_of(request)
    status = await appends_of(request).append(ports.ledger, preferences.turning(ports, wanted))
    request.app.state.upkeep.wake()
    return _tagged(status)


def _tagged(status: PreferenceStatus) -> Response[bytes]:
    return answer(answers.preference(status), {"ETag": f'"{status.position}"'})


def _opt_out_many(ports: Ports, raw: bytes) -> answers.Many:
    good: list[tuple[int, PreferenceRequest]] = []
    rejected: list[answers.RejectedLine] = []
    for number, line in _line.many(raw):
        wanted = line if isinstance(line, InputError) else _opt_out(line)
        if isinstance(wanted, InputError):
            rejected.append(answers.RejectedLine(number, str(wanted)))
        else:
            good.append((number, wanted))

    def do(requests: Sequence[PreferenceRequest]) -> object:
        return preferences.opt_out_many(ports, requests)

    refused = [
        answers.RejectedLine(number, error.diagnostics())
        for number, error in bodies.each_or_halves(good, do)
    ]
    rejected = sorted([*rejected, *refused], key=lambda r: r.line)
    return answers.Many(len(good) - len(refused), rejected, ports.ledger.head())


def _opt_out(line: OptOutLine) -> PreferenceRequest | InputError:
    if (line.account is None) == (line.organization is None):
        return InputError("expected an account or an organization, not both")
    if line.allowed is not False:
        return InputError("allowed: only opt-outs are taken here; send an opt-in by itself")
    if line.account is not None:
        return PreferenceRequest(SubjectKind.ACCOUNT, line.account, ProductId(line.product), False)
    holder = line.organization or ""
    return PreferenceRequest(SubjectKind.ORGANIZATION, holder, ProductId(line.product), False)
