"""A server process and its home, and the same home opened by the test, to set people up and to look.

The two are different processes over one home, as the command line and the server are. Names of people are
never used twice, so that tests share one server.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tests.e2e.server import Server, running
from withhold import app
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, OrganizationId, PlanId, ProductId
from withhold.domain.policy import Policy, Role
from withhold.ports import Ports
from withhold.services import directory, preferences, sessions
from withhold.services.directory import AccountRequest, OrganizationRequest
from withhold.services.preferences import PreferenceRequest, PreferenceStatus
from withhold.web.sessions import hash_of, new_id, new_secret

VIBE, STUDIO = ProductId("vibe"), ProductId("studio")

_number = count(1)


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organization with an admin and a member, who are in no other."""

    id: str
    name: str
    admin: str
    member: str

    @property
    def start(self) -> str:
        """Where its pages begin."""
        return f"/console/organizations/{quote(self.id, safe='')}"


@dataclass(frozen=True, slots=True)
class Site:
    """A server that answers, and its home opened here."""

    home: Path
    server: Server
    ports: Ports

    @property
    def address(self) -> str:
        return self.server.address

    @property
    def policy(self) -> Policy:
        with self.ports.ledger.directory() as known:
            return known.policy

    def account(self, name: str, *organizations: tuple[str, Role], **plans: str) -> str:
        """Open an account with a name like the given one; return the name."""
        account = AccountId(f"{name}-{next(_number)}")
        roles = tuple((OrganizationId(each), role) for each, role in organizations) or None
        stated = {ProductId(product): PlanId(plan) for product, plan in plans.items()}
        directory.put_account(self.ports, AccountRequest(account, roles, stated))
        return account

    def organization(self, name: str, **plans: str) -> str:
        """Open an organization with a name like the given one; return its id."""
        organization = OrganizationId(f"{name.lower()}-{next(_number)}")
        stated = {ProductId(product): PlanId(plan) for product, plan in plans.items()}
        directory.put_organization(self.ports, OrganizationRequest(organization, name, stated))
        return organization

    def tenant(self, name: str, **plans: str) -> Tenant:
        """Open an organization with an admin and a member."""
        organization = self.organization(name, **plans)
        admin = self.account("admin", (organization, Role.ADMIN))
        return Tenant(
            organization, name, admin, self.account("member", (organization, Role.MEMBER))
        )

    def demote(self, tenant: Tenant) -> None:
        """Make the admin of an organization a member."""
        roles = ((OrganizationId(tenant.id), Role.MEMBER),)
        directory.put_account(self.ports, AccountRequest(AccountId(tenant.admin), roles))

    def session(self, account: str) -> str:
        """Sign an account in; return the id of the session, which a browser keeps in its cookie."""
        session_id = new_id()
        sessions.sign_in(self.ports, AccountId(account), hash_of(session_id), new_secret())
        return session_id

    def end_session(self, session_id: str) -> None:
        """End a session on the server; the browser keeps its cookie."""
        sessions.sign_out(self.ports, hash_of(session_id))

    def turn(
        self, who: str, allowed: bool, product: ProductId = VIBE, **more: Any
    ) -> PreferenceStatus:
        """Turn an account's switch, or with ``kind`` an organization's, without the pages."""
        kind = more.pop("kind", SubjectKind.ACCOUNT)
        request = PreferenceRequest(kind, who, product, allowed, **more)
        return preferences.set_preference(self.ports, request)

    def status(
        self, who: str, product: ProductId = VIBE, kind: SubjectKind = SubjectKind.ACCOUNT
    ) -> PreferenceStatus:
        """Return what the ledger says."""
        return preferences.status(self.ports, kind, who, product)


@contextmanager
def site(home: Path, command: str = "serve", **more: str) -> Iterator[Site]:
    """Run a server over a home until the block is left."""
    with running(home, command, **more) as server:
        wait_for(server.address)
        with app.open_ports(home) as ports:
            yield Site(home, server, ports)


def wait_for(address: str) -> None:
    """Return when a server answers.

    Raises:
        TimeoutError: it does not in ten seconds.
    """
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            if httpx.get(f"{address}/healthz").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise TimeoutError("the server did not answer in ten seconds")
