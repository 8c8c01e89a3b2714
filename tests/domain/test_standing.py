"""Standing: one integer that never falls but from out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from withhold.domain.names import PartyNo, Position
from withhold.domain.standing import NEVER_OUT, OUT, Becomes, Effect, admits

PARTY = PartyNo(3)


def test_each_effect_leaves_its_standing() -> None:
    at = Position(9)
    assert Effect(PARTY, Becomes.NEVER_OUT).standing(at) == NEVER_OUT
    assert Effect(PARTY, Becomes.ON).standing(at) == 9
    assert Effect(PARTY, Becomes.OUT).standing(at) == OUT


def test_never_out_admits_history_and_out_admits_nothing() -> None:
    assert admits(NEVER_OUT, Position(0))
    assert not admits(OUT, Position(2**62))


@given(st.lists(st.sampled_from([Becomes.ON, Becomes.OUT]), min_size=1), st.integers(0, 20))
def test_a_row_that_an_entry_withheld_stays_withheld(becomes: list[Becomes], row: int) -> None:
    """Entries at 1, 2, 3 …; a row below the head, once withheld, is withheld at every later head."""
    withheld = False
    for position, each in enumerate(becomes, start=1):
        standing = Effect(PARTY, each).standing(Position(position))
        if position > row:
            assert not (withheld and admits(standing, Position(row)))
            withheld = withheld or not admits(standing, Position(row))
