"""Documents and rows that prove to be older than was known reach back to what uses them (S13, S26)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services.conftest import ROOT
from tests.services.test_capture import admitted, outcome, stored
from tests.simulator import STUDIO, VIBE, Provider, interaction, turns
from withhold.domain.interactions import Interaction, InteractionKind, Message
from withhold.errors import StorageError
from withhold.services.capture import capture

SHA, OTHER = "0a" * 32, "0b" * 32


def document(
    account: str, row: str, sha256: str = SHA, token: str | None = None, **more: object
) -> Interaction:
    return interaction(
        account, row, kind=InteractionKind.DOCUMENT, sha256=sha256, token=token, **more
    )


def while_out(provider: Provider, person: str) -> str:
    """Return a token from while somebody was out, who is in again."""
    provider.opt_out(person)
    token = provider.token()
    provider.opt_in(person)
    return token


# --- one by one -------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_document_that_proves_older_withdraws_what_attached_it(
    provider: Provider, is_sealed: bool
) -> None:
    token = while_out(provider, "ana")
    uses = [interaction("bo", "r1", attachments=(SHA,)), interaction("bo", "r2")]
    assert outcome(provider, document("ana", "d"), *uses) == "aaa"
    if is_sealed:
        provider.seal()
    assert outcome(provider, document("ana", "d", token=token)) == "d"
    assert admitted(provider) == {"r2"}
    assert outcome(provider, interaction("bo", "r3", derived_from=("r1",))) == "w"


def test_an_earlier_upload_by_somebody_else_adds_their_say(provider: Provider) -> None:
    token = provider.token()
    provider.sign_up("cy")
    assert outcome(provider, document("ana", "d1")) == "a"
    assert outcome(provider, interaction("ana", "r1", attachments=(SHA,))) == "a"
    assert outcome(provider, document("bo", "d2", token=token)) == "a"
    provider.opt_out("bo")
    assert admitted(provider) == set()


def test_a_later_upload_by_somebody_else_leaves_earlier_users_alone(provider: Provider) -> None:
    assert outcome(provider, document("ana", "d1")) == "a"
    assert outcome(provider, interaction("ana", "r1", attachments=(SHA,))) == "a"
    head = provider.head
    assert outcome(provider, document("bo", "d2")) == "a"
    assert provider.head == head
    provider.opt_out("bo")
    assert admitted(provider) == {"d1", "r1"}


def test_a_row_that_proves_older_withdraws_all_that_came_of_it(provider: Provider) -> None:
    token = while_out(provider, "ana")
    came_of_it = [
        interaction("bo", "r2", derived_from=("r1",)),
        interaction("bo", "r3", derived_from=("r2",)),
        document("bo", "d", derived_from=("r3",)),
        interaction("bo", "r4", attachments=(SHA,)),
        interaction("bo", "r5", kind=InteractionKind.FEEDBACK, about="r4"),
        interaction("bo", "t1", conversation="c", messages=turns("a"), derived_from=("r1",)),
        interaction("bo", "t2", conversation="c", messages=turns("a", "b")),
        interaction("bo", "t3", conversation="c", messages=(Message("user", "say a"),)),
        interaction("bo", "t4", conversation="c", messages=turns("z")),
    ]
    assert outcome(provider, interaction("ana", "r1"), *came_of_it) == "a" * 10
    assert outcome(provider, interaction("ana", "r1", token=token)) == "d"
    assert admitted(provider) == {"t4"}


def test_rows_of_another_product_are_reached(provider: Provider) -> None:
    token = while_out(provider, "ana")
    call = interaction("bo", "x", product=STUDIO, kind=InteractionKind.API_CALL, attachments=(SHA,))
    assert outcome(provider, document("ana", "d"), call) == "aa"
    assert outcome(provider, document("ana", "d", token=token)) == "d"
    provider.seal()
    assert provider.decided(str(provider.build("calls", STUDIO).ref)) == []


def test_what_came_of_a_deleted_row_is_reached_when_the_row_proves_older(
    provider: Provider,
) -> None:
    token = while_out(provider, "ana")
    rows = [interaction("ana", "r1"), interaction("bo", "r2", derived_from=("r1",))]
    assert outcome(provider, *rows) == "aa"
    provider.delete("r1")
    assert admitted(provider) == {"r2"}
    assert outcome(provider, interaction("ana", "r1", token=token)) == "d"
    assert admitted(provider) == set()


def test_what_came_of_an_overtaken_row_goes_with_it(provider: Provider) -> None:
    token = provider.token()
    provider.sign_up("cy")
    replay = interaction("ana", "t2", conversation="c", messages=turns("a", "b"))
    summary = interaction("ana", "s", derived_from=("t2",))
    assert outcome(provider, replay, summary) == "aa"
    late = interaction("bo", "t1", conversation="c", messages=turns("a"), token=token)
    assert outcome(provider, late) == "a"
    provider.opt_out("bo")
    assert admitted(provider) == set()


def test_a_source_that_proves_older_changes_nothing_when_nothing_changed_between(
    provider: Provider,
) -> None:
    token = provider.token()
    provider.opt_out("bo")  # concerns nobody in these rows
    rows = [document("ana", "d"), interaction("ana", "r1", attachments=(SHA,))]
    assert outcome(provider, *rows) == "aa"
    head = provider.head
    assert outcome(provider, document("ana", "d", token=token)) == "d"
    assert provider.head == head
    assert admitted(provider) == {"d", "r1"}


def test_somebody_who_came_back_to_an_organization_is_of_it_for_what_is_late(
    provider: Provider,
) -> None:
    provider.found("acme", vibe="free")
    provider.move("ana", "acme")
    token = provider.token()
    provider.move("ana")
    replay = interaction("ana", "t2", conversation="c", messages=turns("a", "b"))
    assert outcome(provider, replay) == "a"
    provider.move("ana", "acme")
    late = interaction("ana", "t1", conversation="c", messages=turns("a"), token=token)
    assert outcome(provider, late) == "a"
    provider.opt_out("acme", organization=True)
    assert admitted(provider) == set()


# --- rows of the batch itself -----------------------------------------------------------------------


def test_a_row_that_its_own_batch_overtakes_is_left_out_and_counted_as_withheld(
    provider: Provider,
) -> None:
    token = while_out(provider, "ana")
    assert outcome(provider, interaction("ana", "r1"), interaction("bo", "r0")) == "aa"
    head = provider.head
    batch = [
        interaction("bo", "r2"),
        interaction("ana", "r1", token=token),
        interaction("bo", "r3", derived_from=("r1",)),
        interaction("bo", "r4"),
    ]
    assert sorted(outcome(provider, *batch)) == sorted("adwa")
    assert provider.head == head + 1  # r1 alone was in the log
    assert stored(provider.ports) == ["r1", "r0", "r2", "r4"]
    assert admitted(provider) == {"r0", "r2", "r4"}
    provider.delete("r4")  # by the ordinal it has now
    assert admitted(provider) == {"r0", "r2"}


def test_a_batch_that_fails_after_a_withdrawal_costs_no_other_row(provider: Provider) -> None:
    replay = interaction("ana", "t2", conversation="c", messages=turns("a", "b"))
    first = interaction("bo", "t1", conversation="c", messages=turns("a"))
    ledger = provider.ports.ledger

    class Failing:
        def __getattr__(self, name: str) -> object:
            return getattr(ledger, name)

        def append(self, change: object) -> object:
            ledger.append(change)  # type: ignore[arg-type]
            raise StorageError("the answer was lost")

    ports = replace(provider.ports, ledger=Failing())  # type: ignore[arg-type]
    capture(ports, [replay, first])  # of one position: the replay is overtaken in its own batch
    assert stored(provider.ports) == ["t1"]
    assert outcome(provider, interaction("ana", "r1")) == "a"
    assert admitted(provider) == {"t1", "r1"}


# --- any order --------------------------------------------------------------------------------------

UNITS: list[tuple[str, tuple[int, ...]]] = [
    ("d1", ()),
    ("r1", (0,)),
    ("s1", (1,)),
    ("d2", (2,)),
    ("r2", (3,)),
    ("t1", (0,)),
    ("t2", (5,)),
    ("f1", (6,)),
    ("x1", (3,)),
    ("d3", ()),  # the bytes of d1 again
]
"""Names, and the places of what each repeats."""

UPLOADS = {"d1": 0, "d3": 1}
"""Within a time these come first, each at a position of its own: see docs/capture.md, "Any order"."""

USE = len(UPLOADS)  # where in a time everything else is

TIMES = 4


def _unit(name: str, token: str) -> Interaction:
    made = {
        "d1": lambda: document("ana", "d1", SHA, token),
        "r1": lambda: interaction("bo", "r1", attachments=(SHA,), token=token),
        "s1": lambda: interaction("ana", "s1", derived_from=("r1",), token=token),
        "d2": lambda: document("bo", "d2", OTHER, token, derived_from=("s1",)),
        "r2": lambda: interaction("ana", "r2", attachments=(OTHER,), token=token),
        "t1": lambda: interaction(
            "ana", "t1", conversation="c", messages=turns("a"), attachments=(SHA,), token=token
        ),
        "t2": lambda: interaction(
            "bo", "t2", conversation="c", messages=turns("a", "b"), token=token
        ),
        "f1": lambda: interaction(
            "cy", "f1", kind=InteractionKind.FEEDBACK, about="t2", token=token
        ),
        "x1": lambda: interaction(
            "cy",
            "x1",
            product=STUDIO,
            kind=InteractionKind.API_CALL,
            attachments=(OTHER,),
            token=token,
        ),
        "d3": lambda: document("cy", "d3", SHA, token),
    }
    return made[name]()


Copies = list[tuple[int, int]]  # a unit's place and the time at which a copy of it was made


@st.composite
def copies_of_all(draw: st.DrawFn) -> Copies:
    """Return copies of every unit; none is older than the first of what it repeats."""
    first: list[int] = []
    copies: Copies = []
    for place, (_, sources) in enumerate(UNITS):
        lowest = max((first[s] for s in sources), default=0)
        times = draw(st.sets(st.integers(lowest, TIMES - 1), min_size=1, max_size=2))
        first.append(min(times))
        copies += [(place, time) for time in times]
    return copies


def _kept_of(copies: Sequence[tuple[int, int]], cuts: set[int], leaver: str | None) -> set[str]:
    home = Path(tempfile.mkdtemp(prefix="withhold-", dir=ROOT))
    provider = Provider(home)
    try:
        tokens = _history(provider)
        rows = [
            _unit(UNITS[place][0], tokens[time][UPLOADS.get(UNITS[place][0], USE)])
            for place, time in copies
        ]
        for start, end in zip((0, *sorted(cuts)), (*sorted(cuts), len(rows)), strict=True):
            provider.send(*rows[start:end])
            if start % 2:
                provider.seal()
        if leaver is not None:
            provider.opt_out(leaver)
        provider.seal()
        versions = [
            str(provider.build(f"all-{product}", product).ref) for product in (VIBE, STUDIO)
        ]
        return {row for version in versions for row in provider.decided(version)}
    finally:
        provider.close()
        shutil.rmtree(home)


def _history(provider: Provider) -> list[list[str]]:
    """Let people come and go; return three tokens of each time, for two uploads and what uses them."""
    for person in ("ana", "bo", "cy"):
        provider.sign_up(person)
    provider.found("acme", vibe="free")
    tokens: list[list[str]] = []
    for person, product, organizations in (
        ("dee", VIBE, ()),
        ("ana", VIBE, ()),
        ("bo", VIBE, ("acme",)),
        ("cy", STUDIO, ()),
    ):
        provider.sign_up(person, *organizations)
        if not organizations:
            provider.opt_out(person, product)
            provider.opt_in(person, product)
        tokens.append([provider.token()])
        for filler in range(USE):
            provider.found(f"filler-{person}-{filler}", vibe="free")
            tokens[-1].append(provider.token())
    return tokens


def _in_order(copies: Copies) -> Copies:
    return sorted(copies, key=lambda c: (c[1], UPLOADS.get(UNITS[c[0]][0], USE), c[0]))


@settings(max_examples=25, deadline=None)
@given(copies=copies_of_all(), data=st.data(), leaver=st.sampled_from([None, "ana", "bo", "cy"]))
def test_no_order_keeps_a_row_that_once_in_order_withholds(
    copies: Copies, data: st.DataObject, leaver: str | None
) -> None:
    shuffled = data.draw(st.permutations(copies))
    cuts = data.draw(st.sets(st.integers(1, len(copies) - 1), max_size=5))
    ordered = _kept_of(_in_order(copies), set(range(1, len(copies))), leaver)
    assert _kept_of(shuffled, cuts, leaver) <= ordered


@settings(max_examples=8, deadline=None)
@given(copies=copies_of_all(), cuts=st.sets(st.integers(1, len(UNITS) - 1)))
def test_in_order_batches_make_no_difference(copies: Copies, cuts: set[int]) -> None:
    ordered = _in_order(copies)
    assert _kept_of(ordered, cuts, None) == _kept_of(ordered, set(range(1, len(copies))), None)


def test_in_order_everything_that_nobody_spoke_against_is_kept() -> None:
    now = [(place, TIMES - 1) for place in range(len(UNITS))]
    assert _kept_of(_in_order(now), set(), None) == {name for name, _ in UNITS}
    assert _kept_of(_in_order(now), set(), "cy") == {"d1"}  # all else uses bytes that are hers too
    assert _kept_of(_in_order(now), set(), "ana") == set()
