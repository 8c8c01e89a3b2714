"""The search that every model shares: all states, breadth first, shortest counter-example.

A model is a start state, the steps that lead from any state to the next ones, and the promises that a
state may break. Steps are written as plain verbs, ``("opt_out", "ana")``, so that the path to a broken
promise can be read by a person and replayed against the real code.

States are tuples of small values. Two paths that end in the same state are explored once, which is what
makes "all interleavings" affordable; whatever a promise speaks of must therefore stand in the state.

Not here: what the protocol is (the three models), which variants of it are broken (`breaks`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

Step = tuple[str, ...]
Trace = tuple[Step, ...]
State = TypeVar("State", bound=Hashable)


class Model(Protocol[State]):
    """A protocol in a bounded world."""

    @property
    def start(self) -> State:
        """The first state."""
        ...

    @property
    def preamble(self) -> Trace:
        """The verbs that lead to the first state."""
        ...

    def steps(self, state: State) -> Iterator[tuple[Step, State]]:
        """Yield everything that can happen next."""
        ...

    def violated(self, state: State) -> str | None:
        """Return the name of a promise that does not hold in this state, None when all hold."""
        ...

    def shown_by(self, state: State) -> Trace:
        """Return the verbs by which somebody outside would see the broken promise."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search found.

    Attributes:
        states: how many distinct states were visited.
        promise: the broken promise, None when every state keeps all of them.
        trace: a shortest way to break it, from nothing; empty when none is broken.
    """

    states: int
    promise: str | None
    trace: Trace


def search(model: Model[State]) -> Outcome:
    """Visit every state of the model's bounded world, until one breaks a promise."""
    came_from: dict[State, tuple[State, Step] | None] = {model.start: None}
    frontier = [model.start]
    while frontier:
        found: list[State] = []
        for state in frontier:
            for step, after in model.steps(state):
                if after in came_from:
                    continue
                came_from[after] = (state, step)
                promise = model.violated(after)
                if promise is not None:
                    path = _path(came_from, after)
                    trace = (*model.preamble, *path, *model.shown_by(after))
                    return Outcome(len(came_from), promise, trace)
                found.append(after)
        frontier = found
    return Outcome(len(came_from), None, ())


def _path(came_from: dict[State, tuple[State, Step] | None], state: State) -> Trace:
    steps: list[Step] = []
    origin = came_from[state]
    while origin is not None:
        state, step = origin
        steps.append(step)
        origin = came_from[state]
    return tuple(reversed(steps))
