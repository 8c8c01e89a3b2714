"""Rows that came with a signal: a refusal that the policy honours withholds them, in any order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services.conftest import ROOT
from tests.services.test_capture import SHA, admitted, outcome, stored
from tests.simulator import STUDIO, Provider, interaction, turns
from withhold.domain.interactions import Interaction, InteractionKind, Message
from withhold.domain.signals import Signal
from withhold.services import lookups, policies
from withhold.services.signals import heard
from withhold.web import answers

GPC, USAGE = (Signal.GPC,), (Signal.CONTENT_USAGE,)


HONOURS = 'honours = ["gpc", "content_usage"]'


def adopt(provider: Provider, vibe: str, studio: str) -> None:
    """Adopt the shipped policy with other signals honoured for its two products."""
    text = provider.policy_text.replace('version = "', f'version = "{len(vibe + studio)}-', 1)
    text = text.replace(HONOURS, f"honours = [{vibe}]", 1)
    policies.adopt(provider.ports, text.replace(HONOURS, f"honours = [{studio}]", 1))


@pytest.mark.parametrize("refusals", [GPC, USAGE, GPC + USAGE])
def test_a_refused_row_is_not_stored_and_its_id_stays_refused(
    provider: Provider, refusals: tuple[Signal, ...]
) -> None:
    before = provider.head
    assert outcome(provider, interaction("ana", "r1", refusals=refusals)) == "w"
    assert stored(provider.ports) == []
    assert outcome(provider, interaction("ana", "r1")) == "w"
    assert outcome(provider, interaction("ana", "r1", refusals=refusals)) == "w"
    assert stored(provider.ports) == []
    assert provider.head == before, "a signal is about a row: nobody's standing changes"
    assert provider.status("ana").allowed
    assert outcome(provider, interaction("ana", "r2")) == "a"


def test_explain_says_that_a_signal_refused(provider: Provider) -> None:
    provider.chat("ana", "signalled", refusals=GPC)
    provider.opt_out("ana")
    provider.chat("ana", "out")
    reasons = [
        answers.explained(lookups.explain(provider.ports, row)).reason
        for row in ("signalled", "out")
    ]
    assert reasons == ["refusing_signal", "refused"]


def test_only_what_the_policy_honours_counts(provider: Provider) -> None:
    adopt(provider, '"gpc"', "")
    call = interaction("ana", "c", product=STUDIO, kind=InteractionKind.API_CALL, refusals=GPC)
    assert outcome(provider, call) == "a"
    assert outcome(provider, interaction("ana", "r1", refusals=USAGE)) == "a"
    assert outcome(provider, interaction("ana", "r2", refusals=GPC + USAGE)) == "w"
    adopt(provider, "", "")
    assert outcome(provider, interaction("ana", "r3", refusals=GPC)) == "a"
    assert outcome(provider, interaction("ana", "r2")) == "w"


def test_what_repeats_a_refused_row_is_withheld(provider: Provider) -> None:
    provider.chat("ana", "r1", refusals=GPC, conversation="c", messages=turns("one"))
    provider.upload("ana", "d1", SHA, refusals=GPC)
    assert outcome(provider, interaction("bo", "derived", derived_from=("r1",))) == "w"
    assert outcome(provider, interaction("bo", "uses", attachments=(SHA,))) == "w"
    again = interaction("ana", "r2", conversation="c", messages=turns("one", "two"))
    assert outcome(provider, again) == "w"
    assert (
        outcome(provider, interaction("ana", "r3", conversation="c", messages=turns("new"))) == "a"
    )
    assert admitted(provider) == {"r3"}


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_copy_with_a_signal_withdraws_the_stored_one_and_what_repeats_it(
    provider: Provider, is_sealed: bool
) -> None:
    provider.chat("ana", "r1", conversation="c", messages=turns("one"))
    provider.chat("bo", "derived", derived_from=("r1",))
    provider.chat("ana", "r2", conversation="c", messages=turns("one", "two"))
    provider.chat("ana", "other")
    if is_sealed:
        assert admitted(provider) == {"r1", "derived", "r2", "other"}
    copy = interaction("ana", "r1", conversation="c", messages=turns("one"), refusals=GPC)
    assert outcome(provider, copy) == "w"
    assert admitted(provider) == {"other"}
    assert provider.load("chat@1") == ["other"]
    said = answers.explained(lookups.explain(provider.ports, "r1"))
    assert (said.reason, said.state, said.datasets) == ("refusing_signal", "deleted", [])
    assert said.parties  # it is kept, withheld, and not only the hash of its id
    assert said.file is not None
    outcome(provider, copy)
    assert answers.explained(lookups.explain(provider.ports, "r1")) == said


def test_a_refused_row_is_as_old_as_its_oldest_copy(provider: Provider) -> None:
    first = provider.head
    provider.chat("ana", "r1")
    provider.sign_up("cy")
    provider.chat("ana", "r1", refusals=GPC)
    assert lookups.explain(provider.ports, "r1").position == first


def test_a_copy_with_a_signal_in_the_same_batch_leaves_both_out(provider: Provider) -> None:
    rows = [interaction("ana", "r1"), interaction("ana", "r1", refusals=GPC)]
    assert outcome(provider, *rows, interaction("ana", "r2")) == "aww"
    assert stored(provider.ports) == ["r2"]
    assert not lookups.explain(provider.ports, "r1").parties


def test_a_deleted_row_stays_deleted(provider: Provider) -> None:
    provider.chat("ana", "r1")
    provider.seal()
    provider.delete("r1")
    provider.chat("ana", "r1", refusals=GPC)
    assert lookups.explain(provider.ports, "r1").state == "deleted"
    assert outcome(provider, interaction("ana", "r1")) == "d"
    assert admitted(provider) == set()


def _rows() -> list[Interaction]:
    """Copies with and without a signal, and rows that repeat them in every way."""
    one, document = turns("one"), InteractionKind.DOCUMENT
    text = (Message("user", "a document"),)
    return [
        interaction("ana", "s", conversation="c", messages=one),
        interaction("ana", "s", conversation="c", messages=one, refusals=GPC),
        interaction("bo", "d", kind=document, sha256=SHA, messages=text),
        interaction("bo", "d", kind=document, sha256=SHA, messages=text, refusals=USAGE),
        interaction("bo", "from-s", derived_from=("s",)),
        interaction("ana", "with-d", attachments=(SHA,)),
        interaction("bo", "from-with-d", derived_from=("with-d",)),
        interaction("ana", "replay", conversation="c", messages=turns("one", "two")),
        interaction("ana", "alone"),
    ]


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(len(_rows()))), st.integers(0, len(_rows())))
def test_whatever_comes_first_nothing_of_a_refused_row_is_admitted(
    places: list[int], cut: int
) -> None:
    home = Path(tempfile.mkdtemp(prefix="withhold-", dir=ROOT))
    provider, rows = Provider(home), _rows()
    try:
        for person in ("ana", "bo"):
            provider.sign_up(person)
        provider.send(*(rows[p] for p in places[:cut]))
        provider.send(*(rows[p] for p in places[cut:]))
        assert admitted(provider) == {"alone"}
    finally:
        provider.close()
        shutil.rmtree(home)


# --- what people are told ---------------------------------------------------------------------------


def test_a_person_is_told_what_their_browser_sends_and_for_what_it_counts(
    provider: Provider,
) -> None:
    adopt(provider, '"gpc"', '"gpc"')
    with provider.ports.ledger.directory() as directory:
        policy = directory.policy
    sent = [("Sec-GPC", "1"), ("Content-Usage", "train-ai=n"), ("Accept", "*/*")]
    gpc, usage = heard(sent, policy)
    assert gpc.honoured_for == ("Vibe", "Studio & API")
    assert gpc.sentence.startswith(
        "Your browser sends Global Privacy Control; the policy honours it for Vibe and Studio & API"
    )
    assert usage.honoured_for == ()
    assert "does not honour it" in usage.sentence
    assert heard([("Content-Usage", "train-ai=y")], policy) == ()
