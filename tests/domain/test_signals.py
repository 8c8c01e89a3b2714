"""What refuses training, among what browsers say; and that our parser reads as others do."""

from __future__ import annotations

import time

import pytest
from http_sf import StructuredFieldError, Token, parse
from hypothesis import given
from hypothesis import strategies as st

from withhold.domain.signals import Signal, from_headers, refusals, refuses_training

REFUSING = [
    "train-ai=n",
    "train-ai=n;reason=1",
    " search=y,\ttrain-ai=n ",
    "train-ai=n, train-ai=y",  # header lines of two origins: the stricter one holds
    "train-ai=y, train-ai=n",
    "train-ai",  # a boolean is neither y nor n
    "train-ai=?0",
    'train-ai="y"',
    "train-ai=(y)",
    "train-ai=Y",
    "train-ai=yes",
    # not a Dictionary
    "Train-AI=y",
    "train-ai=y,",
    "train-ai = y",
    "train-ai=y train-ai=y",
    "train-ai=y;",
    "train-ai=y, x=1.",
    "train-ai=y, x=(a",
    "\t",
    "ä",
    "train-ai=y\0",
]
SILENT = [
    "",
    "  ",
    "train-ai=y",
    "train-ai=y;train-ai=n",  # a parameter is not a preference
    "search=n",
    "train-ai-too=n",
    'train-ai=y, x=(a "b" 1.5;q);r=?1, y=:aGk=:, z=@1700000000, w=%"f%c3%bc"\t',
]


@pytest.mark.parametrize("value", REFUSING)
def test_what_says_no_or_cannot_be_understood_refuses(value: str) -> None:
    assert refuses_training(value)


@pytest.mark.parametrize("value", SILENT)
def test_consent_and_silence_say_nothing(value: str) -> None:
    assert not refuses_training(value)


def test_each_signal_is_named_that_refuses() -> None:
    assert refusals(gpc=False, content_usage=None) == ()
    assert refusals(gpc=True, content_usage="train-ai=y") == (Signal.GPC,)
    assert refusals(gpc=True, content_usage="train-ai=n") == (Signal.GPC, Signal.CONTENT_USAGE)


def test_headers_are_read_in_any_case_and_lines_of_one_name_together() -> None:
    assert from_headers([("Accept", "*/*")]) == ()
    assert from_headers([("Sec-GPC", "1")]) == (Signal.GPC,)
    assert from_headers([("sec-gpc", "0")]) == (Signal.GPC,)  # there is no other value than 1
    lines = [("Content-Usage", "train-ai=n"), ("content-usage", "train-ai=y")]
    assert from_headers(lines) == (Signal.CONTENT_USAGE,)
    assert from_headers([("Content-Usage", "train-ai=y")]) == ()


@pytest.mark.parametrize(
    "hostile", ["a=(" + "b " * 4000, "a=" + "b" * 8000 + "(", "a" + ";a=1" * 2000 + "(", "," * 8000]
)
def test_a_hostile_value_costs_one_pass(hostile: str) -> None:
    began = time.perf_counter()
    assert refuses_training(hostile)
    assert time.perf_counter() - began < 0.5


GOOD = [
    "train-ai=n",
    "train-ai=y",
    "train-ai",
    "search=n",
    "x=(a b)",
    'x="a,b"',
    "x=1.5;q=n",
    "x=-1",
]
WRONG = [
    "Train-AI=n",
    "x=",
    "x=1.",
    "x=(a",
    'x="a',
    "=y",
    "x;;y",
    "x=?2",
    "x=@1.5",
    'x=%"%zz"',
    "é",
]
MEMBERS = st.sampled_from((*GOOD, *WRONG))
VALUES = st.lists(MEMBERS, max_size=4, unique=True).map(", ".join) | st.text(
    st.sampled_from(list('train-ai=ny,;() \t"?1.*')), max_size=12
)


@given(VALUES)
def test_another_parser_reads_the_same(value: str) -> None:
    """http-sf parses RFC 9651 too; where a key stands once, both must come to the same."""
    try:
        found = parse(value.encode(), tltype="dictionary")
    except StructuredFieldError:
        assert refuses_training(value)
        return
    item = found.get("train-ai")
    refuses = item is not None and not (isinstance(item[0], Token) and str(item[0]) == "y")
    if value.count("train-ai") <= 1:
        assert refuses_training(value) == refuses
    else:
        assert refuses_training(value) >= refuses
