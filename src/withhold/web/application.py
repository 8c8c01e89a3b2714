"""The ASGI application: routes, errors, the start page, and the upkeep that runs beside them."""

from __future__ import annotations

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
from withhold.web import openapi, page, problems, verify_page
from withhold.web.api import datasets, directory, interactions, preferences, receipts
from withhold.web.appends import Appends
from withhold.web.auth import ports_of
from withhold.web.routes import Lanes, answer, off_loop
from withhold.web.upkeep import Upkeep, seal_in_child

API: tuple[HTTPRouteHandler, ...] = (
    directory.put_organization,
    directory.put_account,
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
    receipts.get_receipt,
)


@get("/openapi.json")
async def get_openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give the API document."""
    return Response(request.app.state.openapi, media_type="application/json")


@get("/healthz")
async def get_health(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer 200 when requests can be served: the application is up and the ledger can be read."""
    position = await off_loop(ports_of(request).ledger.head)
    return answer({"status": "ok", "position": position})


def make_application(ports: Ports, home: Path) -> Litestar:
    """Return the application over opened ports.

    Args:
        ports: opened, and kept open by the caller as long as the application runs.
        home: the folder with all data, shown on the start page.
    """
    upkeep = Upkeep(ports, partial(seal_in_child, home))
    state = State(
        {
            "ports": ports,
            "home": home,
            "upkeep": upkeep,
            "lanes": Lanes(),
            "appends": Appends(),
            "openapi": openapi.document(API, __version__),
        }
    )
    return Litestar(
        [
            Router("/v1", route_handlers=[*API, get_openapi]),
            get_health,
            page.get_start,
            page.get_static,
            verify_page.get_verify,
            verify_page.get_verify_file,
        ],
        state=state,
        lifespan=[upkeep.lifespan],
        exception_handlers={
            WithholdError: problems.on_withhold_error,
            HTTPException: problems.on_http_exception,
            Exception: problems.on_any_exception,
        },
        openapi_config=None,
        logging_config=None,
    )
