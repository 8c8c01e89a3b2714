"""The mobile web app installs, and without a network says so and changes nothing (A8)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.chromium import NARROW, PHONE, Look
from tests.browser.conftest import Contexts, signed_in
from tests.browser.faces import MOBILE, Visitor
from tests.browser.site import Site
from tests.browser.watch import Watch

WORKER = "navigator.serviceWorker.ready.then(found => found.active.state)"
A_CONTEXT_IS_INCOGNITO = "in-incognito"  # the one thing in the way, and it is the test's own
UNREACHABLE = "ERR_INTERNET_DISCONNECTED|ERR_FAILED|Failed to fetch"
LEAST_PIXELS = 44
TOUCHED = ["/m", "/m/data", "/m/history", "/m/offline", "/m/data-controls?turn=on", "/sign-in"]
# What is touched, but for links within a sentence (WCAG 2.2, 2.5.8) and what shows only with the focus.
SMALL = """(least) => [...document.querySelectorAll("a, button, [role=checkbox]")]
  .filter((e) => !e.matches("p a:not(.button), .skip") && e.checkVisibility())
  .filter((e) => e.getBoundingClientRect().height < least)
  .map((e) => `${e.textContent.trim()}: ${e.getBoundingClientRect().height}`)"""
SETTLED_MS = 300


@pytest.fixture
def installed(shared: Site, contexts: Contexts) -> Visitor:
    """Give somebody whose phone has opened the application once."""
    context = contexts(NARROW)
    signed_in(shared, context, shared.account("ana"))
    visitor = Visitor(shared, MOBILE, context.new_page()).open()
    visitor.page.evaluate(WORKER)
    return visitor


def asked(page: Page, method: str) -> dict[str, Any]:
    """Ask the browser itself, as its developer tools do."""
    session = page.context.new_cdp_session(page)
    found: dict[str, Any] = session.send(method)
    session.detach()
    return found


def test_the_browser_finds_nothing_that_keeps_the_application_from_being_installed(
    installed: Visitor,
) -> None:
    manifest = asked(installed.page, "Page.getAppManifest")
    assert manifest["errors"] == []
    errors = asked(installed.page, "Page.getInstallabilityErrors")["installabilityErrors"]
    assert [error["errorId"] for error in errors] == [A_CONTEXT_IS_INCOGNITO]
    stated = json.loads(manifest["data"])
    assert stated["display"] == "standalone"
    assert stated["start_url"] == MOBILE.start
    assert {"192x192", "512x512"} <= {icon["sizes"] for icon in stated["icons"]}
    for icon in stated["icons"]:
        answered = installed.page.context.request.get(installed.site.address + icon["src"])
        assert answered.headers["content-type"] == icon["type"]


def test_the_worker_is_active_for_the_application_and_nothing_else(installed: Visitor) -> None:
    assert installed.page.evaluate(WORKER) in {"activating", "activated"}
    scope = installed.page.evaluate("navigator.serviceWorker.ready.then(found => found.scope)")
    assert scope == f"{installed.site.address}/m"


def test_without_a_network_a_page_says_that_nothing_can_be_changed(
    installed: Visitor, watch: Watch
) -> None:
    installed.page.context.set_offline(True)
    for address in ("/m", "/m/data-controls", "/m/history"):
        installed.page.goto(installed.site.address + address)
        installed.says("Nothing can be changed until you are connected")
        expect(installed.control).to_have_count(0)
        assert violations(installed.page) == []
    installed.page.context.set_offline(False)
    watch.expected(UNREACHABLE)


def test_without_a_network_the_checkbox_does_not_move_and_nothing_is_sent_later(
    installed: Visitor, watch: Watch
) -> None:
    head = installed.site.ports.ledger.head()
    installed.page.context.set_offline(True)
    installed.control.click()
    installed.says("Not confirmed.")
    installed.shows(on=True)
    assert violations(installed.page) == []
    installed.page.context.set_offline(False)
    installed.page.wait_for_timeout(SETTLED_MS)
    installed.shows(on=True)
    installed.open().shows(on=True)
    assert installed.site.ports.ledger.head() == head
    watch.expected(UNREACHABLE)
    installed.turn_it_off()  # with a network it works again


def test_a_worker_of_an_earlier_visit_serves_no_old_state(installed: Visitor, shared: Site) -> None:
    installed.turn_it_off()
    installed.page.goto(shared.address + MOBILE.start)
    expect(installed.page.get_by_role("link", name="Data & Account Controls")).to_contain_text(
        "Off"
    )
    installed.open().shows(on=False)


@pytest.mark.parametrize("look", [NARROW, Look(PHONE, scripts=False)], ids=str)
def test_everything_that_is_touched_is_at_least_44_pixels_high(
    shared: Site, contexts: Contexts, look: Look
) -> None:
    ana = shared.account("ana")
    shared.turn(ana, allowed=False)
    context = contexts(look)
    signed_in(shared, context, ana)
    page = context.new_page()
    for address in TOUCHED:
        page.goto(shared.address + address)
        assert page.evaluate(SMALL, LEAST_PIXELS) == [], address
