"""Signed notes: the one form that bytes can have, and keys."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withhold.adapters.signing import verifies
from withhold.domain.notes import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    NoteKey,
    Signature,
    SignatureType,
    SignedNote,
    decoded,
    encoded,
    parse_key,
    parse_note,
    parse_signatures,
)
from withhold.errors import InputError, VerificationError

# The example of the specification.
KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAl"
    "TgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()

LINE = "— example.com/foo Uw2QOkk=\n"
NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="+", exclude_categories=("Z", "C")),
    min_size=1,
    max_size=20,
)
TEXTS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), max_size=20), max_size=5
).map(lambda lines: "\n".join(["first", *lines, "last"]) + "\n")


def test_the_example_of_the_specification_opens() -> None:
    key, note = parse_key(KEY), parse_note(NOTE)
    (line,) = note.signatures
    assert (line.name, line.key_id) == (key.name, key.id)
    assert verifies(key, note.text.encode(), line.data)
    assert str(key) == KEY
    assert bytes(note) == NOTE


@given(TEXTS, st.lists(st.builds(Signature, NAMES, st.binary(min_size=4, max_size=4), st.binary(
    min_size=1, max_size=80)), min_size=1, max_size=MAX_SIGNATURES))  # fmt: skip
def test_a_note_is_parsed_into_what_it_was_made_of(text: str, lines: list[Signature]) -> None:
    note = SignedNote(text, tuple(lines))
    assert parse_note(bytes(note)) == note


@given(st.data())
def test_what_is_parsed_has_one_form_only(data: st.DataObject) -> None:
    altered = bytearray(NOTE)
    for _ in range(data.draw(st.integers(1, 3))):
        altered[data.draw(st.integers(0, len(NOTE) - 1))] = data.draw(st.integers(0, 255))
    try:
        note = parse_note(bytes(altered))
    except VerificationError:
        return
    assert bytes(note) == bytes(altered)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        "text\n",
        "text\n\n",
        LINE,
        "\n" + LINE,
        "text\n" + LINE,
        "text\n\n" + LINE[:-1],
        "text\n\n" + LINE + "more",
        "text\n\n" + LINE + "\n",
        "text\n\n" + LINE.replace("— ", "- "),
        "text\n\n" + LINE.replace("— ", "—"),
        "text\n\n" + LINE.replace("example.com/foo", "a+b"),
        "text\n\n" + LINE.replace("example.com/foo", "a\N{NO-BREAK SPACE}b"),
        "text\n\n" + LINE.replace("example.com/foo ", ""),
        "text\n\n" + LINE.replace("Uw2QOkk=", "Uw2QOg=="),  # an id and nothing after it
        "text\n\n" + LINE.replace("Uw2QOkk=", "Uw2QOkl="),  # the same bytes, spelled otherwise
        "text\n\n" + LINE.replace("Uw2QOkk=", "Uw2QOkk"),
        "text\n\n" + LINE.replace("Uw2QOkk=", "Uw2QOkk= "),
        "text\r\n\n" + LINE,
        "te\0xt\n\n" + LINE,
        "text\n\n" + LINE * (MAX_SIGNATURES + 1),
        "x" * MAX_NOTE_BYTES + "\n\n" + LINE,
    ],
)
def test_what_is_not_a_note_is_refused(note: str) -> None:
    with pytest.raises(VerificationError):
        parse_note(note.encode())


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(VerificationError, match="UTF-8"):
        parse_note(b"\xff" + NOTE)


def test_as_many_signatures_as_the_cap_are_read() -> None:
    assert len(parse_signatures(LINE * MAX_SIGNATURES)) == MAX_SIGNATURES
    large = str(Signature("w", b"4444", bytes(8 + 2420))) * MAX_SIGNATURES
    assert len(parse_note(f"text\n\n{large}".encode()).signatures) == MAX_SIGNATURES


@pytest.mark.parametrize("kind", SignatureType)
def test_a_verifier_key_names_its_key(kind: SignatureType) -> None:
    public = bytes(1312 if kind is SignatureType.ML_DSA_44 else 32)
    key = NoteKey("example.com/log", kind, public)
    assert parse_key(str(key)) == key


def test_one_public_key_has_another_id_for_each_name_and_type() -> None:
    ids = {
        NoteKey(name, kind, bytes(32)).id
        for name in ("a", "b")
        for kind in (SignatureType.ED25519, SignatureType.ED25519_COSIGNATURE)
    }
    assert len(ids) == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/foo",
        KEY.replace("530d903a", "530d903b"),
        KEY.replace("530d903a", "530D903A"),
        KEY.replace("example.com/foo", "example.com/fo"),
        KEY.replace("example.com/foo", ""),
        KEY.replace("example.com/foo", "a b"),
        KEY[:-4],
        KEY + "A",
        KEY + "\n",
        KEY.replace("+Ae", "+/e"),
        "a+00000000+",
        "a+00000000+" + base64.b64encode(b"\x02" + bytes(32)).decode(),
    ],
)
def test_what_is_not_a_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_key(text)


@pytest.mark.parametrize("length", [0, 31, 33, 1312])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(InputError, match=f"expected 32 bytes, got {length}"):
        NoteKey("example.com/log", SignatureType.ED25519, bytes(length))


@given(st.binary(max_size=40))
def test_base64_has_one_form(data: bytes) -> None:
    assert decoded(encoded(data)) == data


@pytest.mark.parametrize(
    "text", ["QQ", "QQ=", "QR==", "QQ==\n", " QQ==", "Q-==", "é", "====", "QQ==QQ=="]
)
def test_other_forms_of_base64_are_refused(text: str) -> None:
    with pytest.raises(VerificationError):
        decoded(text)
