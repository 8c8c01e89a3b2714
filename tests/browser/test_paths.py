"""The path of the policy, walked by keyboard alone in at most three actions (S10; A2, A5, A8, A10).

An action is a press of Enter or Space. Tab only moves; what it reaches must be seen to be reached.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.chromium import LOOKS, Look
from tests.browser.conftest import Contexts, signed_in
from tests.browser.faces import CONSOLE, MOBILE, Face, Visitor, of_tenant
from tests.browser.site import STUDIO, Site, Tenant

MOST_ACTIONS = 3
MOST_TABS = 40

PATHS = pytest.mark.parametrize("face", [CONSOLE, MOBILE, "tenant"], ids=str)
EVERY_LOOK = pytest.mark.parametrize("look", LOOKS, ids=str)


@dataclass(slots=True)
class Keyboard:
    """Somebody without a mouse, and what it took them."""

    page: Page
    actions: int = 0

    def go_to(self, wanted: Locator) -> None:
        """Tab until something has the focus, and see that it is shown to have it."""
        for _ in range(MOST_TABS):
            if wanted.count() and wanted.first.evaluate("e => e === document.activeElement"):
                break
            self.page.keyboard.press("Tab")
        expect(wanted.first).to_be_focused()
        style = wanted.first.evaluate(
            "e => { const s = getComputedStyle(e); return s.outlineStyle + s.outlineWidth; }"
        )
        assert style not in {"none0px", "solid0px"}, f"the focus is not seen: {style}"

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.actions += 1

    def walk(self, visitor: Visitor) -> None:
        """Go from the surface's start to the switch, by the steps that the policy states, in order."""
        stated = visitor.face.stated(visitor.site)
        steps = stated.path[1:]
        page = [step for step in steps if step != stated.section][-1]
        self.page.goto(visitor.site.address + visitor.face.start)
        for step in steps:
            if step == page:
                self._reach(step)
            else:  # a group of the navigation, or a section: read, not pressed
                expect(self._seen(self.page.get_by_text(step, exact=True))).to_be_visible()

    def _reach(self, name: str) -> None:
        """Follow the link to a page, unless the start is that page already."""
        title = self.page.get_by_role("heading", level=1, name=name, exact=True)
        if title.count():
            return
        menu = self.page.get_by_role("button", name="Menu", exact=True).filter(visible=True)
        if menu.count():
            self.go_to(menu)
            self.press("Enter")
        self.go_to(self._seen(self.page.get_by_role("link", name=name)))
        self.press("Enter")
        expect(title).to_be_visible()

    def _seen(self, wanted: Locator) -> Locator:
        return wanted.filter(visible=True).first


def face_of(site: Site, face: Face | str) -> tuple[str, Face]:
    """Return an account that is on, and the switch that it holds."""
    if isinstance(face, Face):
        return site.account("ana"), face
    acme: Tenant = site.tenant("Acme", studio="free")
    return acme.admin, of_tenant(acme, STUDIO)


@EVERY_LOOK
@PATHS
def test_the_path_of_the_policy_leads_to_the_opt_out_in_three_actions_by_keyboard(
    shared: Site, contexts: Contexts, face: Face | str, look: Look
) -> None:
    account, here = face_of(shared, face)
    context = contexts(look)
    signed_in(shared, context, account)
    visitor = Visitor(shared, here, context.new_page())
    out = Keyboard(visitor.page)
    out.walk(visitor)
    out.go_to(visitor.control)
    out.press("Space")
    visitor.shows(on=False)
    assert out.actions <= MOST_ACTIONS

    back = Keyboard(visitor.page)
    back.walk(visitor)
    back.go_to(visitor.control)
    back.press("Space")
    back.go_to(visitor.turn_on)
    back.press("Enter")
    visitor.shows(on=True)
    assert out.actions <= back.actions, "opting out takes more than opting in"


@pytest.mark.parametrize("face", [CONSOLE, MOBILE], ids=str)
def test_the_focus_stays_where_the_switch_is_after_it_was_turned(
    shared: Site, contexts: Contexts, face: Face
) -> None:
    context = contexts()
    signed_in(shared, context, shared.account("ana"))
    visitor = Visitor(shared, face, context.new_page()).open()
    keyboard = Keyboard(visitor.page)
    keyboard.go_to(visitor.control)
    keyboard.press("Space")
    visitor.shows(on=False)
    expect(visitor.control).to_be_focused()
    keyboard.press("Space")
    keyboard.go_to(visitor.keep_off)
    keyboard.press("Enter")
    expect(visitor.turn_on).to_have_count(0)
    expect(visitor.control).to_be_focused()
