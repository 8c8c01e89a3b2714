"""Imports point down, and the pure layers stay pure: the contracts of pyproject.toml, as a test."""

from __future__ import annotations

import subprocess
import sys

from tests.house.tree import PACKAGE, ROOT, modules, names, place

RUN_CONTRACTS = "import sys; from importlinter.cli import lint_imports_command as c; sys.exit(c())"


def test_every_import_contract_is_kept() -> None:
    # In a process of its own: import-linter changes sys.path and keeps a cache of the graph.
    run = subprocess.run(
        [sys.executable, "-c", RUN_CONTRACTS, "--no-cache", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_only_settings_reads_the_environment() -> None:
    readers = {place(path) for path in modules(PACKAGE) if names(path) & {"environ", "getenv"}}
    assert readers == {"src/withhold/settings.py"}
