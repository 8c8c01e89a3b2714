"""The sound protocol keeps every promise in every state; every broken variant has its counter-example."""

from __future__ import annotations

import pytest

from .breaks import LATER, Break
from .model import sound
from .traces import found, kept


@pytest.mark.parametrize("world", list(sound(large=False)))
def test_no_interleaving_breaks_a_promise_of_the_sound_protocol(world: str) -> None:
    outcome = sound(large=False)[world]()
    print(f"{world}: {outcome.states} states")
    assert (outcome.promise, outcome.trace) == (None, ())
    assert outcome.states > 1_000, "the world is too small to say anything"


@pytest.mark.slow
@pytest.mark.parametrize("world", list(sound(large=True)))
def test_no_interleaving_breaks_a_promise_in_a_larger_world(world: str) -> None:
    outcome = sound(large=True)[world]()
    print(f"{world}: {outcome.states} states")
    assert (outcome.promise, outcome.trace) == (None, ())
    assert outcome.states > 5_000, "the world is no larger than the quick one"


@pytest.mark.parametrize("fault", list(Break), ids=lambda fault: fault.name.lower())
def test_each_thing_done_wrong_breaks_a_promise_by_the_trace_that_is_kept(fault: Break) -> None:
    example = found(fault)
    assert example is not None, f"the model does not notice: {fault.value}"
    assert example == kept()[fault], "write the traces anew, and read what changed"


def test_what_is_replayed_by_a_later_issue_says_so() -> None:
    assert {fault for fault, example in kept().items() if example.later} == LATER
