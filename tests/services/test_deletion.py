"""Deleting interactions and conversations: gone from every read and build, for ever (S16)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.services.test_capture import admitted, outcome, stored
from tests.simulator import STUDIO, VIBE, Provider, interaction, turns
from withhold.domain.interactions import InteractionKind
from withhold.domain.names import ProductId
from withhold.errors import StorageError, UnknownRow
from withhold.services import deletion


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_deleted_interaction_is_in_no_later_build(provider: Provider, is_sealed: bool) -> None:
    outcome(provider, interaction("ana", "r1"), interaction("ana", "r2"))
    if is_sealed:
        provider.seal()
    before = provider.head
    assert deletion.delete_interaction(provider.ports, "r1") == 1
    assert provider.head == before + 1
    assert admitted(provider) == {"r2"}
    assert outcome(provider, interaction("ana", "r1")) == "d"
    assert admitted(provider) == {"r2"}
    assert provider.ports.ledger.verify() == provider.head


def test_what_repeats_a_deleted_interaction_is_withheld(provider: Provider) -> None:
    outcome(provider, interaction("ana", "r1"))
    provider.delete("r1")
    assert outcome(provider, interaction("ana", "r2", derived_from=("r1",))) == "w"


def test_deleting_twice_is_harmless(provider: Provider) -> None:
    outcome(provider, interaction("ana", "r1"), interaction("ana", "r2"))
    provider.delete("r1")
    provider.delete("r1")
    assert admitted(provider) == {"r2"}


def test_a_refused_interaction_stays_refused_when_deleted(provider: Provider) -> None:
    provider.opt_out("ana")
    outcome(provider, interaction("ana", "r1"))
    assert deletion.delete_interaction(provider.ports, "r1") == 0
    provider.opt_in("ana")
    assert outcome(provider, interaction("ana", "r1")) == "w"


def test_an_unknown_interaction_or_conversation_is_said_to_be_unknown(provider: Provider) -> None:
    for _ in range(2):
        with pytest.raises(UnknownRow, match="should one of that id come, it is refused"):
            deletion.delete_interaction(provider.ports, "nothing")
        with pytest.raises(UnknownRow, match="should rows of that name come, they are refused"):
            deletion.delete_conversation(provider.ports, "nothing")


def test_a_product_may_be_named(provider: Provider) -> None:
    call = interaction("ana", "r1", product=STUDIO, kind=InteractionKind.API_CALL)
    outcome(provider, interaction("ana", "r1"), call)
    assert deletion.delete_interaction(provider.ports, "r1", STUDIO) == 1
    assert admitted(provider) == {"r1"}
    with pytest.raises(UnknownRow):
        deletion.delete_conversation(provider.ports, "r1", VIBE)


def test_a_conversation_is_deleted_in_files_and_in_the_log(provider: Provider) -> None:
    def turn(row: str, conversation: str = "c", account: str = "ana") -> None:
        rows = interaction(account, row, conversation=conversation, messages=turns(row))
        assert outcome(provider, rows) == "a"

    for row in ("t1", "t2"):
        turn(row)
    turn("other", "d")
    provider.seal()
    turn("t3", account="bo")
    assert deletion.delete_conversation(provider.ports, "c") == 3
    assert admitted(provider) == {"other"}
    assert outcome(provider, interaction("ana", "t1", conversation="c")) == "d"
    assert outcome(provider, interaction("ana", "t4", conversation="c")) == "w"
    assert deletion.delete_conversation(provider.ports, "c") == 3  # again: harmless
    assert admitted(provider) == {"other"}


def _delete_unknown(provider: Provider, what: str, product: ProductId | None = None) -> None:
    delete = deletion.delete_interaction if what == "r1" else deletion.delete_conversation
    with pytest.raises(UnknownRow):
        delete(provider.ports, what, product)


@pytest.mark.parametrize(("what", "counted"), [("r1", "d"), ("c", "w")])
def test_what_is_deleted_before_it_comes_is_refused_when_it_comes(
    provider: Provider, what: str, counted: str
) -> None:
    token = provider.token()
    _delete_unknown(provider, what)
    late = interaction("ana", "r1", conversation="c", token=token)
    assert outcome(provider, late) == counted
    assert outcome(provider, late) == counted
    assert outcome(provider, interaction("bo", "r2", derived_from=("r1",))) == "w"
    assert admitted(provider) == set()
    delete = deletion.delete_interaction if what == "r1" else deletion.delete_conversation
    assert delete(provider.ports, what) == 0  # known by now


def test_a_deletion_of_something_unknown_in_one_product_leaves_the_others(
    provider: Provider,
) -> None:
    _delete_unknown(provider, "r1", STUDIO)
    _delete_unknown(provider, "c", STUDIO)
    assert outcome(provider, interaction("ana", "r1", conversation="c")) == "a"
    call = interaction("ana", "r1", product=STUDIO, kind=InteractionKind.API_CALL)
    assert outcome(provider, call) == "d"


def test_turns_that_were_deleted_before_they_came_still_tell_whose_they_are(
    provider: Provider,
) -> None:
    _delete_unknown(provider, "r1")
    first = interaction("bo", "r1", conversation="c", messages=turns("a"))
    replay = interaction("ana", "r2", conversation="c", messages=turns("a", "b"))
    assert outcome(provider, first, replay) == "ad"
    provider.opt_out("bo")
    assert admitted(provider) == set()


SHA = "0a" * 32


@pytest.mark.parametrize("what", ["d1", "c"])
@pytest.mark.parametrize("has_come", [True, False])
def test_a_deleted_document_withholds_what_attaches_it_and_what_uploads_it_again(
    provider: Provider, what: str, has_come: bool
) -> None:
    delete = deletion.delete_interaction if what == "d1" else deletion.delete_conversation
    if not has_come:
        with pytest.raises(UnknownRow):
            delete(provider.ports, what)
    provider.upload("ana", "d1", SHA, conversation="c")
    if has_come:
        assert delete(provider.ports, what) == 1
    assert outcome(provider, interaction("bo", "r1", attachments=(SHA,))) == "w"
    assert provider.upload("bo", "d2", SHA).withheld == 1
    assert outcome(provider, interaction("bo", "r2", attachments=(SHA,))) == "w"
    assert admitted(provider) == set()


def test_deleting_a_row_that_attaches_a_document_leaves_the_document(provider: Provider) -> None:
    provider.upload("ana", "d1", SHA)
    assert outcome(provider, interaction("bo", "r1", attachments=(SHA,))) == "a"
    provider.delete("r1")
    assert outcome(provider, interaction("bo", "r2", attachments=(SHA,))) == "a"


@pytest.mark.parametrize("what", ["interaction", "conversation"])
def test_a_deletion_that_was_cut_off_is_completed_by_asking_again(
    provider: Provider, what: str
) -> None:
    outcome(provider, interaction("ana", "t1", conversation="c"))
    provider.seal()

    class Refusing:
        def __getattr__(self, name: str) -> object:
            return getattr(provider.ports.ledger, name)

        def append(self, _change: object) -> None:
            raise StorageError("the disk is full")

    broken = replace(provider.ports, ledger=Refusing())  # type: ignore[arg-type]
    delete = deletion.delete_interaction if what == "interaction" else deletion.delete_conversation
    name = "t1" if what == "interaction" else "c"
    with pytest.raises(StorageError):
        delete(broken, name)
    assert (
        outcome(provider, interaction("ana", "t2", derived_from=("t1",), conversation="c")) == "w"
    )
    assert delete(provider.ports, name) == 1
    assert admitted(provider) == set()
    assert stored(provider.ports) == []
