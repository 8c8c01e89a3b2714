"""Whereabouts: what holds rows of mine, what dropped them and when, who reads, which copies there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import withhold
from tests.fakes.forgetful import ForgetfulLedger
from tests.simulator import STUDIO, VIBE, Provider
from withhold.adapters.exports import export_to
from withhold.domain.datasets import parse_ref
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, Position, ProductId
from withhold.errors import UnknownAccount
from withhold.services import erasure
from withhold.services.exports import export
from withhold.services.switches import Holder
from withhold.services.whereabouts import InDataset, Whereabouts, whereabouts

ANA = Holder(SubjectKind.ACCOUNT, "ana", AccountId("ana"))


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path / "home")
    made.found("acme", studio="free")
    made.sign_up("ana")
    made.sign_up("ben", "acme")
    made.chat("ana", "a1")
    made.chat("ana", "a2")
    made.chat("ben", "b1")
    made.build("chat")
    yield made
    made.close()


def found(
    provider: Provider, holder: Holder = ANA, product: ProductId | None = VIBE
) -> Whereabouts:
    return whereabouts(provider.ports, holder, product)


def only(where: Whereabouts) -> InDataset:
    (each,) = where.datasets
    return each


def hand_out(provider: Provider, reference: str, target: Path) -> Position:
    return export(provider.ports, parse_ref(reference), export_to(target, "jsonl")).position


def test_a_dataset_that_holds_rows_is_listed_with_how_many(provider: Provider) -> None:
    where = found(provider)
    each = only(where)
    assert (each.name, each.product, each.rows, each.drops) == ("chat@1", VIBE, 2, ())
    assert where.holding == (each,)
    assert where.removed(Position(0)) == (0, 1)


def test_what_dropped_the_rows_says_at_which_position_and_when(provider: Provider) -> None:
    position = provider.opt_out("ana").position
    where = found(provider)
    each = only(where)
    (drop,) = each.drops
    record = provider.ports.ledger.record(position)
    assert record is not None
    assert (each.rows, drop.rows, drop.position) == (0, 2, position)
    assert drop.recorded_at == json.loads(record.event)["recorded_at"]
    assert where.holding == ()


def test_progress_counts_the_datasets_that_held_rows_when_it_was_turned(
    provider: Provider,
) -> None:
    provider.build("chat")
    provider.build("talk")
    position = provider.opt_out("ana").position
    assert found(provider).removed(position) == (3, 3)
    provider.opt_in("ana")
    again = provider.opt_out("ana").position
    assert found(provider).removed(again) == (0, 0), "they were gone before"


def test_newest_versions_come_first(provider: Provider) -> None:
    provider.build("chat")
    assert [each.name for each in found(provider).datasets] == ["chat@2", "chat@1"]


def test_an_export_before_the_off_holds_rows_and_one_after_it_does_not(
    provider: Provider, tmp_path: Path
) -> None:
    before = hand_out(provider, "chat@1", tmp_path / "before")
    provider.opt_out("ana")
    hand_out(provider, "chat@1", tmp_path / "after")
    where = found(provider)
    (copy,) = only(where).copies
    assert (copy.position, copy.rows) == (before, 2)
    ben = Holder(SubjectKind.ACCOUNT, "ben", AccountId("ben"))
    assert [copy.rows for copy in only(found(provider, ben)).copies] == [1, 1]


def test_open_readers_are_counted_until_they_close(provider: Provider) -> None:
    with withhold.load("chat@1", home=provider.home) as data:
        next(iter(data.batches()))
        assert found(provider).readers == 1
    assert found(provider).readers == 0


def test_only_rows_of_the_product_that_is_asked_for_count(provider: Provider) -> None:
    assert found(provider, product=STUDIO).datasets == ()
    assert len(found(provider, product=None).datasets) == 1


def test_an_organizations_rows_are_those_made_in_it(provider: Provider) -> None:
    provider.call_api("ben", "c1", organization="acme")
    provider.build("api", STUDIO)
    holder = Holder(SubjectKind.ORGANIZATION, "acme", AccountId("ben"))
    each = only(found(provider, holder, STUDIO))
    assert (each.name, each.rows) == ("api@1", 1)
    provider.opt_out("acme", STUDIO, organization=True)
    assert only(found(provider, holder, STUDIO)).rows == 0


def test_whose_rows_they_are_is_not_told_to_others(provider: Provider) -> None:
    with pytest.raises(UnknownAccount):
        found(provider, Holder(SubjectKind.ACCOUNT, "ana", AccountId("ben")))


def test_whoever_has_no_rows_is_in_no_dataset(provider: Provider) -> None:
    provider.sign_up("new")
    where = found(provider, Holder(SubjectKind.ACCOUNT, "new", AccountId("new")))
    assert (where.datasets, where.readers) == ((), 0)
    assert where.removed(Position(0)) == (0, 0)


def test_when_rows_were_dropped_is_left_open_when_that_entry_cannot_be_read_any_more(
    provider: Provider,
) -> None:
    position = provider.opt_out("ana").position
    ports = replace(provider.ports, ledger=ForgetfulLedger(provider.ports.ledger))
    (drop,) = only(whereabouts(ports, ANA, VIBE)).drops
    assert (drop.position, drop.rows, drop.recorded_at) == (position, 2, None)


def test_when_rows_were_dropped_is_left_open_when_whose_entry_it_was_is_erased(
    provider: Provider,
) -> None:
    provider.chat("ben", "shared", participants=(AccountId("ana"),))
    provider.build("chat")
    ben = Holder(SubjectKind.ACCOUNT, "ben", AccountId("ben"))
    position = provider.opt_out("ana").position
    assert found(provider, ben).datasets[0].drops[0].recorded_at is not None
    erasure.erase(provider.ports, AccountId("ana"))
    newest = found(provider, ben).datasets[0]
    assert [(d.position, d.rows, d.recorded_at) for d in newest.drops] == [(position, 1, None)]
