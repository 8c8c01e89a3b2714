"""History: every change of a holder and of nobody else, and receipts of one's own only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator import STUDIO, VIBE, Provider
from withhold.adapters.signing import verifies
from withhold.domain.directory import SubjectKind
from withhold.domain.ledger import EventKind
from withhold.domain.names import AccountId, OrganizationId, Position
from withhold.domain.policy import Role
from withhold.errors import UnknownOrganization, UnknownReceipt
from withhold.services import directory, history, preferences, receipts
from withhold.services.directory import AccountRequest
from withhold.services.preferences import PreferenceRequest
from withhold.services.switches import Holder

ANA = Holder(SubjectKind.ACCOUNT, "ana", AccountId("ana"))


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path)
    made.found("ana", studio="scale")  # an organisation of the same name as the account
    made.sign_up("ana")
    made.sign_up("ben")
    yield made
    made.close()


def turn(provider: Provider, allowed: bool, surface: str = "mobile") -> Position:
    request = PreferenceRequest(
        SubjectKind.ACCOUNT, "ana", VIBE, allowed, surface, "ana", "2026-11-23"
    )
    return preferences.set_preference(provider.ports, request).position


def test_every_change_is_listed_newest_first_with_surface_actor_and_notice(
    provider: Provider,
) -> None:
    off = turn(provider, False)
    on = turn(provider, True, "console")
    opened, *_ = reversed(history.history(provider.ports, ANA).entries)
    first, second, _ = history.history(provider.ports, ANA).entries
    assert (first.position, first.kind, first.surface) == (on, EventKind.OPTED_IN, "console")
    assert (second.position, second.kind, second.product) == (off, EventKind.OPTED_OUT, VIBE)
    assert (second.surface, second.actor, second.notice) == ("mobile", "ana", "2026-11-23")
    assert (opened.kind, opened.actor, opened.notice) == (EventKind.ACCOUNT_OPENED, None, None)
    assert dict(opened.plans) == {"vibe": "free", "studio": "free"}


def test_nobody_elses_change_is_listed(provider: Provider) -> None:
    provider.opt_out("ben")
    provider.opt_out("ana", STUDIO, organization=True)
    kinds = [entry.kind for entry in history.history(provider.ports, ANA).entries]
    assert kinds == [EventKind.ACCOUNT_OPENED]


def test_moves_and_deletions_say_what_they_did(provider: Provider) -> None:
    provider.found("acme", vibe="teams")
    provider.chat("ana", "r1")
    provider.delete("r1")
    roles = ((OrganizationId("acme"), Role.ADMIN),)
    directory.put_account(provider.ports, AccountRequest(AccountId("ana"), roles))
    moved, deleted, _ = history.history(provider.ports, ANA).entries
    assert (deleted.kind, deleted.rows) == (EventKind.ROWS_DELETED, 1)
    assert (moved.kind, moved.organizations) == (
        EventKind.ACCOUNT_MOVED,
        (("acme", "admin"),),
    )
    assert moved.is_set_anew, "on before, off after: on from here only when it comes back"


def test_a_long_history_comes_in_pages_without_gaps(provider: Provider) -> None:
    for number in range(7):
        turn(provider, number % 2 == 1)
    whole = [e.position for e in history.history(provider.ports, ANA).entries]
    found: list[Position] = []
    before: Position | None = None
    while True:
        page = history.history(provider.ports, ANA, before, limit=3)
        assert len(page.entries) <= 3
        found += [entry.position for entry in page.entries]
        before = page.older
        if before is None:
            break
    assert found == whole
    assert len(whole) == 8


def test_ones_own_receipt_verifies(provider: Provider) -> None:
    position = turn(provider, False)
    for is_redacted in (False, True):
        document = history.receipt_of(provider.ports, ANA, position, is_redacted=is_redacted)
        assert ("event" in document) != is_redacted
        assert receipts.verify_receipt(provider.ports, document, verifies).position == position


def test_nobody_elses_receipt_is_given_and_it_looks_like_one_that_is_not_there(
    provider: Provider,
) -> None:
    others = [
        provider.opt_out("ben").position,
        provider.opt_out("ana", STUDIO, organization=True).position,
        Position(1),
        Position(provider.head + 1),
    ]
    said = set()
    for position in others:
        with pytest.raises(UnknownReceipt) as refused:
            history.receipt_of(provider.ports, ANA, position)
        said.add(str(refused.value))
    assert len(said) == 1


def test_an_organizations_history_is_for_its_members(provider: Provider) -> None:
    provider.opt_out("ana", STUDIO, organization=True)
    holder = Holder(SubjectKind.ORGANIZATION, "ana", AccountId("ben"))
    with pytest.raises(UnknownOrganization):
        history.history(provider.ports, holder)
    provider.move("ben", "ana")
    kinds = [entry.kind for entry in history.history(provider.ports, holder).entries]
    assert kinds == [EventKind.OPTED_OUT, EventKind.ORGANIZATION_OPENED]
