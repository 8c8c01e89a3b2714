"""Membership: whom an organisation's switch covers, and which organisations an account is in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.forgetful import ForgetfulLedger
from tests.simulator import STUDIO, Provider
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, OrganizationId, SubjectNo
from withhold.domain.policy import Role
from withhold.errors import UnknownAccount, UnknownOrganization
from withhold.services import directory, membership
from withhold.services.directory import AccountRequest, OrganizationRequest
from withhold.services.membership import Covered, Tenancy
from withhold.services.switches import Holder


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path)
    made.found("acme", studio="free")
    directory.put_organization(made.ports, OrganizationRequest(OrganizationId("bare")))
    made.sign_up("ana", "acme")
    made.sign_up("ben", "acme")
    made.sign_up("out")
    yield made
    made.close()


def tenancies(provider: Provider, account: str) -> tuple[Tenancy, ...]:
    return membership.tenancies(provider.ports, AccountId(account), {})


def test_the_members_and_those_who_said_off_themselves_are_counted(provider: Provider) -> None:
    holder = Holder(SubjectKind.ORGANIZATION, "acme", AccountId("ana"))
    assert membership.covered(provider.ports, holder, STUDIO) == Covered(2, 0)
    provider.opt_out("ben", STUDIO)
    provider.opt_out("out", STUDIO)
    provider.opt_out("acme", STUDIO, organization=True)
    assert membership.covered(provider.ports, holder, STUDIO) == Covered(2, 1)
    provider.move("ben")
    assert membership.covered(provider.ports, holder, STUDIO) == Covered(1, 0)


def test_whom_it_covers_is_not_told_to_others(provider: Provider) -> None:
    with pytest.raises(UnknownOrganization):
        membership.covered(
            provider.ports, Holder(SubjectKind.ORGANIZATION, "acme", AccountId("out")), STUDIO
        )


def test_an_account_is_shown_its_organizations_with_name_and_role(provider: Provider) -> None:
    roles = ((OrganizationId("acme"), Role.ADMIN), (OrganizationId("bare"), Role.BILLING))
    directory.put_account(provider.ports, AccountRequest(AccountId("ana"), roles))
    assert tenancies(provider, "ana") == (
        Tenancy(OrganizationId("acme"), "Acme", Role.ADMIN, True),
        Tenancy(OrganizationId("bare"), "bare", Role.BILLING, False),
    )
    assert tenancies(provider, "out") == ()
    with pytest.raises(UnknownAccount):
        tenancies(provider, "nobody")


def test_a_name_is_looked_up_once(provider: Provider) -> None:
    names: dict[SubjectNo, str] = {}
    first = membership.tenancies(provider.ports, AccountId("ana"), names)
    assert list(names.values()) == ["Acme"]
    assert membership.tenancies(provider.ports, AccountId("ben"), names)[0].name == first[0].name
    assert len(names) == 1


def test_an_organization_whose_name_cannot_be_read_any_more_is_called_by_its_id(
    provider: Provider,
) -> None:
    ports = replace(provider.ports, ledger=ForgetfulLedger(provider.ports.ledger))
    assert membership.tenancies(ports, AccountId("ana"), {})[0].name == "acme"
