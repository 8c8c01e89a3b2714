"""What tests of the control database begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.notes import control_in
from withhold.adapters.store.sqlite.control import Control


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    with control_in(tmp_path) as opened:
        yield opened
