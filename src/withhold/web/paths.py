"""Names with a slash in them, in addresses.

There a slash that belongs to a name is ``%2F``. A server decodes an address before it is taken apart, and
then nobody can tell it from one that ends a part. So it is taken from the address as it was sent, stands as
a character that no name may hold while a route is found, and is a slash again in what the route is given.

Source: RFC 3986 section 2.2; ASGI, ``raw_path``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from litestar import Litestar, Request
from litestar.types import ASGIApp, Receive, Scope, Send

_SLASH = "\x1f"  # no control character is in any name
_NOTHING = "\0"  # in the place of such a character that was sent: no name either


def sent_path(request: Request[Any, Any, Any]) -> str:
    """Return the path of a request as it was sent."""
    return _sent(request.scope) or quote(request.url.path)


def _sent(scope: Mapping[str, Any]) -> str:
    raw: bytes = scope.get("raw_path") or b""
    return raw.partition(b"?")[0].decode("latin-1")  # some clients of tests leave the query in it


def _path(sent: str) -> str:
    parts = (unquote(part).replace(_SLASH, _NOTHING) for part in sent.split("/"))
    return "/".join(part.replace("/", _SLASH) for part in parts)


class Application(Litestar):
    """An application whose routes can be given names with a slash, by `slashes`."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Find the route by the address as it was sent."""
        sent = _sent(scope)
        if "%" in sent:
            scope["path"] = _path(sent)
        await super().__call__(scope, receive, send)


def slashes(app: ASGIApp) -> ASGIApp:
    """Give the routes of a router names with their slashes."""

    async def given(scope: Scope, receive: Receive, send: Send) -> None:
        params: dict[str, Any] = scope.get("path_params", {})
        for name, value in params.items():
            if isinstance(value, str):
                params[name] = value.replace(_SLASH, "/")
        await app(scope, receive, send)

    return given
