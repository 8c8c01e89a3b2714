"""People on every plan, at browsers, over one real home: what the tests of the pages share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from litestar.testing import TestClient

from tests.fakes.failing import FailingLedger
from tests.web.browsing import ORIGIN, Person
from withhold import app
from withhold.domain.names import AccountId, OrganizationId, PlanId, ProductId
from withhold.domain.policy import Role
from withhold.ports import Ports
from withhold.services import directory
from withhold.services.directory import AccountRequest, OrganizationRequest
from withhold.web.sign_in import Offered, OfferedGroup

VIBE, STUDIO = ProductId("vibe"), ProductId("studio")
VIBE_LABEL = "Allow your interactions to be used to train our models"
STUDIO_LABEL = "Anonymous improvement data"
MOBILE_LABEL = "Enable data sharing"

PEOPLE = ("free", "pro", "education", "teams", "boss", "mia", "head", "bill", "enterprise")
"""A person of each plan; an admin and a member of Scale, an admin and a biller of the free Studio."""
ORGANIZATIONS = {
    "org-teams": {"vibe": "teams"},
    "org-enterprise": {"vibe": "enterprise"},
    "org-scale": {"studio": "scale"},
    "org-free": {"studio": "free"},
}
ROLES = {
    "teams": ("org-teams", Role.ADMIN),
    "enterprise": ("org-enterprise", Role.MEMBER),
    "boss": ("org-scale", Role.ADMIN),
    "mia": ("org-scale", Role.MEMBER),
    "head": ("org-free", Role.ADMIN),
    "bill": ("org-free", Role.BILLING),
}


def event_of(receipt: httpx.Response) -> dict[str, Any]:
    """Return the event in the file of a receipt."""
    assert receipt.status_code == 200
    event: dict[str, Any] = json.loads(receipt.json()["event"])
    return event


@dataclass
class Surfaces:
    """The application with people on every plan."""

    client: TestClient[Any]
    ports: Ports
    ledger: FailingLedger
    home: Path

    def person(self, account: str, *, scripts: bool = False) -> Person:
        """Return somebody who is signed in, at a browser of their own."""
        person = Person(self.client).sign_in(account)
        person.scripts = scripts
        return person

    def visitor(self) -> Person:
        """Return somebody who is not signed in."""
        return Person(self.client)


def provision(ports: Ports) -> None:
    """Open everybody."""
    for name, plans in ORGANIZATIONS.items():
        by_product = {ProductId(product): PlanId(plan) for product, plan in plans.items()}
        directory.put_organization(
            ports, OrganizationRequest(OrganizationId(name), name.replace("-", " "), by_product)
        )
    for name in PEOPLE:
        if name in ROLES:
            organization, role = ROLES[name]
            request = AccountRequest(AccountId(name), ((OrganizationId(organization), role),))
        else:
            request = AccountRequest(AccountId(name), None, {VIBE: PlanId(name)})
        directory.put_account(ports, request)


@contextmanager
def surfaces_in(home: Path) -> Iterator[Surfaces]:
    """Open the application over a home, with everybody allowed to sign in."""
    offered = [OfferedGroup(VIBE, PlanId("free"), tuple(Offered(AccountId(n)) for n in PEOPLE))]
    with app.open_ports(home, make=True) as opened:
        if opened.ledger.head() <= 1:  # nothing but the policy
            provision(opened)
        ledger = FailingLedger(opened.ledger)
        ports = replace(opened, ledger=ledger)
        with TestClient(app.application(ports, home, offered), base_url=ORIGIN) as client:
            yield Surfaces(client, ports, ledger, home)
