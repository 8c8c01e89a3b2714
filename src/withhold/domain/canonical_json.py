"""Canonical JSON: the one text of a value, which is what is hashed, signed and compared.

Members are sorted, nothing stands between them, nothing is escaped that need not be, and numbers are
whole: RFC 8785 for the values we allow. Whatever was written so is read by writing it anew and comparing
bytes. So a text that says a thing twice, or that two readers could take for two things, is refused.

Written and read by a library, like `values` (docs/decisions/0014-canonical-json.md).

Source: RFC 8785; RFC 8259.
Not here: what the values mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import msgspec

from withhold.errors import VerificationError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Json = str | int | bool | None | list["Json"] | dict[str, "Json"]
Form = TypeVar("Form")

MAX_NUMBER = 2**53 - 1  # RFC 8785: the largest that is exact for every reader of JSON
MAX_DEPTH = 16  # lists and objects in each other; where a reader's stack ends must not decide
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LONG = b"0" * len(str(MAX_NUMBER))  # where such digits stand, a number may be too large
_encode = msgspec.json.Encoder(order="sorted").encode


def canonical(value: Json | Mapping[str, Json] | DataclassInstance) -> bytes:
    """Return the text of a value, or of a dataclass of values, in UTF-8.

    Raises:
        UnicodeEncodeError: it has half of a character in it, which no UTF-8 can stand for.
    """
    return _encode(value)


def parsed(text: bytes) -> dict[str, Json]:
    """Return the members of an object whose text is canonical JSON.

    Raises:
        VerificationError: it is not the one text of an object.
    """
    try:
        value: dict[str, Json] = _decode(text)
        holds = isinstance(value, dict) and canonical(value) == text
    except (ValueError, RecursionError):  # not UTF-8, not JSON, a fraction, nested without end
        holds = False
    is_small = _LONG not in text.translate(_DIGITS) and _openings(text) <= MAX_DEPTH
    if not (holds and (is_small or _is_plain(value, MAX_DEPTH))):
        raise VerificationError("expected a JSON object in canonical form, byte for byte")
    return value


def _openings(text: bytes) -> int:
    return text.count(b"{") + text.count(b"[")


def reader(form: type[Form], what: str) -> Callable[[bytes], Form]:
    """Return what reads a JSON object into a dataclass whose members it has, each of the type given there.

    Only writing the result anew shows whether the text was canonical and had no other members.

    Args:
        form: the dataclass.
        what: what the object is, for the error.

    Raises:
        VerificationError: by what is returned, for anything else.
    """
    decode = msgspec.json.Decoder(form, strict=True).decode

    def read(text: bytes) -> Form:
        try:
            return decode(text)
        except (ValueError, RecursionError):
            raise VerificationError(f"expected {what}") from None

    return read


def _no_number(_text: str) -> Json:
    raise ValueError("a number that is not whole")


_decode = msgspec.json.Decoder(float_hook=_no_number).decode


def _is_plain(value: Json, depth: int) -> bool:
    """Return whether every reader of JSON takes a value for the same: exact numbers, in so many levels."""
    if isinstance(value, (dict, list)):
        inner = value.values() if isinstance(value, dict) else value
        return depth > 0 and all(_is_plain(each, depth - 1) for each in inner)
    return not isinstance(value, int) or abs(value) <= MAX_NUMBER
