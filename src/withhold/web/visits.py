"""Visits: a request of somebody who is signed in, from the cookie to the answer.

    look: cookie -> session -> page            (one turn on a thread, nothing blocks the loop)
    act:  origin -> form -> cookie -> session -> token in the form -> deed -> answer

Without a session a page sends the browser to sign in and a form does nothing at all. A form without its
session's token, or from another site, does nothing.

Not here: what pages show (`console`, `mobile`), who may sign in (`sign_in`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from litestar import Request, Response

from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId
from withhold.domain.policy import Policy
from withhold.domain.sessions import Session
from withhold.errors import UnknownAccount, UnknownOrganization
from withhold.ports import Ports
from withhold.services import membership, sessions, signals
from withhold.services.membership import Tenancy
from withhold.services.signals import HeardSignal
from withhold.services.switches import Holder
from withhold.web import forms
from withhold.web.auth import ports_of
from withhold.web.forms import ForeignForm, Form
from withhold.web.paths import sent_path
from withhold.web.rendering import PLAIN
from withhold.web.routes import lanes_of, off_loop
from withhold.web.sessions import form_token, hash_in, is_token

SIGN_IN = "/sign-in"
TOKEN_FIELD = "csrf"  # noqa: S105 (a field's name)


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody who is signed in asks for something.

    Attributes:
        session_hash: what the store knows the session by.
        token: what every form of this session carries.
        tenancies: the organisations the account is in now.
        is_part: whether a script asks for a part of a page, not a person for a page.
    """

    ports: Ports
    request: Request[Any, Any, Any]
    session: Session
    session_hash: bytes
    token: str
    policy: Policy
    tenancies: tuple[Tenancy, ...]
    is_part: bool

    @property
    def account(self) -> AccountId:
        """Who is signed in."""
        return self.session.account

    @property
    def personal(self) -> Holder:
        """The holder that is the account itself."""
        return Holder(SubjectKind.ACCOUNT, self.account, self.account)

    @property
    def names(self) -> dict[str, str]:
        """The names of the account's organisations, by id."""
        return {each.id: each.name for each in self.tenancies}

    def of(self, organization: str) -> Holder:
        """Return the holder that is one of the account's organisations.

        Raises:
            UnknownOrganization: the account is not in that one now, or there is none.
        """
        return Holder(SubjectKind.ORGANIZATION, self.tenancy(organization).id, self.account)

    def tenancy(self, organization: str) -> Tenancy:
        """Return one of the account's organisations.

        Raises:
            UnknownOrganization: it is not in that one now, or there is none.
        """
        for each in self.tenancies:
            if each.id == organization:
                return each
        raise UnknownOrganization("no such organization of this account")

    @property
    def is_read_only(self) -> bool:
        """Whether nothing can be recorded: somebody has seen a log that this one does not follow."""
        return bool(self.ports.watch.gate.reason)

    @property
    def heard(self) -> tuple[HeardSignal, ...]:
        """What the person's own browser says by itself against training."""
        return signals.heard(self.request.headers.items(), self.policy)

    def asked(self, name: str) -> str:
        """Return a value of the address's query, empty when it is not there."""
        return str(self.request.query_params.get(name, ""))


Look = Callable[[Visit], Response[Any]]
Act = Callable[[Visit, Form], Response[Any]]


async def look(request: Request[Any, Any, Any], work: Look) -> Response[Any]:
    """Answer somebody who is signed in; send everybody else to sign in."""

    def answer() -> Response[Any]:
        visit = visit_of(request)
        return work(visit) if visit is not None else to_sign_in(request)

    return await off_loop(answer, lane=lanes_of(request).pages)


async def act(request: Request[Any, Any, Any], fields: Collection[str], work: Act) -> Response[Any]:
    """Do what a form of a signed-in page asks for.

    Raises:
        ForeignForm: the form does not come from a page of this session; nothing was done.
        InputError: it is not one of our forms.
    """
    forms.check_origin(request)
    form = await forms.read(request, {TOKEN_FIELD, *fields})

    def answer() -> Response[Any]:
        visit = visit_of(request)
        if visit is None:
            return to_sign_in(request)
        if not is_token(visit.session.secret, form.get(TOKEN_FIELD, "")):
            raise ForeignForm("the form is not of this session; load the page again")
        return work(visit, form)

    try:
        return await off_loop(answer)
    finally:
        request.app.state.upkeep.wake()
        request.app.state.live.wake()


def visit_of(request: Request[Any, Any, Any]) -> Visit | None:
    """Return who asks, None when nobody is signed in. Reads the store: for a thread, not the loop."""
    ports = ports_of(request)
    known = hash_in(request)
    session = None if known is None else sessions.signed_in(ports, known)
    if known is None or session is None:
        return None
    try:
        tenancies = membership.tenancies(ports, session.account, request.app.state.names)
    except UnknownAccount:  # erased since the session was looked up
        return None
    with ports.ledger.directory() as directory:
        policy = directory.policy
    is_part = request.headers.get("hx-request") == "true"
    token = form_token(session.secret)
    return Visit(ports, request, session, known, token, policy, tenancies, is_part)


def to_sign_in(request: Request[Any, Any, Any]) -> Response[Any]:
    """Send the browser to sign in, and back to where it was."""
    wanted = request.headers.get("hx-current-url") if _is_part(request) else None
    back = sent_path(request) if wanted is None else _path_of(wanted)
    address = f"{SIGN_IN}?next={quote(back, safe='/')}"
    if _is_part(request):
        headers = {**PLAIN, "HX-Redirect": address}
        return Response(b"", status_code=HTTPStatus.OK, media_type="text/html", headers=headers)
    return see_other(address)


def see_other(address: str) -> Response[Any]:
    """Send the browser to another page of ours, with GET."""
    headers = {**PLAIN, "Location": quote(address, safe="/?=&%#")}
    return Response(b"", status_code=HTTPStatus.SEE_OTHER, media_type="text/html", headers=headers)


def _is_part(request: Request[Any, Any, Any]) -> bool:
    return request.headers.get("hx-request") == "true"


def _path_of(address: str) -> str:
    """Return the path of one of our own addresses."""
    return "/" + address.partition("://")[2].partition("/")[2].partition("?")[0].partition("#")[0]
