"""Organizations: who decides, that the member sees it, and that nobody reaches what is not theirs (S19)."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import violations
from tests.browser.chromium import LOOKS, WIDE, Look
from tests.browser.conftest import Contexts, Visit, signed_in
from tests.browser.faces import CONSOLE, MOBILE, Face, Visitor, of_tenant
from tests.browser.site import STUDIO, VIBE, Site
from tests.browser.watch import Watch
from withhold.domain.directory import SubjectKind

OWN_STUDIO = Face(STUDIO, "console", "/console", "/console/privacy")
EVERY_LOOK = pytest.mark.parametrize("look", LOOKS, ids=str)
LOCKED = pytest.mark.parametrize("face", [CONSOLE, MOBILE], ids=str)


@EVERY_LOOK
def test_an_admins_off_overrides_a_members_on_and_the_member_sees_who_decided(
    shared: Site, visit: Visit, look: Look
) -> None:
    acme = shared.tenant("Acme", studio="free")
    shared.turn(acme.member, allowed=True, product=STUDIO)
    visit(shared, acme.admin, of_tenant(acme), look).turn_it_off()
    member = visit(shared, acme.member, OWN_STUDIO, look)
    member.shows(on=False)
    member.says("An Admin of Acme turned it off for everybody in it.")
    member.control.click(force=True)
    expect(member.turn_on).to_have_count(0)
    assert not shared.status(acme.member, STUDIO).allowed
    assert violations(member.page) == []


def test_an_admins_on_never_overrides_a_members_off(shared: Site, visit: Visit) -> None:
    acme = shared.tenant("Acme", studio="free")
    shared.turn(acme.member, allowed=False, product=STUDIO, actor=acme.member)
    admin = visit(shared, acme.admin, of_tenant(acme))
    admin.says("1 of them said off")
    admin.turn_it_off()
    admin.turn_it_on()
    assert shared.status(acme.id, STUDIO, SubjectKind.ORGANIZATION).allowed
    member = visit(shared, acme.member, OWN_STUDIO)
    member.shows(on=False)
    member.says("You turned it off.")
    assert not shared.status(acme.member, STUDIO).allowed


@EVERY_LOOK
def test_a_member_can_add_an_off_of_their_own_to_an_admins(
    shared: Site, visit: Visit, look: Look
) -> None:
    acme = shared.tenant("Acme", studio="free")
    shared.turn(acme.id, allowed=False, product=STUDIO, kind=SubjectKind.ORGANIZATION)
    member = visit(shared, acme.member, OWN_STUDIO, look)
    member.page.get_by_role("button", name="Also turn it off for myself").click()
    member.says("You turned it off.")
    shared.turn(acme.id, allowed=True, product=STUDIO, kind=SubjectKind.ORGANIZATION)
    member.open().shows(on=False)
    assert not shared.status(acme.member, STUDIO).allowed


@EVERY_LOOK
@LOCKED
def test_a_locked_plan_shows_off_with_its_reason_and_no_way_on(
    shared: Site, visit: Visit, face: Face, look: Look
) -> None:
    acme = shared.tenant("Acme", vibe="teams")
    head = shared.ports.ledger.head()
    member = visit(shared, acme.member, face, look)
    member.shows(on=False)
    member.says("Off for everybody: Teams plan.")
    member.control.click(force=True)
    expect(member.turn_on).to_have_count(0)
    member.shows(on=False)
    assert violations(member.page) == []
    assert shared.ports.ledger.head() == head


def test_a_plan_that_is_off_by_default_can_be_turned_on_by_an_admin_alone(
    shared: Site, visit: Visit
) -> None:
    acme = shared.tenant("Acme", studio="scale")
    member = visit(shared, acme.member, of_tenant(acme))
    member.shows(on=False)
    member.says("Only an Admin of Acme can change this.")
    member.control.click(force=True)
    expect(member.turn_on).to_have_count(0)
    admin = visit(shared, acme.admin, of_tenant(acme))
    admin.says("the default of the Scale plan")
    admin.turn_it_on()
    assert shared.status(acme.id, STUDIO, SubjectKind.ORGANIZATION).allowed


@pytest.mark.parametrize("look", [WIDE, Look(scripts=False)], ids=str)
def test_a_member_who_presses_a_page_drawn_for_an_admin_changes_nothing(
    shared: Site, visit: Visit, watch: Watch, look: Look
) -> None:
    acme = shared.tenant("Acme", studio="free")
    admin = visit(shared, acme.admin, of_tenant(acme), look, is_told=False)
    shared.demote(acme)
    head = shared.ports.ledger.head()
    admin.control.click()
    admin.says("Only an Admin of Acme can change this.")
    admin.shows(on=True)
    assert shared.ports.ledger.head() == head
    watch.expected("status of 403")


@pytest.mark.parametrize("page", ["", "/vibe", "/privacy", "/data", "/history", "/receipts/2"])
def test_pages_of_somebody_elses_organization_are_not_there(
    shared: Site, contexts: Contexts, page: str
) -> None:
    acme, other = shared.tenant("Acme"), shared.tenant("Other")
    context = contexts()
    signed_in(shared, context, acme.admin)
    start = f"{shared.address}/console/organizations"
    answered = context.request.get(f"{start}/{other.id}{page}")
    nobody = context.request.get(f"{start}/nobody{page}")
    assert answered.status == nobody.status == 404
    assert answered.text() == nobody.text()


def test_a_receipt_of_somebody_else_is_not_there(shared: Site, contexts: Contexts) -> None:
    ana, ben = shared.account("ana"), shared.account("ben")
    theirs, own = (shared.turn(who, allowed=False).position for who in (ben, ana))
    context = contexts()
    signed_in(shared, context, ana)
    for start in ("/console", "/m"):
        receipts = f"{shared.address}{start}/receipts"
        assert context.request.get(f"{receipts}/{own}").status == 200
        foreign = context.request.get(f"{receipts}/{theirs}")
        absent = context.request.get(f"{receipts}/{10**12}")
        assert foreign.status == absent.status == 404
        assert foreign.text() == absent.text()


def test_a_form_for_somebody_elses_organization_changes_nothing(shared: Site, visit: Visit) -> None:
    acme, other = shared.tenant("Acme", studio="free"), shared.tenant("Other", studio="free")
    admin = visit(shared, acme.admin, of_tenant(acme))
    form = admin.page.evaluate(
        "id => Object.fromEntries(new FormData(document.getElementById(id).form))",
        f"control-{STUDIO}",
    )
    context = admin.page.context
    answered = context.request.post(shared.address + of_tenant(other).address, form=form)
    assert answered.status == 404
    assert shared.status(other.id, STUDIO, SubjectKind.ORGANIZATION).allowed
    answered = context.request.post(shared.address + of_tenant(acme).address, form=form)
    assert answered.ok  # the same form, where it belongs
    assert not shared.status(acme.id, STUDIO, SubjectKind.ORGANIZATION).allowed


def test_the_switcher_leads_to_each_of_my_organizations(shared: Site, contexts: Contexts) -> None:
    acme = shared.tenant("Acme", studio="free")
    context = contexts()
    signed_in(shared, context, acme.member)
    page = context.new_page()
    page.goto(f"{shared.address}/console")
    page.locator("summary", has_text="Switch organization").click()
    assert violations(page) == []
    page.get_by_role("link", name="Acme").click()
    page.wait_for_url(f"**{of_tenant(acme, VIBE).address}")
    Visitor(shared, of_tenant(acme, VIBE), page).shows(on=True)
