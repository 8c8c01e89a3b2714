"""What breaks each broken variant of the model does not break the real code (design section 1).

Every kept trace is walked over the real adapters, interleaved as it says; what the real code refuses on
the way is asserted too. The same walk over real adapters with one thing done wrong must fail, or it
would prove nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .breaks import LATER, Break
from .driver import Driver
from .traces import kept
from .wrongs import WRONGS

REFUSED: dict[Break, list[str]] = {
    Break.STAMP_BY_ARRIVAL: ["withheld"],
    Break.STAMP_BY_CLAIM: ["rejected: capture token"],
    Break.OWN_TIME_ONLY: ["withheld"],
    Break.PARTIES_AT_TOKEN: ["withheld"],
    Break.PARTIES_AT_ARRIVAL: ["withheld"],
    Break.LOCK_ESCAPED: ["PolicyFileError", "withheld"],  # a lock comes with a default that is off
    Break.LATE_BASELINE: ["rejected: account"],
    Break.SECOND_BASELINE: ["withheld"],
    Break.TOKENLESS_RETRY: ["withheld", "withheld"],
    Break.SNAPSHOT_FILTER: ["FenceClosed"],
    Break.CURRENT_STATE: ["FenceClosed"],
    Break.CHECK_THEN_COMMIT: ["opt_out waits"],
    Break.POSITION_BEFORE_BITS: ["all or nothing"],
    Break.LAST_APPLIER_WINS: ["LedgerMoved"],
    Break.SEAL_BEHIND_CURSOR: ["LedgerMoved"],
    Break.LEASE_FROM_ANSWER: ["LeaseExpired"],
    Break.LEASE_AHEAD_OF_VECTORS: [],  # it is answered, and told
    Break.CONFIRM_BEFORE_APPEND: [],  # the answer comes after the append: there is nothing to lose
}
"""What the real code says no to on the way, in order."""


def walk(home: Path, fault: Break, wrong: Callable[[Driver], None] = lambda _: None) -> Driver:
    driver = Driver(home, wrong)
    try:
        driver.walk(kept()[fault].trace)
    finally:
        driver.close()
    return driver


def test_every_trace_is_replayed_now_or_later() -> None:
    assert set(REFUSED) == set(WRONGS) == set(Break) - LATER


@pytest.mark.parametrize("fault", list(REFUSED), ids=lambda fault: fault.name.lower())
def test_what_breaks_a_broken_variant_does_not_break_the_real_code(
    fault: Break, tmp_path: Path
) -> None:
    assert walk(tmp_path / "home", fault).refused == REFUSED[fault]


@pytest.mark.parametrize("fault", list(WRONGS), ids=lambda fault: fault.name.lower())
def test_the_same_walk_sees_one_thing_done_wrong(fault: Break, tmp_path: Path) -> None:
    wrong, seen = WRONGS[fault]
    with pytest.raises(AssertionError, match=seen):
        walk(tmp_path / "home", fault, wrong)
