"""A provider with two people's rows in one dataset, ``chat@1``, and a clock that a test moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator import Provider

ROWS = 40


class Hours:
    """A clock a test moves by hand; seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Hours:
    return Hours()


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    """Ana's rows are a0, a2, …; Bob's are b1, b3, …; a build made ``chat@1`` of them."""
    it = Provider(tmp_path / "home")
    it.sign_up("ana", vibe="free")
    it.sign_up("bob", vibe="free")
    for row in range(0, ROWS, 2):
        it.chat("ana", f"a{row}")
        it.chat("bob", f"b{row + 1}")
    it.build("chat")
    yield it
    it.close()
