"""Checking a whole ledger: every entry, and everything derived from entries.

Every entry stands in its chain; every body opens and is what the entry commits to; every subject's
entries are numbered without gaps and name the one before; the effects kept for speed are those of the
bodies; and the standings that follow from the bodies alone are those of the records. So whoever can
write to the database can change nothing unseen, except cut off the newest entries or rewrite all of it:
that takes a witness outside (`services.witnessing`).

Bodies of an erased subject open no more. An entry that erases names whom, how many entries it had and a
digest of what they did; exactly these may be closed, and what stands beside them must be what the digest
says. A key that is missing for anybody else is a fault.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import apsw
import msgspec

from withhold.adapters.store.sqlite.codec import KIND_CODE, KINDS, decode_subject
from withhold.adapters.store.sqlite.directory import read_plans
from withhold.adapters.store.sqlite.entries import past_of, unsealed
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.domain.absence import secret_commitment, tag_secret
from withhold.domain.canonical_json import Json
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
from withhold.domain.standing import OUT, Becomes, Effect, Standing
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


@dataclass(slots=True)
class _Seen:
    """What the entries so far say, from their bodies alone."""

    chain: bytes = CHAIN_START
    position: int = 0
    standings: dict[int, Standing] = field(default_factory=dict)
    deleted: set[tuple[int, str, int]] = field(default_factory=set)
    last: dict[int, tuple[int, int]] = field(
        default_factory=dict
    )  # subject -> (sequence, position)
    erased: dict[int, int] = field(default_factory=dict)  # subject -> the entry that erases it
    past: dict[int, list[Past]] = field(default_factory=dict)  # of subjects that are erased later


def verify(
    connection: apsw.Connection,
    keys: SubjectKeys,
    told: Callable[[Position], None] | None = None,
) -> Position:
    """Check every entry of a snapshot and what is derived from them; return the head.

    Args:
        connection: the snapshot.
        keys: of subjects, as they are now.
        told: told now and then which position was reached.

    Raises:
        VerificationError: names the first position, or the record, that does not hold.
    """
    erasures = "SELECT subject, position FROM entries WHERE kind = ?"
    seen = _Seen(erased=dict(connection.execute(erasures, (KIND_CODE[EventKind.ACCOUNT_ERASED],))))
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
    _check_records(connection, seen)
    return Position(seen.position)


def _check(connection: apsw.Connection, row: Row, keys: SubjectKeys, seen: _Seen) -> None:
    position, kind, entry, chain, subject, _, _, effects = row
    if position != seen.position + 1:
        missing = seen.position + 1
        raise VerificationError(f"entry {missing} is missing", position=missing)
    check_entry(entry, Position(position), seen.chain, chain)
    if not 0 <= kind < len(KINDS):
        raise broken(position, "its kind is not one of this program")
    past = past_of(connection, position, kind, effects)
    body = _opened(row, keys, seen) if is_sealed(entry) else _public(row, seen)
    if body is None:
        body = _Body(past.kind, list(past.effects), deleted=list(past.deleted))
    if body.kind != past.kind:
        raise broken(position, "its kind is not that of its body")
    if body.effects != list(past.effects):
        raise broken(position, "its effects are not those of its body")
    for party, becomes in body.effects:
        effect = Effect(PartyNo(party), Becomes(becomes))
        seen.standings[party] = effect.standing(Position(position))
    seen.deleted.update((position, product, no) for product, no in body.deleted)
    if subject in seen.erased and is_sealed(entry):
        seen.past.setdefault(subject, []).append(past)
    seen.position, seen.chain = position, chain


def _public(row: Row, seen: _Seen) -> _Body:
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
    return body


def _opened(row: Row, keys: SubjectKeys, seen: _Seen) -> _Body | None:
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


def _check_records(connection: apsw.Connection, seen: _Seen) -> None:
    """Check that records say what follows from the entries."""
    known = 0
    noted = connection.execute("SELECT subject, position FROM erased").fetchall()
    if sorted(noted) != sorted(seen.erased.items()):
        raise VerificationError("who was erased is not what the entries say")
    for no, data in connection.execute("SELECT no, record FROM subjects ORDER BY no"):
        try:
            subject = decode_subject(data)
        except msgspec.MsgspecError:
            raise VerificationError(f"subject {no}: its record is not one") from None
        known += 1
        if seen.last.get(no) != (subject.sequence, subject.last):
            raise VerificationError(f"subject {no}: its record does not name its newest entry")
        if subject.is_erased != (no in seen.erased):
            raise VerificationError(
                f"subject {no}: its record has a name, or none, against its entries"
            )
        for holding in subject.holdings.values():
            _check_standing(seen, holding.party, holding.on_since, f"subject {no}")
    if known != len(seen.last):
        raise VerificationError("the records of some subjects are missing")
    for parties in read_plans(connection).values():
        where = f"plan {parties.plan} of {parties.product}"
        _check_standing(seen, parties.default, parties.default_on_since, where)
        _check_standing(seen, parties.lock, parties.lock_on_since, where)


def _check_standing(seen: _Seen, party: PartyNo, standing: Standing, where: str) -> None:
    if seen.standings.get(party, OUT) != standing:
        raise VerificationError(f"{where}: a standing does not follow from the entries")
