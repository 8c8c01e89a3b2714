"""The frame of the console: whose pages these are, the navigation, and what every page of it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.exceptions import NotFoundException

from withhold.domain.surfaces import CONSOLE, Page, pages
from withhold.services import switches
from withhold.services.membership import Tenancy
from withhold.services.switches import Holder
from withhold.web.rendering import SCRIPTED, page
from withhold.web.visits import TOKEN_FIELD, Visit

BASE = "/console"
RESERVED = ("data", "history", "receipts", "proofs", "organizations", "events")


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the navigation."""

    label: str
    address: str
    is_here: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """Whose pages are shown, and what leads where.

    Attributes:
        base: what the addresses of the holder's pages begin with.
        tenancy: the organization whose pages these are, None for the account's own.
        is_admin: whether the viewer may change what the holder holds.
    """

    visit: Visit
    holder: Holder
    base: str
    tenancy: Tenancy | None
    is_admin: bool
    pages: tuple[Page, ...]

    @property
    def title(self) -> str:
        """What the surface calls itself."""
        return self.pages[0].surface if self.pages else "Console"

    def page(self, slug: str) -> Page:
        """Return a page by its address.

        Raises:
            NotFoundException: the policy has no such page.
        """
        for each in self.pages:
            if each.slug == slug:
                return each
        raise NotFoundException

    def groups(self, here: str) -> list[tuple[str, list[Item]]]:
        """Return the navigation by group, those of the policy first."""
        found: dict[str, list[Item]] = {}
        for each in self.pages:
            items = found.setdefault(" ".join(each.group), [])
            items.append(self._item(each.label, each.slug, here))
        lists = [self._item("History", "history", here)]
        if self.is_admin:
            lists.insert(0, self._item("Data" if self.tenancy else "Your data", "data", here))
        found.setdefault("", []).extend(lists)
        return list(found.items())

    def switcher(self) -> list[Item]:
        """Return whose pages can be shown instead."""
        own = Item(self.visit.account, BASE, self.tenancy is None)
        organizations = [
            Item(each.name, f"{BASE}/organizations/{quoted(each.id)}", each == self.tenancy)
            for each in self.visit.tenancies
        ]
        return [own, *organizations]

    def _item(self, label: str, slug: str, here: str) -> Item:
        return Item(label, f"{self.base}/{slug}", slug == here)


def frame(visit: Visit, organization: str | None) -> Frame:
    """Return the frame of the account's own pages, or of one of its organizations'.

    Raises:
        UnknownOrganization: the account is not in that one now, or there is none.
    """
    found = pages(visit.policy, CONSOLE, RESERVED)
    if organization is None:
        return Frame(visit, visit.personal, BASE, None, True, found)
    tenancy = visit.tenancy(organization)
    base = f"{BASE}/organizations/{quoted(tenancy.id)}"
    return Frame(visit, visit.of(organization), base, tenancy, tenancy.is_admin, found)


def draw(
    around: Frame, template: str, here: str, values: Mapping[str, Any], status: int = 200
) -> Response[str]:
    """Return a page in its frame."""
    visit = around.visit
    known = {
        "frame": around,
        "here": here,
        "base": around.base,
        "token": visit.token,
        "is_read_only": visit.is_read_only,
        "field": TOKEN_FIELD,
        "marks": switches.marks(visit.ports, around.holder),
        **values,
    }
    return page(template, known, SCRIPTED, status)


def quoted(name: str) -> str:
    """Return a name as a part of an address."""
    return quote(name, safe="")
