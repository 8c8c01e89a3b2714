"""Capture: which rows are kept, in any order they come (S5, S13, S14, S16, S26, S27, S28)."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.intake import Fault, MemoryIntake
from tests.services.conftest import ROOT
from tests.simulator import STUDIO, VIBE, Provider, interaction, turns
from withhold.domain.interactions import Interaction, InteractionKind, Message, Rejected
from withhold.domain.names import AccountId, Ordinal, Position, ProductId
from withhold.domain.signals import Signal
from withhold.domain.tokens import mint
from withhold.errors import StateUnknown, StorageError
from withhold.ports import Ports
from withhold.services.capture import capture
from withhold.services.erasure import erase

SHA, OTHER = "0a" * 32, "0b" * 32


def stored(ports: Ports, product: ProductId = VIBE) -> list[str]:
    """Return the ids in the log."""
    return [i for b in ports.intake.unsealed(product, Ordinal(0)) for i in b.ids]


def admitted(provider: Provider) -> set[str]:
    """Return the ids that the full decision admits."""
    provider.seal()
    version = str(provider.build("chat").ref)
    return set(provider.decided(version))


def outcome(provider: Provider, *rows: Interaction) -> str:
    """Return one letter a row as counted: accepted, withheld, duplicate, rejected."""
    answer = provider.send(*rows)
    return (
        "a" * answer.accepted
        + "w" * answer.withheld
        + "d" * answer.duplicate
        + "r" * len(answer.rejected)
    )


# --- the plain cases --------------------------------------------------------------------------------


def test_a_row_of_an_account_that_is_on_is_stored_with_its_parties(provider: Provider) -> None:
    answer = provider.chat("ana", "r1")
    assert (answer.accepted, answer.withheld, answer.duplicate, answer.rejected) == (1, 0, 0, ())
    assert answer.position == provider.head
    (batch,) = provider.ports.intake.unsealed(VIBE, Ordinal(0))
    assert batch.ids == ["r1"]
    assert batch.positions == [provider.head]
    assert len(batch.party_sets[batch.set_nos[0]]) == 3  # the account, its plan's default and lock


def test_a_row_of_an_account_that_is_out_is_not_stored(provider: Provider) -> None:
    provider.opt_out("ana")
    assert outcome(provider, interaction("ana", "r1"), interaction("bo", "r2")) == "aw"
    assert stored(provider.ports) == ["r2"]


def test_one_opt_out_withholds_a_shared_chat(provider: Provider) -> None:  # S14
    provider.opt_out("bo")
    assert outcome(provider, interaction("ana", "r1", participants=("bo",))) == "w"
    assert stored(provider.ports) == []


def test_a_refused_row_stays_refused_after_an_opt_in(provider: Provider) -> None:  # S5
    provider.opt_out("ana")
    assert outcome(provider, interaction("ana", "r1")) == "w"
    provider.opt_in("ana")
    assert outcome(provider, interaction("ana", "r1")) == "w"
    assert outcome(provider, interaction("ana", "r2")) == "a"


def test_a_row_sent_twice_is_stored_once(provider: Provider) -> None:
    row = interaction("ana", "r1")
    assert outcome(provider, row, row) == "ad"
    assert outcome(provider, row) == "d"
    assert stored(provider.ports) == ["r1"]


def test_ids_are_unique_per_product(provider: Provider) -> None:
    studio = interaction("ana", "r1", product=STUDIO, kind=InteractionKind.API_CALL)
    assert outcome(provider, interaction("ana", "r1"), studio) == "aa"


# --- what is rejected -------------------------------------------------------------------------------

WRONG = [
    (interaction("nobody", "r"), "account: no such account"),
    (interaction("ana", "r", participants=("nobody",)), "participants: no such account"),
    (interaction("ana", "r", organization="nowhere"), "organization: no such organization"),
    (interaction("ana", "r", organization="acme"), "never a member"),
    (interaction("ana", "r", product=ProductId("bogus")), "no product"),
    (interaction("ana", "r", kind=InteractionKind.DOCUMENT), "sha256"),
    (interaction("ana", "r", sha256=SHA), "sha256"),
    (interaction("ana", "r", kind=InteractionKind.FEEDBACK), "about"),
    (interaction("ana", "r", token="bogus"), "capture token"),
]


@pytest.mark.parametrize(("wrong", "reason"), WRONG)
def test_a_wrong_row_is_rejected_with_its_line_and_the_others_are_kept(
    provider: Provider, wrong: Interaction, reason: str
) -> None:
    provider.found("acme", vibe="free")
    good = [interaction("ana", "g1"), interaction("ana", "g2")]
    answer = provider.send(good[0], wrong, good[1])
    assert answer.accepted == 2
    ((line, said),) = [(r.line, r.reason) for r in answer.rejected]
    assert line == 2
    assert reason in said
    assert provider.ports.intake.find(VIBE, "r") is None
    assert outcome(provider, interaction("ana", "r")) == "a"


def test_lines_that_could_not_be_decoded_are_passed_on(provider: Provider) -> None:
    broken = Rejected(8, "row: not valid JSON")
    answer = capture(
        provider.ports, [interaction("ana", "r1"), broken, interaction("x", "r2")], first_line=7
    )
    assert answer.accepted == 1
    assert [r.line for r in answer.rejected] == [8, 9]


# --- tokens -----------------------------------------------------------------------------------------


def test_a_token_from_before_an_opt_out_does_not_pass_an_opt_in(provider: Provider) -> None:
    token = provider.token()
    provider.opt_out("ana")
    provider.opt_in("ana")
    assert outcome(provider, interaction("ana", "r1", token=token)) == "w"
    assert outcome(provider, interaction("ana", "r2", token=provider.token())) == "a"


def test_forged_altered_and_future_tokens_are_refused(provider: Provider) -> None:  # S28
    token, key = provider.token(), provider.ports.ledger.token_key()
    flipped = [token[:i] + ("A" if token[i] != "A" else "B") + token[i + 1 :] for i in range(34)]
    forged = [mint(b"\0" * 32, provider.head), mint(key, Position(provider.head + 1)), "", *flipped]
    for number, bad in enumerate(forged):
        answer = provider.send(interaction("ana", f"r{number}", token=bad))
        assert len(answer.rejected) == 1
    assert stored(provider.ports) == []


class _WrongClock:
    def __init__(self, now: int) -> None:
        self.now = now

    def now_ms(self) -> int:
        return self.now


@pytest.mark.parametrize("shift", [-86_400_000, 315_360_000_000, 1_000])
def test_no_clock_changes_a_decision(provider: Provider, shift: int) -> None:  # S27
    token = provider.token()
    provider.opt_out("ana")
    provider.opt_in("ana")
    now = provider.ports.clock.now_ms()
    shifted = replace(provider.ports, clock=_WrongClock(now + shift))
    answer = capture(
        shifted,
        [interaction("ana", "old", token=token), interaction("ana", "new"), interaction("bo", "b")],
    )
    assert (answer.accepted, answer.withheld) == (2, 1)
    history = capture(shifted, [interaction("ana", "h1"), interaction("bo", "h2")], history=True)
    assert (history.accepted, history.withheld) == (1, 1)


def test_history_is_admitted_only_if_nobody_was_ever_out(provider: Provider) -> None:
    provider.opt_out("ana")
    provider.opt_in("ana")
    answer = capture(
        provider.ports,
        [
            interaction("ana", "h1"),
            interaction("ana", "h2", token=provider.token()),
            interaction("bo", "h3"),
        ],
        history=True,
    )
    assert (answer.accepted, answer.withheld) == (2, 1)
    assert set(stored(provider.ports)) == {"h2", "h3"}


# --- what rows repeat -------------------------------------------------------------------------------


def document(account: str, row: str, sha256: str = SHA, **more: object) -> Interaction:
    return interaction(account, row, kind=InteractionKind.DOCUMENT, sha256=sha256, **more)


def test_a_document_from_before_an_opt_out_withholds_a_row_made_after_the_opt_in(
    provider: Provider,
) -> None:  # S13
    assert outcome(provider, document("ana", "d")) == "a"
    provider.opt_out("ana")
    provider.opt_in("ana")
    assert outcome(provider, interaction("ana", "r1", attachments=(SHA,))) == "w"
    assert outcome(provider, interaction("bo", "r2", attachments=(SHA,))) == "w"
    assert outcome(provider, interaction("ana", "r3")) == "a"
    assert outcome(provider, document("ana", "d2")) == "w"  # the same bytes, uploaded again


def test_the_owner_of_an_attached_document_is_a_party_of_the_row(provider: Provider) -> None:
    batch = [document("ana", "d"), interaction("bo", "r1", attachments=(SHA,))]
    assert outcome(provider, *batch) == "aa"
    provider.opt_out("ana")
    assert admitted(provider) == set()


def test_a_refused_document_withholds_what_uses_it(provider: Provider) -> None:
    provider.opt_out("ana")
    assert outcome(provider, document("ana", "d")) == "w"
    provider.opt_in("ana")
    assert outcome(provider, interaction("bo", "r1", attachments=(SHA,))) == "w"


def test_something_never_captured_withholds_the_row_and_what_repeats_it(provider: Provider) -> None:
    assert outcome(provider, interaction("ana", "r1", attachments=(OTHER,))) == "w"
    assert outcome(provider, interaction("ana", "r2", derived_from=("unheard",))) == "w"
    assert outcome(provider, interaction("ana", "r3", derived_from=("r2",))) == "w"
    hidden = document("ana", "d", derived_from=("unheard",))
    assert outcome(provider, hidden, interaction("ana", "r4", attachments=(SHA,))) == "ww"
    first = interaction("ana", "t1", conversation="c", messages=turns("a"), attachments=(OTHER,))
    second = interaction("ana", "t2", conversation="c", messages=turns("a", "b"))
    assert outcome(provider, first, second) == "ww"


def test_feedback_carries_the_parties_of_what_it_is_about(provider: Provider) -> None:
    rating = interaction("bo", "f", kind=InteractionKind.FEEDBACK, about="r1")
    assert outcome(provider, interaction("ana", "r1"), rating) == "aa"
    provider.opt_out("ana")
    assert admitted(provider) == set()
    late = interaction("bo", "f2", kind=InteractionKind.FEEDBACK, about="r1")
    assert outcome(provider, late) == "w"


def test_a_resumed_conversation_repeats_its_earlier_turns(provider: Provider) -> None:  # S13
    first = interaction("ana", "t1", conversation="c", messages=turns("a"))
    assert outcome(provider, first) == "a"
    provider.opt_out("ana")
    provider.opt_in("ana")
    replay = interaction("ana", "t2", conversation="c", messages=turns("a", "b"))
    quote = interaction("ana", "t3", conversation="c", messages=(Message("user", "say a"),))
    fresh = interaction("ana", "t4", conversation="c", messages=turns("c"))
    assert outcome(provider, replay) == "w"
    assert outcome(provider, quote) == "w"
    assert outcome(provider, fresh) == "a"


def test_turns_made_while_out_are_remembered_without_their_text(provider: Provider) -> None:
    provider.opt_out("ana")
    first = interaction("ana", "t1", conversation="c", messages=turns("a"))
    assert outcome(provider, first) == "w"
    provider.opt_in("ana")
    quote = interaction("bo", "t2", conversation="c", messages=(Message("user", "ask a"),))
    assert outcome(provider, quote) == "w"
    assert outcome(provider, interaction("bo", "t3", conversation="c", messages=turns("b"))) == "a"


def test_a_deleted_conversation_takes_no_more_rows(provider: Provider) -> None:  # S16
    rows = [interaction("ana", f"t{n}", conversation="c", messages=turns(str(n))) for n in range(3)]
    assert outcome(provider, *rows[:2]) == "aa"
    provider.delete_conversation("c")
    assert outcome(provider, *rows) == "wdd"
    assert admitted(provider) == set()


# --- any order (S26) --------------------------------------------------------------------------------


def test_a_copy_that_is_earlier_than_the_stored_row_takes_its_place(provider: Provider) -> None:
    token = provider.token()
    provider.opt_out("ana")
    provider.opt_in("ana")
    assert outcome(provider, interaction("ana", "r1")) == "a"
    assert outcome(provider, interaction("ana", "r1", token=token)) == "d"
    assert admitted(provider) == set()
    assert outcome(provider, interaction("ana", "r1", token=provider.token())) == "w"


def test_an_earlier_copy_changes_nothing_when_nothing_changed_between(provider: Provider) -> None:
    token = provider.token()
    provider.sign_up("cy")  # an entry that does not concern ana
    assert outcome(provider, interaction("ana", "r1")) == "a"
    assert outcome(provider, interaction("ana", "r1", token=token)) == "d"
    assert stored(provider.ports) == ["r1"]
    assert admitted(provider) == {"r1"}


def test_an_earlier_copy_brings_the_parties_of_its_time(provider: Provider) -> None:
    provider.found("acme", vibe="free")
    provider.sign_up("ana", "acme")
    token = provider.token()
    provider.move("ana")
    assert outcome(provider, interaction("ana", "r1")) == "a"
    assert outcome(provider, interaction("ana", "r1", token=token)) == "d"
    assert admitted(provider) == {"r1"}
    provider.opt_out("acme", organization=True)
    assert admitted(provider) == set()


def _world(home: Path) -> tuple[Provider, list[Interaction]]:
    """Two people who go out and in, and rows of every time, several of them sent at two times."""
    provider = Provider(home)
    provider.found("acme", vibe="free")
    for person in ("ana", "bo"):
        provider.sign_up(person)
    tokens = [provider.token()]
    for act in (
        lambda: provider.opt_out("ana"),
        lambda: provider.opt_in("ana"),
        lambda: provider.move("bo", "acme"),
        lambda: provider.opt_out("acme", organization=True),
        lambda: provider.opt_in("acme", organization=True),
    ):
        act()
        tokens.append(provider.token())
    rows = [
        interaction(person, f"{person}-{time}", token=token)
        for person in ("ana", "bo")
        for time, token in enumerate(tokens)
    ]
    rows += [
        interaction(person, f"{person}-{a}-{b}", token=tokens[t])
        for person in ("ana", "bo")
        for a, b in itertools.combinations(range(len(tokens)), 2)
        for t in (a, b)
    ]
    return provider, rows


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_order_and_any_repetition_give_the_lake_of_once_in_order(data: st.DataObject) -> None:
    home = Path(tempfile.mkdtemp(prefix="withhold-", dir=ROOT))
    provider, in_order = _world(home)
    try:
        places = data.draw(st.permutations(range(len(in_order))))
        again = data.draw(st.lists(st.sampled_from(range(len(in_order))), max_size=12))
        cut = data.draw(st.integers(0, len(in_order)))
        provider.send(*(in_order[p] for p in places[:cut]))
        provider.send(*(in_order[p] for p in (*again, *places[cut:])))
        provider.send(*(in_order[p] for p in again))
        lake = admitted(provider)
    finally:
        provider.close()
        shutil.rmtree(home)
    assert lake == ONCE_IN_ORDER


ONCE_IN_ORDER = (
    {f"ana-{t}" for t in (2, 3, 4, 5)}
    | {f"ana-{a}-{b}" for a, b in itertools.combinations((2, 3, 4, 5), 2)}
    | {"bo-5"}
)
"""By hand: ana's rows from her opt-in on; bo's rows from acme's opt-in on, as he is in acme."""


# --- faults -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"),
    [(Fault.FAIL_NOT_PERSISTED, StorageError), (Fault.FAIL_PERSISTED, StateUnknown)],
)
def test_a_batch_whose_outcome_is_unknown_may_be_sent_again(
    provider: Provider, fault: Fault, error: type[Exception]
) -> None:
    faults = iter([fault])
    ports = replace(provider.ports, intake=MemoryIntake(lambda _write: next(faults, None)))
    rows = [interaction("ana", "r1"), interaction("ana", "r2")]
    with pytest.raises(error):
        capture(ports, rows)
    capture(ports, rows)
    assert stored(ports) == ["r1", "r2"]


def test_nothing_of_a_batch_is_kept_when_withdrawing_an_earlier_copy_fails(
    provider: Provider,
) -> None:
    token = provider.token()
    provider.opt_out("ana")
    provider.opt_in("ana")
    provider.chat("ana", "r1")

    class Refusing:
        def __getattr__(self, name: str) -> object:
            return getattr(provider.ports.ledger, name)

        def append(self, _change: object) -> None:
            raise StorageError("the disk is full")

    ports = replace(provider.ports, ledger=Refusing())  # type: ignore[arg-type]
    with pytest.raises(StorageError):
        capture(ports, [interaction("ana", "r1", token=token), interaction("bo", "r2")])
    assert stored(provider.ports) == ["r1"]
    assert outcome(provider, interaction("ana", "r1", token=token), interaction("bo", "r2")) == "ad"


# --- conversations out of order (S26) ---------------------------------------------------------------


def test_a_late_first_turn_withdraws_the_stored_rows_that_repeat_it(provider: Provider) -> None:
    token = provider.token()
    provider.opt_out("ana")
    provider.opt_in("ana")
    replay = interaction("ana", "t2", conversation="c", messages=turns("a", "b"))
    quote = interaction("ana", "t3", conversation="c", messages=(Message("user", "ask a"),))
    fresh = interaction("ana", "t4", conversation="c", messages=turns("c"))
    assert outcome(provider, quote, fresh) == "aa"
    assert outcome(provider, replay) == "a"
    first = interaction("ana", "t1", conversation="c", messages=turns("a"), token=token)
    assert outcome(provider, first) == "w"
    assert admitted(provider) == {"t4"}
    assert outcome(provider, interaction("bo", "s", derived_from=("t2",))) == "w"


def test_the_order_within_a_batch_does_not_matter(provider: Provider) -> None:
    token = provider.token()
    provider.opt_out("ana")
    provider.opt_in("ana")
    first = interaction("ana", "t1", conversation="c", messages=turns("a"), token=token)
    replay = interaction("ana", "t2", conversation="c", messages=turns("a", "b"))
    answer = provider.send(replay, interaction("nobody", "x"), first, interaction("bo", "r"))
    assert (answer.accepted, answer.withheld) == (1, 2)
    assert [r.line for r in answer.rejected] == [2]


def test_a_late_turn_of_somebody_else_adds_their_say(provider: Provider) -> None:
    token = provider.token()
    provider.sign_up("cy")
    replay = interaction("ana", "t2", conversation="c", messages=turns("a", "b"))
    assert outcome(provider, replay) == "a"
    provider.seal()
    late = interaction("bo", "t1", conversation="c", messages=turns("a"), token=token)
    assert outcome(provider, late) == "a"
    provider.opt_out("bo")
    assert admitted(provider) == set()


def test_late_turns_of_people_about_whom_nothing_changed_change_nothing(provider: Provider) -> None:
    token = provider.token()
    provider.opt_out("bo")
    replay = interaction("ana", "t2", conversation="c", messages=turns("a", "b"))
    assert outcome(provider, replay) == "a"
    head = provider.head
    late = interaction("ana", "t1", conversation="c", messages=turns("a"), token=token)
    assert outcome(provider, late) == "a"
    assert provider.head == head
    assert admitted(provider) == {"t1", "t2"}


@pytest.mark.parametrize("is_sealed", [False, True], ids=["in the log", "sealed"])
def test_a_copy_that_says_more_takes_the_rows_place(provider: Provider, is_sealed: bool) -> None:
    provider.send(interaction("bo", "d", kind=InteractionKind.DOCUMENT, sha256=SHA))
    for row in ("r1", "r2", "r3"):
        provider.send(interaction("ana", row))
    if is_sealed:
        provider.seal()
    assert outcome(provider, interaction("ana", "r1", participants=("bo",))) == "d"
    assert outcome(provider, interaction("ana", "r2", attachments=(SHA,))) == "d"
    assert outcome(provider, interaction("ana", "r3", attachments=("c" * 64,))) == "d"
    assert admitted(provider) == {"d", "r1", "r2"}, "what it uses now was never captured"
    provider.opt_out("bo")
    assert admitted(provider) == set()


def test_a_copy_that_says_the_same_changes_nothing(provider: Provider) -> None:
    provider.send(interaction("bo", "d", kind=InteractionKind.DOCUMENT, sha256=SHA))
    row = interaction("ana", "r", attachments=(SHA,), participants=("bo",))
    provider.send(row)
    before = provider.head
    assert outcome(provider, row) == "d"
    assert outcome(provider, interaction("ana", "r")) == "d", "what it said before goes on to hold"
    assert provider.head == before
    provider.opt_out("bo")
    assert admitted(provider) == set()


def test_a_copy_that_says_more_takes_the_place_of_a_row_of_its_own_batch(
    provider: Provider,
) -> None:
    provider.send(
        interaction("ana", "r0"),
        interaction("ana", "r1"),
        interaction("ana", "r1", participants=("bo",)),
        interaction("ana", "r0", refusals=(Signal.GPC,)),
        interaction("ana", "r2"),
    )
    assert admitted(provider) == {"r1", "r2"}
    provider.opt_out("bo")
    assert admitted(provider) == {"r2"}


@pytest.mark.parametrize("is_copy_first", [False, True])
def test_a_copy_that_uses_something_older_takes_the_rows_place(
    provider: Provider, is_copy_first: bool
) -> None:
    provider.send(interaction("ana", "d", kind=InteractionKind.DOCUMENT, sha256=SHA))
    provider.opt_out("ana")
    provider.opt_in("ana")
    rows = [interaction("ana", "r1"), interaction("ana", "r1", attachments=(SHA,))]
    for row in rows[::-1] if is_copy_first else rows:
        provider.send(row)
    assert admitted(provider) == set()


@pytest.mark.parametrize("is_copy_first", [False, True])
@pytest.mark.parametrize(
    "more", [{"participants": ("bo",)}, {"derived_from": ("nothing",)}], ids=str
)
def test_a_copy_that_may_never_be_used_takes_the_rows_place(
    provider: Provider, more: dict[str, Any], is_copy_first: bool
) -> None:
    rows = [interaction("ana", "r1"), interaction("ana", "r1", **more)]
    if is_copy_first:
        rows.reverse()
    for number, row in enumerate(rows):
        if (number == 1) is not is_copy_first:
            erase(provider.ports, AccountId("bo"))
        provider.send(row)
    assert admitted(provider) == set()


def test_a_copy_of_more_people_reaches_what_repeats_a_row_that_was_deleted(
    provider: Provider,
) -> None:
    provider.send(interaction("ana", "r1", conversation="c", messages=turns("x")))
    provider.delete("r1")
    copy = interaction("ana", "r1", conversation="c", messages=turns("x"), participants=("bo",))
    provider.send(copy)
    provider.send(interaction("ana", "r2", conversation="c", messages=turns("x", "y")))
    provider.opt_out("bo")
    assert admitted(provider) == set()
