"""The routes of the console. Each is twice there: the account's own, and one of its organizations'.

Everything blocking runs in one turn on a thread (`visits`). A part of a page that a script asks for is
drawn by the same template that the whole page includes.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Stream

from withhold.domain.surfaces import CONSOLE
from withhold.services.membership import covered
from withhold.web import lists, live, switching
from withhold.web.console.frame import BASE, Frame, draw, frame
from withhold.web.controls import Control, Spot, control, effect, pressed
from withhold.web.forms import Form
from withhold.web.rendering import SCRIPTED, page
from withhold.web.switching import Said, Turned
from withhold.web.visits import Visit, act, look, see_other

_ORGANIZATION = BASE + "/organizations/{organization:str}"

Asked = Request[Any, Any, Any]


@get([BASE, _ORGANIZATION])
async def get_console(request: Asked, organization: FromPath[str | None] = None) -> Response[Any]:
    """Send the browser to the first page of the console."""

    def first(visit: Visit) -> Response[Any]:
        around = frame(visit, organization)
        slug = around.pages[0].slug if around.pages else "history"
        return see_other(f"{around.base}/{slug}")

    return await look(request, first)


@get([BASE + "/data", _ORGANIZATION + "/data"])
async def get_data(request: Asked, organization: FromPath[str | None] = None) -> Response[Any]:
    """Give the list of datasets that hold or held rows of the holder."""
    return await look(request, lambda visit: _data(frame(visit, organization)))


@get([BASE + "/history", _ORGANIZATION + "/history"])
async def get_history(request: Asked, organization: FromPath[str | None] = None) -> Response[Any]:
    """Give the list of the holder's changes."""
    return await look(request, lambda visit: _history(frame(visit, organization)))


@get([BASE + "/receipts/{position:str}", _ORGANIZATION + "/receipts/{position:str}"])
async def get_receipt(
    request: Asked, position: FromPath[str], organization: FromPath[str | None] = None
) -> Response[Any]:
    """Give a receipt of the holder's own."""

    def give(visit: Visit) -> Response[Any]:
        around = frame(visit, organization)
        return lists.receipt(visit, around.holder, position, around.base)

    return await look(request, give)


@get(BASE + "/proofs/{reference:str}")
async def get_proof(request: Asked, reference: FromPath[str]) -> Response[Any]:
    """Give the proof that a dataset had rows of the account, or had none."""
    return await look(request, lambda visit: lists.proof(visit, reference))


@get([BASE + "/events", _ORGANIZATION + "/events"])
async def get_events(
    request: Asked, organization: FromPath[str | None] = None
) -> Response[Any] | Stream:
    """Tell the page when what it shows has changed."""
    return await live.events(request, organization)


@get([BASE + "/{slug:str}", _ORGANIZATION + "/{slug:str}"])
async def get_page(
    request: Asked, slug: FromPath[str], organization: FromPath[str | None] = None
) -> Response[Any]:
    """Give a page with its switches, or a part of it."""
    return await look(request, lambda visit: _page(frame(visit, organization), slug))


@post([BASE + "/{slug:str}", _ORGANIZATION + "/{slug:str}"], status_code=200)
async def post_page(
    request: Asked, slug: FromPath[str], organization: FromPath[str | None] = None
) -> Response[Any]:
    """Turn a switch of a page; the answer comes once that is durable."""

    def turn(visit: Visit, form: Form) -> Response[Any]:
        return _turn(frame(visit, organization), slug, form)

    return await act(request, switching.FIELDS, turn)


def _spots(around: Frame, slug: str) -> list[Spot]:
    return [_spot(around, slug, place.product.id) for place in around.page(slug).places]


def _spot(around: Frame, slug: str, product: str) -> Spot:
    place = switching.place_of(around.page(slug), product)
    action, own = f"{around.base}/{slug}", f"{BASE}/{slug}"
    return Spot(place, around.holder, action, own, around.base)


def _page(around: Frame, slug: str) -> Response[Any]:
    visit, product = around.visit, around.visit.asked("product")
    if visit.is_part:
        return _part(around, _spot(around, slug, product))
    asked = visit.asked("turn") == "on"
    controls = [
        control(visit, spot, is_asked=asked and product in {"", spot.place.product.id})
        for spot in _spots(around, slug)
    ]
    return _drawn(around, slug, controls)


def _drawn(around: Frame, slug: str, controls: list[Control], status: int = 200) -> Response[Any]:
    """Return the whole page, with what each switch does to earlier data."""
    visit = around.visit
    effects = {each.id: effect(visit, each.spot, may_see=around.is_admin) for each in controls}
    members = {
        each.id: covered(visit.ports, around.holder, each.spot.place.product.id)
        for each in controls
        if around.tenancy is not None
    }
    values = {
        "page": around.page(slug),
        "controls": controls,
        "effects": effects,
        "members": members,
        "heard": visit.heard if around.tenancy is None else (),
    }
    return draw(around, "console/page.html", slug, values, status)


def _part(around: Frame, spot: Spot) -> Response[Any]:
    """Return the part of a page that a script asks for."""
    visit = around.visit
    if visit.asked("part") == "effect":
        awaited = visit.asked("turned") == "1"
        done = effect(visit, spot, may_see=around.is_admin, is_awaited=awaited)
        return page("console/effect.html", {"e": done}, SCRIPTED)
    turn = visit.asked("turn")
    shown = control(visit, spot, is_asked=turn == "on", is_focused=turn == "off")
    return page("console/part.html", {"c": shown}, SCRIPTED)


def _turn(around: Frame, slug: str, form: Form) -> Response[Any]:
    visit, spot = around.visit, _spot(around, slug, form.get("product", ""))
    turned = switching.turn(visit, around.holder, CONSOLE, form)
    if not visit.is_part and turned.said is Said.CONFIRMED:
        return see_other(f"{spot.action}#switch-{spot.place.product.id}")
    shown = pressed(visit, spot, turned.switch, turned.said, is_focused=True)
    if visit.is_part:
        return page("console/part.html", {"c": shown}, SCRIPTED, turned.status)
    return _whole(around, slug, shown, turned)


def _whole(around: Frame, slug: str, shown: Control, turned: Turned) -> Response[Any]:
    """Return the whole page after a press that came to nothing, for a browser without scripts."""
    controls = [
        shown if spot == shown.spot else control(around.visit, spot)
        for spot in _spots(around, slug)
    ]
    return _drawn(around, slug, controls, turned.status)


def _data(around: Frame) -> Response[Any]:
    found = lists.found(around.visit, around.holder) if around.is_admin else None
    values = {
        "found": found,
        "products": lists.products(around.visit.policy),
        "provable": lists.provable(around.visit) if around.tenancy is None else (),
    }
    status = 200 if around.is_admin else 403
    return draw(around, "console/data.html", "data", values, status)


def _history(around: Frame) -> Response[Any]:
    values = {"history": lists.history_page(around.visit, around.holder)}
    return draw(around, "console/history.html", "history", values)


HANDLERS: tuple[HTTPRouteHandler, ...] = (
    get_console,
    get_data,
    get_history,
    get_receipt,
    get_proof,
    get_events,
    get_page,
    post_page,
)
