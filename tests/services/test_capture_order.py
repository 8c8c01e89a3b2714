"""Rows of one conversation in any order: no order keeps more than once-in-order does (S26, S14).

Most rows of a chat share one position, as positions are heads of the ledger: their order is told by what
they hold, never by when they came.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services.conftest import ROOT
from tests.services.test_capture import admitted, outcome
from tests.simulator import VIBE, Provider, interaction, turns
from withhold.domain.interactions import Interaction, InteractionKind, Message
from withhold.domain.names import AccountId, Ordinal, Position
from withhold.errors import UnknownRow
from withhold.services.capture import capture
from withhold.services.erasure import erase


def said(account: str, row: str, *pairs: str, token: str | None = None) -> Interaction:
    """Return a row of the one conversation of this module."""
    return interaction(account, row, conversation="c", messages=turns(*pairs), token=token)


# --- one position -----------------------------------------------------------------------------------


def _one_by_one(provider: Provider, rows: Sequence[Interaction]) -> None:
    for row in rows:
        provider.send(row)


def _with_one_token(provider: Provider, rows: Sequence[Interaction]) -> None:
    token = provider.token()
    provider.sign_up("cy")  # the head moves on
    _one_by_one(
        provider,
        [
            interaction(r.account, r.id, conversation="c", messages=r.messages, token=token)
            for r in rows
        ],
    )


def _sealed_between(provider: Provider, rows: Sequence[Interaction]) -> None:
    for row in rows:
        provider.send(row)
        provider.seal()


def _in_one_batch(provider: Provider, rows: Sequence[Interaction]) -> None:
    provider.send(*rows)


WAYS = [_one_by_one, _with_one_token, _sealed_between, _in_one_batch]


@pytest.mark.parametrize("send", WAYS)
@pytest.mark.parametrize("is_turned", [False, True])
def test_a_replay_that_comes_before_what_it_replays_goes_with_its_author(
    provider: Provider,
    send: Callable[[Provider, Sequence[Interaction]], None],
    is_turned: bool,
) -> None:
    rows = [said("bo", "r1", "a"), said("ana", "r2", "a", "b")]
    send(provider, rows[::-1] if is_turned else rows)
    provider.opt_out("bo")
    assert admitted(provider) == set()


@pytest.mark.parametrize("send", WAYS)
def test_turns_of_several_people_in_order_are_all_kept(
    provider: Provider, send: Callable[[Provider, Sequence[Interaction]], None]
) -> None:
    rows = [
        said("ana", "r1", "a"),
        said("bo", "r2", "a", "b"),
        said("ana", "r3", "a", "b", "c"),
        said("bo", "r4", "c", "d"),  # a client that sends its last turns only
    ]
    before = provider.head
    send(provider, rows)
    assert provider.head - before == (1 if send is _with_one_token else 0)  # nothing was withdrawn
    assert admitted(provider) == {"r1", "r2", "r3", "r4"}
    provider.opt_out("bo")
    assert admitted(provider) == {"r1"}


def test_a_quotation_that_comes_before_the_answer_it_quotes_goes_with_its_author(
    provider: Provider,
) -> None:
    quote = interaction("ana", "q", conversation="c", messages=(Message("user", "say a"),))
    assert outcome(provider, quote) == "a"
    assert outcome(provider, said("bo", "r1", "a")) == "a"
    provider.opt_out("bo")
    assert admitted(provider) == set()


def test_turns_of_one_person_at_one_position_are_kept_in_any_order(provider: Provider) -> None:
    before = provider.head
    provider.send(said("ana", "r2", "a", "b"), said("ana", "r1", "a"))
    provider.send(said("ana", "r3", "b"))
    assert provider.head == before
    assert admitted(provider) == {"r1", "r2", "r3"}


# --- several positions ------------------------------------------------------------------------------


def test_a_late_turn_reaches_rows_that_lack_somebody_the_conversation_has(
    provider: Provider,
) -> None:
    token = provider.token()
    provider.sign_up("cy")
    assert outcome(provider, said("ana", "r2", "a", "b")) == "a"
    assert outcome(provider, said("bo", "r3", "else")) == "a"
    assert outcome(provider, said("bo", "r1", "a", token=token)) == "a"
    provider.opt_out("bo")
    assert admitted(provider) == set()


def test_a_copy_that_takes_a_rows_place_carries_what_it_replays(provider: Provider) -> None:
    provider.move("ana", vibe="free")
    token = provider.token()
    provider.move("ana", vibe="pro")
    assert outcome(provider, said("bo", "r1", "a", token=token)) == "a"
    assert outcome(provider, said("ana", "r2", "b")) == "a"
    assert outcome(provider, said("ana", "r2", "a", "b", token=token)) == "d"
    provider.opt_out("bo")
    assert admitted(provider) == set()


def test_late_rows_find_what_repeats_them_without_looking_through_the_log(
    provider: Provider,
) -> None:
    token = provider.token()
    provider.sign_up("cy")
    names = [f"c{n}" for n in range(20)]
    provider.send(
        *(interaction("ana", f"r-{c}", conversation=c, messages=turns("a", "b")) for c in names)
    )
    intake, scans = provider.ports.intake, []

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(intake, name)

        def unsealed(self, *arguments: object) -> object:
            scans.append(arguments)
            return intake.unsealed(VIBE, Ordinal(0))

    late = [
        interaction("bo", f"l-{c}", conversation=c, messages=turns("a"), token=token) for c in names
    ]
    ports = replace(provider.ports, intake=Counting())  # type: ignore[arg-type]
    assert capture(ports, late).accepted == len(late)
    assert len(scans) == 1  # for the parties of all that is found
    provider.opt_out("bo")
    assert admitted(provider) == set()


def test_rows_are_stamped_with_a_head_read_before_they_came(provider: Provider) -> None:
    head = provider.head
    provider.opt_out("ana")
    provider.opt_in("ana")
    answer = capture(provider.ports, [interaction("ana", "r1"), interaction("bo", "r2")], head=head)
    assert (answer.accepted, answer.withheld, answer.position) == (1, 1, head)
    (batch,) = provider.ports.intake.unsealed(VIBE, Ordinal(0))
    assert (batch.ids, batch.positions) == (["r2"], [Position(head)])


# --- any order --------------------------------------------------------------------------------------

CHAT = [("ana", 0), ("bo", 0), ("ana", 0), ("bo", 1), ("ana", 1)]
"""Who adds a turn, and at which of the positions below; every row replays the whole chat."""


@settings(max_examples=30, deadline=None)
@given(
    order=st.permutations(range(len(CHAT))),
    cuts=st.sets(st.integers(1, len(CHAT) - 1)),
    leaver=st.sampled_from(["ana", "bo"]),
    is_away_between=st.booleans(),
)
def test_no_order_of_a_chat_keeps_a_row_that_once_in_order_withholds(
    order: list[int], cuts: set[int], leaver: str, is_away_between: bool
) -> None:
    ordered = _kept_of(range(len(CHAT)), set(range(1, len(CHAT))), leaver, is_away_between)
    assert _kept_of(order, cuts, leaver, is_away_between) <= ordered


def _kept_of(order: Sequence[int], cuts: set[int], leaver: str, is_away_between: bool) -> set[str]:
    home = Path(tempfile.mkdtemp(prefix="withhold-", dir=ROOT))
    provider = Provider(home)
    try:
        for person in ("ana", "bo"):
            provider.sign_up(person)
        tokens = [provider.token()]
        if is_away_between:
            provider.opt_out(leaver)
            provider.opt_in(leaver)
        else:
            provider.sign_up("cy")
        tokens.append(provider.token())
        rows = [
            said(who, f"r{n}", *map(str, range(n + 1)), token=tokens[time])
            for n, (who, time) in enumerate(CHAT)
        ]
        places = [rows[n] for n in order]
        for start, end in zip((0, *sorted(cuts)), (*sorted(cuts), len(rows)), strict=True):
            provider.send(*places[start:end])
        if not is_away_between:
            provider.opt_out(leaver)
        return admitted(provider)
    finally:
        provider.close()
        shutil.rmtree(home)


# --- what cannot be used now ---------------------------------------------------------------------------


def test_the_row_of_somebody_erased_that_comes_late_is_withheld_with_what_repeats_it(
    provider: Provider,
) -> None:
    token = provider.token()
    erase(provider.ports, AccountId("bo"))
    assert outcome(provider, said("bo", "r1", "a", token=token)) == "w"
    assert outcome(provider, said("bo", "r1", "a", token=token)) == "w"
    assert outcome(provider, said("ana", "r2", "a", "b")) == "w"
    guests = interaction("ana", "r3", conversation="d", participants=("bo",), messages=turns("c"))
    assert outcome(provider, guests) == "w"
    assert outcome(provider, interaction("ana", "r4", conversation="d", messages=turns("c"))) == "w"
    assert admitted(provider) == set()


def test_the_row_of_somebody_erased_that_was_deleted_before_it_came_counts_all_the_same(
    provider: Provider,
) -> None:
    token = provider.token()
    with pytest.raises(UnknownRow):
        provider.delete("r1")
    erase(provider.ports, AccountId("bo"))
    guests = interaction(
        "ana", "r1", conversation="c", participants=("bo",), messages=turns("a"), token=token
    )
    assert outcome(provider, guests) == "w"
    assert outcome(provider, said("ana", "r2", "a", "b")) == "w"


def test_the_row_of_somebody_erased_reaches_rows_that_repeat_it_already(provider: Provider) -> None:
    token = provider.token()
    erase(provider.ports, AccountId("bo"))
    assert outcome(provider, said("ana", "r2", "a", "b")) == "a"
    assert outcome(provider, said("bo", "r1", "a", token=token)) == "w"
    assert admitted(provider) == set()


@pytest.mark.parametrize(
    ("opens", "answers"), [("on", "a"), ("on_from_now", "w"), ("out", "w")], ids=str
)
def test_words_of_somebody_unknown_are_as_old_as_they_are(
    provider: Provider, opens: str, answers: str
) -> None:
    assert outcome(provider, said("dan", "r1", "a")) == "r"
    provider.sign_up("dan", opens=opens)
    assert outcome(provider, said("dan", "r2", "a", "b")) == answers


# --- what is lowered later ----------------------------------------------------------------------------

DOCUMENT = "0" * 64


def _stamped(provider: Provider, count: int) -> list[str]:
    """Return tokens of as many different positions."""
    tokens = []
    for number in range(count):
        tokens.append(provider.token())
        provider.sign_up(f"z{number}")
    return tokens


def _uploads(one: str, two: str) -> dict[str, Interaction]:
    """Bo uploads a document, and Ana the same bytes after him."""
    return {
        "bo's upload": uploaded("bo", "b1", one),
        "ana's upload": uploaded("ana", "a1", two),
    }


def _repetition_of_a_document(tokens: list[str]) -> dict[str, Interaction]:
    """Ana repeats her own turn; what it attaches proves to be Bo's as well."""
    one, two, three, four = tokens
    return _uploads(one, two) | {
        "the turn": interaction(
            "ana", "l", conversation="c", messages=turns("x"), attachments=(DOCUMENT,), token=three
        ),
        "its repetition": said("ana", "r", "x", token=four),
    }


def _repetition_beside_a_document(tokens: list[str]) -> dict[str, Interaction]:
    """Ana repeats a turn that attaches nothing, in a chat with one that attaches Bo's document."""
    one, two, three, four = tokens
    return _uploads(one, two) | {
        "beside": interaction(
            "ana", "k", conversation="c", messages=turns("k"), attachments=(DOCUMENT,), token=three
        ),
        "the turn": said("ana", "l", "x", token=three),
        "its repetition": said("ana", "r", "x", token=four),
    }


def _repetition_of_a_replay(tokens: list[str]) -> dict[str, Interaction]:
    """Ana repeats the new words of a row of hers that replays Bo's turn."""
    one, two, three, _ = tokens
    return {
        "bo's turn": said("bo", "r0", "x", token=one),
        "its replay": said("ana", "r1", "x", "y", token=two),
        "the new words again": said("ana", "r2", "y", token=three),
    }


def _repetition_of_a_replay_at_one_position(tokens: list[str]) -> dict[str, Interaction]:
    """The same, of one position: what holds whose words tells the order."""
    return {
        name: row._replace(token=tokens[0]) for name, row in _repetition_of_a_replay(tokens).items()
    }


def uploaded(account: str, row: str, token: str) -> Interaction:
    """Return an upload of the one document of this module."""
    kind = InteractionKind.DOCUMENT
    return interaction(account, row, kind=kind, sha256=DOCUMENT, messages=(), token=token)


LOWERED_LATER = (
    _repetition_of_a_document,
    _repetition_beside_a_document,
    _repetition_of_a_replay,
    _repetition_of_a_replay_at_one_position,
)


@pytest.mark.parametrize("is_sealed", [False, True], ids=["in the log", "sealed"])
@pytest.mark.parametrize("rows_of", LOWERED_LATER, ids=lambda f: f.__name__.strip("_"))
def test_what_proves_to_be_somebody_elses_reaches_all_that_repeats_it_in_every_order(
    rows_of: Callable[[list[str]], dict[str, Interaction]], is_sealed: bool
) -> None:
    def after_bos_off(order: Sequence[str]) -> set[str]:
        with tempfile.TemporaryDirectory(dir=ROOT) as folder:
            provider = Provider(Path(folder) / "home")
            provider.sign_up("ana")
            provider.sign_up("bo")
            rows = rows_of(_stamped(provider, 4))
            for name in order:
                provider.send(rows[name])
                if is_sealed:
                    provider.seal()
            provider.opt_out("bo")
            found = admitted(provider)
            provider.close()
        return found

    right = tuple(rows_of(list("1234")))
    expected = after_bos_off(right)
    assert not expected & {"r", "r1", "r2"}
    for order in permutations(right):
        assert after_bos_off(order) <= expected, order


@pytest.mark.parametrize("order", [("l", "r", "d"), ("r", "l", "d"), ("r", "d", "l")], ids="".join)
def test_what_others_derived_of_a_repetition_is_as_old_as_what_it_repeats(
    provider: Provider, order: Sequence[str]
) -> None:
    before = provider.token()
    provider.opt_out("bo")
    provider.opt_in("bo")
    rows = {
        "l": said("ana", "l", "x", token=before),
        "r": said("ana", "r", "x"),
        "d": interaction("bo", "d", derived_from=("r",)),
    }
    for name in order:
        provider.send(rows[name])
    assert admitted(provider) == {"l", "r"}
