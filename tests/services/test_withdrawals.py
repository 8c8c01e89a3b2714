"""What entries withdrew reaches every file, whatever the order, and never goes away again."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lake_world import VIBE, World, as_sets, world
from withhold.domain.standing import Becomes
from withhold.services import builds, sealing, withdrawals

MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.store((1, [0, 1]), (1, [1, 2]), (1, [3]))
        sealing.seal(made.ports)
        yield made


def test_a_withdrawal_withholds_exactly_the_rows_of_its_party(opened: World) -> None:
    position = opened.out(2)
    assert withdrawals.apply(opened.ports) == position
    assert opened.admitted() == ["r0", "r2"]


def test_without_entries_nothing_is_written(opened: World) -> None:
    withdrawals.apply(opened.ports)
    growth = opened.ports.files.growth(opened.files()[0].no)
    assert withdrawals.apply(opened.ports) == opened.head
    assert opened.ports.files.growth(opened.files()[0].no) == growth


def test_a_party_that_comes_back_stays_out_of_rows_from_before(opened: World) -> None:
    opened.out(2)
    back = opened.on(2)
    opened.store((back, [2]))
    sealing.seal(opened.ports)
    withdrawals.apply(opened.ports)
    assert opened.admitted() == ["r0", "r2", "r3"]


def test_a_move_that_raises_a_standing_withholds_older_rows_only(opened: World) -> None:
    """A plan change in the middle of everything: on before and after, raised to its position (S25)."""
    moved = opened.on(3)
    opened.store((moved, [3]))
    sealing.seal(opened.ports)
    withdrawals.apply(opened.ports)
    assert opened.admitted() == ["r0", "r1", "r3"]


def test_a_deleted_row_is_withheld_and_one_in_the_log_waits_for_its_file(opened: World) -> None:
    opened.store((1, [0]))
    opened.delete(1, 3)
    withdrawals.apply(opened.ports)
    assert opened.admitted() == ["r0", "r2"]
    sealing.seal(opened.ports)
    assert opened.admitted() == ["r0", "r2"]


def test_a_file_whose_rows_cannot_be_looked_up_is_withheld_whole_until_decided(
    opened: World, tmp_path: Path
) -> None:
    opened.store((opened.head, [4]))
    sealing.seal(opened.ports)
    first = opened.files()[0]
    kept = {p: p.read_bytes() for p in (tmp_path / "lake").rglob(f"{first.sha256}.*")}
    for path in kept:
        path.unlink()
    opened.ports.lake.__init__(tmp_path / "lake")  # type: ignore[misc]  # forget mapped indexes
    opened.out(0)
    withdrawals.apply(opened.ports)
    assert opened.bits(first) is None
    assert opened.admitted() == ["r3"]
    for path, whole in kept.items():
        path.write_bytes(whole)
    withdrawals.apply(opened.ports)
    assert opened.bits(first) is None, "being readable again is not yet a decision"
    builds.build(opened.ports, "chat", VIBE)
    assert opened.admitted() == ["r1", "r2", "r3"]


def test_appliers_and_sealers_at_once_leave_the_full_decision(opened: World) -> None:
    failed: list[Exception] = []

    def guarded(job: threading.Thread) -> None:
        job.start()

    def run(work: int) -> None:
        try:
            for i in range(12):
                if work == 0:
                    opened.out(i % 8)
                elif work == 1:
                    opened.store_now([i % 8], [7])
                    sealing.seal(opened.ports)
                else:
                    withdrawals.apply(opened.ports)
        except Exception as error:  # noqa: BLE001 -- shown by the assertion
            failed.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in (0, 1, 2, 2)]
    for thread in threads:
        guarded(thread)
    for thread in threads:
        thread.join()
    assert not failed
    withdrawals.apply(opened.ports)
    check_against_the_full_decision(opened)


def check_against_the_full_decision(opened: World) -> None:
    for file in opened.files():
        bits = opened.bits(file)
        assert bits is not None
        assert as_sets(bits) == as_sets(sealing.decide(opened.ports, file)[1])


party = st.integers(0, 7)
step = st.one_of(
    st.tuples(st.just("out"), party),
    st.tuples(st.just("on"), party),
    st.tuples(st.just("store"), st.lists(st.sets(party, max_size=3), min_size=1, max_size=4)),
    st.tuples(st.just("late"), st.tuples(party, st.integers(0, 6))),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("seal"), st.none()),
    st.tuples(st.just("apply"), st.none()),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(step, max_size=25))
def test_in_any_order_vectors_equal_the_full_decision_and_only_grow(
    steps: list[tuple[str, object]],
) -> None:
    home = Path(tempfile.mkdtemp(prefix="withhold-", dir=MEMORY))
    try:
        with world(home) as opened:
            before: dict[int, dict[str, set[int]]] = {}
            for what, value in steps:
                _do(opened, what, value)
                if what != "apply":
                    continue
                check_against_the_full_decision(opened)
                for file in opened.files():
                    now = as_sets(opened.bits(file) or {})
                    for reason, rows in before.get(file.no, {}).items():
                        assert rows <= now.get(reason, set())
                    before[file.no] = now
            sealing.seal(opened.ports)
            withdrawals.apply(opened.ports)
            withdrawals.apply(opened.ports)
            check_against_the_full_decision(opened)
    finally:
        shutil.rmtree(home)


def _do(opened: World, what: str, value: object) -> None:
    match what, value:
        case "out", int(no):
            opened.change((no, Becomes.OUT))
        case "on", int(no):
            opened.change((no, Becomes.ON))
        case "store", list(sets):
            opened.store_now(*[sorted(s) for s in sets])
        case "late", (int(no), int(age)):
            opened.store((max(opened.head - age, 0), [no]))
        case "delete", int(ordinal) if ordinal < opened.ports.intake.end(VIBE):
            opened.delete(ordinal)
        case "seal", _:
            sealing.seal(opened.ports)
        case "apply", _:
            assert withdrawals.apply(opened.ports) == opened.head
