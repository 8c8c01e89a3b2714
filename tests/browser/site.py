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

import httpx

from tests.e2e.server import Server, running
from withhold import app
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, OrganizationId, PlanId, ProductId
from withhold.domain.policy import Policy, Role
from withhold.ports import Ports
from withhold.services import directory, preferences
from withhold.services.directory import AccountRequest, OrganizationRequest
from withhold.services.preferences import PreferenceRequest, PreferenceStatus

VIBE, STUDIO = ProductId("vibe"), ProductId("studio")

_number = count(1)


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
