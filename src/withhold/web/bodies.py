"""Request bodies: capped before they are parsed, decoded strictly.

Strict: ``1`` is not ``true``, an unknown field is an error, a wrong content type is refused. What is
wrong is told with its place and never with the value that was sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, Generic, TypeVar

import msgspec
from litestar import Request
from litestar.exceptions import HTTPException

from withhold.domain.interactions import MAX_BATCH_ROWS
from withhold.domain.names import Position
from withhold.errors import InputError, TooLarge, WithholdError

MAX_OBJECT_BYTES = 1024 * 1024
MAX_MANY_BYTES = 64 * 1024 * 1024
MAX_KEY_CHARS = 255

JSON = "application/json"
LINES = "application/x-ndjson"
_JSON_TYPES = frozenset({JSON})
_MANY_TYPES = frozenset({JSON, LINES, "application/jsonl", "application/jsonlines"})
_ETAG = re.compile(r'"([0-9]{1,18})"')
_KEY = re.compile(rf"[\x21-\x7e]{{1,{MAX_KEY_CHARS}}}")
_SHOWN_FIELD = re.compile(r"Object contains unknown field `([A-Za-z0-9_]{1,32})`")

S = TypeVar("S")


async def read(request: Request[Any, Any, Any], limit: int, types: frozenset[str]) -> bytes:
    """Return the body.

    Args:
        request: the request.
        limit: the most bytes that are read.
        types: the content types that are taken; a body without one is taken as JSON.

    Raises:
        TooLarge: it is larger than ``limit``; the rest is not read.
    """
    sent = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if sent not in types:
        raise HTTPException(status_code=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


async def read_many(request: Request[Any, Any, Any]) -> bytes:
    """Return the body of a request that takes many rows: a JSON array or JSON lines."""
    return await read(request, MAX_MANY_BYTES, _MANY_TYPES)


def _once(pairs: list[tuple[str, object]]) -> None:
    """Refuse an object that says a thing twice: readers differ in which of the two they believe."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise InputError("body: a field is given twice; give each field once")


class Decoder(Generic[S]):
    """Decodes one type strictly, alone or many at once."""

    def __init__(self, kind: type[S]) -> None:
        self._decode = msgspec.json.Decoder(kind, strict=True).decode
        self._elements = msgspec.json.Decoder(list[msgspec.Raw]).decode

    async def one(self, request: Request[Any, Any, Any]) -> S:
        """Read and decode a body that is one object.

        Raises:
            InputError: it is not of the documented form.
        """
        return self.value(await read(request, MAX_OBJECT_BYTES, _JSON_TYPES))

    def value(self, raw: bytes | msgspec.Raw) -> S:
        """Decode one object.

        Raises:
            InputError: it is not of the documented form.
        """
        try:
            value = self._decode(raw)
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            raise InputError(_told(error)) from None
        json.loads(bytes(raw), object_pairs_hook=_once)
        return value

    def many(self, raw: bytes) -> Iterator[tuple[int, S | InputError]]:
        """Decode a JSON array or JSON lines; yield each with its number, broken ones as an error.

        Raises:
            TooLarge: there are more than may come at once.
            InputError: a JSON array that is broken as a whole.
        """
        for number, piece in enumerate(self._pieces(raw), 1):
            try:
                yield number, self.value(piece)
            except InputError as error:
                yield number, error

    def _pieces(self, raw: bytes) -> list[msgspec.Raw] | list[bytes]:
        trimmed = raw.strip(b" \t\r\n")
        pieces: list[msgspec.Raw] | list[bytes]
        if trimmed[:1] == b"[":
            try:
                pieces = self._elements(trimmed)
            except (msgspec.DecodeError, RecursionError, UnicodeError):
                raise InputError("body: not a JSON array; nothing was done") from None
        else:
            pieces = trimmed.split(b"\n") if trimmed else []
        if len(pieces) > MAX_BATCH_ROWS:
            raise TooLarge(f"body: expected at most {MAX_BATCH_ROWS} at once; send smaller batches")
        return pieces


def if_match(request: Request[Any, Any, Any]) -> Position | None:
    """Return the position that If-Match names; None without one, and for ``*``.

    Raises:
        InputError: it is not one strong entity tag of ours.
    """
    sent = request.headers.get("if-match")
    if sent is None or sent.strip() == "*":
        return None
    match = _ETAG.fullmatch(sent.strip())
    if match is None:
        raise InputError('If-Match: expected the ETag of an earlier answer, for example "12"')
    return Position(int(match[1]))


def idempotency_key(request: Request[Any, Any, Any]) -> str | None:
    """Return the request's idempotency key.

    Raises:
        InputError: it is empty, too long, or not printable ASCII.
    """
    sent = request.headers.get("idempotency-key")
    if sent is not None and not _KEY.fullmatch(sent):
        raise InputError(f"Idempotency-Key: expected 1 to {MAX_KEY_CHARS} printable characters")
    return sent


def each_or_halves(
    items: list[tuple[int, S]], do: Callable[[list[S]], object]
) -> Iterator[tuple[int, WithholdError]]:
    """Do many at once; when one of them is refused, find it by halves and do the others.

    Yields:
        the number of each that was refused, with why.
    """
    if not items:
        return
    try:
        do([item for _, item in items])
    except InputError as error:
        if len(items) == 1:
            yield items[0][0], error
            return
        half = len(items) // 2
        yield from each_or_halves(items[:half], do)
        yield from each_or_halves(items[half:], do)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"body: expected at most {limit} bytes; send less at once")


def _told(error: Exception) -> str:
    """Return what is wrong and where, without what was sent."""
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return "body: not valid JSON in UTF-8; expected one JSON object"
    if text.startswith("Object contains unknown field"):
        named = _SHOWN_FIELD.match(text)
        return f"body: unknown field {named[1]}" if named else "body: unknown field"
    what, _, place = text.partition(" - at ")
    if what.startswith("Invalid"):
        what = "Expected one of the documented values"
    return f"{place.strip('`$.') or 'body'}: {what[:1].lower()}{what[1:]}"
