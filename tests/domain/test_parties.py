"""Parties of a row: everybody whose off withholds it, and never one too few."""

from __future__ import annotations

import pytest

from tests.domain.test_preferences import ACCOUNT, ORGANIZATION, VIBE, Book, holding, subject
from withhold.domain.directory import OPEN, Choice, Membership, PlanParties, PlanSpell, Subject
from withhold.domain.names import PartyNo, PlanId, Position, ProductId, SubjectNo
from withhold.domain.parties import Author, parties_of
from withhold.domain.policy import Role
from withhold.domain.standing import NEVER_OUT
from withhold.domain.values import changed
from withhold.errors import InputError

STUDIO = ProductId("studio")
ACME, GLOBEX = SubjectNo(2), SubjectNo(3)
DEFAULTS = {"free": 100, "pro": 102, "teams": 104, "scale": 106}  # the lock is one more


class Numbered(Book):
    """A book whose plans have parties that tests can name."""

    def plan(self, product: ProductId, plan: PlanId) -> PlanParties:
        default = DEFAULTS[plan] + (50 if product == STUDIO else 0)
        on = (PartyNo(default), NEVER_OUT, PartyNo(default + 1), NEVER_OUT)
        return PlanParties(product, plan, *on, Position(1), 0)


def person(plan: str | None, *memberships: Membership, own: int = 10) -> Subject:
    return changed(subject(1, ACCOUNT, holding(None, own), plan), memberships=memberships)


def member(no: SubjectNo, since: int = 0, until: int = OPEN) -> Membership:
    return Membership(no, Role.MEMBER, Position(since), Position(until))


def tenant(no: SubjectNo, plan: str | None, choice: Choice | None = None) -> Subject:
    return subject(no, ORGANIZATION, holding(choice, 20 + no), plan)


def parties(book: Book, stamp: int, organization: SubjectNo | None = None) -> list[int]:
    author = Author(SubjectNo(1), organization, VIBE)
    return list(parties_of([author], VIBE, Position(stamp), book))


def test_a_person_alone_gives_itself_its_plans_lock_and_its_default() -> None:
    assert parties(Numbered().put(person("pro")), 5) == [10, 102, 103]


def test_the_personal_plan_holds_where_nobody_states_one() -> None:
    assert parties(Numbered().put(person(None)), 5) == [10, 100, 101]


def test_a_choice_of_its_own_takes_the_place_of_the_default() -> None:
    chose = changed(person("pro"), holdings={VIBE: holding(Choice.IN, 10)})
    assert parties(Numbered().put(chose), 10) == [10, 103]
    assert parties(Numbered().put(chose), 9) == [10, 102, 103], "the row is older than the choice"


def test_a_plan_that_ended_after_the_stamp_still_counts() -> None:
    moved = changed(
        person("pro"),
        plans=(
            PlanSpell(VIBE, PlanId("free"), Position(30)),
            PlanSpell(VIBE, PlanId("pro"), OPEN),
        ),
    )
    assert parties(Numbered().put(moved), 29) == [10, 100, 101, 102, 103]
    assert parties(Numbered().put(moved), 30) == [10, 102, 103]


def test_a_named_organisation_counts_alone_while_nobody_moved() -> None:
    book = Numbered().put(person("pro", member(ACME), member(GLOBEX)))
    book.put(tenant(ACME, "teams"), tenant(GLOBEX, "free"))
    assert parties(book, 5, ACME) == [10, 22, 104, 105]
    assert parties(book, 5) == [10, 22, 23, 100, 101, 102, 103, 104, 105]


def test_around_a_move_everything_it_had_counts() -> None:
    book = Numbered().put(person("pro", member(ACME, until=30), member(GLOBEX, since=30)))
    book.put(tenant(ACME, "teams"), tenant(GLOBEX, "free"))
    everything = [10, 22, 23, 100, 101, 102, 103, 104, 105]
    assert parties(book, 29, GLOBEX) == everything
    assert parties(book, 29, ACME) == everything
    assert parties(book, 30, GLOBEX) == [10, 23, 100, 101]
    assert parties(book, 30, ACME) == everything, "it had left: the label is stale"


def test_an_organisation_that_was_never_its_own_is_refused() -> None:
    with pytest.raises(InputError, match="never a member"):
        parties(Numbered().put(person("pro")), 5, ACME)


def unstated(subject: Subject, until: int) -> Subject:
    """Return a subject that stated its first plan at a position."""
    return changed(subject, plans=(PlanSpell(VIBE, None, Position(until)), *subject.plans))


@pytest.mark.parametrize("organization", [None, ACME])
def test_an_older_stamp_does_not_escape_the_personal_plan_of_whoever_left(
    organization: SubjectNo | None,
) -> None:
    book = Numbered().put(person(None, member(ACME, until=30)), tenant(ACME, "pro"))
    assert parties(book, 29, organization) == [10, 22, 100, 101, 102, 103]
    assert parties(book, 30) == [10, 100, 101]


@pytest.mark.parametrize("organization", [None, ACME])
def test_a_row_from_before_an_organisations_first_plan_carries_the_personal_plan(
    organization: SubjectNo | None,
) -> None:
    book = Numbered().put(person(None, member(ACME)), unstated(tenant(ACME, "pro"), 30))
    assert parties(book, 29, organization) == [10, 22, 100, 101, 102, 103]
    assert parties(book, 30, organization) == [10, 22, 102, 103]


def test_whoever_always_had_a_stated_plan_was_never_on_the_personal_one() -> None:
    book = Numbered().put(
        unstated(person("pro", member(ACME, until=30), member(GLOBEX, since=30)), 35)
    )
    book.put(tenant(ACME, "teams"), tenant(GLOBEX, "teams"))
    assert parties(book, 20) == [10, 22, 23, 102, 103, 104, 105]


def test_between_two_organisations_the_personal_plan_held() -> None:
    book = Numbered().put(person(None, member(ACME, until=30), member(GLOBEX, since=35)))
    book.put(tenant(ACME, "teams"), tenant(GLOBEX, "teams"))
    assert parties(book, 34) == [10, 23, 100, 101, 104, 105]
    assert parties(book, 35) == [10, 23, 104, 105]


def test_the_accounts_own_plan_holds_where_the_named_organisation_states_none() -> None:
    book = Numbered().put(person("pro", member(ACME)), tenant(ACME, None))
    assert parties(book, 5, ACME) == [10, 22, 102, 103]
    book.put(unstated(tenant(ACME, "free"), 30))
    assert parties(book, 29, ACME) == [10, 22, 100, 101, 102, 103]
    assert parties(book, 30, ACME) == [10, 22, 100, 101]


def test_somebody_without_a_standing_for_a_product_that_left_is_refused() -> None:
    book = Numbered().put(person("pro", member(ACME)), changed(tenant(ACME, "teams"), holdings={}))
    with pytest.raises(InputError, match="no standing for the product vibe"):
        parties(book, 5)


def test_content_of_another_product_brings_that_products_parties() -> None:
    both = {VIBE: holding(None, 10), STUDIO: holding(None, 11)}
    book = Numbered().put(changed(person("free"), holdings=both))
    author = Author(SubjectNo(1), None, STUDIO)
    found = parties_of([author], VIBE, Position(5), book)
    assert found == (10, 11, 100, 101, 150, 151)


def test_a_plan_the_policy_no_longer_has_keeps_its_lock_in_the_row() -> None:
    gone = {**DEFAULTS, "legacy": 108}
    book = Numbered().put(person("legacy"))
    book.plan = lambda product, plan: PlanParties(  # type: ignore[method-assign]
        product,
        plan,
        PartyNo(gone[plan]),
        NEVER_OUT,
        PartyNo(gone[plan] + 1),
        NEVER_OUT,
        Position(1),
        0,
    )
    assert parties(book, 5) == [10, 108, 109]
