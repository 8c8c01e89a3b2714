"""Rows that repeat nothing are taken in by a shorter way: it must be the same rule as the long one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services.conftest import ROOT
from tests.simulator import STUDIO, VIBE, Provider, interaction
from withhold.domain.interactions import Interaction, InteractionKind
from withhold.domain.names import AccountId, Ordinal

TIMES = 4

Sent = tuple[str, int, int | None, str, bool]  # account, number, time of the token, guest, product

SENT = st.lists(
    st.tuples(
        st.sampled_from(["ana", "bo", "cy", "nobody"]),
        st.integers(0, 8),
        st.none() | st.integers(0, TIMES - 1),
        st.sampled_from(["", "", "bo", "cy"]),
        st.booleans(),
    ),
    max_size=14,
)


def _row(sent: Sent, tokens: list[str], *, is_long: bool) -> Interaction:
    """Return a row; the long way takes one of a conversation that holds nothing else."""
    account, number, time, guest, is_studio = sent
    return interaction(
        account,
        f"r{number}",
        product=STUDIO if is_studio else VIBE,
        kind=InteractionKind.API_CALL if is_studio else InteractionKind.CONVERSATION,
        participants=(AccountId(guest),) if guest else (),
        token=None if time is None else tokens[time],
        conversation=f"c{number}-{account}-{time}-{guest}" if is_long else None,
    )


def _history(provider: Provider) -> Iterator[str]:
    provider.found("acme", vibe="free")
    for person in ("ana", "bo", "cy"):
        provider.sign_up(person)
    yield provider.token()
    provider.opt_out("ana")
    yield provider.token()
    provider.opt_in("ana")
    provider.opt_out("cy", STUDIO)
    yield provider.token()
    provider.move("bo", "acme")
    yield provider.token()


def _taken(batches: list[list[Sent]], *, is_long: bool) -> object:
    """Return every answer and everything stored."""
    home = Path(tempfile.mkdtemp(prefix="withhold-", dir=ROOT))
    provider = Provider(home)
    try:
        tokens = list(_history(provider))
        answers = [
            provider.send(*[_row(sent, tokens, is_long=is_long) for sent in batch])
            for batch in batches
        ]
        stored = [
            (batch.ids[n], batch.positions[n], batch.party_sets[batch.set_nos[n]])
            for product in (VIBE, STUDIO)
            for batch in provider.ports.intake.unsealed(product, Ordinal(0))
            for n in range(len(batch.ids))
        ]
        return answers, stored
    finally:
        provider.close()
        shutil.rmtree(home)


@settings(max_examples=40, deadline=None)
@given(st.lists(SENT, min_size=1, max_size=3))
def test_the_short_way_of_rows_that_repeat_nothing_is_the_rule(batches: list[list[Sent]]) -> None:
    assert _taken(batches, is_long=False) == _taken(batches, is_long=True)
