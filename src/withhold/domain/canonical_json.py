"""Canonical JSON: the one text of a value, which is what is hashed, signed and compared.

Members are sorted, nothing stands between them, nothing is escaped that need not be, and numbers are
whole: RFC 8785 for the values we allow. Whatever was written so is read by writing it anew and comparing
bytes. So a text that says a thing twice, or that two readers could take for two things, is refused.

This is the one place of the domain that uses a library (docs/decisions/0014-canonical-json.md).

Source: RFC 8785; RFC 8259.
Not here: what the values mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from withhold.errors import VerificationError

Json = str | int | bool | None | list["Json"] | dict[str, "Json"]
Form = TypeVar("Form")

MAX_NUMBER = 2**53 - 1  # RFC 8785: the largest that is exact for every reader of JSON
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LONG = b"0" * len(str(MAX_NUMBER))  # where such digits stand, a number may be too large
_encode = msgspec.json.Encoder(order="sorted").encode


def canonical(value: Any) -> bytes:
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
    except (ValueError, RecursionError):  # not UTF-8, not JSON, a fraction, nested too deeply
        holds = False
    if not holds or (_LONG in text.translate(_DIGITS) and not _is_exact(value)):
        raise VerificationError("expected a JSON object in canonical form, byte for byte")
    return value


def reader(form: type[Form]) -> Callable[[bytes], Form]:
    """Return what reads a JSON object into a dataclass whose members it has, each of the type given there.

    Only writing the result anew shows whether the text was canonical and had no other members.

    Raises:
        VerificationError: by what is returned, for anything else.
    """
    decode = msgspec.json.Decoder(form, strict=True).decode

    def read(text: bytes) -> Form:
        try:
            return decode(text)
        except (ValueError, RecursionError):
            raise VerificationError(f"expected JSON of a {form.__name__}") from None

    return read


def _no_number(_text: str) -> Json:
    raise ValueError("a number that is not whole")


_decode = msgspec.json.Decoder(float_hook=_no_number).decode


def _is_exact(value: Json) -> bool:
    """Return whether every reader of JSON takes the numbers in a value for the same."""
    if isinstance(value, dict):
        return all(map(_is_exact, value.values()))
    if isinstance(value, list):
        return all(map(_is_exact, value))
    return not isinstance(value, int) or abs(value) <= MAX_NUMBER
