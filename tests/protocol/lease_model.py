"""Model of an open reader: one row of ana, a lease that is renewed, and a clock that ticks.

Requests and answers travel as long as they like; two may be under way at once. The reader yields the row
while its lease lasts and it has not been told that ana withdrew. The promises (design section 1):

- open readers: one lease after the opt-out was confirmed nobody yields the row any more;
- new readers at once: a lease asked for after the confirmation does not yield it at all.

The truth is the tick of the opt-out, which only the promises read. Not here: anything of the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .breaks import Break
from .search import Step, Trace

LEASE = 2  # ticks


class Request(NamedTuple):
    """A request for a lease, on its way to the server or back."""

    sent: int
    after_opt_out: bool  # truth
    answered: bool = False
    told: bool = False  # the answer says that ana withdrew


class State(NamedTuple):
    """The clock, the server, what is on the way, and the reader."""

    clock: int = 0
    opted_out: int | None = None  # the tick of the confirmation
    applied: bool = False  # the vectors hold it
    requests: tuple[Request, ...] = ()
    ends: int = 0  # when the reader's lease ends
    told: bool = False
    after_opt_out: bool = False  # truth: the lease was asked for after the confirmation


class LeaseModel:
    """The sound protocol, or a variant of it with something done wrong."""

    start = State()
    preamble: Trace = (
        ("sign_up", "ana", "on"),
        ("chat", "r1", "ana", "tokenless"),
        ("build", "chat"),
    )

    def __init__(self, ticks: int, broken: frozenset[Break] = frozenset()) -> None:
        self.ticks = ticks
        self.broken = broken

    def steps(self, state: State) -> Iterator[tuple[Step, State]]:
        """Yield every act of the person, the server, the reader and the clock."""
        if state.clock < self.ticks:
            yield ("tick",), state._replace(clock=state.clock + 1)
        if state.opted_out is None:
            yield ("opt_out", "ana"), state._replace(opted_out=state.clock)
        elif not state.applied:
            yield ("apply",), state._replace(applied=True)
        if len(state.requests) < 2:
            request = Request(state.clock, state.opted_out is not None)
            yield ("reader", "asks"), state._replace(requests=(*state.requests, request))
        for place, request in enumerate(state.requests):
            others = (*state.requests[:place], *state.requests[place + 1 :])
            if request.answered:
                yield (
                    ("reader", "is answered", str(request.sent)),
                    self._renewed(state, request, others),
                )
            else:
                answer = request._replace(answered=True, told=self._tells(state))
                after = state._replace(requests=(*others, answer))
                yield ("server", "answers", str(request.sent)), after

    def _tells(self, state: State) -> bool:
        """Return whether the server names ana: with the vectors, or as withdrawn since."""
        if Break.LEASE_AHEAD_OF_VECTORS in self.broken:
            return state.applied
        return state.opted_out is not None

    def _renewed(self, state: State, answer: Request, others: tuple[Request, ...]) -> State:
        counted_from = state.clock if Break.LEASE_FROM_ANSWER in self.broken else answer.sent
        ends = max(state.ends, counted_from + LEASE)
        longer = ends > state.ends
        return state._replace(
            requests=others,
            ends=ends,
            told=state.told or answer.told,  # withheld only grows: a late answer takes nothing back
            after_opt_out=answer.after_opt_out if longer else state.after_opt_out,
        )

    def violated(self, state: State) -> str | None:
        """Return a promise that the reader would break by yielding the row now."""
        yields = state.clock < state.ends and not state.told
        if not yields or state.opted_out is None:
            return None
        if state.clock >= state.opted_out + LEASE:
            return "open readers within one lease"
        return "new readers at once" if state.after_opt_out else None

    def shown_by(self, state: State) -> Trace:
        """Return the yield that must not happen."""
        return (("reader", "yields", "r1"),)
