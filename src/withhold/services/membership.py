"""Membership, from the organisation's side: whom its switch covers, and its name.

Source: scenario S19 (an admin's off is for everybody, a member's own off stays). Not here: who the members
are, one by one; nobody is shown who said off.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from withhold.domain.directory import Choice, SubjectKind
from withhold.domain.names import AccountId, OrganizationId, ProductId, SubjectNo
from withhold.domain.policy import Role
from withhold.errors import VerificationError
from withhold.ports import Ports
from withhold.services.preferences import unknown
from withhold.services.switches import Holder, subject_of


@dataclass(frozen=True, slots=True)
class Tenancy:
    """An organisation somebody is in.

    Attributes:
        name: what people call it; its id when it was opened without a name.
        is_admin: whether the role may change what the organisation holds.
    """

    id: OrganizationId
    name: str
    role: Role
    is_admin: bool


@dataclass(frozen=True, slots=True)
class Covered:
    """Whom an organisation's switch covers.

    Attributes:
        members: accounts that are members now.
        out: those of them who said off themselves.
    """

    members: int
    out: int


def covered(ports: Ports, holder: Holder, product: ProductId) -> Covered:
    """Return how many an organisation's switch covers.

    Raises:
        UnknownOrganization: there is none, or the viewer is not a member of it now.
    """
    with ports.ledger.directory() as directory:
        organization = subject_of(directory, holder)
    numbers = ports.members.now(organization.no)
    with ports.ledger.directory() as directory:
        members = [directory.subject(no) for no in numbers]
    choices = [m.holdings[product].choice for m in members if product in m.holdings]
    return Covered(len(members), choices.count(Choice.OUT))


def tenancies(ports: Ports, account: AccountId, names: dict[SubjectNo, str]) -> tuple[Tenancy, ...]:
    """Return the organisations an account is in now, in the order it came to them.

    Args:
        account: the account that looks.
        names: names that were looked up before; those that are looked up now are added.

    Raises:
        UnknownAccount: there is no such account.
    """
    with ports.ledger.directory() as directory:
        viewer = directory.find(SubjectKind.ACCOUNT, account)
        if viewer is None:
            raise unknown(SubjectKind.ACCOUNT, account)
        roles = directory.policy.roles_that_change
        found = [(directory.subject(m.organization), m.role) for m in viewer.memberships_now()]
    for organization, _ in found:
        if organization.no not in names:
            names[organization.no] = _name(ports, organization.no) or organization.id
    return tuple(
        Tenancy(OrganizationId(each.id), names[each.no], role, role in roles)
        for each, role in found
    )


def _name(ports: Ports, organization: SubjectNo) -> str:
    """Return the name an organisation was opened with; it never changes."""
    try:
        *_, opening = ports.ledger.records_of(organization)
    except VerificationError:
        return ""
    return str(json.loads(opening.event).get("name") or "")
