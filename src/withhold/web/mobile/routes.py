"""The routes of the mobile web app: the account's own switches, drawn as a native settings application.

The same services as the console's, so both show the same state at once (A8, S1). An organisation's switch
is the console's alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from litestar import Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Stream

from withhold.domain.surfaces import CONSOLE, MOBILE, Page, pages
from withhold.services import switches
from withhold.web import lists, live, switching
from withhold.web.controls import Control, Spot, control, effect, pressed
from withhold.web.forms import Form
from withhold.web.mobile.install import BASE
from withhold.web.rendering import INSTALLABLE, page
from withhold.web.switching import Said
from withhold.web.visits import TOKEN_FIELD, Visit, act, look, see_other

FIRST = "data-controls"
"""The address of the first page of switches, whatever the policy calls it: people keep bookmarks."""
RESERVED = (FIRST, "data", "history", "receipts", "proofs", "events", "offline")

Asked = Request[Any, Any, Any]


@get(BASE)
async def get_settings(request: Asked) -> Response[Any]:
    """Give the list of settings."""
    return await look(request, _settings)


@get(BASE + "/data")
async def get_data(request: Asked) -> Response[Any]:
    """Give the list of datasets that hold or held rows of the account."""
    return await look(request, _data)


@get(BASE + "/history")
async def get_history(request: Asked) -> Response[Any]:
    """Give the list of the account's changes."""

    def give(visit: Visit) -> Response[Any]:
        values = {"history": lists.history_page(visit, visit.personal)}
        return _draw(visit, "mobile/history.html", values)

    return await look(request, give)


@get(BASE + "/receipts/{position:str}")
async def get_receipt(request: Asked, position: FromPath[str]) -> Response[Any]:
    """Give a receipt of the account's own."""

    def give(visit: Visit) -> Response[Any]:
        return lists.receipt(visit, visit.personal, position, BASE)

    return await look(request, give)


@get(BASE + "/proofs/{reference:str}")
async def get_proof(request: Asked, reference: FromPath[str]) -> Response[Any]:
    """Give the proof that a dataset had rows of the account, or had none."""
    return await look(request, lambda visit: lists.proof(visit, reference))


@get(BASE + "/events")
async def get_events(request: Asked) -> Response[Any] | Stream:
    """Tell the page when what it shows has changed."""
    return await live.events(request)


@get(BASE + "/{slug:str}")
async def get_controls(request: Asked, slug: FromPath[str]) -> Response[Any]:
    """Give a page with its switches, or a part of it."""
    return await look(request, lambda visit: _controls(visit, slug))


@post(BASE + "/{slug:str}", status_code=200)
async def post_controls(request: Asked, slug: FromPath[str]) -> Response[Any]:
    """Turn a switch of a page; the answer comes once that is durable."""
    return await act(request, switching.FIELDS, lambda visit, form: _turn(visit, slug, form))


def _pages(visit: Visit) -> tuple[Page, ...]:
    found = pages(visit.policy, MOBILE, RESERVED)
    return (replace(found[0], slug=FIRST), *found[1:]) if found else ()


def _page(visit: Visit, slug: str) -> Page:
    for each in _pages(visit):
        if each.slug == slug:
            return each
    raise NotFoundException


def _spots(visit: Visit, found: Page) -> list[Spot]:
    action = f"{BASE}/{found.slug}"
    return [Spot(place, visit.personal, action, action, BASE) for place in found.places]


def _spot(visit: Visit, slug: str, product: str) -> Spot:
    found = _page(visit, slug)
    wanted = switching.place_of(found, product).product.id
    return next(spot for spot in _spots(visit, found) if spot.place.product.id == wanted)


def _draw(
    visit: Visit, template: str, values: Mapping[str, Any], status: int = 200
) -> Response[Any]:
    found = _pages(visit)
    known = {
        "base": BASE,
        "title": found[0].surface if found else "Settings",
        "visit": visit,
        "token": visit.token,
        "is_read_only": visit.is_read_only,
        "field": TOKEN_FIELD,
        "marks": switches.marks(visit.ports, visit.personal),
        "products": lists.products(visit.policy),
        **values,
    }
    return page(template, known, INSTALLABLE, status)


def _settings(visit: Visit) -> Response[Any]:
    sections: dict[str, list[tuple[Page, list[Control]]]] = {}
    for each in _pages(visit):
        controls = [control(visit, spot) for spot in _spots(visit, each)]
        heading = each.places[0].surface.section or " ".join(each.group)
        sections.setdefault(heading, []).append((each, controls))
    console = pages(visit.policy, CONSOLE)
    values = {"sections": sections, "console": console[0].surface if console else ""}
    return _draw(visit, "mobile/settings.html", values)


def _controls(visit: Visit, slug: str) -> Response[Any]:
    product, turn = visit.asked("product"), visit.asked("turn")
    if visit.is_part:
        return _part(visit, _spot(visit, slug, product), turn)
    found = _page(visit, slug)
    controls = [
        control(visit, spot, is_asked=turn == "on" and product in {"", spot.place.product.id})
        for spot in _spots(visit, found)
    ]
    return _whole(visit, found, controls)


def _whole(visit: Visit, found: Page, controls: list[Control], status: int = 200) -> Response[Any]:
    effects = {each.id: effect(visit, each.spot, may_see=True) for each in controls}
    values = {"page": found, "controls": controls, "effects": effects, "heard": visit.heard}
    return _draw(visit, "mobile/controls.html", values, status)


def _part(visit: Visit, spot: Spot, turn: str) -> Response[Any]:
    """Return the part of a page that a script asks for."""
    if visit.asked("part") == "effect":
        done = effect(visit, spot, may_see=True, is_awaited=visit.asked("turned") == "1")
        return page("mobile/effect.html", {"e": done}, INSTALLABLE)
    shown = control(visit, spot, is_asked=turn == "on", is_focused=turn == "off")
    return page("mobile/part.html", {"c": shown}, INSTALLABLE)


def _turn(visit: Visit, slug: str, form: Form) -> Response[Any]:
    spot = _spot(visit, slug, form.get("product", ""))
    turned = switching.turn(visit, visit.personal, MOBILE, form)
    if not visit.is_part and turned.said is Said.CONFIRMED:
        return see_other(spot.action)
    shown = pressed(visit, spot, turned.switch, turned.said, is_focused=True)
    if visit.is_part:
        return page("mobile/part.html", {"c": shown}, INSTALLABLE, turned.status)
    found = _page(visit, slug)
    controls = [shown if each == spot else control(visit, each) for each in _spots(visit, found)]
    return _whole(visit, found, controls, turned.status)


def _data(visit: Visit) -> Response[Any]:
    found = lists.found(visit, visit.personal)
    values = {"found": found, "provable": lists.provable(visit)}
    return _draw(visit, "mobile/data.html", values)


HANDLERS: tuple[HTTPRouteHandler, ...] = (
    get_settings,
    get_data,
    get_history,
    get_receipt,
    get_proof,
    get_events,
    get_controls,
    post_controls,
)
