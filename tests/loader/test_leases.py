"""Leases: an open reader learns of an opt-out within its lease, or stops (S33)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.loader.conftest import ROWS, Hours
from tests.simulator import Provider
from withhold.domain.datasets import DatasetRef
from withhold.errors import LeaseExpired, StorageError
from withhold.loader.data import Data, Options
from withhold.ports import Ports, Reader, Readers

LEASE = 10.0
VERSION = DatasetRef("chat", 1)


class FaultyReaders:
    """The real list of readers, on a disk that a test breaks and mends, or makes slow."""

    def __init__(self, real: Readers, clock: Hours) -> None:
        self._real, self._clock = real, clock
        self.is_broken = False
        self.takes_seconds = 0.0
        self.asked = 0

    def renew(self, reader: Reader) -> None:
        self.asked += 1
        self._clock.sleep(self.takes_seconds)
        if self.is_broken:
            raise StorageError("the disk refused; nothing was recorded")
        self._real.renew(reader)

    def close(self, reader_id: str) -> None:
        if self.is_broken:
            raise StorageError("the disk refused; nothing was recorded")
        self._real.close(reader_id)


@contextmanager
def reader(ports: Ports, clock: Hours, batch_rows: int = 1) -> Iterator[Data]:
    with Data(ports, VERSION, Options(("id",), batch_rows, LEASE), clock) as data:
        yield data


def faulty(provider: Provider, clock: Hours) -> tuple[Ports, FaultyReaders]:
    readers = FaultyReaders(provider.ports.readers, clock)
    return replace(provider.ports, readers=readers), readers  # type: ignore[arg-type]


def rest(batches: Iterator[object]) -> list[str]:
    return [i for b in batches for i in b.column("id").to_pylist()]  # type: ignore[attr-defined]


def test_an_opt_out_reaches_an_open_reader_within_its_lease(
    provider: Provider, clock: Hours
) -> None:
    with reader(provider.ports, clock) as data:
        batches = data.batches()
        assert next(batches).column("id").to_pylist() == ["a0"]
        provider.opt_out("ana")
        clock.sleep(LEASE)
        assert rest(batches) == [f"b{n}" for n in range(1, ROWS, 2)]
        report = data.report()
    assert report.dropped_midway == ROWS // 2
    assert report.renewals == 1
    assert report.head == provider.head


def test_rows_decoded_before_a_renewal_are_filtered_again(provider: Provider, clock: Hours) -> None:
    with reader(provider.ports, clock, batch_rows=8) as data:
        batches = data.batches()
        next(batches)  # the whole row group is decoded by now
        provider.opt_out("bob")
        clock.sleep(LEASE / 2)
        assert not [i for i in rest(batches) if i.startswith("b")]


def test_samples_of_a_batch_at_hand_are_filtered_again(provider: Provider, clock: Hours) -> None:
    with reader(provider.ports, clock, batch_rows=ROWS) as data:
        samples = iter(data)
        assert next(samples) == {"id": "a0"}
        provider.opt_out("ana")
        clock.sleep(LEASE / 2)
        assert [s["id"] for s in samples] == [f"b{n}" for n in range(1, ROWS, 2)]
        assert data.report().yielded == 1 + ROWS // 2


def test_rows_dropped_midway_are_not_in_the_buffers_of_later_batches(
    provider: Provider, clock: Hours
) -> None:
    with Data(provider.ports, VERSION, Options(("messages",), 1, LEASE), clock) as data:
        batches = data.batches()
        next(batches)
        provider.opt_out("ana")
        clock.sleep(LEASE)
        held = [b"".join(map(bytes, filter(None, b.column(0).buffers()))) for b in batches]
    assert len(held) == ROWS // 2
    assert not [h for h in held if b"question a" in h]


def test_before_half_of_the_lease_nobody_is_asked(provider: Provider, clock: Hours) -> None:
    ports, readers = faulty(provider, clock)
    with reader(ports, clock) as data:
        for _ in data.batches():
            clock.sleep(LEASE / 2 / ROWS / 2)
        assert readers.asked == 1
        assert data.report().renewals == 0


def test_a_consumer_that_slept_past_its_lease_renews_before_the_next_row(
    provider: Provider, clock: Hours
) -> None:
    with reader(provider.ports, clock) as data:
        batches = data.batches()
        next(batches)
        provider.opt_out("ana")
        clock.sleep(100 * LEASE)
        assert next(batches).column("id").to_pylist() == ["b1"]


def test_without_renewal_the_reader_goes_on_until_the_lease_ends_and_then_stops(
    provider: Provider, clock: Hours
) -> None:
    ports, readers = faulty(provider, clock)
    with reader(ports, clock) as data:
        batches = data.batches()
        next(batches)
        readers.is_broken = True
        clock.sleep(LEASE * 0.6)
        next(batches)
        clock.sleep(LEASE * 0.39)
        next(batches)
        clock.sleep(LEASE * 0.02)
        with pytest.raises(LeaseExpired) as stopped:
            next(batches)
        assert isinstance(stopped.value.__cause__, StorageError)
        with pytest.raises(LeaseExpired):
            next(data.batches())


def test_a_store_that_comes_back_in_time_goes_unnoticed(provider: Provider, clock: Hours) -> None:
    ports, readers = faulty(provider, clock)
    with reader(ports, clock) as data:
        batches = data.batches()
        next(batches)
        provider.opt_out("ana")
        readers.is_broken = True
        clock.sleep(LEASE * 0.6)
        next(batches)
        readers.is_broken = False
        clock.sleep(LEASE * 0.2)
        assert not [i for i in rest(batches) if i.startswith("a")]
        assert data.report().renewals == 1


def test_a_broken_store_is_not_asked_at_every_row(provider: Provider, clock: Hours) -> None:
    ports, readers = faulty(provider, clock)
    with reader(ports, clock) as data:
        readers.is_broken = True
        clock.sleep(LEASE * 0.6)
        assert len(rest(data.batches())) == ROWS
        assert readers.asked == 2


def test_a_lease_counts_from_the_request_and_not_from_the_answer(
    provider: Provider, clock: Hours
) -> None:
    ports, readers = faulty(provider, clock)
    with reader(ports, clock) as data:
        batches = data.batches()
        next(batches)
        clock.sleep(LEASE * 0.6)
        readers.takes_seconds = LEASE * 1.1
        with pytest.raises(LeaseExpired):
            next(batches)


def test_a_vector_that_is_lost_while_reading_withholds_the_whole_file(
    provider: Provider, clock: Hours
) -> None:
    with reader(provider.ports, clock) as data:
        batches = data.batches()
        next(batches)
        provider.opt_out("ana")
        break_vectors(provider)
        clock.sleep(LEASE)
        assert rest(batches) == []
        assert data.report().withheld == {"unreadable": ROWS}


def test_a_file_without_a_vector_is_withheld_whole_and_reported(provider: Provider) -> None:
    break_vectors(provider)
    with reader(provider.ports, Hours()) as data:
        assert rest(data.batches()) == []
        assert data.report().withheld == {"unreadable": ROWS}
        assert len(data) == 0


def break_vectors(provider: Provider) -> None:
    """Damage every consent vector as a bad disk would."""
    provider.ports.files._control.run(  # type: ignore[attr-defined]
        lambda connection: connection.execute("UPDATE vectors SET digest = zeroblob(16)").fetchall()
    )


def test_open_readers_are_listed_until_they_stop(provider: Provider, clock: Hours) -> None:
    readers, now = provider.ports.readers, provider.ports.clock.now_ms()
    with reader(provider.ports, clock):
        listed = readers.open(now)
        assert [r.dataset for r in listed] == ["chat@1"]
        assert listed[0].ends_at >= now + LEASE * 1000
    assert readers.open(now) == []


def test_closing_while_the_store_is_gone_is_no_error(provider: Provider, clock: Hours) -> None:
    ports, readers = faulty(provider, clock)
    with reader(ports, clock):
        readers.is_broken = True


def test_a_reader_is_of_no_use_to_a_forked_process(provider: Provider, clock: Hours) -> None:
    with reader(provider.ports, clock) as data:
        child = os.fork()
        if child == 0:
            try:
                next(data.batches())
            except RuntimeError:
                os._exit(42)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
        assert len(rest(data.batches())) == ROWS
