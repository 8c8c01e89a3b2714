"""Where somebody's rows are, why a row is withheld, what a version yields now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator import STUDIO, VIBE, Provider
from withhold.domain.admission import Admitted, Reason, Withheld
from withhold.domain.datasets import parse_ref
from withhold.domain.names import AccountId
from withhold.errors import UnknownAccount, UnknownDataset, UnknownRow
from withhold.services import lookups

ANA = AccountId("ana")


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path)
    made.sign_up("ana")
    made.sign_up("bo")
    made.chat("ana", "a1")
    made.chat("bo", "b1")
    made.chat("bo", "b2", participants=(ANA,))
    yield made
    made.close()


def where(provider: Provider, account: str = "ana") -> list[tuple[str, int, list[tuple[int, int]]]]:
    found = lookups.where(provider.ports, AccountId(account))
    return [(str(d.dataset.ref), d.rows, [*d.withdrawn]) for d in found]


def test_where_lists_versions_that_hold_rows_and_those_withdrawn_from(provider: Provider) -> None:
    provider.build("chat")
    assert where(provider) == [("chat@1", 2, [])]
    out = provider.opt_out("ana").position
    assert where(provider) == [("chat@1", 0, [(out, 2)])]
    provider.build("chat")
    assert where(provider) == [("chat@1", 0, [(out, 2)])], "the newer version never held them"
    assert where(provider, "bo") == [("chat@1", 1, [(out, 1)]), ("chat@2", 1, [])]


def test_where_of_somebody_unknown_is_an_error(provider: Provider) -> None:
    with pytest.raises(UnknownAccount):
        lookups.where(provider.ports, AccountId("nobody"))


def test_an_admitted_row_is_explained_by_its_parties_and_datasets(provider: Provider) -> None:
    provider.build("chat")
    found = lookups.explain(provider.ports, "a1")
    assert (found.state, found.product, found.row) == ("sealed", VIBE, 0)
    assert isinstance(found.verdict, Admitted)
    assert found.datasets == ("chat@1",)
    holders = [p.holder for p in found.parties]
    assert "account ana for vibe" in holders
    assert any(h.startswith("lock of vibe") for h in holders)
    assert all(p.admits for p in found.parties)


def test_a_withheld_row_names_who_is_against_it(provider: Provider) -> None:
    provider.build("chat")
    provider.opt_out("ana")
    found = lookups.explain(provider.ports, "b2", VIBE)
    assert isinstance(found.verdict, Withheld)
    assert found.verdict.reason is Reason.ACCOUNT
    against = [p.holder for p in found.parties if not p.admits]
    assert against == ["account ana for vibe"]
    assert found.datasets == ()


def test_a_row_in_the_log_is_explained_before_it_is_sealed(provider: Provider) -> None:
    assert lookups.explain(provider.ports, "a1").state == "unsealed"
    provider.opt_out("ana")
    found = lookups.explain(provider.ports, "a1")
    assert isinstance(found.verdict, Withheld)
    assert found.file is None


def test_a_refused_row_says_so(provider: Provider) -> None:
    provider.opt_out("ana")
    provider.chat("ana", "a2")
    found = lookups.explain(provider.ports, "a2")
    assert (found.state, found.verdict, found.file) == ("refused", None, None)


@pytest.mark.parametrize("sealed", [True, False])
def test_a_deleted_row_says_so(provider: Provider, sealed: bool) -> None:
    if sealed:
        provider.build("chat")
    provider.delete("a1")
    found = lookups.explain(provider.ports, "a1")
    assert found.state == "deleted"
    assert isinstance(found.verdict, Withheld)
    assert found.verdict.reason is Reason.DELETED


def test_an_unknown_row_is_an_error(provider: Provider) -> None:
    with pytest.raises(UnknownRow):
        lookups.explain(provider.ports, "nothing")
    with pytest.raises(UnknownRow):
        lookups.explain(provider.ports, "a1", STUDIO)


def test_show_says_what_a_version_held_and_what_it_yields_now(provider: Provider) -> None:
    provider.build("chat")
    provider.opt_out("ana")
    shown = lookups.show(provider.ports, parse_ref("chat@latest"))
    assert (shown.dataset.manifest.admitted, shown.admitted, shown.withdrawn) == (3, 1, 2)
    assert shown.withheld == {Reason.ACCOUNT: 2}
    assert shown.position == provider.head
    with pytest.raises(UnknownDataset):
        lookups.show(provider.ports, parse_ref("chat@7"))
