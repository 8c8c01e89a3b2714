"""What a run tells when it is cut off, or when its end cannot be told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from withhold.adapters.clock import SystemClock
from withhold.cli.lineage import told
from withhold.domain.datasets import DatasetRef
from withhold.errors import StorageError
from withhold.formats.openlineage import Run, export_run


def run(started_ms: int, process: int) -> Run:
    return export_run(DatasetRef("chat", 1), started_ms, process)


def states(file: Path) -> list[str]:
    return [json.loads(line)["eventType"] for line in file.read_text().splitlines()]


def test_a_run_that_is_ended_from_outside_is_told_as_aborted(tmp_path: Path) -> None:
    file = tmp_path / "events"
    with pytest.raises(KeyboardInterrupt), told(file, SystemClock(), run):
        raise KeyboardInterrupt
    assert states(file) == ["START", "ABORT"]


def test_an_end_that_cannot_be_told_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "events"
    with pytest.raises(StorageError, match="events"), told(file, SystemClock(), run):
        file.unlink()
        file.mkdir()


def test_without_a_file_nothing_is_told(tmp_path: Path) -> None:
    with told(None, SystemClock(), run) as tell:
        tell({})
    assert list(tmp_path.iterdir()) == []
