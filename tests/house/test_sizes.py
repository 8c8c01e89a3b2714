"""No file and no function outgrows the house (CONTRIBUTING, "Sizes")."""

from __future__ import annotations

from statistics import median

from tests.house.tree import PACKAGE, ROOT, functions, modules, place

FILE_LINES = 600
BODY_LINES = 60
MEDIAN_LINES = 10

COMMIT_STORIES: frozenset[str] = frozenset()
"""``path::function`` of linear commit stories, each step commented with what a crash there leaves."""


def test_no_file_is_longer_than_600_lines() -> None:
    lengths = {
        place(path): len(path.read_text(encoding="utf-8").splitlines())
        for folder in (PACKAGE, ROOT / "tests", ROOT / "bench")
        for path in modules(folder)
    }
    assert {name: lines for name, lines in lengths.items() if lines > FILE_LINES} == {}


def test_no_function_body_is_longer_than_60_lines() -> None:
    long = {
        f"{place(path)}::{function.name}": function.lines
        for path in modules(PACKAGE)
        for function in functions(path)
        if function.lines > BODY_LINES
    }
    assert {name: lines for name, lines in long.items() if name not in COMMIT_STORIES} == {}


def test_every_exemption_is_still_needed() -> None:
    long = {
        f"{place(path)}::{function.name}"
        for path in modules(PACKAGE)
        for function in functions(path)
        if function.lines > BODY_LINES
    }
    assert COMMIT_STORIES - long == set()


def test_the_median_function_is_shorter_than_ten_lines() -> None:
    lengths = [function.lines for path in modules(PACKAGE) for function in functions(path)]
    assert median(lengths) < MEDIAN_LINES
