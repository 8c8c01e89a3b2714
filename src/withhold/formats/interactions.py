"""Interactions as JSON lines or one JSON array (contract, design section 8).

Strict: unknown fields, other types than stated and values over their caps are refused, each with its
line and field and never with content. A broken line does not spoil the others. A JSON array that is
broken as a whole is refused whole: after the break nobody can tell where the next row starts.

Lines are numbered from 1; in an array the number is that of the element. Empty lines at the end are
nothing; an empty line elsewhere is a broken line.

Not here: whether accounts, products and tokens exist (`services.capture`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec

from withhold.domain.interactions import (
    MAX_BATCH_ROWS,
    MAX_BODY_BYTES,
    MAX_ID_CHARS,
    MAX_MESSAGES,
    MAX_PARTICIPANTS,
    MAX_ROLE_CHARS,
    MAX_ROW_BYTES,
    MAX_SOURCES,
    Interaction,
    InteractionKind,
    Message,
    Rejected,
)
from withhold.domain.names import AccountId, OrganizationId, ProductId
from withhold.domain.signals import Signal, refusals
from withhold.errors import InputError, TooLarge

_NAME = msgspec.Meta(min_length=1, max_length=MAX_ID_CHARS)
Id = Annotated[str, _NAME]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Token = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARS)]
Role = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ROLE_CHARS)]
MAX_HEADER_CHARS = 8192  # what servers take of one header line


class WireMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One turn's text on the wire."""

    role: Role
    content: str


class WireSignals(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What the person's browser said, as the product forwards it: two request headers."""

    gpc: bool = False
    content_usage: Annotated[str, msgspec.Meta(max_length=MAX_HEADER_CHARS)] | None = None


class WireInteraction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One row on the wire."""

    id: Id
    product: Annotated[ProductId, _NAME]
    kind: str
    account: Annotated[AccountId, _NAME]
    messages: Annotated[tuple[WireMessage, ...], msgspec.Meta(max_length=MAX_MESSAGES)] = ()
    organization: Annotated[OrganizationId, _NAME] | None = None
    participants: Annotated[
        tuple[Annotated[AccountId, _NAME], ...], msgspec.Meta(max_length=MAX_PARTICIPANTS)
    ] = ()
    conversation: Id | None = None
    project: Id | None = None
    api_key: Id | None = None
    sha256: Sha256 | None = None
    attachments: Annotated[tuple[Sha256, ...], msgspec.Meta(max_length=MAX_SOURCES)] = ()
    about: Id | None = None
    derived_from: Annotated[tuple[Id, ...], msgspec.Meta(max_length=MAX_SOURCES)] = ()
    token: Token | None = None
    signals: WireSignals | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on one batch.

    Attributes:
        body: bytes of the whole batch, before parsing.
        row: bytes of one row, before parsing.
        rows: how many rows.
    """

    body: int = MAX_BODY_BYTES
    row: int = MAX_ROW_BYTES
    rows: int = MAX_BATCH_ROWS


_KINDS = {kind.name.lower(): kind for kind in InteractionKind}
_HAS_TEXT = (InteractionKind.CONVERSATION, InteractionKind.API_CALL)
_ROW = msgspec.json.Decoder(WireInteraction)
_ARRAY = msgspec.json.Decoder(list[WireInteraction])
_new = tuple.__new__
_BLANK = b" \t\r\n"
_NUL = b"\\u0000"  # JSON has no other way to write it
_UNKNOWN = "Object contains unknown field"
_SAFE_FIELD = re.compile(  # whole: the name is the sender's, and may hold what looks like a place
    rf"{_UNKNOWN} `([A-Za-z0-9_]{{1,32}})`(?: - at `\$?\.?([A-Za-z0-9_.\[\]]{{0,64}})`)?"
)
_PLACE = re.compile(r" - at `\$?\.?([^`]*)`\Z")


def decode_lines(body: bytes, limits: Limits = Limits()) -> Iterator[Interaction | Rejected]:
    """Decode a batch, row by row in order.

    Args:
        body: a JSON array, or one JSON object per line.
        limits: the caps; larger batches are refused before anything is parsed.

    Raises:
        TooLarge: the body or its number of rows is over the cap.
        InputError: a JSON array that is broken as a whole.
    """
    if len(body) > limits.body:
        raise TooLarge(f"body: expected at most {limits.body} bytes; send smaller batches")
    if body.lstrip(_BLANK)[:1] == b"[":
        return _array(body, limits)
    trimmed = body.rstrip(_BLANK)
    lines = trimmed.split(b"\n", limits.rows) if trimmed else []
    if len(lines) > limits.rows:
        raise _too_many(limits)
    return _lines(lines, body, limits)


def _lines(lines: list[bytes], body: bytes, limits: Limits) -> Iterator[Interaction | Rejected]:
    """Decode all lines at once; only when one is wrong, line by line, to tell which."""
    if max(map(len, lines), default=0) <= limits.row:
        try:
            rows = list(map(_ROW.decode, lines))
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            pass
        else:
            return _all(rows, body)
    return (decode_line(line, number, limits) for number, line in enumerate(lines, 1))


def decode_line(line: bytes, number: int, limits: Limits = Limits()) -> Interaction | Rejected:
    """Decode one line; a broken one is returned as Rejected with its number."""
    if len(line) > limits.row:
        return Rejected(number, f"row: expected at most {limits.row} bytes")
    try:
        return _interaction(_ROW.decode(line), may_hold_nul=_may_hold_nul(line))
    except (msgspec.DecodeError, InputError, RecursionError, UnicodeError) as error:
        if not line.strip(_BLANK):
            return Rejected(number, "row: the line is empty; expected a JSON object")
        return Rejected(number, _reason(error))


def from_values(values: Mapping[str, object], number: int) -> Interaction | Rejected:
    """Return the row that a mapping of field to value states, held to the same rules as a line."""
    try:
        return _interaction(msgspec.convert(values, WireInteraction), may_hold_nul=True)
    except (msgspec.ValidationError, InputError, RecursionError, UnicodeError) as error:
        return Rejected(number, _reason(error))


def _array(body: bytes, limits: Limits) -> Iterator[Interaction | Rejected]:
    """Decode a whole array at once; only when an element is wrong, element by element."""
    if len(body) <= limits.row:  # then no element can be over the cap of a row
        try:
            rows = _ARRAY.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return iter(list(_elements(body, limits)))
        if len(rows) > limits.rows:
            raise _too_many(limits)
        return _all(rows, body)
    return iter(list(_elements(body, limits)))


def _all(rows: list[WireInteraction], body: bytes) -> Iterator[Interaction | Rejected]:
    """Return the rows of a body that was decoded at once."""
    may_hold_nul = _may_hold_nul(body)
    return (_checked(row, number, may_hold_nul) for number, row in enumerate(rows, 1))


def _elements(body: bytes, limits: Limits) -> Iterator[Interaction | Rejected]:
    """Yield the elements of an array one by one.

    Never a list of all raw elements: an array of tiny ones would take fifty times its bytes in memory.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"body: not UTF-8 at byte {error.start}; nothing was kept") from None
    scan = json.JSONDecoder().raw_decode
    at = _skip(text, text.index("[") + 1)
    number = 0
    while text[at : at + 1] != "]" or number:
        number += 1
        if number > limits.rows:
            raise _too_many(limits)
        try:
            end = scan(text, at)[1]
        except (ValueError, RecursionError):
            raise _broken(number) from None
        yield decode_line(text[at:end].encode(), number, limits)
        at = _skip(text, end)
        if text[at : at + 1] != ",":
            break
        at = _skip(text, at + 1)
    if text[at:].strip() != "]":
        raise _broken(number)


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in {" ", "\t", "\r", "\n"}:
        at += 1
    return at


def _broken(number: int) -> InputError:
    return InputError(
        f"body: the JSON array is broken at element {number}; nothing was kept; "
        "send one JSON object per line to have good rows kept"
    )


def _too_many(limits: Limits) -> TooLarge:
    return TooLarge(f"body: expected at most {limits.rows} rows; send smaller batches")


def _checked(row: WireInteraction, number: int, may_hold_nul: bool) -> Interaction | Rejected:
    try:
        return _interaction(row, may_hold_nul=may_hold_nul)
    except InputError as error:
        return Rejected(number, str(error))


def _interaction(row: WireInteraction, *, may_hold_nul: bool) -> Interaction:
    kind = _KINDS.get(row.kind)
    if kind is None:
        raise InputError(f"kind: expected one of {', '.join(_KINDS)}")
    if not row.messages and kind in _HAS_TEXT:
        raise InputError(f"messages: expected at least one for kind {row.kind}")
    if may_hold_nul:
        _check_ids(row)
    # Made as `Interaction(…)` and `Message(…)` do it, without a call for each: 1.0 -> 0.7 us a row.
    return _new(
        Interaction,
        (
            row.id,
            row.product,
            kind,
            row.account,
            tuple([_new(Message, (m.role, m.content)) for m in row.messages]),
            row.organization,
            row.participants,
            row.conversation,
            row.project,
            row.api_key,
            row.sha256,
            row.attachments,
            row.about,
            row.derived_from,
            row.token,
            () if row.signals is None else _refusals(row.signals),
        ),
    )


def _refusals(said: WireSignals) -> tuple[Signal, ...]:
    return refusals(gpc=said.gpc, content_usage=said.content_usage)


def _may_hold_nul(text: bytes) -> bool:
    """Return whether ids in a JSON text need a look; one byte is found much faster than six."""
    return b"\\" in text and _NUL in text


def _check_ids(row: WireInteraction) -> None:
    """Refuse NUL in ids: stores and tools downstream cut a name there."""
    for field in ("id", "account", "organization", "conversation", "project", "api_key", "about"):
        value = getattr(row, field)
        if value is not None and "\0" in value:
            raise InputError(f"{field}: expected text without NUL")
    for field in ("participants", "derived_from"):
        if any("\0" in value for value in getattr(row, field)):
            raise InputError(f"{field}: expected text without NUL")


def _reason(error: Exception) -> str:
    """Return what is wrong and where, without any of the content."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, RecursionError):
        return "row: nested too deeply"
    text = str(error)
    if isinstance(error, UnicodeError) or not isinstance(error, msgspec.ValidationError):
        return "row: not valid JSON; expected one JSON object in UTF-8"
    if text.startswith(_UNKNOWN):
        named = _SAFE_FIELD.fullmatch(text)
        return f"{named[2] or 'row'}: unknown field {named[1]}" if named else "row: unknown field"
    place = _PLACE.search(text)
    field = (place[1].replace("[...]", "[]") if place else "") or "row"
    what = text[: place.start()] if place else text
    if "matching regex" in what:
        what = "Expected 64 lower-case hexadecimal digits"
    return f"{field}: {what[:1].lower()}{what[1:]}"
