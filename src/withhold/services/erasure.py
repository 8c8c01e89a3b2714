"""Erasing an account: out for ever, then the deletion of the key that opens what it said.

    [everybody of its group out] -> entry, record without a name -> key overwritten, logs truncated
                                        commit point

The order is safe at every step. Before the commit nothing happened. After it the account is out, cannot be
found by its name and cannot come back; what is left to do follows from the entry alone, so whoever opens
the home next completes it, and asking again answers the same entry.

Rows need no deletion of their own: each row that is the account's, or repeats something of it, carries a
party of it, and that party is out for ever. Accounts it was merged with are the same person's: an off of
one is an off of all, so they are turned off as well, and may be turned on again.

Source: design section 2. Not here: what physically stays (docs/operations.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from withhold.domain.canonical_json import Json
from withhold.domain.directory import SubjectKind
from withhold.domain.erasure import erased, history
from withhold.domain.ledger import Event, EventKind
from withhold.domain.names import AccountId, Position, SubjectNo
from withhold.ports import Ports, Transaction
from withhold.services.events import here
from withhold.services.preferences import PreferenceRequest, turn_off, unknown


@dataclass(frozen=True, slots=True)
class Erasure:
    """What became of an account.

    Attributes:
        position: of the entry that erased it.
        is_purged: whether its key and its name are gone from the files; if not, readers that are open
            hold old pages, and it is tried again until they are.
    """

    position: Position
    is_purged: bool


def erase(ports: Ports, account: AccountId) -> Erasure:
    """Erase an account; it is out, durably, when this returns. Asking again completes and answers the same.

    Raises:
        UnknownAccount: there is no such account, and none of that name was erased.
        StorageError: the disk refused; nothing was recorded, or only the purge is left to do.
        StateUnknown: whether it was recorded is not known; ask again.
    """
    position = ports.ledger.append(partial(_erase, ports, account))
    ports.sessions.end_all(account)  # those that are left by a crash here are nobody's: `sessions`
    return Erasure(position, ports.ledger.purge())


def _erase(ports: Ports, account: AccountId, transaction: Transaction) -> Position:
    subject = transaction.find(SubjectKind.ACCOUNT, account)
    if subject is None:
        before = transaction.erased_at(SubjectKind.ACCOUNT, account)
        if before is None:
            raise unknown(SubjectKind.ACCOUNT, account)
        return before
    for no in subject.group:
        _turn_off(ports, transaction, no)
    at = here(transaction, ports.clock)
    change = erased(subject, at)
    body: dict[str, Json] = {
        "erased": subject.no,
        "entries": subject.sequence,
        "history": history(transaction.past(subject.no)),
    }
    transaction.add(
        Event(EventKind.ACCOUNT_ERASED, subject.no, body, at.recorded_at, change.effects)
    )
    transaction.erased(change.record)
    return at.position


def _turn_off(ports: Ports, transaction: Transaction, no: SubjectNo) -> None:
    """Let somebody of the group be out of every product, as after each off of one of them."""
    for product in transaction.subject(no).holdings:
        member = transaction.subject(no)  # as the off before left it
        request = PreferenceRequest(
            member.kind,
            member.id,
            product,
            allowed=False,
            surface="erasure",
            requested_at=ports.clock.now_ms(),
        )
        turn_off(ports, transaction, member, request)
