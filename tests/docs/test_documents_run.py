"""The shell blocks of the documents are run, as they stand, against a real server.

A block is run when an HTML comment ``<!-- run -->`` stands before it. The blocks of one document run in
one shell, in order, so that a later one may use what an earlier one set.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.server import environment, running
from tests.house.tree import ROOT

BLOCK = re.compile(r"<!-- run -->\n```sh\n(.*?)```", re.DOTALL)
ADDRESS = "http://127.0.0.1:8080"


def _blocks(path: Path) -> list[str]:
    return BLOCK.findall(path.read_text(encoding="utf-8"))


DOCUMENTS = [path for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")) if _blocks(path)]


def test_the_readme_is_among_the_documents_that_run() -> None:
    assert ROOT / "README.md" in DOCUMENTS


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_blocks_of_a_document_run(path: Path, tmp_path: Path) -> None:
    home, folder, tools = tmp_path / "home", tmp_path / "work", tmp_path / "bin"
    folder.mkdir()
    tools.mkdir()
    for name, arguments in (("withhold", "-m withhold"), ("python", "")):
        tool = tools / name
        tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        tool.chmod(0o755)
    with running(home) as server:
        script = "set -euo pipefail\n" + "\n".join(_blocks(path))
        variables = environment(home)
        done = subprocess.run(
            ["bash", "-c", script.replace(ADDRESS, server.address)],
            env={**variables, "PATH": f"{tools}:{variables['PATH']}"},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        if path.name == "README.md":
            assert "0 rows" in done.stdout  # the last version of the walk never had the row
        assert server.end() == 0
