"""What people see when a page cannot be given: one page, the same for everything that is not theirs.

The statuses are those of `problems`; the words are for people, and say what to do. That nothing was
changed is said only where it is sure. A part of a page that fails says so at the top, and leaves the rest
alone.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from withhold.errors import LedgerBehind, StateUnknown, WithholdError
from withhold.web.forms import ForeignForm
from withhold.web.log import told
from withhold.web.paths import sent_path
from withhold.web.problems import PROBLEMS
from withhold.web.rendering import PLAIN, page

_log = structlog.get_logger("withhold.web")

_WORDS: dict[int, tuple[str, str]] = {
    403: (
        "Nothing was changed",
        "This form is not from a page of yours that still holds. Open the page again and repeat it.",
    ),
    404: (
        "There is no such page",
        "It may have been renamed, or it belongs to somebody else.",
    ),
    503: (
        "This cannot be shown now",
        "The server cannot read its data. What was confirmed before stands; try again in a moment.",
    ),
}
_FOR_PROGRAMS = ("/v1/", "/log/")
_HOMES = {"/console/": "/console", "/m/": "/m"}  # where a person goes back to
_READ_ONLY = (
    "This installation is read-only",
    (
        "This cannot be shown: its log is missing entries that were seen before, or differs from them. "
        "No data is used for training meanwhile. The provider has to restore it."
    ),
)
_OTHER = (
    "This did not work",
    "Open the page again to see what holds. If it happens again, tell whoever runs this.",
)


def on_foreign_form(request: Request[Any, Any, Any], _: ForeignForm) -> Response[Any]:
    """Tell that a form was not taken."""
    return refusal(request, HTTPStatus.FORBIDDEN)


def on_error(request: Request[Any, Any, Any], error: WithholdError) -> Response[Any]:
    """Tell one of our errors to a person."""
    status = HTTPStatus(PROBLEMS.get(type(error), PROBLEMS[WithholdError]).status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("page failed", path=sent_path(request), error=told(error))
    if isinstance(error, StateUnknown):
        status = HTTPStatus.SERVICE_UNAVAILABLE
    return refusal(request, status, words=_READ_ONLY if isinstance(error, LedgerBehind) else None)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Tell what the framework refused: no such address, no such method."""
    return refusal(request, HTTPStatus(error.status_code), dict(error.headers or {}))


def on_any_exception(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Tell nothing of an error that is not ours; it is in the log."""
    _log.error("page failed", path=sent_path(request), error=told(error))
    return refusal(request, HTTPStatus.INTERNAL_SERVER_ERROR)


HANDLERS: dict[int | type[Exception], Any] = {
    ForeignForm: on_foreign_form,
    WithholdError: on_error,
    HTTPException: on_http_exception,
    Exception: on_any_exception,
}
"""What a router of pages tells instead of problem documents."""


def is_page(request: Request[Any, Any, Any]) -> bool:
    """Return whether a person asks: for a page of a surface, or with a browser for what is no program's."""
    path = f"{request.url.path}/"
    if path.startswith(_FOR_PROGRAMS):
        return False
    asks = "text/html" in request.headers.get("accept", "")
    return asks or any(path.startswith(base) for base in _HOMES)


def refusal(
    request: Request[Any, Any, Any],
    status: HTTPStatus,
    headers: dict[str, str] | None = None,
    words: tuple[str, str] | None = None,
) -> Response[Any]:
    """Return the page, or for a part of a page the sentence, that tells it."""
    title, text = words or _WORDS.get(status, _OTHER)
    path = f"{request.url.path}/"
    home = next((home for base, home in _HOMES.items() if path.startswith(base)), "/")
    values = {"title": title, "text": text, "home": home}
    if request.headers.get("hx-request") == "true":
        more = {"HX-Retarget": "#alerts", "HX-Reswap": "innerHTML"}
        return page("shared/alert.html", values, {**PLAIN, **more, **(headers or {})}, status)
    return page("refusal.html", values, {**PLAIN, **(headers or {})}, status)
