"""Ctrl-C at any moment: nobody waits for a leader that is gone, and what was told is so.

Python raises an interrupt between any two calls of the main thread, so that it may come while somebody has
queued and does not lead yet, leads and has not told anybody, or hands over.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _interrupted(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.interrupted", str(folder), "1500", "4711", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize("words", [(), ("crowd",)])
def test_an_interrupt_at_any_moment_leaves_somebody_to_lead(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = _interrupted(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["interrupted"] > 100, "alarms came in the middle of turns"
    assert found["done"] > 100


@pytest.mark.slow
def test_without_looking_after_the_others_everybody_soon_waits_for_ever(tmp_path: Path) -> None:
    done = _interrupted(tmp_path, "careless")
    assert done.returncode == 1
    assert "nobody can append any more" in done.stderr
