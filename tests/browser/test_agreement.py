"""Every surface shows one state, within a second and after a restart (S1)."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.browser.chromium import NARROW, WIDE
from tests.browser.conftest import Contexts, Visit, signed_in
from tests.browser.faces import BOTH, CONSOLE, MOBILE, Face, Visitor, of_tenant
from tests.browser.site import STUDIO, VIBE, Site, site
from tests.browser.watch import LOST, Watch
from withhold.domain.directory import SubjectKind
from withhold.web.auth import Scope, create_token

WITHIN_SECONDS = 1.0
FACES = pytest.mark.parametrize("face", BOTH, ids=str)


def by_program(from_site: Site, account: str) -> bool:
    """Return what the API says: the third surface."""
    token = create_token(from_site.ports, "reader", [Scope.PREFERENCES])
    answered = httpx.get(
        f"{from_site.address}/v1/accounts/{account}/preferences/{VIBE}",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answered.status_code == 200
    return bool(answered.json()["allowed"])


@FACES
def test_an_opt_out_on_one_device_shows_on_every_surface_within_a_second(
    shared: Site, visit: Visit, face: Face
) -> None:
    ana = shared.account("ana")
    here = visit(shared, ana, face)
    elsewhere = [visit(shared, ana, CONSOLE, WIDE), visit(shared, ana, MOBILE, NARROW)]
    here.turn_it_off()
    since = time.monotonic()
    for other in elsewhere:
        other.shows(on=False, within_seconds=WITHIN_SECONDS - (time.monotonic() - since))
    assert not by_program(shared, ana)


def test_the_list_of_settings_shows_a_change_within_a_second(
    shared: Site, contexts: Contexts
) -> None:
    ana = shared.account("ana")
    context = contexts(NARROW)
    signed_in(shared, context, ana)
    page = context.new_page()
    page.goto(f"{shared.address}/m")
    value = page.locator(".value").first
    expect(value).to_have_text("On")
    shared.turn(ana, allowed=False)
    expect(value).to_have_text("Off", timeout=1_000 * WITHIN_SECONDS)


@FACES
def test_an_opt_out_by_a_program_shows_on_an_open_page_within_a_second(
    shared: Site, visit: Visit, face: Face
) -> None:
    ana = shared.account("ana")
    visitor = visit(shared, ana, face)
    shared.turn(ana, allowed=False)
    visitor.shows(on=False, within_seconds=WITHIN_SECONDS)
    shared.turn(ana, allowed=True)
    visitor.shows(on=True, within_seconds=WITHIN_SECONDS)


def test_an_admins_off_shows_on_a_members_open_page_within_a_second(
    shared: Site, visit: Visit
) -> None:
    acme = shared.tenant("Acme", studio="free")
    own = Face(STUDIO, "console", "/console", "/console/privacy")
    member = visit(shared, acme.member, own)
    member.shows(on=True)
    visit(shared, acme.admin, of_tenant(acme)).turn_it_off()
    member.shows(on=False, within_seconds=WITHIN_SECONDS)


@FACES
def test_a_page_listens_however_late_its_scripts_come(
    shared: Site, contexts: Contexts, face: Face
) -> None:
    def late(route: Route) -> None:
        time.sleep(0.2)
        route.continue_()

    ana = shared.account("ana")
    context = contexts()
    signed_in(shared, context, ana)
    context.route("**/vendor/hx-sse*.js", late)
    visitor = Visitor(shared, face, context.new_page()).open()
    shared.turn(ana, allowed=False)
    visitor.shows(on=False, within_seconds=WITHIN_SECONDS)


def test_an_opt_out_holds_on_every_surface_after_a_restart(
    tmp_path: Path, contexts: Contexts
) -> None:
    context = contexts()
    with site(tmp_path / "home") as first:
        ana = first.account("ana")
        signed_in(first, context, ana)
        Visitor(first, CONSOLE, context.new_page()).open().turn_it_off()
        listen = first.address.removeprefix("http://")
        context.pages[0].goto("about:blank")
        assert first.server.end() == 0
    with site(tmp_path / "home", WITHHOLD_LISTEN=listen) as second:
        for face in BOTH:
            Visitor(second, face, context.pages[0]).open().shows(on=False, within_seconds=1)
        assert not by_program(second, ana)
        context.pages[0].close()


@pytest.mark.slow
def test_an_open_page_finds_the_server_again_after_a_restart(
    tmp_path: Path, visit: Visit, watch: Watch
) -> None:
    with site(tmp_path / "home") as first:
        ana = first.account("ana")
        visitor = visit(first, ana, CONSOLE)
        listen = first.address.removeprefix("http://")
        assert first.server.end() == 0
    with site(tmp_path / "home", WITHHOLD_LISTEN=listen) as second:
        second.turn(ana, allowed=False)
        visitor.shows(on=False, within_seconds=5)
        visitor.page.close()
    watch.expected(LOST)


def test_a_tenants_switch_is_one_state_for_all_of_its_admins(shared: Site, visit: Visit) -> None:
    acme = shared.tenant("Acme", studio="free")
    first, second = (visit(shared, acme.admin, of_tenant(acme)) for _ in range(2))
    first.turn_it_off()
    second.shows(on=False, within_seconds=WITHIN_SECONDS)
    second.turn_it_on()
    first.shows(on=True, within_seconds=WITHIN_SECONDS)
    assert shared.status(acme.id, STUDIO, SubjectKind.ORGANIZATION).allowed
