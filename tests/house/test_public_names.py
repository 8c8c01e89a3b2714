"""The public library is what this list says, and nothing else."""

from __future__ import annotations

import tomllib

import withhold
from tests.house.tree import ROOT

PUBLIC = ["__version__", "load"]


def test_the_library_exports_the_stated_names() -> None:
    assert sorted(withhold.__all__) == PUBLIC


def test_every_stated_name_can_be_imported() -> None:
    assert [name for name in PUBLIC if not hasattr(withhold, name)] == []


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert withhold.__version__ == project["version"]
