"""Every promise has a row: sentence, rule, module, test; and what a row names exists."""

from __future__ import annotations

import re

import pytest

from tests.house.tree import ROOT, functions

DOCUMENT = ROOT / "docs" / "guarantees.md"
NAMED = re.compile(r"`((?:src|tests|bench|docs)/[^`\s]+)`")
PROMISES = [*(f"A{number}" for number in range(1, 11)), "I1", "I2"]


def _text() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


def _rows() -> list[list[str]]:
    """Return the cells of the table rows; headings and rulers are left out."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in map(str.strip, _text().splitlines())
        if line.startswith("|")
    ]
    return [row for row in cells if not set("".join(row)) <= set("-: ")]


@pytest.mark.parametrize("promise", PROMISES)
def test_every_promise_has_a_row(promise: str) -> None:
    assert [row for row in _rows() if re.match(rf"\W*{promise}\b", row[0])], promise


@pytest.mark.parametrize("promise", PROMISES)
def test_every_promise_names_a_test_or_says_that_it_comes_later(promise: str) -> None:
    rows = [row for row in _rows() if re.match(rf"\W*{promise}\b", row[0])]
    for row in rows:
        line = " | ".join(row)
        assert "tests/" in line or "later" in line.lower(), line


def test_every_file_and_test_that_is_named_exists() -> None:
    missing = [name for name in NAMED.findall(_text()) if not _exists(name)]
    assert missing == []


def _exists(name: str) -> bool:
    path, _, test = name.partition("::")
    place = ROOT / path
    if not place.exists():
        return False
    if not test:
        return True
    wanted = test.split("::")[-1].partition("[")[0]
    if wanted.startswith("Test"):
        return f"class {wanted}" in place.read_text(encoding="utf-8") or (
            f"{wanted} =" in place.read_text(encoding="utf-8")
        )
    return wanted in {function.name for function in functions(place)}
