"""Ana and Bo: the provider that most services are tried on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator import Provider

ROOT = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
"""Where homes are made that need not outlive a power cut: durability is tested elsewhere."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    """Give a provider with two accounts, over a home in memory."""
    home = Path(tempfile.mkdtemp(prefix="withhold-", dir=ROOT))
    made = Provider(home)
    for person in ("ana", "bo"):
        made.sign_up(person)
    yield made
    made.close()
    shutil.rmtree(home)
