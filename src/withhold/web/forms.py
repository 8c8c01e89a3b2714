"""Forms of our own pages: capped before they are parsed, decoded strictly, taken from our own pages only.

A form is refused when the browser says that it comes from elsewhere; that its session's token is in it is
checked where the session is known (`visits`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from litestar import Request

from withhold.errors import InputError, NotAuthorized, TooLarge
from withhold.web import bodies

MAX_FORM_BYTES = 8 * 1024
MAX_FIELDS = 16
MAX_VALUE_CHARS = 1024
FORM = "application/x-www-form-urlencoded"

Form = Mapping[str, str]


class ForeignForm(NotAuthorized):
    """A form that does not come from a page of ours, or not from this session."""


def check_origin(request: Request[Any, Any, Any]) -> None:
    """Refuse what another site made the browser send.

    Raises:
        ForeignForm: the browser says that it comes from elsewhere.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        raise ForeignForm("the request comes from another site; open the page itself")
    origin = request.headers.get("origin")
    if origin is not None and _host_of(origin) != request.headers.get("host"):
        raise ForeignForm("the request comes from another site; open the page itself")


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # not an address at all
        return None


async def read(request: Request[Any, Any, Any], fields: Collection[str]) -> Form:
    """Return the fields of a form, each at most once and no others.

    Raises:
        InputError: it is not a form of ours.
        TooLarge: it is larger than any form of ours.
    """
    if request.headers.get("content-length", "0") == "0" and not request.headers.get(
        "content-type"
    ):
        return {}  # a request without a body is an empty form, and lacks whatever it needs
    raw = await bodies.read(request, MAX_FORM_BYTES, frozenset({FORM}))
    return decoded(raw, fields)


def decoded(raw: bytes, fields: Collection[str]) -> Form:
    """Decode the body of a form.

    Raises:
        InputError: it is not well formed, or holds a field twice or one that is not expected.
        TooLarge: a value is longer than any of ours.
    """
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(raw),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:  # UnicodeError is one
        raise InputError("form: expected fields of a form, percent-encoded UTF-8") from None
    found = dict(pairs)
    if len(found) != len(pairs) or not found.keys() <= set(fields):
        raise InputError("form: a field is given twice, or is not one of this form")
    if any(len(value) > MAX_VALUE_CHARS for value in found.values()):
        raise TooLarge(f"form: a value has more than {MAX_VALUE_CHARS} characters")
    return found
