"""Checking a whole ledger: every entry, and everything derived from entries.

Every entry stands in its chain; every body opens and is what the entry commits to; every subject's
entries are numbered without gaps and name the one before; the effects kept for speed are those of the
bodies; and the standings that follow from the bodies alone are those of the records. So whoever can
write to the database can change nothing unseen, except cut off the newest entries: that takes the
witness outside (design section 6), which comes later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import apsw
import msgspec

from withhold.adapters.store.sqlite.codec import KINDS, decode_subject, effect_pairs
from withhold.adapters.store.sqlite.directory import read_plans
from withhold.adapters.store.sqlite.entries import unsealed
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.domain.ledger import (
    CHAIN_START,
    PUBLIC,
    SEALED,
    Json,
    check_entry,
    entry_bytes,
    hidden,
    opening,
    public_commitment,
    sealed_commitment,
)
from withhold.domain.names import PartyNo, Position, SubjectNo
from withhold.domain.standing import OUT, Becomes, Effect, Standing
from withhold.errors import VerificationError

Row = tuple[int, int, bytes, bytes, int | None, int, bytes, bytes | None]


class _Body(msgspec.Struct):
    """What of an event's body the derived state follows from."""

    kind: str
    effects: list[tuple[int, int]]
    sequence: int = 0
    deleted: list[tuple[str, int]] = []


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


def verify(connection: apsw.Connection, keys: SubjectKeys) -> Position:
    """Check every entry of a snapshot and what is derived from them; return the head.

    Raises:
        VerificationError: names the first position, or the record, that does not hold.
    """
    seen = _Seen()
    rows = connection.execute(
        "SELECT position, kind, entry, chain, subject, previous, body, effects FROM entries"
        " ORDER BY position"
    )
    for row in rows:
        _check(row, keys, seen)
    kept = set(connection.execute("SELECT position, product, ordinal FROM deleted_rows"))
    if kept != seen.deleted:
        position = min(kept ^ seen.deleted)[0]
        raise VerificationError(f"entry {position}: its deleted rows are not those of its body")
    _check_records(connection, seen)
    return Position(seen.position)


def _check(row: Row, keys: SubjectKeys, seen: _Seen) -> None:
    position, kind, entry, chain, _, _, _, effects = row
    if position != seen.position + 1:
        raise VerificationError(f"entry {seen.position + 1} is missing")
    check_entry(entry, Position(position), seen.chain, chain)
    body = _opened(row, keys, seen)
    if body.kind != KINDS[kind].value:
        raise VerificationError(f"entry {position}: its kind is not that of its body")
    if body.effects != effect_pairs(effects):
        raise VerificationError(f"entry {position}: its effects are not those of its body")
    for party, becomes in body.effects:
        effect = Effect(PartyNo(party), Becomes(becomes))
        seen.standings[party] = effect.standing(Position(position))
    seen.deleted.update((position, product, no) for product, no in body.deleted)
    seen.position, seen.chain = position, chain


def _opened(row: Row, keys: SubjectKeys, seen: _Seen) -> _Body:
    """Return an entry's body, checked against its commitment and its subject's numbering."""
    position, _, entry, _, subject, previous, sealed, _ = row
    if subject is None:
        expected = entry_bytes(Position(position), PUBLIC, public_commitment(sealed))
        return _committed(position, entry, expected, sealed)
    key = keys.get(SubjectNo(subject))
    if key is None:
        raise VerificationError(f"entry {position}: the key that opens it is gone")
    body, beside = unsealed(key, sealed, entry, position)
    sequence, last = seen.last.get(subject, (0, 0))
    commitment = sealed_commitment(opening(key, sequence + 1), body)
    expected = entry_bytes(Position(position), SEALED, commitment)
    opened = _committed(position, entry, expected, body)
    if opened.sequence != sequence + 1 or previous != last:
        raise VerificationError(f"entry {position}: an entry of its subject before it is missing")
    _check_hidden(key, body, beside, opened.sequence, position)
    seen.last[subject] = (opened.sequence, position)
    return opened


def _check_hidden(
    key: bytes, body: bytes, beside: Mapping[str, Json], sequence: int, position: int
) -> None:
    """Check that what is kept beside an event is what the event hides."""
    if not beside:
        return
    values = json.loads(body)
    for name, value in beside.items():
        if values.get(name) != hidden(key, sequence, name, value):
            raise VerificationError(f"entry {position}: it hides something else than is kept")


def _committed(position: int, entry: bytes, expected: bytes, body: bytes) -> _Body:
    if entry != expected:
        raise VerificationError(f"entry {position}: its body is not what it commits to")
    try:
        return msgspec.json.decode(body, type=_Body)
    except msgspec.DecodeError:
        raise VerificationError(f"entry {position}: its body is not of a known form") from None


def _check_records(connection: apsw.Connection, seen: _Seen) -> None:
    """Check that records say what follows from the entries."""
    known = 0
    for no, data in connection.execute("SELECT no, record FROM subjects ORDER BY no"):
        subject = decode_subject(data)
        known += 1
        if seen.last.get(no) != (subject.sequence, subject.last):
            raise VerificationError(f"subject {no}: its record does not name its newest entry")
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
