"""Surfaces as pages: where the policy's paths lead, and what stands there.

The rule (articles A3, A5, A8, A10): a surface's path is what a person clicks, so pages, groups of the
navigation, sections and labels are read from it and never written anywhere else. ``path[0]`` is the
surface itself; the step that is a section is a heading of the page, not a page; the last step that is
left is the page, and the steps before it are its group.

Invariants:
- every surface of every product is on exactly one page;
- pages of one surface have different slugs, and none is taken from `reserved` addresses.

Not here: drawing (`web`), what a switch says (`services.switches`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from withhold.domain.policy import Policy, Product, Surface

CONSOLE, MOBILE = "console", "mobile"
"""The surfaces that people open in a browser."""

_NOT_IN_A_SLUG = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one product's switch stands on a page."""

    product: Product
    surface: Surface


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a surface.

    Attributes:
        slug: the last part of its address.
        surface: the first step of the path: the surface's own name.
        group: the steps between the surface and the page, the section left out.
        label: the step that is the page.
        places: the switches on it, in the order of the policy.
    """

    slug: str
    surface: str
    group: tuple[str, ...]
    label: str
    places: tuple[Place, ...]


def pages(policy: Policy, surface: str, reserved: Collection[str] = ()) -> tuple[Page, ...]:
    """Return the pages of a surface, in the order of the policy; none when no product is on it.

    Args:
        policy: the policy in force.
        surface: the id of the surface, for example ``console``.
        reserved: slugs that lead elsewhere.
    """
    found: dict[tuple[str, ...], list[Place]] = {}
    for product in policy.products:
        for each in product.surfaces:
            if each.id == surface:
                found.setdefault(_steps(each), []).append(Place(product, each))
    taken = set(reserved)
    made = []
    for steps, places in found.items():
        slug = _slug(steps, places[0], taken)
        taken.add(slug)
        made.append(Page(slug, steps[0], steps[1:-1], steps[-1], tuple(places)))
    return tuple(made)


def _steps(surface: Surface) -> tuple[str, ...]:
    """Return the path without its section; at least the surface and a page."""
    steps = list(surface.path)
    if surface.section and len(steps) > 2:
        last = len(steps) - 1 - steps[::-1].index(surface.section)
        del steps[last]
    return tuple(steps) if len(steps) > 1 else (steps[0], surface.label)


def _slug(steps: tuple[str, ...], place: Place, taken: set[str]) -> str:
    """Return an address for a page: its label, made longer until nobody else has it."""
    whole = "-".join(steps[1:])
    wanted = [steps[-1], whole, f"{whole} {place.product.id}", place.product.id]
    for text in wanted:
        slug = _NOT_IN_A_SLUG.sub("-", text.lower()).strip("-")
        if slug and slug not in taken:
            return slug
    return next(
        slug for n in range(2, len(taken) + 3) if (slug := f"{place.product.id}-{n}") not in taken
    )
