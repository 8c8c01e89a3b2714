"""Model of what survives: confirmation, crash, restore from a backup, recovery above the witness.

Ana says out and in; entries wait in memory, are flushed to disk, and are witnessed outside. A backup may
be taken at any time and restored at any later one. Her row r1 carries a token from somewhere before.
The promises:

- confirmed is durable: while the ledger serves, it holds every opt-out it has confirmed;
- I1: while it serves, a row made before an opt-out is not admitted after it, whatever was restored.

The truth is what ana was told and when the row was made; only the promises read it.

Assumed, as the design leaves it open: recovery enters one position above the witnessed head at which
everybody is out, since nobody knows what the gap held. A wiser recovery keeps more rows.
The sound protocol witnesses an entry *before* it confirms it and before a token names it: the search
finds the gap otherwise (`Break.LAGGING_WITNESS`).

Not here: how a witness works, who may recover. Both come with the verifiable ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .breaks import Break
from .search import Step, Trace

Entry = tuple[int, str, int]
"""Position, verb, and the number of the request that said it."""


class State(NamedTuple):
    """Memory, disk, backup and witness; the token; and what ana was told."""

    said: int = 0  # requests so far
    restores: int = 0  # bounded, as each recovery adds an entry
    pending: tuple[tuple[str, int], ...] = ()  # in memory: verb and request
    disk: tuple[Entry, ...] = ()
    backup: tuple[Entry, ...] | None = None
    witnessed: int = 0
    serving: bool = True
    floor: int = 0  # positions up to here are never given out again
    token: int | None = None
    confirmed: frozenset[int] = frozenset()  # truth: the opt-outs she was told are durable
    made: int | None = None  # truth: the first request that, as an opt-out, forbids the row
    forbidden: bool = False  # truth: ana was out at or after the making of the row, and was told so


class DurabilityModel:
    """The sound protocol, or a variant of it with something done wrong."""

    start = State()
    preamble: Trace = (("sign_up", "ana", "on"),)

    def __init__(
        self, requests: int, broken: frozenset[Break] = frozenset(), *, restores: int = 1
    ) -> None:
        self.requests = requests
        self.restores = restores
        self.broken = broken

    def steps(self, state: State) -> Iterator[tuple[Step, State]]:
        """Yield every act of ana, the ledger, the operator, and bad luck."""
        if state.serving:
            yield from self._choices(state)
            yield from self._confirmations(state)
            covered = Break.LAGGING_WITNESS in self.broken or _head(state) <= state.witnessed
            if state.token is None and covered:
                yield ("token", "r1"), _made(state)
        if state.pending:
            yield ("flush",), self._flushed(state)
        if state.serving and state.witnessed < _head(state):
            yield ("witness",), state._replace(witnessed=_head(state))
        yield ("crash",), state._replace(pending=())
        if state.backup is None:
            yield ("backup",), state._replace(backup=state.disk)
        elif state.backup != state.disk and state.restores < self.restores:
            yield ("restore",), self._restored(state, state.backup)
        if not state.serving:
            yield ("recover",), self._recovered(state)

    def _choices(self, state: State) -> Iterator[tuple[Step, State]]:
        if state.said == self.requests:
            return
        verb = "opt_in" if _last_verb(state) == "opt_out" else "opt_out"
        pending = (*state.pending, (verb, state.said))
        yield (verb, "ana"), state._replace(said=state.said + 1, pending=pending)

    def _confirmations(self, state: State) -> Iterator[tuple[Step, State]]:
        """Yield an opt-out being confirmed: once it is on disk and witnessed, not before."""
        for position, verb, request in state.disk:
            covered = Break.LAGGING_WITNESS in self.broken or position <= state.witnessed
            if verb == "opt_out" and covered and request not in state.confirmed:
                yield ("confirm", "ana"), _confirmed(state, request)
        if Break.CONFIRM_BEFORE_APPEND in self.broken:
            for verb, request in state.pending:
                if verb == "opt_out" and request not in state.confirmed:
                    yield ("confirm", "ana"), _confirmed(state, request)

    def _flushed(self, state: State) -> State:
        disk, next_position = state.disk, max(_head(state), state.floor) + 1
        entries = tuple((next_position + n, *said) for n, said in enumerate(state.pending))
        return state._replace(disk=(*disk, *entries), pending=())

    def _restored(self, state: State, backup: tuple[Entry, ...]) -> State:
        """Return the ledger as the backup has it: read-only if the witness saw more."""
        after = state._replace(disk=backup, pending=(), restores=state.restores + 1)
        behind = state.witnessed > _head(after) and Break.NO_WITNESS not in self.broken
        return after._replace(serving=not behind)

    def _recovered(self, state: State) -> State:
        """Return the ledger serving again, everybody out, above all that was ever witnessed."""
        floor = 0 if Break.POSITION_REUSED in self.broken else state.witnessed
        position = max(_head(state), floor) + 1
        disk = (*state.disk, (position, "opt_out", -1))
        held = frozenset(request for _, _, request in disk)
        after = state._replace(disk=disk, floor=floor, serving=True)
        return after._replace(
            confirmed=state.confirmed & held,  # for the others, everybody is out
            witnessed=max(position, floor),
            forbidden=state.token is not None,
        )

    def violated(self, state: State) -> str | None:
        """Return a promise that a ledger that serves does not keep."""
        if not state.serving:
            return None
        if state.confirmed - {request for _, _, request in state.disk}:
            return "confirmed is durable"
        if state.token is None or not state.forbidden or _is_out(state):
            return None
        # a token ahead of the ledger is refused
        return "I1" if _head(state) >= state.token >= _on_since(state) else None

    def shown_by(self, state: State) -> Trace:
        """Return the build in which the row must not be."""
        if state.confirmed - {request for _, _, request in state.disk}:
            return (("crash",), ("status", "ana"))
        return (("chat", "r1", "ana", "token"), ("build", "chat"))


def _head(state: State) -> int:
    return state.disk[-1][0] if state.disk else 0


def _last_verb(state: State) -> str:
    """Return what ana said last, as far as this process knows."""
    if state.pending:
        return state.pending[-1][0]
    return state.disk[-1][1] if state.disk else "opt_in"


def _is_out(state: State) -> bool:
    return bool(state.disk) and state.disk[-1][1] == "opt_out"


def _on_since(state: State) -> int:
    """Return since when ana is on; she is on whenever this is asked."""
    return state.disk[-1][0] if state.disk else 0


def _confirmed(state: State, request: int) -> State:
    """Return the state after ana was told that her opt-out holds."""
    forbids = state.made is not None and request >= state.made
    return state._replace(
        confirmed=state.confirmed | {request}, forbidden=state.forbidden or forbids
    )


def _made(state: State) -> State:
    """Return the state after the row took its token and was made."""
    last = state.disk[-1][2] if state.disk else -1
    made = last if _is_out(state) else last + 1
    forbidden = any(request >= made for request in state.confirmed)
    return state._replace(token=_head(state), made=made, forbidden=forbidden)
