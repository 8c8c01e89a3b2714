"""Capture tokens: a ledger position that cannot be raised.

Taken *before* content is accepted. It may be cached: a position that is too low only loses rows, one
that is too high is a breach, so the position carries a MAC (design section 1).

    token = base64url("w1" || u64(position) || mac[:16])
    mac   = HMAC-SHA256(key, "withhold/token/v1\\0" || u64(position))

Not here: whether the position is ahead of the ledger; `services.capture` refuses that against the head.
"""

from __future__ import annotations

import base64
import binascii
import hmac

from withhold.domain.names import Position
from withhold.errors import TokenRefused

_TAG = b"w1"
_DOMAIN = b"withhold/token/v1\0"
_BYTES = len(_TAG) + 8 + 16


def mint(key: bytes, position: Position) -> str:
    """Return the capture token of a position."""
    number = position.to_bytes(8, "big")
    return base64.urlsafe_b64encode(_TAG + number + _mac(key, number)).decode()


def position_of(key: bytes, token: str) -> Position:
    """Return the position a token was minted for.

    Raises:
        TokenRefused: it was not minted with this key, or was altered.
    """
    try:
        raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise TokenRefused("capture token: not base64url; take one from GET /v1/head") from None
    number = raw[2:10]
    if (
        len(raw) != _BYTES
        or raw[:2] != _TAG
        or not hmac.compare_digest(raw[10:], _mac(key, number))
    ):
        raise TokenRefused("capture token: not minted by this ledger; take one from GET /v1/head")
    return Position(int.from_bytes(number, "big"))


def _mac(key: bytes, number: bytes) -> bytes:
    return hmac.digest(key, _DOMAIN + number, "sha256")[:16]
