"""What a switch says: what holds, who decided, what can be turned and what is in the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.forgetful import ForgetfulLedger
from tests.simulator import STUDIO, VIBE, Provider
from withhold.domain.accounts import Opening, Opens, opened
from withhold.domain.changes import At
from withhold.domain.directory import SubjectKind
from withhold.domain.ledger import EventKind
from withhold.domain.names import AccountId, OrganizationId, Position, ProductId
from withhold.domain.parties import PartyKind
from withhold.domain.policy import Role
from withhold.errors import UnknownAccount, UnknownOrganization, UnknownProduct
from withhold.ports import Transaction
from withhold.services import directory, preferences, switches
from withhold.services.directory import AccountRequest
from withhold.services.events import append
from withhold.services.preferences import PreferenceRequest
from withhold.services.switches import Decider, Holder, Obstacle, Switch


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path)
    made.found("acme", vibe="teams", studio="scale")
    made.found("birch", studio="free")
    made.sign_up("ana")
    for name, organization, role in (
        ("boss", "acme", Role.ADMIN),
        ("mia", "acme", Role.MEMBER),
        ("bill", "birch", Role.BILLING),
        ("head", "birch", Role.ADMIN),
    ):
        roles = ((OrganizationId(organization), role),)
        directory.put_account(made.ports, AccountRequest(AccountId(name), roles))
    yield made
    made.close()


def own(provider: Provider, account: str, product: ProductId = VIBE) -> Switch:
    holder = Holder(SubjectKind.ACCOUNT, account, AccountId(account))
    return switches.switch(provider.ports, holder, product)


def of(provider: Provider, organization: str, viewer: str, product: ProductId = STUDIO) -> Switch:
    holder = Holder(SubjectKind.ORGANIZATION, organization, AccountId(viewer))
    return switches.switch(provider.ports, holder, product)


def turn(
    provider: Provider,
    holder: str,
    allowed: bool,
    product: ProductId = VIBE,
    actor: str | None = None,
    *,
    organization: bool = False,
) -> Position:
    kind = SubjectKind.ORGANIZATION if organization else SubjectKind.ACCOUNT
    request = PreferenceRequest(kind, holder, product, allowed, "console", actor)
    return preferences.set_preference(provider.ports, request).position


def test_a5_a_free_account_is_on_by_default_and_may_turn_it_off(provider: Provider) -> None:
    found = own(provider, "ana")
    assert (found.is_on, found.decider, found.plan) == (True, Decider.PLAN_DEFAULT, "Free")
    assert (found.may_turn_off, found.may_turn_on, found.obstacle) == (True, False, None)


def test_an_own_off_says_so_at_its_position_and_can_be_turned_on_again(provider: Provider) -> None:
    position = turn(provider, "ana", False, actor="ana")
    found = own(provider, "ana")
    assert (found.is_on, found.decider, found.position) == (False, Decider.HOLDER, position)
    assert (found.is_own, found.is_own_out, found.may_turn_off) == (True, True, False)
    assert (found.may_turn_on, found.obstacle, found.seen) == (True, None, position)
    assert found.reason == ""


def test_what_the_page_saw_is_what_turning_on_compares(provider: Provider) -> None:
    for _ in range(2):
        turn(provider, "ana", False, actor="ana")
        seen = own(provider, "ana").seen
        request = PreferenceRequest(SubjectKind.ACCOUNT, "ana", VIBE, True, if_match=seen)
        assert preferences.set_preference(provider.ports, request).allowed


def test_a4_a_locked_plan_is_off_with_the_policys_reason_and_takes_an_own_off(
    provider: Provider,
) -> None:
    found = own(provider, "mia")
    assert (found.is_on, found.decider, found.plan) == (False, Decider.PLAN_LOCK, "Teams")
    assert found.reason.startswith("Off for everybody: Teams plan.")
    assert (found.obstacle, found.may_turn_on, found.may_turn_off) == (
        Obstacle.PLAN_LOCK,
        False,
        True,
    )
    turn(provider, "mia", False, actor="mia")
    after = own(provider, "mia")
    assert (after.decider, after.is_own_out, after.may_turn_off) == (Decider.HOLDER, True, False)
    assert (after.obstacle, after.may_turn_on) == (Obstacle.PLAN_LOCK, False)
    assert after.reason.startswith("Off for everybody: Teams plan.")


def test_a9_scale_is_off_by_default_and_only_an_admin_may_turn_it_on(provider: Provider) -> None:
    boss, mia = of(provider, "acme", "boss"), of(provider, "acme", "mia")
    assert (boss.is_on, boss.decider, boss.plan) == (False, Decider.PLAN_DEFAULT, "Scale")
    assert (boss.may_turn_on, boss.may_turn_off, boss.obstacle) == (True, True, None)
    assert (mia.may_turn_on, mia.may_turn_off, mia.obstacle) == (False, False, Obstacle.ROLE)
    assert boss.reason == mia.reason != ""


def test_a9_a_member_cannot_turn_on_what_the_organization_holds(provider: Provider) -> None:
    found = own(provider, "mia", STUDIO)
    assert (found.is_on, found.obstacle) == (False, Obstacle.PLAN_DEFAULT)
    assert (found.may_turn_on, found.may_turn_off) == (False, True)


def test_s19_an_admins_off_is_named_as_the_organizations_and_stands_in_the_way(
    provider: Provider,
) -> None:
    turn(provider, "birch", False, STUDIO, "head", organization=True)
    found = own(provider, "bill", STUDIO)
    assert (found.is_on, found.decider, found.decided_by) == (
        False,
        Decider.ORGANIZATION,
        "birch",
    )
    assert (found.obstacle, found.obstacle_by) == (Obstacle.ORGANIZATION, "birch")
    assert (found.may_turn_on, found.may_turn_off, found.is_own) == (False, True, False)
    at_home = of(provider, "birch", "head")
    assert (at_home.decider, at_home.decided_by, at_home.is_own) == (Decider.HOLDER, "head", True)


def test_s19_an_admins_on_is_named_and_a_member_may_still_turn_their_own_off(
    provider: Provider,
) -> None:
    turn(provider, "acme", True, STUDIO, "boss", organization=True)
    found = own(provider, "mia", STUDIO)
    assert (found.is_on, found.decider, found.decided_by) == (True, Decider.ORGANIZATION, "acme")
    turn(provider, "mia", False, STUDIO, "mia")
    after = own(provider, "mia", STUDIO)
    assert (after.is_on, after.decider, after.may_turn_on) == (False, Decider.HOLDER, True)


def test_an_own_off_beside_the_organizations_off_cannot_be_turned_on(provider: Provider) -> None:
    turn(provider, "birch", False, STUDIO, "head", organization=True)
    turn(provider, "bill", False, STUDIO, "bill")
    found = own(provider, "bill", STUDIO)
    assert (found.decider, found.obstacle, found.obstacle_by, found.may_turn_on) == (
        Decider.HOLDER,
        Obstacle.ORGANIZATION,
        "birch",
        False,
    )


def test_an_admin_who_turned_a_member_off_is_told_apart_from_the_member(
    provider: Provider,
) -> None:
    turn(provider, "bill", False, STUDIO, "head")
    found = own(provider, "bill", STUDIO)
    assert (found.decider, found.decided_by, found.is_own_out) == (Decider.ADMIN, "head", True)


def test_an_off_without_an_actor_is_the_providers(provider: Provider) -> None:
    turn(provider, "ana", False)
    assert own(provider, "ana").decider is Decider.PROVIDER
    provider.sign_up("omar", opens="out")
    assert own(provider, "omar").decider is Decider.PROVIDER


def test_an_off_of_another_account_of_ones_own_is_ones_own(provider: Provider) -> None:
    provider.sign_up("ana-too")
    turn(provider, "ana-too", False, actor="ana-too")
    provider.merge("ana", "ana-too")
    assert own(provider, "ana").decider is Decider.HOLDER
    turn(provider, "ana", True, actor="ana")
    turn(provider, "ana-too", True, actor="ana-too")
    turn(provider, "ana-too", False, actor="ana-too")
    found = own(provider, "ana")
    assert (found.is_on, found.decider, found.decided_by) == (False, Decider.HOLDER, "ana-too")


def test_nobody_sees_the_switch_of_somebody_else(provider: Provider) -> None:
    with pytest.raises(UnknownAccount):
        switches.switch(provider.ports, Holder(SubjectKind.ACCOUNT, "ana", AccountId("mia")), VIBE)
    with pytest.raises(UnknownAccount):
        own(provider, "nobody")
    for organization in ("birch", "nowhere"):
        with pytest.raises(UnknownOrganization):
            of(provider, organization, "mia")


def test_whoever_left_sees_the_organization_no_more(provider: Provider) -> None:
    assert of(provider, "acme", "mia").product == STUDIO
    provider.move("mia")
    with pytest.raises(UnknownOrganization):
        of(provider, "acme", "mia")


def test_there_is_no_switch_for_a_product_that_is_not_offered(provider: Provider) -> None:
    with pytest.raises(UnknownProduct):
        own(provider, "ana", ProductId("chess"))


def test_a_switch_says_no_less_than_the_preference_does(provider: Provider) -> None:
    turn(provider, "birch", False, STUDIO, "head", organization=True)
    turn(provider, "ana", False, actor="ana")
    for account in ("ana", "boss", "mia", "bill", "head"):
        for product in (VIBE, STUDIO):
            found, status = own(provider, account, product), provider.status(account, product)
            assert found.is_on == status.allowed
            assert (found.reason == "") <= (status.reason == "")


def test_marks_change_with_whatever_a_switch_shows_and_with_nothing_else(
    provider: Provider,
) -> None:
    mia = Holder(SubjectKind.ACCOUNT, "mia", AccountId("mia"))
    at_acme = Holder(SubjectKind.ORGANIZATION, "acme", AccountId("mia"))
    before = [switches.marks(provider.ports, holder) for holder in (mia, at_acme)]
    turn(provider, "ana", False, actor="ana")
    provider.sign_up("somebody")
    assert [switches.marks(provider.ports, holder) for holder in (mia, at_acme)] == before
    turn(provider, "acme", True, STUDIO, "boss", organization=True)
    after = [switches.marks(provider.ports, holder) for holder in (mia, at_acme)]
    assert all(old != new for old, new in zip(before, after, strict=True))
    provider.adopt("vibe", "free", default_on=False)
    assert switches.marks(provider.ports, mia) != after[0]


def test_marks_change_when_a_role_does(provider: Provider) -> None:
    holder = Holder(SubjectKind.ORGANIZATION, "acme", AccountId("mia"))
    before = switches.marks(provider.ports, holder)
    roles = ((OrganizationId("acme"), Role.ADMIN),)
    directory.put_account(provider.ports, AccountRequest(AccountId("mia"), roles))
    assert switches.marks(provider.ports, holder) != before


def test_whose_choice_cannot_be_opened_any_more_is_still_a_choice(provider: Provider) -> None:
    position = turn(provider, "ana", False, actor="ana")
    forgetful = ForgetfulLedger(provider.ports.ledger)
    ports = replace(provider.ports, ledger=forgetful)
    found = switches.switch(ports, Holder(SubjectKind.ACCOUNT, "ana", AccountId("ana")), VIBE)
    assert (found.is_on, found.position, found.decider) == (False, position, Decider.PROVIDER)


def test_an_account_without_a_standing_for_a_product_has_no_switch_for_it(
    provider: Provider,
) -> None:
    def open_for_vibe_only(ledger: Transaction) -> None:
        no, at = ledger.new_subject(), At(ledger.next, 0)
        parties = {VIBE: ledger.new_party(PartyKind.ACCOUNT, VIBE, no)}
        opening = Opening(no, SubjectKind.ACCOUNT, "old", parties, {}, {}, Opens.ON)
        append(ledger, EventKind.ACCOUNT_OPENED, opened(opening, at), {}, at)

    provider.ports.ledger.append(open_for_vibe_only)
    holder = Holder(SubjectKind.ACCOUNT, "old", AccountId("old"))
    assert switches.switch(provider.ports, holder, VIBE).is_on
    with pytest.raises(UnknownProduct):
        switches.switch(provider.ports, holder, STUDIO)
    assert switches.marks(provider.ports, holder)


def test_of_several_organizations_the_one_that_decides_is_named(provider: Provider) -> None:
    roles = ((OrganizationId("birch"), Role.MEMBER), (OrganizationId("acme"), Role.MEMBER))
    directory.put_account(provider.ports, AccountRequest(AccountId("mia"), roles))
    turn(provider, "birch", False, STUDIO, "head", organization=True)
    found = own(provider, "mia", STUDIO)
    assert (found.decider, found.decided_by) == (Decider.ORGANIZATION, "birch")
