"""The surfaces as a person meets them: where a switch stands, what it is called, what can be done.

Paths, labels and kinds of control are read from the policy; only the addresses where a surface begins and
where a page lies are written here.
"""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

from tests.browser.site import STUDIO, VIBE, Site, Tenant
from withhold.domain.names import ProductId
from withhold.domain.policy import Control, Surface

ROLES = {Control.TOGGLE: "switch", Control.CHECKBOX: "checkbox"}


@dataclass(frozen=True, slots=True)
class Face:
    """One switch on one surface.

    Attributes:
        start: where the surface begins.
        address: of the page where the switch stands.
    """

    product: ProductId
    surface: str
    start: str
    address: str

    def __str__(self) -> str:
        return f"{self.surface}-{self.product}"

    def stated(self, site: Site) -> Surface:
        """Return what the policy says of it."""
        surfaces = site.policy.product(self.product).surfaces
        return next(surface for surface in surfaces if surface.id == self.surface)


CONSOLE = Face(VIBE, "console", "/console", "/console/vibe")
MOBILE = Face(VIBE, "mobile", "/m", "/m/data-controls")
BOTH = (CONSOLE, MOBILE)


def of_tenant(tenant: Tenant, product: ProductId = STUDIO) -> Face:
    """Return the switch of an organization on the console."""
    page = "privacy" if product == STUDIO else "vibe"
    return Face(product, "console", tenant.start, f"{tenant.start}/{page}")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody in front of a switch."""

    site: Site
    face: Face
    page: Page

    @property
    def control(self) -> Locator:
        """The switch itself, found as a screen reader finds it: by role and name."""
        stated = self.face.stated(self.site)
        return self.page.get_by_role(ROLES[stated.control], name=stated.label, exact=True)

    @property
    def turn_on(self) -> Locator:
        """The second press that turns it on."""
        return self.page.get_by_role("button", name="Turn on", exact=True)

    @property
    def keep_off(self) -> Locator:
        """The way out of the question."""
        return self.page.get_by_role("button", name="Keep off", exact=True)

    def open(self) -> Visitor:
        self.page.goto(self.site.address + self.face.address)
        return self

    def turn_it_off(self) -> None:
        """Turn it off as a person does, and wait until the page says so."""
        self.control.click()
        self.shows(on=False)

    def turn_it_on(self) -> None:
        """Turn it on as a person does, and wait until the page says so."""
        self.control.click()
        self.turn_on.click()
        self.shows(on=True)

    def shows(self, *, on: bool, within_seconds: float = 5.0) -> None:
        """Expect the switch to show something, now or soon."""
        wanted = "true" if on else "false"
        expect(self.control).to_have_attribute(
            "aria-checked", wanted, timeout=within_seconds * 1000
        )

    def says(self, text: str) -> None:
        """Expect a sentence to be seen on the page."""
        expect(self.page.get_by_text(text).filter(visible=True).first).to_be_visible()
