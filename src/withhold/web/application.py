"""The ASGI application: the API, the pages, their errors, and what runs beside them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Response, Router, get
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from withhold import __version__
from withhold.errors import WithholdError
from withhold.ports import Ports
from withhold.services import witnessing
from withhold.web import (
    console,
    mobile,
    openapi,
    page,
    problems,
    refusals,
    sign_in,
    static,
    verify_page,
)
from withhold.web.api import datasets, directory, interactions, log, preferences, receipts
from withhold.web.appends import Appends
from withhold.web.auth import ports_of
from withhold.web.live import Live
from withhold.web.paths import Application, slashes
from withhold.web.routes import Lanes, answer, off_loop
from withhold.web.sign_in import OfferedGroup
from withhold.web.upkeep import Upkeep, seal_in_child, tag_in_child

API: tuple[HTTPRouteHandler, ...] = (
    directory.put_organization,
    directory.put_account,
    directory.delete_account,
    directory.post_accounts,
    preferences.get_account_preferences,
    preferences.get_organization_preferences,
    preferences.get_account_preference,
    preferences.get_organization_preference,
    preferences.put_account_preference,
    preferences.put_organization_preference,
    preferences.post_preferences,
    preferences.post_check,
    interactions.get_head,
    interactions.post_interactions,
    interactions.delete_interaction,
    interactions.delete_conversation,
    datasets.get_datasets,
    datasets.get_dataset,
    datasets.post_version,
    datasets.get_proof,
    receipts.get_receipt,
)

PAGES: tuple[HTTPRouteHandler, ...] = (
    sign_in.get_sign_in,
    sign_in.post_sign_in,
    sign_in.post_sign_out,
    *console.HANDLERS,
    *mobile.HANDLERS,
)
"""What people open in a browser; `refusals` tells their errors."""

LOG: tuple[HTTPRouteHandler, ...] = (
    log.get_checkpoint,
    log.get_kept,
    log.get_witnessed,
    log.get_keys,
    log.get_replacement,
    log.get_tile,
    log.get_consistency,
)
"""What anyone may read: no token is asked for."""


@get("/openapi.json")
async def get_openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give the API document."""
    return Response(request.app.state.openapi, media_type="application/json")


@get("/healthz")
async def get_health(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer 200 when requests can be served; 503 while the ledger is read-only, with the reason."""
    return await off_loop(_health, ports_of(request))


def _health(ports: Ports) -> Response[bytes]:
    position, reason = ports.ledger.head(), ports.watch.gate.reason
    if reason:
        given = answer({"status": "read-only", "position": position, "reason": reason})
        given.status_code = 503
        return given
    behind = witnessing.lag(ports).values()
    lag = {"witnesses_behind": max(behind)} if behind else {}
    return answer({"status": "ok", "position": position, **lag})


def _on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Tell what the framework refused: to people as a page, to programs as a problem document."""
    if refusals.is_page(request):
        return refusals.on_http_exception(request, error)
    return problems.on_http_exception(request, error)


def make_application(ports: Ports, home: Path, offered: Sequence[OfferedGroup] = ()) -> Litestar:
    """Return the application over opened ports.

    Args:
        ports: opened, and kept open by the caller as long as the application runs.
        home: the folder with all data, shown on the start page.
        offered: accounts of the demo that anybody may sign in as; nobody may when empty.
    """
    upkeep = Upkeep(ports, partial(seal_in_child, home), partial(tag_in_child, home))
    live = Live(ports)
    state = State(
        {
            "ports": ports,
            "home": home,
            "upkeep": upkeep,
            "live": live,
            "offered": tuple(offered),
            "names": {},
            "lanes": Lanes(),
            "appends": Appends(),
            "openapi": openapi.document(API, __version__),
        }
    )
    return Application(
        [
            Router("/v1", route_handlers=[*API, get_openapi], middleware=[slashes]),
            Router("/log", route_handlers=LOG),
            Router(
                "/",
                route_handlers=PAGES,
                exception_handlers=refusals.HANDLERS,
                middleware=[slashes],
            ),
            get_health,
            page.get_start,
            static.get_static,
            verify_page.get_verify,
            verify_page.get_verify_file,
        ],
        state=state,
        lifespan=[upkeep.lifespan, live.lifespan],
        exception_handlers={
            WithholdError: problems.on_withhold_error,
            HTTPException: _on_http_exception,
            Exception: problems.on_any_exception,
        },
        openapi_config=None,
        logging_config=None,
    )
