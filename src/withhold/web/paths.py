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
from litestar.types import ASGIApp, Message, Receive, Scope, Send

_SLASH = "\0"  # in no name and in no id
_NOWHERE = "/%00"  # where nothing is: of an address that can name nothing


def sent_path(request: Request[Any, Any, Any]) -> str:
    """Return the path of a request as it was sent."""
    return _sent(request.scope) or quote(request.url.path)


def _sent(scope: Mapping[str, Any]) -> str:
    raw: bytes = scope.get("raw_path") or b""
    return raw.partition(b"?")[0].decode("latin-1")  # some clients of tests leave the query in it


def _path(sent: str) -> str:
    """Return a path decoded, for a route to be found by; nowhere when no name can be what it has in it."""
    try:
        parts = [unquote(part, errors="strict") for part in sent.split("/")]
    except UnicodeDecodeError:
        return _NOWHERE
    if any(_SLASH in part for part in parts):
        return _NOWHERE
    return "/".join(part.replace("/", _SLASH) for part in parts)


class Application(Litestar):
    """An application whose routes can be given names with a slash, by `slashes`; it answers HEAD as GET."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Find the route by the address as it was sent."""
        sent = _sent(scope)
        if "%" in sent:
            scope["path"] = _path(sent)
        if scope.get("method") == "HEAD":  # RFC 9110 section 9.3.2
            scope["method"], send = "GET", _without_body(send)
        await super().__call__(scope, receive, send)


def _without_body(send: Send) -> Send:
    """Return what sends the head of an answer, and ends it there."""
    is_ended = False

    async def sent(message: Message) -> None:
        nonlocal is_ended
        if message["type"] == "http.response.start":
            await send(message)
        elif message["type"] == "http.response.body" and not is_ended:
            is_ended = True
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return sent


def slashes(app: ASGIApp) -> ASGIApp:
    """Give the routes of a router names with their slashes."""

    async def given(scope: Scope, receive: Receive, send: Send) -> None:
        params: dict[str, Any] = scope.get("path_params", {})
        for name, value in params.items():
            if isinstance(value, str):
                params[name] = value.replace(_SLASH, "/")
        await app(scope, receive, send)

    return given
