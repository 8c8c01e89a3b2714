"""What the loader yields equals the full decision of every row at the head, whatever happened."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator import Provider

PEOPLE = ("ana", "bob", "cleo")
person = st.sampled_from(PEOPLE)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("opt_out"), person),
        st.tuples(st.just("opt_in"), person),
        st.tuples(st.just("chat"), person),
        st.tuples(st.just("delete"), st.integers(0, 5)),
        st.tuples(st.just("build"), st.just("")),
    ),
    max_size=10,
)


@given(before=acts, after=acts)
@settings(max_examples=15, deadline=None)
def test_a_reader_yields_exactly_what_the_full_decision_admits(
    before: list[tuple[str, str | int]], after: list[tuple[str, str | int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        provider = Provider(Path(folder) / "home")
        for each in PEOPLE:
            provider.sign_up(each, vibe="free")
            provider.chat(each, f"first-{each}")
        sent = [f"first-{each}" for each in PEOPLE]
        _act(provider, before, sent)
        version = provider.build("chat").ref
        _act(provider, after, sent)
        assert provider.load(str(version)) == provider.decided(str(version))
        provider.close()


def _act(provider: Provider, doings: list[tuple[str, str | int]], sent: list[str]) -> None:
    for act, what in doings:
        match act, what:
            case "opt_out", str(who):
                provider.opt_out(who)
            case "opt_in", str(who):
                provider.opt_in(who)
            case "chat", str(who):
                sent.append(f"row-{len(sent)}")
                provider.chat(who, sent[-1])
            case "delete", int(number) if number < len(sent) and sent[number]:
                provider.delete(sent[number])
                sent[number] = ""
            case "build", _:
                provider.build("chat")
