"""Checking the directory: everything kept beside the entries of a ledger, against what follows from them.

Policies, plans, parties, names and records are made anew from the entries' bodies (`domain.replay`) and
compared. So whoever can write to the database can give nobody another plan, another name or another
standing unseen. Of the erased no record can be made anew: that their parties are those which were put out,
and nobody else's, is what is asked.

Not here: the entries themselves (`verify`).
"""

from __future__ import annotations

from collections.abc import Collection

import apsw
import msgspec

from withhold.adapters.store.sqlite.codec import decode_subject
from withhold.adapters.store.sqlite.directory import KIND_CODE as SUBJECT_CODE
from withhold.adapters.store.sqlite.directory import read_plans
from withhold.adapters.store.sqlite.verify import Seen
from withhold.domain.directory import Subject
from withhold.domain.ledger import broken
from withhold.domain.names import PartyNo, PlanId, Position, ProductId, SubjectNo
from withhold.domain.parties import PartyKind
from withhold.domain.standing import OUT
from withhold.domain.values import changed
from withhold.errors import VerificationError

_ACCOUNT = int(PartyKind.ACCOUNT)  # only accounts are erased


def verify_directory(connection: apsw.Connection, seen: Seen) -> None:
    """Check that everything kept beside the entries is what follows from them.

    Args:
        connection: the snapshot.
        seen: what its entries say.

    Raises:
        VerificationError: names the record, plan, party or position that does not follow.
    """
    noted = {
        no: (position, name.hex())
        for no, position, name in connection.execute("SELECT subject, position, name FROM erased")
    }
    if noted != {no: (position, seen.names.get(no)) for no, position in seen.erased.items()}:
        raise VerificationError("who was erased is not what the entries say")
    known = 0
    for no, kind, name, data in connection.execute(
        "SELECT no, kind, id, record FROM subjects ORDER BY no"
    ):
        known += 1
        subject = _check_record(seen, no, data)
        own = f"\x1f{no}" if subject.is_erased else subject.id
        if (kind, name) != (SUBJECT_CODE[subject.kind], own):
            raise VerificationError(f"subject {no}: it is found by another name than its own")
    if known != len(seen.last):
        raise VerificationError("the records of some subjects are missing")
    _check_plans(connection, seen)
    _check_parties(connection, seen)


def _check_record(seen: Seen, no: int, data: bytes) -> Subject:
    """Return the record of a subject, if it follows from the entries."""
    try:
        subject = decode_subject(data)
    except msgspec.MsgspecError:
        raise VerificationError(f"subject {no}: its record is not one") from None
    if seen.last.get(no) != (subject.sequence, subject.last):
        raise VerificationError(f"subject {no}: its record does not name its newest entry")
    if subject.is_erased != (no in seen.erased):
        raise VerificationError(
            f"subject {no}: its record has a name, or none, against its entries"
        )
    for holding in subject.holdings.values():
        if seen.standings.get(holding.party, OUT) != holding.on_since:
            raise VerificationError(f"subject {no}: a standing does not follow from the entries")
    if subject.is_erased:
        follows = {holding.party for holding in subject.holdings.values()} == seen.parties.get(no)
    else:
        record = seen.replay.subjects.get(SubjectNo(no))
        follows = record is not None and _is_same(subject, record, seen.erased.keys())
    if not follows:
        raise VerificationError(f"subject {no}: its record does not follow from its entries")
    return subject


def _is_same(kept: Subject, follows: Subject, erased: Collection[int]) -> bool:
    """Return whether a record is the one that follows; in which order it lists things is its own affair."""

    def unordered(subject: Subject) -> tuple[object, ...]:
        others = frozenset(no for no in subject.group if no not in erased)
        lists = frozenset(subject.plans), frozenset(subject.memberships), others
        return (*lists, changed(subject, plans=(), memberships=(), group=()))

    return unordered(kept) == unordered(follows)


def _check_plans(connection: apsw.Connection, seen: Seen) -> None:
    """Check that policies and the parties of plans are those of the entries."""
    policies = dict(connection.execute("SELECT position, text FROM policies"))
    for position in sorted({*policies, *seen.replay.policies}):
        if policies.get(position) != seen.replay.policies.get(Position(position)):
            raise broken(position, "the policy that is kept for it is not the one it adopts")
    plans = read_plans(connection)
    for key in sorted({*plans, *seen.replay.plans}):
        if plans.get(key) != seen.replay.plans.get((ProductId(key[0]), PlanId(key[1]))):
            raise VerificationError(
                f"plan {key[1]} of {key[0]}: its parties do not follow from the entries"
            )


def _check_parties(connection: apsw.Connection, seen: Seen) -> None:
    """Check that every party is whose the entries say, those of the erased among them."""
    follows = seen.replay.parties()
    erased = {party: no for no, parties in seen.parties.items() for party in parties}
    for no, kind, product, subject in connection.execute(
        "SELECT no, kind, product, subject FROM parties"
    ):
        party = follows.pop(PartyNo(no), None)
        whose = erased.pop(no, None)
        is_erased = party is None and whose is not None and (kind, subject) == (_ACCOUNT, whose)
        if party != (kind, product, subject) and not is_erased:
            raise VerificationError(f"party {no}: it is not whose the entries say")
    if follows or erased:
        raise VerificationError(f"party {min([*follows, *erased])}: it is missing")
