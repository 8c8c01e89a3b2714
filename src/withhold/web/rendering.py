"""Drawing pages: one environment for all templates, what they may use, and the headers of a page.

Everything is escaped, an unknown name is an error, and the content security policy of a page lets in its
own files and nothing inline.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response

from withhold.web import figures, static

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
PLAIN: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    # `no-referrer` would make browsers send `Origin: null` with our own forms
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
    "Vary": "Cookie, HX-Request",
}
"""Headers of a page without scripts."""

SCRIPTED: Mapping[str, str] = {
    **PLAIN,
    "Content-Security-Policy": f"{_POLICY}; script-src 'self'; connect-src 'self'",
}
"""Headers of a page that loads our scripts and asks for parts of itself."""

INSTALLABLE: Mapping[str, str] = {
    **SCRIPTED,
    "Content-Security-Policy": f"{SCRIPTED['Content-Security-Policy']}; manifest-src 'self'; "
    "worker-src 'self'",
}
"""Headers of a page that can be installed as an application."""

HTML = "text/html"


def number(value: int) -> str:
    """Return a count as people read it."""
    return f"{value:,}"


def instant(recorded_at: int) -> str:
    """Return UTC milliseconds since 1970 for a ``datetime`` attribute."""
    at = datetime.fromtimestamp(recorded_at / 1000, UTC)
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def when(recorded_at: int) -> str:
    """Return UTC milliseconds since 1970 as people read it: ``23 Nov 2026, 20:49 UTC``."""
    at = datetime.fromtimestamp(recorded_at / 1000, UTC)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def many(count: int, one: str, more: str = "") -> str:
    """Return a count with its noun: ``1 dataset``, ``3 datasets``."""
    return f"{number(count)} {one if count == 1 else more or one + 's'}"


_pages = Environment(
    loader=PackageLoader("withhold.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_pages.filters.update(number=number, instant=instant, when=when, reasons=figures.say)
_pages.globals.update(static=static.address, many=many)


def draw(template: str, values: Mapping[str, Any]) -> str:
    """Return a template as text."""
    return _pages.get_template(template).render(values)


def page(
    template: str,
    values: Mapping[str, Any],
    headers: Mapping[str, str] = PLAIN,
    status: int = 200,
) -> Response[str]:
    """Return a template as a response."""
    text = draw(template, values)
    return Response(text, status_code=status, media_type=HTML, headers=dict(headers))
