"""Capture tokens: a position nobody can raise."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withhold.domain.names import Position
from withhold.domain.tokens import mint, position_of
from withhold.errors import TokenRefused

KEY, OTHER = b"k" * 32, b"o" * 32


@given(st.integers(0, 2**63 - 1))
def test_a_token_names_its_position(position: int) -> None:
    assert position_of(KEY, mint(KEY, Position(position))) == position


def test_a_token_is_the_bytes_that_are_documented() -> None:
    raw = base64.urlsafe_b64decode(mint(KEY, Position(5)))
    assert (raw[:2], raw[2:10], len(raw)) == (b"w1", (5).to_bytes(8, "big"), 26)


@given(st.integers(0, 2**40), st.integers(0, 25), st.integers(1, 255))
def test_any_altered_byte_is_refused(position: int, place: int, change: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(mint(KEY, Position(position))))
    raw[place] ^= change
    with pytest.raises(TokenRefused):
        position_of(KEY, base64.urlsafe_b64encode(bytes(raw)).decode())


@pytest.mark.parametrize(
    "token",
    [
        "",
        "w1",
        "not base64!",
        "é" * 36,
        mint(OTHER, Position(5)),
        mint(KEY, Position(5))[:-4],
        "A" * 36,
    ],
)
def test_a_token_of_another_key_or_form_is_refused(token: str) -> None:
    with pytest.raises(TokenRefused):
        position_of(KEY, token)
