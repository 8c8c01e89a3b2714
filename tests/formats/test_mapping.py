"""Column mappings: what they accept, and that mapped rows meet the same rules as lines."""

from __future__ import annotations

import pytest

from withhold.domain.interactions import Interaction, InteractionKind, Message, Rejected
from withhold.errors import InputError
from withhold.formats.mapping import decode_mapped, parse_mapping

HUGGING_FACE = parse_mapping("account=user_id,messages=conversations", "product=vibe")


def test_a_row_of_theirs_becomes_an_interaction() -> None:
    row = HUGGING_FACE.row(
        {"user_id": 7, "conversations": [{"role": "user", "content": "hi", "weight": 1}]}, 3, "abc"
    )
    assert isinstance(row, Interaction)
    assert (row.id, row.account, row.product) == ("abc:3", "7", "vibe")
    assert row.kind is InteractionKind.CONVERSATION
    assert row.messages == (Message("user", "hi"),)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "account"),
        ({"user_id": True, "conversations": []}, "account: expected `str`, got `bool`"),
        ({"user_id": "a", "conversations": "text"}, "messages: expected `array`"),
        ({"user_id": "a", "conversations": [{"role": "user", "content": [1]}]}, "content"),
        ({"user_id": "a", "conversations": ["text"]}, "messages[0]: expected `object`"),
        ({"user_id": "a"}, "messages: expected at least one"),
    ],
)
def test_a_row_that_does_not_fit_is_rejected(values: dict[str, object], reason: str) -> None:
    row = HUGGING_FACE.row(values, 3, "abc")
    assert isinstance(row, Rejected)
    assert row.line == 3
    assert reason in row.reason


@pytest.mark.parametrize("line", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_broken_line_of_theirs_is_rejected(line: bytes) -> None:
    assert isinstance(decode_mapped(line, 1, HUGGING_FACE, "abc"), Rejected)


@pytest.mark.parametrize(
    ("columns", "constants", "reason"),
    [
        ("", "", "account, product is missing"),
        ("account", "product=vibe", "expected field=value"),
        ("account=", "product=vibe", "expected field=value"),
        ("bogus=x,account=y", "product=vibe", "expected field=value"),
        ("account=a,account=b", "product=vibe", "each field once"),
        ("account=a,product=p", "product=vibe", "product named by --map and by --set"),
    ],
)
def test_a_mapping_that_says_too_little_is_refused(
    columns: str, constants: str, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        parse_mapping(columns, constants)


def test_the_kind_may_come_from_a_column() -> None:
    mapping = parse_mapping("account=a,kind=k", "product=vibe")
    row = mapping.row({"a": "ana", "k": "document", "messages": None}, 1, "x")
    assert isinstance(row, Interaction)
    assert row.kind is InteractionKind.DOCUMENT
