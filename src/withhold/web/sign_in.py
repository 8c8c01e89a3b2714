"""Signing in and out of the pages.

The only way in, today, is the demo's: a home that holds the loaded demo offers its accounts, and no others.
Everywhere else the page says that no sign-in is configured, and nobody gets in.

The form of the page is bound to the browser by a cookie of its own, since there is no session yet: another
site cannot sign somebody in as somebody else. A new session has a new id, and the one before it ends.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, get, post

from withhold.domain.directory import Choice, Directory, SubjectKind
from withhold.domain.names import AccountId, PlanId, ProductId
from withhold.domain.policy import Policy
from withhold.errors import UnknownAccount, UnknownPlan, UnknownProduct
from withhold.services import sessions
from withhold.web import forms
from withhold.web.auth import ports_of
from withhold.web.forms import ForeignForm, Form
from withhold.web.rendering import PLAIN, page
from withhold.web.routes import off_loop
from withhold.web.sessions import give, hash_in, hash_of, new_id, new_key, new_secret, take
from withhold.web.visits import SIGN_IN, TOKEN_FIELD, Visit, act, see_other

AFTER = "/console"
BROWSER_COOKIE = "withhold_sign_in"

_BROWSER = re.compile(r"[A-Za-z0-9_-]{22}")
_OURS = re.compile(r"/(?:console|m)(?:/[^\\\s]*)?")


@dataclass(frozen=True, slots=True)
class Offered:
    """An account of the demo that anybody may sign in as.

    Attributes:
        note: what is special about it, in a few words; empty when nothing is.
    """

    account: AccountId
    note: str = ""


@dataclass(frozen=True, slots=True)
class OfferedGroup:
    """Accounts of one plan.

    Attributes:
        note: what they have in common besides, empty when nothing.
    """

    product: ProductId
    plan: PlanId
    accounts: tuple[Offered, ...]
    note: str = ""


@get(SIGN_IN)
async def get_sign_in(request: Request[Any, Any, Any]) -> Response[Any]:
    """Give the page to sign in."""
    return await off_loop(_page, request)


@post(SIGN_IN, status_code=303)
async def post_sign_in(request: Request[Any, Any, Any]) -> Response[Any]:
    """Sign somebody in as an account of the demo."""
    forms.check_origin(request)
    form = await forms.read(request, {TOKEN_FIELD, "account", "next"})
    response = await off_loop(_signed_in, request, form)
    before = hash_in(request)
    if before is not None:
        request.app.state.live.end(before)
    return response


@post("/sign-out", status_code=303)
async def post_sign_out(request: Request[Any, Any, Any]) -> Response[Any]:
    """End the session."""
    response = await act(request, (), _signed_out)
    known = hash_in(request)
    if known is not None:
        request.app.state.live.end(known)
    return response


def _page(request: Request[Any, Any, Any]) -> Response[Any]:
    offered: Sequence[OfferedGroup] = request.app.state.offered
    ports = ports_of(request)
    with ports.ledger.directory() as directory:
        policy = directory.policy
        groups = [
            (_label(policy, group), group.note, _still_there(directory, group)) for group in offered
        ]
    sent = request.cookies.get(BROWSER_COOKIE, "")
    token = sent if _BROWSER.fullmatch(sent) else new_key()
    wanted = str(request.query_params.get("next", ""))
    values = {
        "groups": groups,
        "token": token,
        "next": _back(wanted),
        "field": TOKEN_FIELD,
        "is_read_only": bool(ports.watch.gate.reason),
    }
    response = page("sign_in.html", values, PLAIN)
    response.set_cookie(
        BROWSER_COOKIE,
        token,
        path=SIGN_IN,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


def _still_there(directory: Directory, group: OfferedGroup) -> list[Offered]:
    """Return those of a group that were not erased, with what they said themselves."""
    found = []
    for each in group.accounts:
        subject = directory.find(SubjectKind.ACCOUNT, each.account)
        if subject is not None:
            own = subject.holdings.get(group.product)
            said = "opted out" if own is not None and own.choice is Choice.OUT else ""
            notes = (note for note in (each.note, said) if note)
            found.append(Offered(each.account, ", ".join(notes)))
    return found


def _label(policy: Policy, group: OfferedGroup) -> str:
    """Return product and plan as the policy in force calls them."""
    try:
        product = policy.product(group.product)
        return f"{product.label}, {product.plan(group.plan).label}"
    except (UnknownProduct, UnknownPlan):
        return f"{group.product}, {group.plan}"


def _signed_in(request: Request[Any, Any, Any], form: Form) -> Response[Any]:
    offered: Sequence[OfferedGroup] = request.app.state.offered
    sent, known = form.get(TOKEN_FIELD, ""), request.cookies.get(BROWSER_COOKIE, "")
    if not _BROWSER.fullmatch(known) or not hmac.compare_digest(known.encode(), sent.encode()):
        raise ForeignForm("the form is not of this browser; load the page again")
    account = AccountId(form.get("account", ""))
    if all(account != each.account for group in offered for each in group.accounts):
        raise UnknownAccount("no such account is offered here")
    ports, session_id = ports_of(request), new_id()
    sessions.sign_in(ports, account, hash_of(session_id), new_secret())
    before = hash_in(request)
    if before is not None:
        sessions.sign_out(ports, before)
    response = see_other(_back(form.get("next", "")))
    give(request, response, session_id)
    return response


def _signed_out(visit: Visit, _: Form) -> Response[Any]:
    sessions.sign_out(visit.ports, visit.session_hash)
    response = see_other(SIGN_IN)
    take(visit.request, response)
    return response


def _back(wanted: str) -> str:
    """Return where to go after signing in: a page of ours, never an address of somebody else."""
    return wanted if _OURS.fullmatch(wanted) else AFTER
