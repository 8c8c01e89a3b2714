"""What is known of ids and conversations is the same whether it is recent or merged, for every process."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from withhold.adapters.store.sqlite.intake import SqliteIntake
from withhold.adapters.store.sqlite.intake_recent import Room
from withhold.domain.interactions import IdState, Provenance
from withhold.domain.names import Ordinal, Position, ProductId, SubjectNo
from withhold.domain.parties import Author
from withhold.ports import KnownConversation, KnownId, TraceKind

VIBE = ProductId("vibe")
KEY = b"k" * 32
NAMES = "abcdefgh"


def id_of(number: int) -> KnownId:
    """Return something to know of an id, another for each number."""
    authors = frozenset({Author(SubjectNo(number % 3), None, VIBE)})
    state = IdState(number % 3)
    ordinal = Ordinal(number) if state is IdState.STORED else None
    return KnownId(state, ordinal, Provenance(authors, Position(number)), Position(number + 1))


def conversation_of(number: int) -> KnownConversation:
    known = id_of(number)
    return KnownConversation(
        known.provenance, frozenset(range(number)), known.own, is_deleted=number % 2 == 0
    )


@dataclass(frozen=True)
class Batch:
    """One transaction of one of two processes.

    Attributes:
        process: which of them.
        put: the numbers of what is put, by name.
        lowered: names that are given another provenance by their trace.
        is_undone: whether an error ends it.
    """

    process: int
    put: dict[str, int]
    lowered: frozenset[str]
    is_undone: bool


BATCHES = st.lists(
    st.builds(
        Batch,
        st.integers(0, 1),
        st.dictionaries(st.sampled_from(NAMES), st.integers(0, 40), max_size=4),
        st.frozensets(st.sampled_from(NAMES), max_size=2),
        st.booleans(),
    ),
    max_size=8,
)
LOWER = Provenance(frozenset({Author(SubjectNo(77), None, VIBE)}), Position(-1))


class _Undone(Exception):
    pass


def _take(
    store: SqliteIntake,
    batch: Batch,
    ids: dict[str, KnownId],
    chats: dict[str, KnownConversation],
) -> None:
    """Take a batch into a store and into the two dictionaries that say what must be known."""
    with store.transaction() as kept:
        ids.update({name: id_of(n) for name, n in batch.put.items()})
        chats.update({name: conversation_of(n) for name, n in batch.put.items()})
        kept.put_ids(VIBE, {name: ids[name] for name in batch.put})
        kept.put_conversations(VIBE, {name: chats[name] for name in batch.put})
        for name in batch.lowered:
            kept.put_provenance(kept.trace(TraceKind.ROW, VIBE, name), LOWER)
            kept.put_provenance(kept.trace(TraceKind.CONVERSATION, VIBE, name), LOWER)
            if name in ids:
                ids[name] = ids[name]._replace(provenance=LOWER)
                chats[name] = chats[name]._replace(provenance=LOWER)
        assert kept.ids(VIBE, NAMES) == ids
        assert kept.conversations(VIBE, NAMES) == chats
        if batch.is_undone:
            raise _Undone


@settings(max_examples=40, deadline=None)
@given(BATCHES, st.integers(0, 12), st.sampled_from([0, 100, 10_000]))
def test_two_processes_know_the_same_whatever_is_merged_or_undone(
    batches: list[Batch], keys: int, size: int
) -> None:
    ids: dict[str, KnownId] = {}
    chats: dict[str, KnownConversation] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "capture.db"
        stores = [SqliteIntake(path, KEY, room=Room(keys, size)) for _ in range(2)]
        for batch in batches:
            ids_after, chats_after = dict(ids), dict(chats)
            try:
                _take(stores[batch.process], batch, ids_after, chats_after)
                ids, chats = ids_after, chats_after
            except _Undone:
                pass
            assert {n: stores[1].find(VIBE, n) for n in NAMES} == {n: ids.get(n) for n in NAMES}
        for store in stores:
            with store.transaction() as kept:
                assert kept.ids(VIBE, NAMES) == ids
                assert kept.conversations(VIBE, NAMES) == chats
            store.close()


@pytest.mark.parametrize(
    ("room", "merged"), [(Room(10, 10_000), 0), (Room(2, 10_000), 3), (Room(10, 20), 3)]
)
def test_what_has_no_room_is_merged(tmp_path: Path, room: Room, merged: int) -> None:
    store = SqliteIntake(tmp_path / "capture.db", KEY, room=room)
    for number, name in enumerate("abc"):
        with store.transaction() as kept:
            kept.put_ids(VIBE, {name: id_of(number)})
    store.close()
    database = apsw.Connection(str(tmp_path / "capture.db"))
    assert database.execute("SELECT count(*) FROM ids").get == merged
    assert database.execute("SELECT count(*) FROM recent_ids").get == (0 if merged else 3)
    database.close()
