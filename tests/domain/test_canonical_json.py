"""The one text of a value: what is written, and what is refused when it is read."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.json_values import json_values
from withhold.domain.canonical_json import MAX_DEPTH, MAX_NUMBER, Json, canonical, parsed, reader
from withhold.errors import VerificationError

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NAMES = st.text("abz_", max_size=4) | st.text(st.characters(codec="utf-8"), max_size=3)


def values(largest: int) -> st.SearchStrategy[Json]:
    """Return values whose numbers are at most so far from zero."""
    return json_values(st.none() | st.booleans() | st.integers(-largest, largest) | TEXT, NAMES)


@given(values(2**70))
def test_a_text_is_what_the_standard_library_writes_and_loses_nothing(value: Json) -> None:
    written = canonical(value)
    plain = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert written == plain.encode()
    assert json.loads(written) == value


@given(st.dictionaries(NAMES, values(MAX_NUMBER)))
def test_members_have_one_order(body: dict[str, Json]) -> None:
    assert canonical(dict(reversed(body.items()))) == canonical(body)


def test_every_sign_is_written_as_in_rfc_8785() -> None:
    signs = "".join(map(chr, [*range(0x300), 0x2028, 0x2029, 0xFEFF, 0xFFFF, 0x1F600, 0x10FFFF]))
    assert canonical(signs) == json.dumps(signs, ensure_ascii=False).encode()
    body: Json = {"b": [True, None], "a": 'é\n\u2028"', "c": {"z": 1, "y": -5}}
    expected = '{"a":"é\\n\u2028\\"","b":[true,null],"c":{"y":-5,"z":1}}'
    assert canonical(body) == expected.encode()


@given(st.dictionaries(NAMES, values(MAX_NUMBER)))
def test_what_was_written_is_read(body: dict[str, Json]) -> None:
    read = parsed(canonical(body))
    assert read == body
    assert canonical(read) == canonical(body)  # True equals 1, and is another text


@given(st.dictionaries(NAMES, values(MAX_NUMBER), min_size=1), st.data())
def test_a_text_with_any_byte_changed_is_refused_or_says_something_else(
    body: dict[str, Json], data: st.DataObject
) -> None:
    text = canonical(body)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != text[place]))
    changed = text[:place] + bytes([other]) + text[place + 1 :]
    try:
        read = parsed(changed)
    except VerificationError:
        return
    assert canonical(read) == changed


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}\n",
        b" {}",
        b"[]",
        b"null",
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"a" :1}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        *(
            b'{"a":[%b]}' % value
            for value in (
                b"1.5",
                b"1.0",
                b"1e2",
                b"1E400",
                b"-0",
                b"01",
                b"NaN",
                b"Infinity",
                str(MAX_NUMBER + 1).encode(),
                str(-MAX_NUMBER - 1).encode(),
                b"1" * 5000,
                b'"\\u00e9"',
                b'"\\/"',
                b'"\\ud800"',
                b'"\xed\xa0\x80"',
                b'"\xff"',
                b'"\x01"',
                b"[" * 100_000 + b"]" * 100_000,
            )
        ),
    ],
    ids=range(29),
)
def test_a_text_that_two_readers_could_take_for_two_things_is_refused(text: bytes) -> None:
    with pytest.raises(VerificationError):
        parsed(text)


@pytest.mark.parametrize("inner", [b"1", b"9007199254740991", b'"9007199254740992"'])
@pytest.mark.parametrize(("opened", "closed"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_a_text_is_as_deep_as_documented_whoever_reads_it(
    inner: bytes, opened: bytes, closed: bytes
) -> None:
    def nested(depth: int) -> bytes:
        return b'{"a":' + opened * (depth - 1) + inner + closed * (depth - 1) + b"}"

    assert canonical(parsed(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    for depth in (MAX_DEPTH + 1, *range(100, 1200, 100)):
        with pytest.raises(VerificationError):
            parsed(nested(depth))


def test_many_lists_beside_each_other_are_not_deep() -> None:
    value: Json = [[each, {}] for each in range(40)]
    assert parsed(canonical({"a": value})) == {"a": value}


def test_the_largest_exact_numbers_are_read_and_digits_in_a_text_are_no_number() -> None:
    value: Json = ["9007199254740992", MAX_NUMBER, -MAX_NUMBER]
    assert parsed(canonical({"a": value})) == {"a": value}


def test_half_of_a_character_has_no_text() -> None:
    with pytest.raises(UnicodeEncodeError):
        canonical("\ud800")


@dataclass(frozen=True)
class Named:
    """Two members, for a reader."""

    name: str | None
    number: int


read_named = reader(Named, "a name and a number")


@given(TEXT | st.none(), st.integers(-MAX_NUMBER, MAX_NUMBER))
def test_an_object_is_read_by_its_members(name: str | None, number: int) -> None:
    found = Named(name, number)
    assert canonical(found) == canonical({"name": name, "number": number})
    assert read_named(canonical(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        b'{"name":"a"}',
        b'{"name":"a","number":true}',
        b'{"name":"a","number":1.0}',
        b'{"name":"a","number":"1"}',
        b'{"name":1,"number":1}',
        b'["a",1]',
        b"null",
        b'{"name":"a","number":1}}',
        b'{"name":"\xff","number":1}',
        b'{"name":"\\ud800","number":1}',
        b"[" * 100_000,
    ],
)
def test_other_members_are_refused(text: bytes) -> None:
    with pytest.raises(VerificationError, match="expected a name and a number"):
        read_named(text)


def test_writing_it_anew_shows_a_member_too_many() -> None:
    text = b'{"name":"a","number":1,"other":2}'
    assert canonical(read_named(text)) != text
