"""Every benchmark runs, with next to nothing to do, and gives its figures as JSON."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from withhold.cli import maintenance

SMALL: dict[str, tuple[str, ...]] = {
    "absence": ("--tags", "2000", "--rows", "5000"),
    "audit": ("--people", "300", "--rows", "2000"),
    "capture": ("--rows", "2000"),
    "load": ("--rows", "8192"),
    "page": ("--seconds", "1", "--rate", "5"),
    "proofs": ("--leaves", "600"),
    "receipts": ("--entries", "1003", "--rounds", "1"),
    "toggle": ("--accounts", "1000", "--toggles", "100", "--clients", "4"),
    "withdraw": ("--rows", "20000"),
}
OF_PEERS = {"build"}  # needs what only `make bench` installs


def test_every_benchmark_of_the_command_is_tried() -> None:
    assert set(maintenance._benchmarks()) == SMALL.keys() | OF_PEERS


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_gives_its_figures(name: str, tmp_path: Path) -> None:
    # as the command finds it; its `main` would take minutes
    assert callable(importlib.import_module(f"bench.{name}").main)
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", *SMALL[name], "--json"],
        cwd=maintenance.FOLDER.parent,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode()
    figures = json.loads(text[text.rindex("\n{") if "\n{" in text else 0 :])
    assert figures
