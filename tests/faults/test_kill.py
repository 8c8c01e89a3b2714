"""S21: kill -9 at every failpoint of toggle, confirm, capture, seal, write, commit, export and load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _trials(first: int, step: int, seconds: float) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.trials", str(first), str(step)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{trials[-1:]}\n{done.stderr[-4000:]}"
    return trials


def _check(trials: list[dict[str, object]], at_least: int) -> None:
    killed = [t for t in trials if t["killed"]]
    assert len(killed) >= at_least
    assert {t["final"] for t in trials} == {'["a4", "c2"]'}


@pytest.mark.timeout(280)
def test_killed_at_a_sample_of_effects_every_promise_made_holds() -> None:
    _check(_trials(7, 41, 270), at_least=8)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("first", [1, 2, 3])
def test_killed_at_every_effect_every_promise_made_holds(first: int) -> None:
    _check(_trials(first, 3, 1480), at_least=100)
