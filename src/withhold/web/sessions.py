"""The browser's side of a session: its cookie, the id in it, and what the forms of a page must know.

The id is 32 random bytes, only in the cookie; the store has its SHA-256. It is new at every sign-in. The
form token is made from the session's secret, so that another site that can make a browser send the cookie
cannot fill in the form (article A2: nobody turns a switch but who may).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Any

from litestar import Request, Response

from withhold.domain.sessions import LIFETIME_MS

COOKIE = "withhold_session"
SECRET_BYTES = 32

_ID = re.compile(r"[A-Za-z0-9_-]{43}")
_FORM = b"withhold/form/v1"


def new_id() -> str:
    """Return a session id that nobody can guess."""
    return secrets.token_urlsafe(SECRET_BYTES)


def new_secret() -> bytes:
    """Return the secret of a session."""
    return secrets.token_bytes(SECRET_BYTES)


def new_key() -> str:
    """Return a name for one request that may be sent more than once."""
    return secrets.token_urlsafe(16)


def hash_of(session_id: str) -> bytes:
    """Return what the store knows a session by."""
    return hashlib.sha256(session_id.encode()).digest()


def hash_in(request: Request[Any, Any, Any]) -> bytes | None:
    """Return what the store would know the request's session by, None without a well-formed cookie."""
    sent = request.cookies.get(COOKIE, "")
    return hash_of(sent) if _ID.fullmatch(sent) else None


def form_token(secret: bytes) -> str:
    """Return what every form of a session carries."""
    return hmac.digest(secret, _FORM, "sha256").hex()


def is_token(secret: bytes, sent: str) -> bool:
    """Return whether a form carries the token of its session; the time tells nothing."""
    return hmac.compare_digest(form_token(secret).encode(), sent.encode("utf-8", "surrogateescape"))


def give(request: Request[Any, Any, Any], response: Response[Any], session_id: str) -> None:
    """Let the browser keep a session id."""
    _set(request, response, session_id, LIFETIME_MS // 1000)


def take(request: Request[Any, Any, Any], response: Response[Any]) -> None:
    """Let the browser forget its session id."""
    _set(request, response, "", 0)


def _set(
    request: Request[Any, Any, Any], response: Response[Any], value: str, seconds: int
) -> None:
    response.set_cookie(
        COOKIE,
        value,
        max_age=seconds,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
