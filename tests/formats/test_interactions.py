"""Strict decoding: every refusal names its line and field, never content; good lines survive."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.json_values import json_values
from withhold.domain.interactions import Interaction, InteractionKind, Message, Rejected
from withhold.domain.signals import Signal
from withhold.errors import InputError, TooLarge
from withhold.formats.interactions import Limits, decode_line, decode_lines

SHA = "0f" * 32


def line(**changes: Any) -> bytes:
    """Return a good line with changes; a field set to ... is left out."""
    fields = {
        "id": "r1",
        "product": "vibe",
        "kind": "conversation",
        "account": "ana",
        "messages": [{"role": "user", "content": "SECRET"}],
        **changes,
    }
    return json.dumps({k: v for k, v in fields.items() if v is not ...}).encode()


def test_every_field_arrives() -> None:
    decoded = decode_line(
        line(
            kind="feedback",
            organization="acme",
            participants=["bo"],
            conversation="c",
            project="p",
            api_key="k",
            attachments=[SHA],
            about="r0",
            derived_from=["r9"],
            token="t",
            signals={"gpc": True, "content_usage": "train-ai=n"},
        ),
        1,
    )
    assert isinstance(decoded, Interaction)
    assert decoded.kind is InteractionKind.FEEDBACK
    assert decoded.messages == (Message("user", "SECRET"),)
    assert decoded.participants == ("bo",)
    assert decoded.sources == ("r9", "r0")
    assert (decoded.organization, decoded.conversation, decoded.token) == ("acme", "c", "t")
    assert decoded.refusals == (Signal.GPC, Signal.CONTENT_USAGE)


BROKEN = [
    (line()[:-1], "row: not valid JSON"),
    (b"", "row: the line is empty"),
    (b"[" * 100_000, "row: expected `object`"),
    (b'{"a":' * 100_000, "row: unknown field a"),
    (b'{"messages":[{"content":' + b"[" * 100_000, "content: expected `str`"),
    (line().replace(b"SECRET", b"\xff"), "row: not valid JSON"),
    (line().replace(b"SECRET", b"\\ud800"), "row: not valid JSON"),
    (b"3", "row: expected `object`, got `int`"),
    (line(id=...), "missing required field `id`"),
    (line(account=7), "account: expected `str`, got `int`"),
    (line(account=""), "account: expected `str` of length >= 1"),
    (line(account="x" * 257), "account: expected `str` of length <= 256"),
    (line(id="a\0b"), "id: expected text without NUL"),
    (line(participants=["a\0b"]), "participants: expected text without NUL"),
    (line(kind="SECRET"), "kind: expected one of conversation, document, api_call, feedback"),
    (line(messages=[]), "messages: expected at least one"),
    (line(messages=True), "messages: expected `array`, got `bool`"),
    (line(messages=[{"role": "user"}]), "messages[0]"),
    (line(messages=[{"role": "user", "content": 1}]), "messages[0].content: expected `str`"),
    (
        line(messages=[{"role": "user", "content": "", "SECRET x": 1}]),
        "row: unknown field",
    ),
    (line(sha256="F" * 64), "sha256: expected 64 lower-case hexadecimal digits"),
    (line(sha256=SHA + "\n"), "sha256: expected 64 lower-case hexadecimal digits"),
    (line(attachments=SHA), "attachments: expected `array`"),
    (line(participants=["x"] * 257), "participants"),
    (line(position=3), "row: unknown field position"),
    (line(token=True), "token: expected"),
    (line(signals=True), "signals: expected `object"),
    (line(signals={"gpc": 1}), "signals.gpc: expected `bool`, got `int`"),
    (line(signals={"gpc": "1"}), "signals.gpc: expected `bool`, got `str`"),
    (line(signals={"dnt": True}), "signals: unknown field dnt"),
    (line(signals={"content_usage": ["SECRET"]}), "signals.content_usage: expected `str"),
    (line(signals={"content_usage": "x" * 8193}), "signals.content_usage: expected `str"),
]


@pytest.mark.parametrize(("broken", "reason"), BROKEN)
def test_a_broken_line_is_rejected_with_its_place_and_without_content(
    broken: bytes, reason: str
) -> None:
    decoded = list(decode_lines(line() + b"\n" + broken + b"\n" + line(id="r2")))
    assert [type(d) for d in decoded] == [Interaction, Rejected, Interaction]
    rejected = decoded[1]
    assert isinstance(rejected, Rejected)
    assert rejected.line == 2
    assert reason in rejected.reason
    assert "SECRET" not in rejected.reason


@pytest.mark.parametrize(
    "broken", [b for b, _ in BROKEN if b.startswith(b"{") and b.endswith(b"}")]
)
def test_a_broken_element_of_an_array_does_not_spoil_the_others(broken: bytes) -> None:
    if b"\xff" in broken:
        pytest.skip("an array must be UTF-8 as a whole")
    decoded = list(decode_lines(b" [" + line() + b",\n" + broken + b"," + line(id="r2") + b"] "))
    assert [type(d) for d in decoded] == [Interaction, Rejected, Interaction]


@pytest.mark.parametrize(
    "body",
    [
        b"[",
        b"[,]",
        b"[]]",
        b"[" + line(),
        b"[" + line() + b",]",
        b"[" + line() + line() + b"]",
        b"[" + line() + b"] x",
        b"[" * 100_000,
        b"[\xff]",
    ],
)
def test_an_array_that_is_broken_as_a_whole_is_refused_whole(body: bytes) -> None:
    with pytest.raises(InputError, match="nothing was kept"):
        list(decode_lines(body))


@pytest.mark.parametrize(
    ("signals", "refusals"),
    [
        (None, ()),
        ({}, ()),
        ({"gpc": False, "content_usage": "train-ai=y"}, ()),
        ({"content_usage": None}, ()),
        ({"gpc": True}, (Signal.GPC,)),
        ({"gpc": True, "content_usage": "train-ai=y"}, (Signal.GPC,)),
        ({"content_usage": "not, a = dictionary"}, (Signal.CONTENT_USAGE,)),
    ],
)
def test_of_signals_only_refusals_are_kept(
    signals: dict[str, Any] | None, refusals: tuple[Signal, ...]
) -> None:
    decoded = decode_line(line(signals=signals), 1)
    assert isinstance(decoded, Interaction)
    assert decoded.refusals == refusals


def test_nothing_is_an_empty_batch() -> None:
    assert [list(decode_lines(b)) for b in (b"", b"\n\n", b"[]", b" [ ]\n")] == [[], [], [], []]


def test_caps_hold_before_parsing() -> None:
    with pytest.raises(TooLarge):
        decode_lines(b"x" * 11, Limits(body=10))
    with pytest.raises(TooLarge):
        decode_lines(b"\n".join([line()] * 3), Limits(rows=2))
    with pytest.raises(TooLarge):
        decode_lines(b"[" + b",".join([line()] * 3) + b"]", Limits(rows=2))
    with pytest.raises(TooLarge):
        decode_lines(b"[" + b",".join([b"0"] * 3) + b"]", Limits(rows=2))
    rejected = decode_line(line(), 4, Limits(row=20))
    assert rejected == Rejected(4, "row: expected at most 20 bytes")


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_decoder(body: bytes) -> None:
    try:
        decoded = list(decode_lines(body))
    except InputError:
        return
    assert all(isinstance(d, Rejected) for d in decoded)


JSON = json_values(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    st.text(max_size=3),
)


@given(
    st.sampled_from(
        ["id", "product", "account", "messages", "participants", "sha256", "about", "x"]
    ),
    JSON,
)
def test_a_field_of_another_type_is_never_coerced(field: str, value: Any) -> None:
    decoded = decode_line(line(**{field: value}), 1)
    if isinstance(decoded, Interaction) and field not in {"messages", "participants"}:
        kept = getattr(decoded, field)
        assert kept == value
        assert type(kept) is type(value)
