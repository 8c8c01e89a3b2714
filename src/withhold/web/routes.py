"""What every API route states about itself: scopes, the body it takes, the answers it gives.

The same statement guards the route (`auth`) and describes it (`openapi`), so that the document cannot
say something else than the code does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import msgspec
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from withhold.errors import InputError
from withhold.web.auth import Scope, guard

T = TypeVar("T")

ERRORS_OF_EVERY_ROUTE = (401, 403, 500, 503)
CAPTURES = (
    2  # batches at once: one is decoded while another is flushed; more only contend for Python
)
DELETIONS = 2  # at once; they look through the lake
PAGES = 8  # pages at once: what they show of datasets is looked up in every lake file
BUILDS = 4  # builds and looks at datasets at once


@dataclass(frozen=True, slots=True)
class Route:
    """What a route states.

    Attributes:
        summary: one line for the API document.
        scopes: any of these opens it.
        answer: the type of a 200; None for a document without a fixed form.
        body: the type of the request's body, None without one.
        many: whether the body is an array or JSON lines of ``body``.
        headers: request headers it reads.
        queries: query parameters it reads; with others a request is refused.
        errors: further statuses it can answer.
        names_in_body: whether an unknown name in the body is a 422, the address being fine.
    """

    summary: str
    scopes: frozenset[Scope]
    answer: Any = None
    body: type | None = None
    many: bool = False
    headers: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()
    names_in_body: bool = False

    def stated(self) -> dict[str, Any]:
        """Return the arguments that a handler takes from this statement."""
        return {
            "opt": {"scopes": self.scopes, "names_in_body": self.names_in_body, "route": self},
            "guards": [guard, _check_queries],
            "status_code": 200,
            "request_max_body_size": None,  # `bodies` caps each route by itself, before parsing
        }


def _check_queries(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Refuse query parameters that the route does not read: a mistyped one would silently mean all.

    Raises:
        InputError: one is unknown, or is there twice.
    """
    known: tuple[str, ...] = handler.opt["route"].queries
    for name in connection.query_params:
        if name not in known:
            expected = f"expected {' or '.join(known)}" if known else "this address takes none"
            raise InputError(f"query: unknown parameter {name[:40]!r}; {expected}")
        if len(connection.query_params.getall(name)) > 1:
            raise InputError(f"query: {name} is there twice; say it once")


def answer(value: object, headers: dict[str, str] | None = None) -> Response[bytes]:
    """Return a value as a JSON response."""
    return Response(
        msgspec.json.encode(value),
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


class Lanes:
    """Threads for work that may be long, apart from those that everything else shares.

    Without them enough batches or builds at once would take every thread, and an opt-out would wait.
    """

    def __init__(self) -> None:
        self.capture = anyio.CapacityLimiter(CAPTURES)
        self.deletion = anyio.CapacityLimiter(DELETIONS)
        self.build = anyio.CapacityLimiter(BUILDS)
        self.pages = anyio.CapacityLimiter(PAGES)


def lanes_of(request: Request[Any, Any, Any]) -> Lanes:
    """Return the lanes of the application."""
    lanes: Lanes = request.app.state.lanes
    return lanes


async def off_loop(
    work: Callable[..., T], *arguments: Any, lane: anyio.CapacityLimiter | None = None
) -> T:
    """Run blocking work on a thread; what is under way when a client leaves is finished."""
    return await anyio.to_thread.run_sync(partial(work, *arguments), limiter=lane)
