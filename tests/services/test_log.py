"""Looking at the log again: nothing that was seen once can be altered unseen (S37, S38)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.test_log import fill, home
from tests.fakes.ledger import MemoryLedger, ports_over
from tests.fakes.log import MemoryLog
from withhold.domain.witnesses import follows
from withhold.errors import VerificationError
from withhold.ports import Log, Ports
from withhold.services import log as logs


def ports_in_memory() -> Ports:
    ledger = MemoryLedger()
    return replace(ports_over(ledger), log=MemoryLog(ledger))


def look(log: Log, seen: bytes) -> None:
    """Hold a log against a checkpoint that somebody kept, as every opening of a home does."""
    follows(logs.said(seen), logs.said(log.checkpoint()), log.consistency)


@pytest.mark.parametrize("more", [0, 3])
def test_two_views_of_one_log_are_found_by_whoever_has_seen_both(more: int) -> None:
    one, other = ports_in_memory(), ports_in_memory()
    fill(one, 2)
    fill(other, 2)
    logs.replace_key(one)  # entries differ from position 2 on at the latest: they say their time
    fill(one, 6)
    fill(other, 6 + more)
    first, second = one.log.checkpoint(), other.log.checkpoint()
    assert logs.said(first).origin == logs.said(second).origin
    with pytest.raises(VerificationError, match="some entry from 1 to 6"):
        look(other.log, first)


def test_the_log_of_another_home_is_told(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with home(tmp_path / "one") as one, home(tmp_path / "other") as other:
        fill(one, 3)
        fill(other, 4)
        with pytest.raises(VerificationError, match="was seen before"):
            look(other.log, one.log.checkpoint())
