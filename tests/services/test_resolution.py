"""Parties of a late row: never fewer than a walk through the whole history finds."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services.conftest import ROOT
from tests.simulator import VIBE, Provider
from withhold.domain.directory import SubjectKind
from withhold.domain.names import Position
from withhold.domain.parties import Author, parties_of

ORGANIZATIONS, PLANS = ("acme", "globex"), ("free", "pro", "teams")

ACTS = st.one_of(
    st.tuples(
        st.just("move"),
        st.sets(st.sampled_from(ORGANIZATIONS)).map(sorted),
        st.sampled_from(PLANS),
    ),
    st.tuples(st.just("plan"), st.sampled_from(ORGANIZATIONS), st.sampled_from(PLANS)),
    st.tuples(st.just("say"), st.sampled_from(("ana", *ORGANIZATIONS)), st.booleans()),
)


def _do(provider: Provider, act: tuple[object, object, object]) -> None:
    kind, who, what = act
    if kind == "move":
        assert isinstance(who, list)
        provider.move("ana", *who, vibe=str(what))
    elif kind == "plan":
        provider.found(str(who), vibe=str(what))
    elif what:
        provider.opt_out(str(who), organization=who != "ana")
    elif not _is_locked(provider, str(who)):
        provider.opt_in(str(who), organization=who != "ana")


def _is_locked(provider: Provider, who: str) -> bool:
    kind = SubjectKind.ACCOUNT if who == "ana" else SubjectKind.ORGANIZATION
    with provider.ports.ledger.directory() as directory:
        subject = directory.find(kind, who)
        assert subject is not None
        places = [subject, *(directory.subject(m.organization) for m in subject.memberships_now())]
        return any(place.plan_now(VIBE) == "teams" for place in places)


def _parties(provider: Provider, stamp: Position | None) -> tuple[Position, frozenset[int]]:
    with provider.ports.ledger.directory() as directory:
        ana = directory.find(SubjectKind.ACCOUNT, "ana")
        assert ana is not None
        at = directory.head if stamp is None else stamp
        found = parties_of((Author(ana.no, None, VIBE),), VIBE, at, directory)
        return directory.head, frozenset(found)


@settings(max_examples=25, deadline=None)
@given(st.lists(ACTS, min_size=1, max_size=8))
def test_a_late_row_has_every_party_it_had_at_any_position(
    acts: list[tuple[object, object, object]],
) -> None:
    home = Path(tempfile.mkdtemp(prefix="withhold-", dir=ROOT))
    provider = Provider(home)
    try:
        for organization in ORGANIZATIONS:
            provider.found(organization, vibe="free")
        provider.sign_up("ana")
        history = [_parties(provider, None)]
        for act in acts:
            _do(provider, act)
            history.append(_parties(provider, None))
        for number, (stamp, _) in enumerate(history):
            every = frozenset[int]().union(*(found for _, found in history[number:]))
            assert every <= _parties(provider, stamp)[1]
    finally:
        provider.close()
        shutil.rmtree(home)
