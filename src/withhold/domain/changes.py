"""What a change of the directory is made of: where it stands, the new record, the effects.

Rules (`preferences`, `accounts`, `policy_adoption`) return a `Change` and know nothing of ledgers;
services turn it into an event.
"""

from __future__ import annotations

from collections.abc import Mapping

from withhold.domain.directory import OPEN, Choice, Holding, Subject
from withhold.domain.names import Position, ProductId
from withhold.domain.standing import OUT, Becomes, Effect, Standing
from withhold.domain.values import Value, changed


class At(Value, frozen=True):
    """Where a change stands.

    Attributes:
        position: the entry it will have.
        recorded_at: UTC milliseconds since 1970; shown, never compared.
    """

    position: Position
    recorded_at: int


class Change(Value, frozen=True):
    """A subject after an entry of its own, and the standings that the entry changes."""

    record: Subject
    effects: tuple[Effect, ...]


def next_record(subject: Subject, holdings: Mapping[ProductId, Holding], at: At) -> Subject:
    """Return the subject with these holdings, naming ``at`` as its newest entry."""
    return changed(subject, sequence=subject.sequence + 1, last=at.position, holdings=holdings)


def put_out(holding: Holding, at: At) -> tuple[Holding, Effect]:
    """Return a holding after an explicit out, and its effect."""
    return (
        Holding(holding.party, OUT, Choice.OUT, _chosen(holding, at), at.position, at.recorded_at),
        Effect(holding.party, Becomes.OUT),
    )


def put_in(holding: Holding, at: At) -> tuple[Holding, Effect | None]:
    """Return a holding after an explicit in, and its effect.

    Only a holder that was out itself gets a new standing: everybody else is on as before.
    """
    since = Standing(at.position) if holding.is_out else holding.on_since
    effect = Effect(holding.party, Becomes.ON) if holding.is_out else None
    put = Holding(
        holding.party, since, Choice.IN, _chosen(holding, at), at.position, at.recorded_at
    )
    return put, effect


def put_unchosen(holding: Holding, at: At) -> tuple[Holding, Effect]:
    """Return a holding after a move that is not on before and after: on from here, nothing chosen."""
    return (
        Holding(holding.party, Standing(at.position), None, OPEN, at.position, at.recorded_at),
        Effect(holding.party, Becomes.ON),
    )


def _chosen(holding: Holding, at: At) -> Position:
    """Return when the latest time without a choice ended, now that there is one."""
    return at.position if holding.unchosen_until == OPEN else holding.unchosen_until
