"""Checking the entries of a whole ledger.

Every entry stands in its chain; every body opens and is what the entry commits to; every subject's
entries are numbered without gaps and name the one before; the effects and deletions kept for speed are
those of the bodies. So whoever can write to the database can change nothing of the entries unseen, except
cut off the newest or rewrite all of them: that takes a witness outside (`services.witnessing`).

Bodies of an erased subject open no more. An entry that erases names whom, how many entries it had and a
digest of what they did; exactly these may be closed, and what stands beside them must be what the digest
says. A key that is missing for anybody else is a fault.

Not here: what is derived from the entries (`verify_directory`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import apsw
import msgspec

from withhold.adapters.store.sqlite.codec import KIND_CODE, KINDS
from withhold.adapters.store.sqlite.entries import past_of, unsealed
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.domain.absence import secret_commitment, tag_secret
from withhold.domain.canonical_json import Json
from withhold.domain.changes import At
from withhold.domain.erasure import Past, history
from withhold.domain.ledger import (
    CHAIN_START,
    PUBLIC,
    SEALED,
    EventKind,
    broken,
    check_entry,
    entry_bytes,
    hidden,
    is_sealed,
    opening,
    public_commitment,
    sealed_commitment,
)
from withhold.domain.names import PartyNo, Position, SubjectNo
from withhold.domain.replay import Replay, Said
from withhold.domain.standing import Becomes, Effect, Standing
from withhold.errors import VerificationError

TOLD_EVERY = 1_024

Row = tuple[int, int, bytes, bytes, int | None, int, bytes, bytes | None]


class _Body(msgspec.Struct):
    """What of an event's body the derived state follows from."""

    kind: str
    effects: list[tuple[int, int]]
    sequence: int = 0
    tag_secret: str = ""
    deleted: list[tuple[str, int]] = []
    erased: int = 0
    entries: int = 0
    history: str = ""
    name: str = ""  # of somebody erased the keyed hash
    subject: str = ""
    recorded_at: int = 0
    no: int = 0
    opens: str = ""
    plans: dict[str, str] | None = None
    organizations: list[tuple[str, str]] = []
    parties: dict[str, int] | list[tuple[str, str, int, int]] = {}
    product: str = ""
    policy: str = ""
    group: Any = ()  # hidden; what it hides takes its place


@dataclass(slots=True)
class Seen:
    """What the entries so far say, from their bodies alone.

    Attributes:
        standings: of every party that any of them changes.
        last: sequence and position of each subject's newest entry.
        erased: by subject the entry that erases it.
        names: by subject that was erased the keyed hash of its name, in hexadecimal.
        parties: by subject that was erased its parties, all of which the entry puts out.
        past: what the entries of subjects did that are erased later.
        replay: the directory that follows.
    """

    chain: bytes = CHAIN_START
    position: int = 0
    standings: dict[int, Standing] = field(default_factory=dict)
    deleted: set[tuple[int, str, int]] = field(default_factory=set)
    last: dict[int, tuple[int, int]] = field(default_factory=dict)
    erased: dict[int, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    parties: dict[int, set[int]] = field(default_factory=dict)
    past: dict[int, list[Past]] = field(default_factory=dict)
    replay: Replay = field(default_factory=Replay)


def verify(
    connection: apsw.Connection,
    keys: SubjectKeys,
    told: Callable[[Position], None] | None = None,
) -> Seen:
    """Check every entry of a snapshot; return what follows from them.

    Args:
        connection: the snapshot.
        keys: of subjects, as they are now.
        told: told now and then which position was reached.

    Raises:
        VerificationError: names the first position that does not hold.
    """
    erasures = "SELECT subject, position FROM entries WHERE kind = ?"
    seen = Seen(erased=dict(connection.execute(erasures, (KIND_CODE[EventKind.ACCOUNT_ERASED],))))
    rows = connection.execute(
        "SELECT position, kind, entry, chain, subject, previous, body, effects FROM entries"
        " ORDER BY position"
    )
    for row in rows:
        _check(connection, row, keys, seen)
        if told is not None and not seen.position % TOLD_EVERY:
            told(Position(seen.position))
    kept = set(connection.execute("SELECT position, product, ordinal FROM deleted_rows"))
    if kept != seen.deleted:
        position = min(kept ^ seen.deleted)[0]
        raise broken(position, "its deleted rows are not those of its body")
    return seen


def _check(connection: apsw.Connection, row: Row, keys: SubjectKeys, seen: Seen) -> None:
    position, kind, entry, chain, subject, _, _, effects = row
    if position != seen.position + 1:
        missing = seen.position + 1
        raise VerificationError(f"entry {missing} is missing", position=missing)
    check_entry(entry, Position(position), seen.chain, chain)
    if not 0 <= kind < len(KINDS):
        raise broken(position, "its kind is not one of this program")
    past = past_of(connection, position, kind, effects)
    body = _opened(row, keys, seen) if is_sealed(entry) else _public(row, seen)
    is_closed = body is None
    if body is None:
        body = _Body(past.kind, list(past.effects), deleted=list(past.deleted))
    if body.kind != past.kind:
        raise broken(position, "its kind is not that of its body")
    if body.effects != list(past.effects):
        raise broken(position, "its effects are not those of its body")
    for party, becomes in body.effects:
        effect = Effect(PartyNo(party), Becomes(becomes))
        seen.standings[party] = effect.standing(Position(position))
    if not is_closed:
        _replay(seen, Position(position), subject, body)
    seen.deleted.update((position, product, no) for product, no in body.deleted)
    if subject in seen.erased and is_sealed(entry):
        seen.past.setdefault(subject, []).append(past)
    seen.position, seen.chain = position, chain


def _replay(seen: Seen, position: Position, subject: int | None, body: _Body) -> None:
    """Let the directory that follows from the entries follow from one more."""
    kind, parties = EventKind(body.kind), body.parties
    if kind is EventKind.ACCOUNT_ERASED:
        seen.replay.forget(SubjectNo(body.erased))
        return
    if body.no and body.no != subject:
        raise broken(position, "it opens somebody else than whose it is")
    said = Said(
        kind,
        At(position, body.recorded_at),
        None if subject is None else SubjectNo(subject),
        body.subject,
        body.opens,
        body.plans,
        body.organizations,
        parties if isinstance(parties, dict) else {},
        body.product,
        body.group if kind is EventKind.ACCOUNTS_MERGED else (),
        body.policy,
        parties if isinstance(parties, list) else (),
    )
    effects = [Effect(PartyNo(party), Becomes(becomes)) for party, becomes in body.effects]
    try:
        seen.replay.take(said, effects, seen.standings)
    except (KeyError, ValueError, TypeError):
        raise broken(position, "what it says does not follow from the entries before it") from None


def _public(row: Row, seen: Seen) -> _Body:
    """Return the body of a public entry; of one that erases, checked against what it erased."""
    position, kind, entry, _, subject, previous, plain, _ = row
    expected = entry_bytes(Position(position), PUBLIC, public_commitment(plain))
    body = _committed(position, entry, expected, plain)
    if KINDS[kind] is not EventKind.ACCOUNT_ERASED:
        if subject is not None:
            raise broken(position, "a public entry is about nobody")
        return body
    if subject is None or body.erased != subject or seen.erased.get(subject) != position:
        raise broken(position, "it does not name whom it erases, once")
    sequence, last = seen.last.get(subject, (0, 0))
    if body.entries != sequence or previous != last:
        raise broken(position, "an entry of whom it erases is missing")
    if body.history != history(seen.past.get(subject, [])):
        raise broken(position, "what the entries before it did is not what it says")
    seen.last[subject] = (sequence, position)
    seen.names[subject] = body.name
    seen.parties[subject] = {party for party, _ in body.effects}
    return body


def _opened(row: Row, keys: SubjectKeys, seen: Seen) -> _Body | None:
    """Return a sealed entry's body, checked against its commitment and its subject's numbering.

    None for one that nobody can open because its subject was erased later.
    """
    position, _, entry, _, subject, previous, sealed, _ = row
    if subject is None:
        raise broken(position, "it does not say whose it is")
    sequence, last = seen.last.get(subject, (0, 0))
    if previous != last:
        raise broken(position, "an entry of its subject before it is missing")
    seen.last[subject] = (sequence + 1, position)
    key = keys.get(SubjectNo(subject))
    if key is None:
        if seen.erased.get(subject, 0) > position:
            return None
        raise broken(position, "the key that opens it is gone")
    body, beside = unsealed(key, sealed, entry, position)
    commitment = sealed_commitment(opening(key, sequence + 1), body)
    expected = entry_bytes(Position(position), SEALED, commitment)
    opened = _committed(position, entry, expected, body)
    if opened.sequence != sequence + 1:
        raise broken(position, "an entry of its subject before it is missing")
    if opened.kind == EventKind.ACCOUNT_OPENED.value and opened.tag_secret != _tag_secret(key):
        raise broken(position, "it commits to another secret than the account's key gives")
    _check_hidden(key, body, beside, opened.sequence, position)
    opened.group = beside.get("group", ())
    return opened


def _tag_secret(key: bytes) -> str:
    return secret_commitment(tag_secret(key)).hex()


def _check_hidden(
    key: bytes, body: bytes, beside: Mapping[str, Json], sequence: int, position: int
) -> None:
    """Check that what is kept beside an event is what the event hides."""
    if not beside:
        return
    values = json.loads(body)
    for name, value in beside.items():
        if values.get(name) != hidden(key, sequence, name, value):
            raise broken(position, "it hides something else than is kept")


def _committed(position: int, entry: bytes, expected: bytes, body: bytes) -> _Body:
    if entry != expected:
        raise broken(position, "its body is not what it commits to")
    try:
        return msgspec.json.decode(body, type=_Body)
    except msgspec.DecodeError:
        raise broken(position, "its body is not of a known form") from None
