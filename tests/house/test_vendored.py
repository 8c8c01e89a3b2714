"""Files of other projects are those that were brought, each with its licence, and are named."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest

from tests.house.tree import PACKAGE, ROOT, place

FOLDERS = [PACKAGE / "web" / "static" / "vendor", ROOT / "tests" / "vendor"]
LINE = re.compile(
    r"^\| `(?P<name>[^`]+)` \| (?P<package>[^|]+) \| (?P<version>[^|]+) \|"
    r"[^|]*`(?P<licence>[^`]*LICENSE[^`]*)` \| `(?P<digest>[0-9a-f]{64})` \|$",
    re.MULTILINE,
)
FONT_BYTES = 40_000


def _lines(folder: Path) -> list[re.Match[str]]:
    return list(LINE.finditer((folder / "README.md").read_text(encoding="utf-8")))


def _brought(folder: Path) -> set[str]:
    """Return the files that somebody else wrote: all but the table and the licences."""
    return {
        path.name
        for path in folder.iterdir()
        if path.name != "README.md" and "LICENSE" not in path.name
    }


@pytest.mark.parametrize("folder", FOLDERS, ids=place)
def test_every_vendored_file_has_a_line_and_every_line_a_file(folder: Path) -> None:
    assert {line["name"] for line in _lines(folder)} == _brought(folder)


@pytest.mark.parametrize("folder", FOLDERS, ids=place)
def test_every_vendored_file_is_the_one_that_was_brought(folder: Path) -> None:
    for line in _lines(folder):
        assert sha256((folder / line["name"]).read_bytes()).hexdigest() == line["digest"]


@pytest.mark.parametrize("folder", FOLDERS, ids=place)
def test_every_vendored_file_has_its_licence_beside_it(folder: Path) -> None:
    for line in _lines(folder):
        assert (folder / line["licence"]).stat().st_size > 0


@pytest.mark.parametrize("folder", FOLDERS, ids=place)
def test_the_notice_names_every_vendored_file_and_its_version(folder: Path) -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for line in _lines(folder):
        assert line["name"] in notice
        assert line["version"] in notice


def test_the_font_is_a_small_one() -> None:
    assert (FOLDERS[0] / "inter.woff2").stat().st_size < FONT_BYTES
