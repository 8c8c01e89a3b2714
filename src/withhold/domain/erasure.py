"""Erasing an account: out for ever, and nothing left by which anybody finds the person.

The entry that erases is public, because nobody could read it once the person's key is gone: it names a
number, what its entries did, and puts every party of it out. The parties stay, so that every row of the
person, and every row that repeats one, stays withheld by the rule alone. Nothing lifts that again: the
record has no name any more, and whoever comes under the same name is somebody else, who starts off.

    history = SHA-256("withhold/history/v1\\0" || canonical JSON of [[position, kind, effects, deleted], …])

of every entry of the subject before, oldest first. Their bodies become unreadable; by this digest whoever
verifies the ledger still knows that the effects kept beside them are the ones they had.

Source: design section 2. Not here: deleting the key (`ports.Ledger.purge`), the order (`services.erasure`).
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from withhold.domain.canonical_json import Json, canonical
from withhold.domain.changes import At, Change, put_out
from withhold.domain.directory import Choice, Subject
from withhold.domain.names import Position
from withhold.domain.standing import Becomes, Effect
from withhold.domain.values import changed

_HISTORY = b"withhold/history/v1\0"


class Past(NamedTuple):
    """What an entry did, as far as it is known without its body.

    Attributes:
        kind: the value of its `EventKind`.
        effects: parties with the codes of what they became.
        deleted: products and ordinals of rows it deleted, in order.
    """

    position: Position
    kind: str
    effects: tuple[tuple[int, int], ...]
    deleted: tuple[tuple[str, int], ...]


def history(past: Iterable[Past]) -> str:
    """Return the digest of what entries did, in hexadecimal; they are given oldest first."""
    entries: list[Json] = [
        [each.position, each.kind, [[*e] for e in each.effects], [[*d] for d in each.deleted]]
        for each in past
    ]
    return sha256(_HISTORY + canonical({"entries": entries})).hexdigest()


def erased(subject: Subject, at: At) -> Change:
    """Return an account without a name, out for every product, whatever it said before.

    Every party has an effect, also those that were out: the entry says by itself whose it is.
    """
    holdings = {
        product: holding if holding.choice is Choice.OUT else put_out(holding, at)[0]
        for product, holding in subject.holdings.items()
    }
    record = changed(subject, id="", last=at.position, holdings=holdings)
    effects = tuple(Effect(holding.party, Becomes.OUT) for holding in holdings.values())
    return Change(record, effects)
