"""What a row inherits from what it repeats, and how turns are counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withhold.domain.interactions import (
    BEFORE_ALL,
    Interaction,
    InteractionKind,
    Message,
    Provenance,
    inherit,
    turns,
)
from withhold.domain.names import AccountId, Position, ProductId, SubjectNo
from withhold.domain.parties import Author
from withhold.domain.standing import NEVER_OUT, admits

PROVENANCES = st.builds(
    Provenance,
    st.frozensets(
        st.builds(
            Author,
            st.integers(1, 5).map(SubjectNo),
            st.none() | st.integers(6, 8).map(SubjectNo),
            st.sampled_from([ProductId("vibe"), ProductId("studio")]),
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(-1, 20).map(Position),
)


@given(PROVENANCES, st.lists(PROVENANCES, max_size=4))
def test_a_row_has_all_authors_and_the_lowest_position_of_what_it_repeats(
    own: Provenance, repeated: list[Provenance]
) -> None:
    together = inherit(own, repeated)
    for each in (own, *repeated):
        assert each.authors <= together.authors
        assert together.position <= each.position
    assert together.position in {p.position for p in (own, *repeated)}
    assert together.authors == {a for p in (own, *repeated) for a in p.authors}


@given(PROVENANCES, st.lists(PROVENANCES, max_size=4))
def test_inheriting_does_not_depend_on_order_or_repetition(
    own: Provenance, repeated: list[Provenance]
) -> None:
    assert inherit(own, repeated) == inherit(own, [*reversed(repeated), *repeated])
    assert inherit(inherit(own, repeated), repeated) == inherit(own, repeated)


def test_what_repeats_something_never_captured_is_admitted_by_nobody() -> None:
    assert not admits(NEVER_OUT, BEFORE_ALL)


@pytest.mark.parametrize(
    ("roles", "count"),
    [
        ("", 0),
        ("a", 1),
        ("s", 0),
        ("u", 1),
        ("ua", 1),
        ("uua", 1),
        ("sua", 1),
        ("uau", 2),
        ("uauaua", 3),
        ("aua", 2),
        ("saua", 2),
        ("uatau", 2),
        ("hghg", 2),
        ("UAUA", 2),
        ("xaxa", 2),
    ],
)
def test_a_turn_begins_when_a_person_speaks_after_somebody_else(roles: str, count: int) -> None:
    names = {"u": "user", "a": "assistant", "s": "system", "t": "tool", "h": "human", "g": "gpt"}
    names |= {"U": "User", "A": "Assistant", "x": "someone"}
    assert turns([Message(names[r], "") for r in roles]) == count


def test_sources_are_what_a_row_names() -> None:
    row = Interaction(
        "r",
        ProductId("vibe"),
        InteractionKind.FEEDBACK,
        AccountId("ana"),
        (),
        about="q",
        derived_from=("o", "p"),
    )
    assert row.sources == ("o", "p", "q")
