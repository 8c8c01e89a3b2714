"""What holds for every test: two Hypothesis profiles, and no settings from the outside.

``WITHHOLD_HYPOTHESIS=full`` searches longer and from a new seed each time; the default, ``quick``, tries
the same examples on every machine, so that a red run can be repeated.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as searching

from withhold import settings

# A disk that is slow once is not a fault of the rule: no deadlines, the test timeout is enough.
searching.register_profile(
    "quick",
    max_examples=50,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
searching.register_profile(
    "full",
    max_examples=1000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
searching.load_profile(
    os.environ.get("WITHHOLD_HYPOTHESIS", "quick")  # noqa: TID251 (chooses how long tests search)
)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keep a test from reading the installation of whoever runs it."""
    for name in settings.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
