"""Looking at the log again: nothing that was seen once can be altered unseen (S37, S38)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.test_log import fill, home
from tests.fakes.ledger import MemoryLedger, ports_over
from tests.fakes.log import MemoryLog
from withhold.errors import VerificationError
from withhold.ports import Ports
from withhold.services import log as logs


def ports_in_memory() -> Ports:
    ledger = MemoryLedger()
    return replace(ports_over(ledger), log=MemoryLog(ledger))


def test_each_look_follows_from_the_one_before() -> None:
    ports = ports_in_memory()
    seen = None
    for size in (1, 2, 2, 9):
        fill(ports, size)
        seen = logs.looked(ports.log, seen)
        assert logs.said(seen).head.size == size


def test_a_shorter_log_is_told_with_the_positions_that_are_missing() -> None:
    longer, shorter = ports_in_memory(), ports_in_memory()
    fill(longer, 9)
    fill(shorter, 5)
    with pytest.raises(VerificationError, match="entries 6 to 9 are missing"):
        logs.looked(shorter.log, logs.looked(longer.log, None))


@pytest.mark.parametrize("more", [0, 3])
def test_two_views_of_one_log_are_found_by_whoever_has_seen_both(more: int) -> None:
    one, other = ports_in_memory(), ports_in_memory()
    fill(one, 2)
    fill(other, 2)
    logs.replace_key(one)  # entries differ from position 2 on at the latest: they say their time
    fill(one, 6)
    fill(other, 6 + more)
    first, second = logs.looked(one.log, None), logs.looked(other.log, None)
    assert logs.said(first).origin == logs.said(second).origin
    with pytest.raises(VerificationError, match="some entry from 1 to 6"):
        logs.looked(other.log, first)


def test_the_log_of_another_home_is_told(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with home(tmp_path / "one") as one, home(tmp_path / "other") as other:
        fill(one, 3)
        fill(other, 4)
        with pytest.raises(VerificationError, match="was seen before"):
            logs.looked(other.log, logs.looked(one.log, None))
