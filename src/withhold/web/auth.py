"""Bearer tokens: what a caller may reach.

A token is 32 random bytes; only its SHA-256 is kept. Scopes are a closed set and a route names the ones
of which any opens it. A token is looked up for every request, so one that is added works at once in
every process.

Not here: people signing in (a later surface).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from withhold.errors import InputError, NotAuthorized, ScopeMissing
from withhold.ports import Credential, Ports

PREFIX = "wh_"


MAX_NAME_CHARS = 100
ID_CHARS = 16  # of the hash of a token; nothing of the token itself


class Scope(StrEnum):
    """What a token reaches."""

    DIRECTORY = "directory"  # put accounts and organisations
    CAPTURE = "capture"  # send and delete interactions, take capture tokens
    PREFERENCES = "preferences"  # read and turn switches, read receipts
    BUILD = "build"  # build and read datasets
    AUDIT = "audit"  # read datasets and receipts


ANY = frozenset(Scope)


def parse_scopes(text: str) -> frozenset[Scope]:
    """Return the scopes of ``a,b``.

    Raises:
        InputError: one of them is not a scope, or there is none.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = {scope.value for scope in Scope}
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        raise InputError(f"scope {text[:80]!r}: expected some of {', '.join(Scope)}, with commas")
    return frozenset(Scope(name) for name in names)


def create_token(ports: Ports, name: str, scopes: Iterable[Scope]) -> str:
    """Make a token, keep its hash, and return it; it cannot be shown again.

    Raises:
        InputError: the name is too long, or not one printable line.
    """
    if len(name) > MAX_NAME_CHARS or not (name.isprintable() or not name):
        raise InputError(
            f"name: expected one printable line of at most {MAX_NAME_CHARS} characters"
        )
    token = PREFIX + secrets.token_urlsafe(32)
    ports.credentials.add(_hash(token), Credential(name, frozenset(s.value for s in scopes)))
    return token


def tokens(ports: Ports) -> list[tuple[str, Credential]]:
    """Return what is kept of every token, with the id by which it is revoked."""
    return [(token_hash.hex()[:ID_CHARS], kept) for token_hash, kept in ports.credentials.all()]


def revoke_token(ports: Ports, token_id: str) -> Credential:
    """Let a token reach nothing any more; return what was kept of it.

    Raises:
        InputError: there is no token of that id.
    """
    for token_hash, kept in ports.credentials.all():
        if token_hash.hex()[:ID_CHARS] == token_id:
            ports.credentials.remove(token_hash)
            return kept
    raise InputError(f"token {token_id[:40]!r}: there is none; `withhold token list` has their ids")


def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let a request through that carries a token with one of the route's scopes.

    Raises:
        NotAuthorized: no valid token came with it.
        ScopeMissing: the token reaches other things only.
    """
    allowed: frozenset[Scope] = handler.opt["scopes"]
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAuthorized("send Authorization: Bearer TOKEN; `withhold token create` makes one")
    ports: Ports = connection.app.state.ports
    credential = ports.credentials.find(_hash(token.strip()))
    if credential is None:
        raise NotAuthorized("the bearer token is not known here")
    if credential.scopes.isdisjoint(allowed):
        raise ScopeMissing(f"expected a token with scope {' or '.join(sorted(allowed))}")


def ports_of(request: Request[Any, Any, Any]) -> Ports:
    """Return the ports that the application was made with."""
    ports: Ports = request.app.state.ports
    return ports


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
